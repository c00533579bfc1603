//! How much arithmetic a graph is: an estimate for people, on which nothing depends. That is why it
//! stands here and not in the operators' definitions.
use super::number;
use crate::dims::Dims;
use weft_ir::{Graph, NodeId, OpSet, TensorType, Value};

/// Multiplications and additions of one run, each counted as one. Control flow counts as if every
/// graph of it ran once. `None` where an extent is decided at run time.
pub(crate) fn flops(main: &Graph, extents: &Dims) -> Option<u64> {
    let (mut open, mut sum) = (vec![main], 0u64);
    while let Some(graph) = open.pop() {
        for id in graph.nodes() {
            sum = sum.saturating_add(node(graph, id, extents)?);
            open.extend(&graph.node(id).regions);
        }
    }
    Some(sum)
}

fn node(graph: &Graph, id: NodeId, extents: &Dims) -> Option<u64> {
    let sizes = |value: Option<Value>| value.and_then(|value| shape(graph.ty(value), extents));
    let operand = |position| sizes(graph.operand(id, position));
    let result = graph.node(id).results.first().and_then(|def| shape(&def.ty, extents))?;
    let out = count(&result);
    Some(match graph.node(id).op.as_str() {
        "Const" | "Reshape" | "Transpose" | "Shape" | "Identity" | "weft.Extents" => 0,
        // Every element of the result is a sum over the filter of its output channel.
        "Conv" | "ConvInteger" => {
            let filter = operand(1)?;
            2 * out * count(&filter) / filter.first()?.max(&1)
        }
        // Every element of the operand is spread over the filter of its input channel.
        "ConvTranspose" => {
            let filter = operand(1)?;
            2 * count(&operand(0)?) * count(&filter) / filter.first()?.max(&1)
        }
        "MatMul" | "MatMulInteger" => 2 * out * operand(0)?.last().copied().unwrap_or(1),
        "Gemm" => 2 * out * (count(&operand(0)?) / result.first()?.max(&1)),
        // Each step multiplies with both weight matrices.
        "LSTM" | "GRU" | "RNN" => {
            let input = operand(0)?;
            2 * input.first()? * input.get(1)? * (count(&operand(1)?) + count(&operand(2)?))
        }
        "Einsum" => 2 * einsum(graph, id, extents)?,
        name if reduces(name) => count(&operand(0)?),
        name if OpSet::builtin().get(name).is_some_and(|def| def.traits.elementwise) => out,
        _ => 0,
    })
}

fn reduces(name: &str) -> bool {
    name.starts_with("Reduce")
        || name.ends_with("Pool")
        || name.ends_with("Normalization")
        || name == "Softmax"
}

/// The product of the extents of all letters.
fn einsum(graph: &Graph, id: NodeId, extents: &Dims) -> Option<u64> {
    let attrs = OpSet::builtin().attrs(graph.node(id))?;
    let terms = attrs.str("equation").split("->").next()?;
    let mut letters = std::collections::BTreeMap::new();
    for (term, operand) in terms.split(',').zip(graph.operands(id)) {
        let sizes = shape(graph.ty(operand?), extents)?;
        letters.extend(term.trim().chars().zip(sizes));
    }
    Some(letters.values().product())
}

fn shape(ty: &TensorType, extents: &Dims) -> Option<Vec<u64>> {
    ty.dims.as_ref()?.iter().map(|dim| number(dim, extents)).collect()
}

fn count(shape: &[u64]) -> u64 {
    shape.iter().fold(1, |n, d| n.saturating_mul(*d))
}
