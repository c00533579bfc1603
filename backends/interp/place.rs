//! Walking over indices, and the shapes of results.
use crate::array::Elements;
use crate::call::{Call, EvalError, wrong};
use weft_ir::{Fact, InferCx, Tensor};

/// What inference tells of the results, given the operands as they are. It checks the operands
/// on the way: what it accepts may be indexed without fear.
pub(crate) fn facts(call: &Call<'_>) -> Result<Vec<Fact>, EvalError> {
    let operands: Vec<Option<Fact>> = call.operands.iter().map(|t| t.as_ref().map(Fact::constant)).collect();
    let cx = InferCx { def: call.attrs.def, node: call.node, operands: &operands, regions: &[] };
    Ok((call.attrs.def.infer)(&cx)?)
}

/// The extents of the first result, if the values of the operands do not decide them; there is
/// room for as many elements.
pub(crate) fn result_dims(call: &Call<'_>) -> Result<Vec<usize>, EvalError> {
    let fact = facts(call)?.into_iter().next();
    let dims = fact.and_then(|f| f.ty.static_dims());
    let Some(dims) = dims else { return wrong("the shape of the result cannot be told from the operands") };
    let dims: Vec<usize> = dims.into_iter().map(|d| usize::try_from(d).unwrap_or(usize::MAX)).collect();
    call.room(&dims)?;
    Ok(dims)
}

/// Every index of a shape, last axis fastest.
pub(crate) fn for_each_index(dims: &[usize], mut f: impl FnMut(&[usize])) {
    if dims.contains(&0) {
        return;
    }
    let mut at = vec![0; dims.len()];
    loop {
        f(&at);
        let Some(axis) = (0..dims.len()).rev().find(|a| at[*a] + 1 < dims[*a]) else { return };
        at[axis] += 1;
        at[axis + 1..].fill(0);
    }
}

/// The sum of indices times strides.
pub(crate) fn offset(at: &[usize], strides: &[usize]) -> usize {
    at.iter().zip(strides).map(|(i, s)| i * s).sum()
}

/// A tensor of the elements of `x` at the offset that `from` gives for each index of the result.
pub(crate) fn picked(
    x: &Tensor,
    dims: &[usize],
    from: impl Fn(&[usize]) -> usize,
) -> Result<Tensor, EvalError> {
    let elements = Elements::of(x);
    let mut result = Elements::none(x.dtype());
    for_each_index(dims, |at| result.push(&elements, from(at)));
    result.store(dims)
}
