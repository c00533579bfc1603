//! Constants and computed extents.
use crate::call::{Call, Eval, EvalError, wrong};
use weft_ir::Tensor;

/// The functions of this family.
pub(crate) const EVALS: &[(&str, Eval)] = &[("Const", constant), ("weft.Extents", extents)];

fn constant(call: &Call<'_>) -> Result<Vec<Tensor>, EvalError> {
    match call.tensor_attr("value") {
        Some(tensor) => Ok(vec![(**tensor).clone()]),
        None => wrong("attribute `value` holds no tensor"),
    }
}

fn extents(call: &Call<'_>) -> Result<Vec<Tensor>, EvalError> {
    let mut values = Vec::new();
    for dim in call.attrs.dims("value") {
        match dim.eval(&|name| call.symbols.get(name).copied()) {
            Some(value) => values.push(value),
            None => return wrong(format!("extent `{dim}` has no value here")),
        }
    }
    Ok(vec![Tensor::vector(&values)])
}
