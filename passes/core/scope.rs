//! Where the error of a linear layer is judged: at its own output, or further on.
//!
//! Queries, keys and values only matter by what attention makes of them, and the halves of a gated
//! feed-forward net by what comes out of it. Structure tells: layers that have the same input, and
//! from which everything leads into one and the same next layer, are judged at the output of that
//! one, together with it. All others are judged at their own.
use crate::facts::node_facts;
use crate::linear::Linear;
use std::collections::{BTreeMap, BTreeSet};
use weft_ir::infer::Facts;
use weft_ir::{Attr, Def, Graph, Module, Node, NodeId, OpSet, Stage, TensorType, Value};

/// Some layers, and what computes that by which they are judged, as a module of its own. The
/// matrices are inputs of it, so that scopes of the same structure are the same module.
#[derive(Debug, Clone)]
pub struct Scope {
    /// Its inputs are [`Scope::taps`], then the matrices of [`Scope::layers`], inputs by outputs.
    pub module: Module,
    /// The values of the whole graph that are its first inputs.
    pub taps: Vec<Value>,
    /// Its layers, by their places in the list that scopes were asked for.
    pub layers: Vec<usize>,
    /// How many of the layers, from the first on, are judged here; the last may be judged elsewhere.
    pub judged: usize,
}

impl Scope {
    /// The layers that are judged here.
    pub fn judged(&self) -> &[usize] {
        &self.layers[..self.judged.min(self.layers.len())]
    }

    /// Whether each row of what comes out, along the last axis but one, is made of that row alone of what flows in:
    /// there is nothing but layers and functions of single numbers.
    pub fn is_by_row(&self, ops: &OpSet) -> bool {
        let graph = &self.module.graph;
        let [x, matrices @ ..] = graph.inputs() else { return false };
        let Some(dims) = &graph.ty(Value { node: *x, slot: 0 }).dims else { return false };
        let Some((_, rows)) = dims.split_last() else { return false };
        let same = |ty: &TensorType| {
            let own = ty.dims.as_ref().and_then(|dims| dims.split_last());
            own.is_some_and(|(_, own)| {
                own.len() == rows.len() && own.iter().zip(rows).all(|(a, b)| a.same(b))
            })
        };
        let by_row = |id: NodeId| {
            let node = graph.node(id);
            let value = Value { node: id, slot: 0 };
            if let Some(tensor) = graph.constant(value) {
                return tensor.dims().iter().rev().skip(1).all(|extent| *extent == 1);
            }
            let right = graph.operand(id, 1).map(|value| value.node);
            let layer =
                matches!(node.op.as_str(), "MatMul" | "Gemm") && right.is_some_and(|w| matrices.contains(&w));
            let single = ops.get(node.op.as_str()).is_some_and(|def| def.traits.elementwise);
            (layer || single) && node.results.iter().all(|def| same(&def.ty))
        };
        self.taps.len() == 1 && graph.nodes().filter(|id| !graph.inputs().contains(id)).all(by_row)
    }
}

/// A scope for each layer of a graph, with nothing in it but that layer.
pub fn own_scopes(graph: &Graph, facts: &Facts, ops: &OpSet, layers: &[Linear]) -> Vec<Scope> {
    let own = |place: usize| own_scope((graph, facts, ops), layers, place);
    (0..layers.len()).filter_map(own).collect()
}

fn own_scope(of: (&Graph, &Facts, &OpSet), layers: &[Linear], place: usize) -> Option<Scope> {
    Copy::new(of, layers, &[place]).scope(&BTreeSet::new(), layers[place].output())
}

/// The scopes of all these layers of a graph; each is judged in one of them.
pub fn scopes(graph: &Graph, facts: &Facts, ops: &OpSet, layers: &[Linear]) -> Vec<Scope> {
    let map = Map::new(graph, layers);
    let mut groups: BTreeMap<(Value, usize), Vec<usize>> = BTreeMap::new();
    let mut alone = Vec::new();
    for (place, layer) in layers.iter().enumerate() {
        match map.leads_to(layer) {
            Some(next) => groups.entry((layer.input, next)).or_default().push(place),
            None => alone.push(place),
        }
    }
    let mut found = Vec::new();
    for ((_, next), group) in groups {
        let inner = map.between(&group);
        let judged = group.len();
        let all: Vec<usize> = group.iter().copied().chain([next]).collect();
        match Copy::new((graph, facts, ops), layers, &all).scope(&inner, layers[next].output()) {
            Some(module) => found.push(Scope { judged, ..module }),
            None => alone.extend(group),
        }
    }
    found.extend(alone.into_iter().filter_map(|place| own_scope((graph, facts, ops), layers, place)));
    found.sort_by_key(|scope| scope.layers.clone());
    found
}

/// Layers by their nodes, and all values that depend on one.
struct Map<'g> {
    graph: &'g Graph,
    layers: &'g [Linear],
    place: BTreeMap<NodeId, usize>,
    behind: BTreeSet<NodeId>,
}

