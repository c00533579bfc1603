//! Attribute values: plain data, ordered and compared bit for bit.
use crate::dim::Dim;
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
    fn rank(&self) -> u8 {
        match self {
            Attr::Int(_) => 0,
            Attr::Float(_) => 1,
            Attr::Str(_) => 2,
            Attr::Ints(_) => 3,
            Attr::Floats(_) => 4,
            Attr::Strs(_) => 5,
            Attr::Dims(_) => 6,
            Attr::Type(_) => 7,
            Attr::Tensor(_) => 8,
        }
    }
}

impl Ord for Attr {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Attr::Int(a), Attr::Int(b)) => a.cmp(b),
            (Attr::Float(a), Attr::Float(b)) => a.total_cmp(b),
            (Attr::Str(a), Attr::Str(b)) => a.cmp(b),
            (Attr::Ints(a), Attr::Ints(b)) => a.cmp(b),
            (Attr::Floats(a), Attr::Floats(b)) => {
                a.iter().map(|x| x.to_bits()).cmp(b.iter().map(|x| x.to_bits()))
            }
            (Attr::Strs(a), Attr::Strs(b)) => a.cmp(b),
            (Attr::Dims(a), Attr::Dims(b)) => a.cmp(b),
            (Attr::Type(a), Attr::Type(b)) => a.cmp(b),
            (Attr::Tensor(a), Attr::Tensor(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
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
