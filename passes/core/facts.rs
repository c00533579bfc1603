//! What is known of every value, read off a graph without changing it.
use crate::analysis::{Analyses, Analysis};
use crate::editor::{GraphPath, graph_at, graph_paths};
use std::collections::BTreeMap;
use std::sync::Arc;
use weft_ir::infer::Facts;
use weft_ir::op::Presence;
use weft_ir::{Fact, Graph, InferCx, InferError, Module, Node, NodeId, OpDef, OpSet, Value};

/// The [`Facts`] of every graph of a module.
pub struct AllFacts;

impl Analysis for AllFacts {
    type Output = BTreeMap<GraphPath, Arc<Facts>>;

    fn compute(module: &Module, ops: &OpSet, _: &mut Analyses) -> Self::Output {
        let paths = graph_paths(&module.graph).into_iter();
        let facts = paths.filter_map(|path| {
            let facts = facts_of(graph_at(&module.graph, &path)?, ops);
            Some((path, Arc::new(facts)))
        });
        facts.collect()
    }
}

/// Facts about every value of one graph. Types are those the graph states; values and constants
/// are inferred. Of the inputs only the types are known.
pub fn facts_of(graph: &Graph, ops: &OpSet) -> Facts {
    let mut facts = Facts::new();
    for id in graph.inputs() {
        let value = Value { node: *id, slot: 0 };
        facts.insert(value, Fact::of(graph.ty(value).clone()));
    }
    for id in graph.order() {
        let inferred = node_facts(graph, id, &facts, ops).unwrap_or_default();
        let mut inferred = inferred.into_iter();
        for (slot, result) in graph.node(id).results.iter().enumerate() {
            let mut fact = inferred.next().unwrap_or_else(|| Fact::of(result.ty.clone()));
            fact.ty = result.ty.clone();
            facts.insert(Value { node: id, slot: slot as u32 }, fact);
        }
    }
    facts
}

/// [`infer`] for a node of a graph.
pub fn node_facts(graph: &Graph, id: NodeId, facts: &Facts, ops: &OpSet) -> Result<Vec<Fact>, InferError> {
    let node = graph.node(id);
    let def = ops.get(node.op.as_str()).ok_or_else(|| InferError("no such operator".to_string()))?;
    let operands = graph.operands(id).into_iter().map(|v| v.and_then(|v| facts.get(&v).cloned())).collect();
    infer(def, node, operands)
}

/// Infers one node from the facts about its operands. Regions are taken to give what their graphs
/// state.
pub fn infer(def: &OpDef, node: &Node, mut operands: Vec<Option<Fact>>) -> Result<Vec<Fact>, InferError> {
    let fixed = def.operands.iter().filter(|o| o.presence != Presence::Variadic).count();
    operands.resize(operands.len().max(fixed), None);
    let outputs = |g: &Graph| g.outputs().iter().map(|v| Fact::of(g.ty(*v).clone())).collect();
    let regions: Vec<Vec<Fact>> = node.regions.iter().map(outputs).collect();
    InferCx { def, node, operands: &operands, regions: &regions }.infer()
}
