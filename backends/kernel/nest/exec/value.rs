//! The lanes of a register.
use super::{Fault, Result};
use crate::nest::{Scalar, Ty};
use weft_ir::{DType, types::Kind};

/// The lanes of a register. Floats are their bits, integers extended to 64 bits by their sign, truth values
/// 0 or 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) ty: Ty,
    pub(super) bits: Vec<u64>,
    /// Which lanes depend on memory that nobody has written; empty if none does.
    undefined: Vec<bool>,
}

impl Value {
    pub(super) fn new(ty: Ty, bits: Vec<u64>) -> Self {
        Self { ty, bits, undefined: Vec::new() }
    }

    pub(super) fn zero(ty: Ty) -> Self {
        Self::new(ty, vec![0; ty.lanes as usize])
    }

    pub(super) fn index(value: i64) -> Self {
        Self::new(Ty::INDEX, vec![value as u64])
    }

    pub(super) fn constant(ty: Ty, scalar: Scalar) -> Result<Self> {
        let bits = match (scalar, ty.elem.kind()) {
            (Scalar::Float(x), Kind::Float) => of_float(ty.elem, x)?,
            (Scalar::Int(x), Kind::Float) => of_float(ty.elem, x as f64)?,
            (Scalar::Float(x), Kind::Bool) => u64::from(x != 0.0),
            (Scalar::Int(x), Kind::Bool) => u64::from(x != 0),
            (Scalar::Float(x), _) => extended(ty.elem, x as i64 as u64),
            (Scalar::Int(x), _) => extended(ty.elem, x as u64),
        };
        Ok(Self::new(ty, vec![bits; ty.lanes as usize]))
    }

    pub(super) fn lanes(&self) -> usize {
        self.bits.len()
    }

    pub(super) fn is_defined(&self, lane: usize) -> bool {
        !self.undefined.get(lane).copied().unwrap_or(false)
    }

    pub(super) fn mark_undefined(&mut self, lane: usize) {
        self.undefined.resize(self.bits.len(), false);
        self.undefined[lane] = true;
    }

    /// Every lane by itself.
    pub(super) fn map(&self, elem: DType, f: impl Fn(u64) -> u64) -> Self {
        Self {
            ty: Ty { elem, ..self.ty },
            bits: self.bits.iter().map(|a| f(*a)).collect(),
            undefined: self.undefined.clone(),
        }
    }

    /// Lane by lane; what either one leaves undefined is undefined, and not computed.
    pub(super) fn zip(&self, other: &Self, elem: DType, f: impl Fn(u64, u64) -> Result<u64>) -> Result<Self> {
        if self.lanes() != other.lanes() {
            return Err(Fault::Form(format!("operands are {} and {}", self.ty, other.ty)));
        }
        let mut result = Self::zero(Ty { elem, ..self.ty });
        for (lane, bits) in result.bits.iter_mut().enumerate() {
            if self.is_defined(lane) && other.is_defined(lane) {
                *bits = f(self.bits[lane], other.bits[lane])?;
            }
        }
        result.undefined = self.either_undefined(other);
        Ok(result)
    }

    /// The same for an operation that every pair of lanes has a result for.
    pub(super) fn zip_all(&self, other: &Self, elem: DType, f: impl Fn(u64, u64) -> u64) -> Self {
        let pairs = self.bits.iter().zip(&other.bits);
        let bits = pairs.map(|(a, b)| f(*a, *b)).collect();
        Self { ty: Ty { elem, ..self.ty }, bits, undefined: self.either_undefined(other) }
    }

    fn either_undefined(&self, other: &Self) -> Vec<bool> {
        match (self.undefined.is_empty(), other.undefined.is_empty()) {
            (_, true) => self.undefined.clone(),
            (true, _) => other.undefined.clone(),
            _ => self.undefined.iter().zip(&other.undefined).map(|(a, b)| *a || *b).collect(),
        }
    }

    /// Lanes of this one and another, numbered through.
    pub(super) fn shuffled(&self, other: Option<&Self>, picks: &[u32]) -> Result<Self> {
        let mut result = Self::zero(Ty { lanes: picks.len() as u32, ..self.ty });
        for (lane, pick) in picks.iter().enumerate() {
            let pick = *pick as usize;
            let (from, at) = match other {
                Some(other) if pick >= self.lanes() => (other, pick - self.lanes()),
                _ => (self, pick),
            };
            let bits = from.bits.get(at);
            result.bits[lane] =
                *bits.ok_or_else(|| Fault::Form(format!("lane {pick} is picked of {}", self.ty)))?;
            if !from.is_defined(at) {
                result.mark_undefined(lane);
            }
        }
        Ok(result)
    }
}

/// The bits of an integer or truth value, cut to its width and extended by its sign.
pub(super) fn extended(elem: DType, bits: u64) -> u64 {
    let spare = 64 - elem.bits().clamp(1, 64);
    match elem.kind() {
        Kind::Signed => (((bits << spare) as i64) >> spare) as u64,
        Kind::Bool => u64::from(bits & 0xff != 0),
        _ => (bits << spare) >> spare,
    }
}

/// A float of any type as `f64`, which holds all of them.
pub(super) fn to_float(elem: DType, bits: u64) -> Result<f64> {
    match elem {
        DType::F64 => Ok(f64::from_bits(bits)),
        DType::F32 => Ok(f32::from_bits(bits as u32).into()),
        DType::F16 => Ok(half::f16::from_bits(bits as u16).to_f64()),
        DType::Bf16 => Ok(half::bf16::from_bits(bits as u16).to_f64()),
        _ => Err(Fault::Form(format!("`{elem}` is not a float that can be computed with"))),
    }
}

/// Rounds to a type. (A sum, product, quotient or root of `f32` is rounded right by way of `f64`.)
pub(super) fn of_float(elem: DType, x: f64) -> Result<u64> {
    match elem {
        DType::F64 => Ok(x.to_bits()),
        DType::F32 => Ok((x as f32).to_bits().into()),
        DType::F16 => Ok(half::f16::from_f64(x).to_bits().into()),
        DType::Bf16 => Ok(half::bf16::from_f64(x).to_bits().into()),
        _ => Err(Fault::Form(format!("`{elem}` is not a float that can be computed with"))),
    }
}

/// An integer of any type, or a truth value.
pub(super) fn to_int(elem: DType, bits: u64) -> i128 {
    if elem.kind() == Kind::Signed { (bits as i64).into() } else { bits.into() }
}

/// Cuts to the width of a type.
pub(super) fn of_int(elem: DType, x: i128) -> u64 {
    match elem.kind() {
        Kind::Bool => u64::from(x != 0),
        _ => extended(elem, x as u64),
    }
}
