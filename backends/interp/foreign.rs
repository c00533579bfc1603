//! Operators that a function outside weft computes: the function that the plugin brought is called.
use crate::call::{EvalError, wrong};
use std::sync::Arc;
use weft_ir::{Foreign, Node, OpDef, Tensor, TensorType};

/// The results of a node of such an operator.
pub(crate) fn eval(
    def: &OpDef,
    foreign: &Foreign,
    node: &Node,
    operands: Vec<Option<Arc<Tensor>>>,
) -> Result<Vec<Tensor>, EvalError> {
    let ty = |tensor: &Arc<Tensor>| TensorType::fixed(tensor.dtype(), tensor.dims());
    let types: Vec<_> = operands.iter().map(|operand| operand.as_ref().map(ty)).collect();
    let call = foreign.call(def, node, &types)?;
    let symbol = &call.symbol;
    let Some(function) = foreign.function(symbol) else {
        return wrong(format!("its plugin brings no function `{symbol}` to interpret it with"));
    };
    let inputs: Vec<_> = operands.into_iter().chain(call.attrs.into_iter().map(Some)).collect();
    let results = function.call(&inputs, &call.results);
    let results = results.map_err(|why| EvalError::Wrong(format!("the function `{symbol}` {why}")))?;
    let found: Vec<TensorType> = results.iter().map(|r| TensorType::fixed(r.dtype(), r.dims())).collect();
    if found != call.results {
        let shown =
            |types: &[TensorType]| types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let (found, expected) = (shown(&found), shown(&call.results));
        return wrong(format!("the function `{symbol}` gives ({found}), expected ({expected})"));
    }
    Ok(results)
}
