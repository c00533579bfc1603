//! What a layer takes at one token, by the cost model of the target.
use crate::forms::Form;
use weft_ir::{DType, Fact, Node, OpSet, TensorType};
use weft_passes::{Applied, Cost, Linear};

/// Rows that are left when others are skipped are read this much slower than all of them: the rows
/// that follow are not brought ahead.
const SCATTERED: f64 = 1.2;

/// Picoseconds of a layer in some form. A mask lets rows of a matrix of floats be skipped; codes are
/// read whole.
pub(super) fn picoseconds(cost: &dyn Cost, ops: &OpSet, layer: &Linear, form: Form<'_>) -> u64 {
    let [inputs, outputs] = layer.dims.map(|n| n as u64);
    let rows = match (form.coded, form.masked) {
        (None, Some(masked)) => ((inputs as f64 * (1.0 - masked.sparsity) * SCATTERED) as u64).min(inputs),
        _ => inputs,
    };
    let matrix = match form.coded {
        Some(coded) => coded.types(),
        None => vec![floats(&[rows, outputs])],
    };
    let operands = [vec![floats(&[1, rows])], matrix].concat();
    let product = applied(cost, ops, "MatMul", (operands, floats(&[1, outputs])));
    let (x, flags) = (floats(&[1, inputs]), TensorType::fixed(DType::Bool, &[1, inputs]));
    let mask = form.masked.map_or(0, |_| {
        let size = applied(cost, ops, "Abs", (vec![x.clone()], x.clone()));
        let passes = applied(cost, ops, "Greater", (vec![x.clone(), x.clone()], flags.clone()));
        let some = applied(cost, ops, "Where", (vec![flags, x.clone(), floats(&[])], x));
        size.saturating_add(passes).saturating_add(some)
    });
    product.saturating_add(mask)
}

fn floats(dims: &[u64]) -> TensorType {
    TensorType::fixed(DType::F32, dims)
}

fn applied(cost: &dyn Cost, ops: &OpSet, op: &str, (operands, result): (Vec<TensorType>, TensorType)) -> u64 {
    let Some(def) = ops.get(op) else { return 0 };
    let operands: Vec<Option<Fact>> = operands.into_iter().map(|ty| Some(Fact::of(ty))).collect();
    let (node, results) = (Node::new(op, Vec::new()), [Fact::of(result)]);
    cost.picoseconds(&Applied { def, node: &node, operands: &operands, results: &results })
}
