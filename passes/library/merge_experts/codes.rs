//! Weights of experts, as numbers or as codes of few bits.
use std::sync::Arc;
use weft_ir::{NodeId, Tensor, Value};
use weft_passes::{Perm, Rewriter, floats, permuted};

/// Whether a value is constant: numbers, or what constant codes stand for, in their order or turned.
pub(super) fn is_known(g: &Rewriter<'_>, value: Value) -> bool {
    let constant = |value: Value| g.data(value).is_some();
    if let Some((inner, _)) = g.transposed(value) {
        return is_known_code(g, inner) || constant(value);
    }
    constant(value) || is_known_code(g, value)
}

fn is_known_code(g: &Rewriter<'_>, value: Value) -> bool {
    let id = g.made_by(value, "DequantizeLinear");
    id.is_some_and(|id| g.operands(id).into_iter().flatten().all(|operand| g.data(operand).is_some()))
}

/// The numbers of a constant.
pub(super) fn numbers(g: &Rewriter<'_>, value: Value) -> Option<Arc<Tensor>> {
    if let Some(data) = g.data(value) {
        return Some(data.clone());
    }
    match g.transposed(value) {
        Some((inner, perm)) => turned(g, inner, &perm),
        None => dequantised(g, g.made_by(value, "DequantizeLinear")?),
    }
    .map(Arc::new)
}

fn turned(g: &Rewriter<'_>, inner: Value, perm: &Perm) -> Option<Tensor> {
    permuted(&dequantised(g, g.made_by(inner, "DequantizeLinear")?)?, perm)
}

fn dequantised(g: &Rewriter<'_>, id: NodeId) -> Option<Tensor> {
    let attrs = g.attrs(id)?;
    let operand = |at: usize| g.operand(id, at).and_then(|value| g.data(value));
    let (codes, scales) = (operand(0)?, operand(1)?.to_f64s()?);
    let zeros = match g.operand(id, 2) {
        Some(_) => operand(2)?.to_f64s()?,
        None => vec![0.0; scales.len()],
    };
    let dims = codes.dims();
    let axis = usize::try_from(attrs.int("axis").rem_euclid(dims.len().max(1) as i64)).ok()?;
    let extent = dims.get(axis).copied().unwrap_or(1) as usize;
    let inner = dims.iter().skip(axis + 1).product::<u64>() as usize;
    let block = usize::try_from(attrs.int("block_size")).ok()?;
    let place = |at: usize| {
        let (outer, along, within) = (at / inner / extent, at / inner % extent, at % inner);
        match block {
            0 if scales.len() == 1 => 0,
            0 => along,
            _ => (outer * extent.div_ceil(block) + along / block) * inner + within,
        }
    };
    let number = |(at, code): (usize, f64)| Some((code - zeros.get(place(at))?) * scales.get(place(at))?);
    let numbers: Option<Vec<f64>> = codes.to_f64s()?.into_iter().enumerate().map(number).collect();
    floats(g.dtype(g.result(id)), dims, &numbers?)
}
