//! Attribute values: plain data, ordered and compared bit for bit.
use crate::dim::Dim;
use crate::op::AttrKind;
use crate::tensor::Tensor;
use crate::types::DType;
use std::cmp::Ordering;
use std::sync::Arc;

/// The value of an attribute.
#[derive(Debug, Clone)]
pub enum Attr {
    /// An integer; flags are 0 or 1.
    Int(i64),
    /// A float; ONNX attributes hold 32-bit ones.
    Float(f32),
    /// Text.
    Str(String),
    /// Integers.
    Ints(Vec<i64>),
    /// Floats.
    Floats(Vec<f32>),
    /// Texts.
    Strs(Vec<String>),
    /// Symbolic extents.
    Dims(Vec<Dim>),
    /// An element type.
    Type(DType),
    /// Constant data, shared.
    Tensor(Arc<Tensor>),
}

impl Attr {
    /// What it holds.
    pub fn kind(&self) -> AttrKind {
        match self {
            Attr::Int(_) => AttrKind::Int,
            Attr::Float(_) => AttrKind::Float,
            Attr::Str(_) => AttrKind::Str,
            Attr::Ints(_) => AttrKind::Ints,
            Attr::Floats(_) => AttrKind::Floats,
            Attr::Strs(_) => AttrKind::Strs,
            Attr::Dims(_) => AttrKind::Dims,
            Attr::Type(_) => AttrKind::Type,
            Attr::Tensor(_) => AttrKind::Tensor,
        }
    }
}

impl Ord for Attr {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Attr::Int(a), Attr::Int(b)) => a.cmp(b),
            (Attr::Float(a), Attr::Float(b)) => a.to_bits().cmp(&b.to_bits()),
            (Attr::Str(a), Attr::Str(b)) => a.cmp(b),
            (Attr::Ints(a), Attr::Ints(b)) => a.cmp(b),
            (Attr::Floats(a), Attr::Floats(b)) => {
                a.iter().map(|x| x.to_bits()).cmp(b.iter().map(|x| x.to_bits()))
            }
            (Attr::Strs(a), Attr::Strs(b)) => a.cmp(b),
            (Attr::Dims(a), Attr::Dims(b)) => a.cmp(b),
            (Attr::Type(a), Attr::Type(b)) => a.cmp(b),
            (Attr::Tensor(a), Attr::Tensor(b)) => a.cmp(b),
            _ => self.kind().cmp(&other.kind()),
        }
    }
}

impl PartialOrd for Attr {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Attr {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Attr {}