impl<'g> Map<'g> {
    fn new(graph: &'g Graph, layers: &'g [Linear]) -> Self {
        let place = layers.iter().enumerate().map(|(place, layer)| (layer.node, place)).collect();
        let mut map = Self { graph, layers, place, behind: BTreeSet::new() };
        for id in graph.order() {
            let after =
                |value: Value| map.behind.contains(&value.node) || map.place.contains_key(&value.node);
            if graph.operands(id).into_iter().flatten().any(after) {
                map.behind.insert(id);
            }
        }
        map
    }

    /// The nodes that depend on some layers' outputs without another layer between, and the layers met.
    fn onwards(&self, from: &[usize]) -> (BTreeSet<NodeId>, BTreeSet<usize>) {
        let (mut inner, mut met) = (BTreeSet::new(), BTreeSet::new());
        let mut open: Vec<NodeId> = from.iter().map(|place| self.layers[*place].node).collect();
        while let Some(id) = open.pop() {
            let results = self.graph.node(id).results.len() as u32;
            let users = (0..results).flat_map(|slot| self.graph.uses(Value { node: id, slot }));
            for (user, _) in users {
                match self.place.get(&user) {
                    Some(place) => drop(met.insert(*place)),
                    None if inner.insert(user) => open.push(user),
                    None => {}
                }
            }
        }
        (inner, met)
    }

    /// The one layer that everything a layer makes goes into, joined by nothing that comes from layers
    /// of another input.
    fn leads_to(&self, layer: &Linear) -> Option<usize> {
        let (inner, met) = self.onwards(&[*self.place.get(&layer.node)?]);
        let [next] = met.into_iter().collect::<Vec<_>>()[..] else { return None };
        let siblings = self.layers.iter().enumerate().filter(|(_, other)| other.input == layer.input);
        let (with, _) = self.onwards(&siblings.map(|(place, _)| place).collect::<Vec<_>>());
        let sibling = |id: NodeId| self.place.get(&id).is_some_and(|p| self.layers[*p].input == layer.input);
        let fine = |value: Value| {
            let from_layers = self.behind.contains(&value.node) || self.place.contains_key(&value.node);
            !from_layers || value == layer.input || with.contains(&value.node) || sibling(value.node)
        };
        let mut operands = inner.iter().flat_map(|id| self.graph.operands(*id)).flatten();
        operands.all(fine).then_some(next)
    }

    fn between(&self, group: &[usize]) -> BTreeSet<NodeId> {
        self.onwards(group).0
    }
}

/// Copies part of a graph into a module of its own.
struct Copy<'g> {
    of: (&'g Graph, &'g Facts, &'g OpSet),
    layers: &'g [Linear],
    all: Vec<usize>,
    into: Graph,
    facts: Facts,
    values: BTreeMap<Value, Value>,
    taps: Vec<Value>,
}

