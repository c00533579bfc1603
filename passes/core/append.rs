//! More nodes for a copy of a graph that is only run, never kept.
use crate::facts::node_facts;
use crate::pass::PassError;
use std::sync::Arc;
use weft_ir::infer::Facts;
use weft_ir::{Attr, Def, Fact, Graph, Node, OpSet, Tensor, Value};

/// Adds a node with one result and at most one attribute, as [`append_node`] does.
pub(crate) fn append(
    graph: &mut Graph,
    ops: &OpSet,
    (op, attr): (&str, Option<(&str, Attr)>),
    operands: &[Value],
) -> Result<Value, PassError> {
    let mut node = Node::new(op, Vec::new());
    node.attrs.extend(attr.map(|(name, attr)| (name.to_string(), attr)));
    append_node(graph, ops, node, operands)
}

/// Adds a node with one result, whose type is inferred.
///
/// # Errors
/// If the operands do not fit it.
pub fn append_node(
    graph: &mut Graph,
    ops: &OpSet,
    mut node: Node,
    operands: &[Value],
) -> Result<Value, PassError> {
    let name = graph.fresh_name("added");
    let facts: Facts = operands.iter().map(|v| (*v, fact_of(graph, *v))).collect();
    // Only until it is inferred.
    let ty = weft_ir::TensorType::unranked(weft_ir::DType::F32);
    node.results = vec![Def { name, ty }];
    let id = graph.add(node, &operands.iter().copied().map(Some).collect::<Vec<_>>());
    let value = Value { node: id, slot: 0 };
    let facts = node_facts(graph, id, &facts, ops).map_err(|why| PassError::Failed(why.to_string()))?;
    facts.into_iter().next().into_iter().for_each(|fact| graph.set_ty(value, fact.ty));
    Ok(value)
}

/// Adds what lets numbers be zero whose size does not pass its limit.
///
/// # Errors
/// If the limits do not fit the numbers.
pub fn masked(graph: &mut Graph, ops: &OpSet, numbers: Value, limits: Value) -> Result<Value, PassError> {
    let zero = Attr::Tensor(Arc::new(Tensor::scalar(0f32)));
    let mut add = |op, attr, operands: &[Value]| append(graph, ops, (op, attr), operands);
    let size = add("Abs", None, &[numbers])?;
    let passes = add("Greater", None, &[size, limits])?;
    let zero = add("Const", Some(("value", zero)), &[])?;
    add("Where", None, &[passes, numbers, zero])
}

fn fact_of(graph: &Graph, value: Value) -> Fact {
    match graph.constant(value) {
        Some(tensor) => Fact::constant(tensor),
        None => Fact::of(graph.ty(value).clone()),
    }
}
