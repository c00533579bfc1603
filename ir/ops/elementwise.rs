//! Operators that work element by element, with broadcasting.
use super::rules::{broadcast_all, like_first, op, req, shaped};
use crate::dim::Dim;
use crate::infer::Fact;
use crate::op::{InferCx, InferError, OpDef, Traits};

/// The table.
pub(crate) const OPS: &[OpDef] = &[
    OpDef { traits: Traits::COMMUTATIVE, ..op("Add", "The sum `a + b`.", &[req("A"), req("B")], add) },
    OpDef { traits: Traits::ELEMENTWISE, ..op("Relu", "`max(x, 0)`.", &[req("X")], like_first) },
];

fn add(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    arithmetic(cx, Dim::add)
}

/// Broadcasts two operands of one type; where both are integers known symbolically, so is the result.
fn arithmetic(cx: &InferCx<'_>, on_dims: fn(&Dim, &Dim) -> Dim) -> Result<Vec<Fact>, InferError> {
    let (a, b) = (cx.need(0)?, cx.need(1)?);
    if a.dtype() != b.dtype() {
        return Err(InferError(format!("element types differ: {} and {}", a.dtype(), b.dtype())));
    }
    let value = a.value.as_ref().zip(b.value.as_ref()).and_then(|(a, b)| zip_values(a, b, on_dims));
    let value = value.filter(|_| a.dtype().is_int());
    Ok(vec![Fact::of(shaped(a.dtype(), broadcast_all(cx)?)).with_value(value)])
}

fn zip_values(a: &[Dim], b: &[Dim], f: fn(&Dim, &Dim) -> Dim) -> Option<Vec<Dim>> {
    let n = a.len().max(b.len());
    if !(a.len() == n || a.len() == 1) || !(b.len() == n || b.len() == 1) {
        return None;
    }
    Some((0..n).map(|i| f(&a[i % a.len()], &b[i % b.len()])).collect())
}
