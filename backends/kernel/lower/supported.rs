//! What compiled code cannot have at all, whatever computes it: elements that are not whole bytes of numbers
//! or truth values. Said of every node of every graph before any of them is lowered, so that a refusal names
//! all that stand in the way.
use super::{Lowering, Problem, View, quant};
use std::collections::BTreeSet;
use weft_ir::{DType, Graph, NodeId, Value};

/// Every node with such elements among its operands or results, and the inputs and outputs of the main
/// graph that have them and meet no such node.
pub(super) fn unsupported(main: &Graph) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut open = vec![main];
    while let Some(graph) = open.pop() {
        for id in graph.order() {
            let node = graph.node(id);
            open.extend(&node.regions);
            if let Some(message) = refusal(graph, id) {
                problems.push(Problem { op: node.op.to_string(), at: node.label().to_string(), message });
            }
        }
    }
    problems.extend(ports(main));
    problems
}

/// Why a node cannot be lowered, if it is for its elements. Constant data is the matter of those who use it.
pub(super) fn refusal(graph: &Graph, id: NodeId) -> Option<String> {
    let node = graph.node(id);
    if node.op == "Const" {
        return None;
    }
    let coded = |value: &Value| node.op == "DequantizeLinear" && graph.constant(*value).is_some();
    let operands = graph.operands(id).into_iter().flatten().filter(|value| !coded(value));
    let named = operands.map(|value| (graph.ty(value).dtype, graph.name_of(value)));
    let results = node.results.iter().map(|result| (result.ty.dtype, result.name.as_str()));
    let mut seen = BTreeSet::new();
    let odd: Vec<String> = named
        .chain(results)
        .filter(|(dtype, name)| !quant::is_plain(*dtype) && seen.insert(*name))
        .map(|(dtype, name)| format!("{dtype} (`%{name}`)"))
        .collect();
    (!odd.is_empty())
        .then(|| format!("compiled code does not compute on elements of type {}", odd.join(", ")))
}

/// The inputs and outputs that only come in or go out.
fn ports(main: &Graph) -> impl Iterator<Item = Problem> {
    let inputs = main.inputs().iter().map(|id| Value { node: *id, slot: 0 });
    let unused = |value: &Value| main.uses(*value).is_empty() && !main.outputs().contains(value);
    let inputs = inputs.filter(unused).map(|value| ("input", value));
    let made = |value: &Value| main.is_input(*value) || main.node(value.node).op == "Const";
    let outputs = main.outputs().iter().copied().filter(made).map(|value| ("output", value));
    inputs.chain(outputs).filter_map(|(op, value)| {
        let dtype: DType = main.ty(value).dtype;
        let message = format!("compiled code has no elements of type {dtype}");
        let at = main.name_of(value).to_string();
        (!quant::is_plain(dtype)).then(|| Problem { op: op.to_string(), at, message })
    })
}

impl Lowering<'_> {
    /// Memory that nobody fills, for the results of a node that was refused: those who use them are looked
    /// at, too.
    pub(super) fn stand_in(&mut self, graph: &Graph, id: NodeId) {
        for (slot, result) in graph.node(id).results.iter().enumerate() {
            let Some(dims) = &result.ty.dims else { continue };
            let memory: View = self.allocate(result.ty.dtype, dims, &result.name);
            let handle = self.view(result.ty.dtype, dims.clone(), memory);
            self.scope().values.insert(Value { node: id, slot: slot as u32 }, handle);
        }
    }
}