impl<'g> Copy<'g> {
    fn new(of: (&'g Graph, &'g Facts, &'g OpSet), layers: &'g [Linear], all: &[usize]) -> Self {
        let (into, facts) = (Graph::new("scope"), Facts::new());
        Self { of, layers, all: all.to_vec(), into, facts, values: BTreeMap::new(), taps: Vec::new() }
    }

    /// The scope of these nodes and the layers; `None` if a node cannot be copied.
    fn scope(mut self, inner: &BTreeSet<NodeId>, output: Value) -> Option<Scope> {
        let (graph, _, ops) = self.of;
        let layers = self.layers;
        let own: Vec<&Linear> = self.all.iter().map(|place| &layers[*place]).collect();
        let nodes = self.needed(inner, &own, output);
        let inside = |v: Value| nodes.contains(&v.node);
        let edge = |id: &NodeId| -> Vec<Value> {
            let matrix = own.iter().find(|layer| layer.node == *id).map(|layer| layer.weight);
            graph.operands(*id).into_iter().flatten().filter(|v| Some(*v) != matrix).collect()
        };
        let order: Vec<NodeId> = graph.order().into_iter().filter(|id| nodes.contains(id)).collect();
        let outside: BTreeSet<Value> = order.iter().flat_map(edge).filter(|v| !inside(*v)).collect();
        for (number, value) in outside.into_iter().enumerate() {
            self.tap(value, number);
        }
        let mut matrices = Vec::new();
        for layer in &own {
            let ty = TensorType::fixed(weft_ir::DType::F32, &layer.dims.map(|n| n as u64));
            let number = matrices.len();
            matrices.push(self.input(&format!("w{number}"), ty));
        }
        for id in order {
            let layer = own.iter().zip(&matrices).find(|(layer, _)| layer.node == id);
            self.copy(id, layer.map(|(layer, matrix)| (*layer, *matrix)), ops)?;
        }
        self.into.set_outputs(vec![*self.values.get(&output)?]);
        self.into.set_output_names(vec!["y".to_string()]);
        let module = Module::new(Stage::Canonical, self.into);
        Some(Scope { module, taps: self.taps, judged: self.all.len(), layers: self.all })
    }

    /// The inner nodes that the output needs, the layers, and the integers and constants they need.
    fn needed(&self, inner: &BTreeSet<NodeId>, own: &[&Linear], output: Value) -> BTreeSet<NodeId> {
        let (graph, ..) = self.of;
        let (mut needed, mut open) = (BTreeSet::new(), vec![output.node]);
        let layer = |id: NodeId| own.iter().any(|layer| layer.node == id);
        let matrix = |v: Value| own.iter().any(|layer| layer.weight == v);
        while let Some(id) = open.pop() {
            if !needed.insert(id) {
                continue;
            }
            for value in graph.operands(id).into_iter().flatten().filter(|v| !matrix(*v)) {
                let of_shapes = !graph.ty(value).dtype.is_float() && !graph.is_input(value);
                let constant = graph.constant(value).is_some();
                if inner.contains(&value.node) || layer(value.node) || of_shapes || constant {
                    open.push(value.node);
                }
            }
        }
        needed
    }

    fn tap(&mut self, value: Value, number: usize) {
        let ty = self.of.0.ty(value).clone();
        let input = self.input(&format!("x{number}"), ty);
        self.values.insert(value, input);
        self.taps.push(value);
    }

    fn input(&mut self, name: &str, ty: TensorType) -> Value {
        let input = self.into.add_input(name, ty.clone());
        self.facts.insert(input, weft_ir::Fact::of(ty));
        input
    }

    fn copy(&mut self, id: NodeId, layer: Option<(&Linear, Value)>, ops: &OpSet) -> Option<()> {
        let graph = self.of.0;
        let mut node: Node = graph.node(id).clone();
        let mut operands: Vec<Option<Value>> =
            graph.operands(id).into_iter().map(|v| v.and_then(|v| self.values.get(&v).copied())).collect();
        if let Some((layer, matrix)) = layer {
            node.attrs = layer.attrs(graph).collect::<BTreeMap<String, Attr>>();
            operands[1] = Some(matrix);
        }
        let number = self.into.len();
        for (slot, result) in node.results.iter_mut().enumerate() {
            *result = Def { name: format!("v{number}_{slot}"), ty: result.ty.clone() };
        }
        let (count, stated) = (node.results.len() as u32, node.results.clone());
        let copy = self.into.add(node, &operands);
        let facts = node_facts(&self.into, copy, &self.facts, ops).ok()?;
        for ((slot, fact), def) in (0..count).zip(facts).zip(stated) {
            let (old, new) = (Value { node: id, slot }, Value { node: copy, slot });
            self.facts.insert(new, weft_ir::Fact { ty: def.ty, ..fact });
            self.values.insert(old, new);
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Scope, scopes};
    use crate::facts::facts_of;
    use crate::linear::linears;
    use weft_ir::text::NoWeights;
    use weft_ir::{Module, OpSet};

    /// What layers `%a` and `%b` of one input are judged by, where `between` makes `%h` of them for `%y`.
    fn judged(between: &str) -> Scope {
        let ops = OpSet::builtin();
        let text = format!(
            "weft 1 canonical
weight @w : f32[4, 4] = seeded(1)
weight @row : f32[4] = seeded(2)
weight @rows : f32[3, 4] = seeded(3)
graph @main(%x: f32[1, 3, 4]) -> (f32[1, 3, 4]) {{
    %w = Const() {{value = @w}} : f32[4, 4]
    %row = Const() {{value = @row}} : f32[4]
    %rows = Const() {{value = @rows}} : f32[3, 4]
    %a = MatMul(%x, %w) : f32[1, 3, 4]
    %b = MatMul(%x, %w) : f32[1, 3, 4]
    {between}
    %y = MatMul(%h, %w) : f32[1, 3, 4]
    return %y
}}
"
        );
        let module = Module::parse(&text, ops, &NoWeights).unwrap();
        let facts = facts_of(&module.graph, ops);
        let layers = linears(&module.graph, &facts, ops);
        let mut found = scopes(&module.graph, &facts, ops, &layers);
        found.retain(|scope| scope.layers.len() == 3);
        found.remove(0)
    }

    #[test]
    fn rows_that_have_no_part_in_each_other() {
        let by_row = |between: &str| judged(between).is_by_row(OpSet::builtin());
        assert!(by_row("%s = Sigmoid(%a) : f32[1, 3, 4]\n    %h = Mul(%s, %b) : f32[1, 3, 4]"));
        assert!(by_row("%s = Add(%a, %row) : f32[1, 3, 4]\n    %h = Mul(%s, %b) : f32[1, 3, 4]"));
        // Numbers of their own for each row; a sum over all of them.
        assert!(!by_row("%s = Add(%a, %rows) : f32[1, 3, 4]\n    %h = Mul(%s, %b) : f32[1, 3, 4]"));
        assert!(!by_row("%s = Softmax(%a) {axis = 1} : f32[1, 3, 4]\n    %h = Mul(%s, %b) : f32[1, 3, 4]"));
    }
}
