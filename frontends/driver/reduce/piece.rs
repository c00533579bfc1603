//! A piece of a graph as a graph of its own.
use std::collections::{BTreeMap, BTreeSet};
use weft_ir::{Graph, NodeId, Value};

/// The graph without these nodes. What others need of them becomes an input, and what only they needed
/// an output. Nothing if no output would be left.
pub(super) fn without(graph: &Graph, gone: &BTreeSet<NodeId>) -> Option<Graph> {
    let mut piece = Piece { graph, made: Graph::new(&graph.name), at: BTreeMap::new() };
    let kept: Vec<NodeId> = graph.order().into_iter().filter(|id| !gone.contains(id)).collect();
    // Inputs first, in their order, so that the interface stays what it was.
    for id in graph.inputs() {
        let value = Value { node: *id, slot: 0 };
        let outside = graph.uses(value).iter().any(|(user, _)| !gone.contains(user));
        if outside {
            piece.input(value);
        }
    }
    for id in &kept {
        piece.node(*id);
    }
    piece.finish(gone)
}

/// The graph with these outputs only, and what they need.
pub(super) fn with_outputs(graph: &Graph, outputs: &[usize]) -> Graph {
    let mut made = graph.clone();
    let pick = |i: &usize| graph.outputs().get(*i).copied();
    let names = outputs.iter().filter_map(|i| graph.output_names().get(*i).cloned()).collect();
    made.set_outputs(outputs.iter().filter_map(pick).collect());
    made.set_output_names(names);
    tidy(&mut made);
    made
}

/// Drops what no output needs, inputs too.
pub(super) fn tidy(graph: &mut Graph) {
    graph.sweep();
    let inputs: Vec<Value> = graph.inputs().iter().map(|id| Value { node: *id, slot: 0 }).collect();
    let used: Vec<bool> =
        inputs.iter().map(|value| graph.use_count(*value) > 0 || graph.outputs().contains(value)).collect();
    graph.retain_inputs(&|i| used.get(i).copied().unwrap_or(true));
}

struct Piece<'g> {
    graph: &'g Graph,
    made: Graph,
    at: BTreeMap<Value, Value>,
}

impl Piece<'_> {
    fn input(&mut self, value: Value) -> Value {
        let (name, ty) = (self.graph.name_of(value).to_string(), self.graph.ty(value).clone());
        let made = self.made.add_input(&name, ty);
        self.at.insert(value, made);
        made
    }

    fn node(&mut self, id: NodeId) {
        let operands: Vec<Option<Value>> = self.graph.operands(id);
        let known =
            |piece: &mut Self, value| piece.at.get(&value).copied().unwrap_or_else(|| piece.input(value));
        let operands: Vec<_> =
            operands.into_iter().map(|operand| operand.map(|value| known(self, value))).collect();
        let made = self.made.add(self.graph.node(id).clone(), &operands);
        for slot in 0..self.graph.node(id).results.len() as u32 {
            self.at.insert(Value { node: id, slot }, Value { node: made, slot });
        }
    }

    fn finish(mut self, gone: &BTreeSet<NodeId>) -> Option<Graph> {
        let (mut outputs, mut names) = (Vec::new(), Vec::new());
        for (value, name) in self.graph.outputs().iter().zip(self.graph.output_names()) {
            if !gone.contains(&value.node) && !self.graph.is_input(*value) {
                outputs.extend(self.at.get(value));
                names.push(name.clone());
            }
        }
        for (value, made) in &self.at {
            let users = self.graph.uses(*value);
            let orphaned = !users.is_empty() && users.iter().all(|(user, _)| gone.contains(user));
            let is_plain = self.graph.is_input(*value) || self.graph.constant(*value).is_some();
            if orphaned && !is_plain && !gone.contains(&value.node) && !outputs.contains(made) {
                outputs.push(*made);
                names.push(self.graph.name_of(*value).to_string());
            }
        }
        if outputs.is_empty() {
            return None;
        }
        self.made.set_outputs(outputs);
        self.made.set_output_names(names);
        tidy(&mut self.made);
        Some(self.made)
    }
}
