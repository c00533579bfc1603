//! A graph of operators: petgraph inside, our own identities and operand order outside.
//!
//! petgraph reuses the indices of removed nodes and lists edges newest first, so a node is named
//! by a [`NodeId`] that is never used twice, and every edge carries its operand position.
use crate::attr::Attr;
use crate::types::TensorType;
use petgraph::Direction;
use petgraph::stable_graph::{NodeIndex, StableDiGraph};
use petgraph::visit::EdgeRef;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::fmt;
use std::sync::Arc;

/// Names a node; never reused for another node of the same graph. Younger nodes have larger ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u32);

/// One result of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value {
    /// The producer.
    pub node: NodeId,
    /// Which of its results.
    pub slot: u32,
}

/// The name of an operator: `Relu`, `com.microsoft.MatMulNBits`, `weft.Extents`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpName(Arc<str>);

impl OpName {
    /// The operator of that name.
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OpName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PartialEq<&str> for OpName {
    fn eq(&self, other: &&str) -> bool {
        &*self.0 == *other
    }
}

/// A result: its name, unique in its graph, and its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Def {
    /// Unique in its graph.
    pub name: String,
    /// Its type.
    pub ty: TensorType,
}

/// One application of an operator.
#[derive(Debug, Clone)]
pub struct Node {
    /// The operator.
    pub op: OpName,
    /// Attributes that were given; defaults stay out.
    pub attrs: BTreeMap<String, Attr>,
    /// Results, in order.
    pub results: Vec<Def>,
    /// Graphs of control flow, in the order of the operator's definition. A region sees nothing
    /// but its own inputs.
    pub regions: Vec<Graph>,
    arity: u32,
}

impl Node {
    /// A node without attributes and regions.
    pub fn new(op: &str, results: Vec<Def>) -> Self {
        Self { op: OpName::new(op), attrs: BTreeMap::new(), results, regions: Vec::new(), arity: 0 }
    }

    /// The node with one more attribute.
    pub fn with(mut self, name: &str, attr: Attr) -> Self {
        self.attrs.insert(name.to_string(), attr);
        self
    }

    /// What messages call it: the name of its first result.
    pub fn label(&self) -> &str {
        self.results.first().map_or("", |result| &result.name)
    }

    /// How many operands it has, absent ones in the middle counted.
    pub fn arity(&self) -> usize {
        self.arity as usize
    }
}

/// The operator of graph inputs; it has no written form of its own.
pub const INPUT: &str = "weft.Input";

#[derive(Debug, Clone)]
struct Entry {
    id: NodeId,
    /// Copies of a graph share it until one of them changes it.
    node: Arc<Node>,
}

/// Result `from` of the producer is operand `to` of the consumer.
#[derive(Debug, Clone, Copy)]
struct Use {
    from: u32,
    to: u32,
}

/// A graph with ordered inputs and outputs. An output may be an input, and may stand twice. A copy
/// shares its nodes with the original until one of them changes, so it costs little.
#[derive(Debug, Clone)]
pub struct Graph {
    /// Its name.
    pub name: String,
    dag: StableDiGraph<Entry, Use, u32>,
    index: BTreeMap<NodeId, NodeIndex<u32>>,
    next: u32,
    inputs: Vec<NodeId>,
    outputs: Vec<Value>,
    output_names: Vec<String>,
}

impl Graph {
    /// An empty graph.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_string(),
            dag: StableDiGraph::default(),
            index: BTreeMap::new(),
            next: 0,
            inputs: Vec::new(),
            outputs: Vec::new(),
            output_names: Vec::new(),
        }
    }

    fn insert(&mut self, node: Node) -> NodeId {
        let id = NodeId(self.next);
        self.next += 1;
        let at = self.dag.add_node(Entry { id, node: Arc::new(node) });
        self.index.insert(id, at);
        id
    }

    /// Adds an input after those there are.
    pub fn add_input(&mut self, name: &str, ty: TensorType) -> Value {
        let id = self.insert(Node::new(INPUT, vec![Def { name: name.to_string(), ty }]));
        self.inputs.push(id);
        Value { node: id, slot: 0 }
    }

    /// Adds a node; `None` is an absent optional operand.
    pub fn add(&mut self, node: Node, operands: &[Option<Value>]) -> NodeId {
        let id = self.insert(node);
        self.set_operands(id, operands);
        id
    }

    /// Gives a node new operands in the place of those it has.
    pub fn set_operands(&mut self, id: NodeId, operands: &[Option<Value>]) {
        let at = self.index[&id];
        let old: Vec<_> = self.dag.edges_directed(at, Direction::Incoming).map(|e| e.id()).collect();
        for edge in old {
            self.dag.remove_edge(edge);
        }
        let arity = operands.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        Arc::make_mut(&mut self.dag[at].node).arity = arity as u32;
        for (to, operand) in operands.iter().enumerate() {
            if let Some(value) = operand {
                self.dag.add_edge(self.index[&value.node], at, Use { from: value.slot, to: to as u32 });
            }
        }
    }

    /// Sets the outputs, each under its own value's name. An interface keeps its names whatever
    /// happens to the values: see [`Graph::output_names`].
    pub fn set_outputs(&mut self, outputs: Vec<Value>) {
        self.output_names = outputs.iter().map(|v| self.name_of(*v).to_string()).collect();
        self.outputs = outputs;
    }

    /// Gives the outputs names of their own (one value may go out under two names).
    pub fn set_output_names(&mut self, names: Vec<String>) {
        debug_assert_eq!(names.len(), self.outputs.len());
        self.output_names = names;
    }

    /// The outputs, in order.
    pub fn outputs(&self) -> &[Value] {
        &self.outputs
    }

    /// The names of the outputs as users know them.
    pub fn output_names(&self) -> &[String] {
        &self.output_names
    }

    /// The inputs, in order.
    pub fn inputs(&self) -> &[NodeId] {
        &self.inputs
    }

    /// Whether a value is an input.
    pub fn is_input(&self, value: Value) -> bool {
        self.node(value.node).op == INPUT
    }

    /// Drops the inputs for which `keep` is false. They must have no use left.
    pub fn retain_inputs(&mut self, keep: &dyn Fn(usize) -> bool) {
        let inputs = std::mem::take(&mut self.inputs);
        for (i, id) in inputs.into_iter().enumerate() {
            if keep(i) {
                self.inputs.push(id);
            } else {
                self.remove(id);
            }
        }
    }

    /// Whether the node is (still) there.
    pub fn contains(&self, id: NodeId) -> bool {
        self.index.contains_key(&id)
    }

    /// A node.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.dag[self.index[&id]].node
    }

    /// A node, to change its attributes, results or regions.
    pub fn node_mut(&mut self, id: NodeId) -> &mut Node {
        let at = self.index[&id];
        Arc::make_mut(&mut self.dag[at].node)
    }

    /// The operands of a node, in order.
    pub fn operands(&self, id: NodeId) -> Vec<Option<Value>> {
        let at = self.index[&id];
        let mut operands = vec![None; self.dag[at].node.arity()];
        for edge in self.dag.edges_directed(at, Direction::Incoming) {
            let Use { from, to } = *edge.weight();
            operands[to as usize] = Some(Value { node: self.dag[edge.source()].id, slot: from });
        }
        operands
    }

    /// Operand `position` of a node, if present.
    pub fn operand(&self, id: NodeId, position: usize) -> Option<Value> {
        let edges = self.dag.edges_directed(self.index[&id], Direction::Incoming);
        let edge = edges.into_iter().find(|e| e.weight().to as usize == position)?;
        Some(Value { node: self.dag[edge.source()].id, slot: edge.weight().from })
    }

    /// All uses of a value by nodes: consumer and operand position, sorted. Outputs do not count.
    pub fn uses(&self, value: Value) -> Vec<(NodeId, usize)> {
        let edges = self.dag.edges_directed(self.index[&value.node], Direction::Outgoing);
        let mut uses: Vec<_> = edges
            .filter(|e| e.weight().from == value.slot)
            .map(|e| (self.dag[e.target()].id, e.weight().to as usize))
            .collect();
        uses.sort_unstable();
        uses
    }

    /// Whether any node uses any result of a node. Outputs do not count.
    pub fn has_uses(&self, id: NodeId) -> bool {
        self.dag.edges_directed(self.index[&id], Direction::Outgoing).next().is_some()
    }

    /// How often a value is used, by nodes and as an output.
    pub fn use_count(&self, value: Value) -> usize {
        self.uses(value).len() + self.outputs.iter().filter(|o| **o == value).count()
    }

    /// Name and type of a value, if it is there.
    pub fn def(&self, value: Value) -> Option<&Def> {
        let at = self.index.get(&value.node)?;
        self.dag[*at].node.results.get(value.slot as usize)
    }

    /// The name of a value.
    pub fn name_of(&self, value: Value) -> &str {
        &self.node(value.node).results[value.slot as usize].name
    }

    /// The type of a value.
    pub fn ty(&self, value: Value) -> &TensorType {
        &self.node(value.node).results[value.slot as usize].ty
    }

    /// Sets the type of a value.
    pub fn set_ty(&mut self, value: Value, ty: TensorType) {
        if *self.ty(value) != ty {
            self.node_mut(value.node).results[value.slot as usize].ty = ty;
        }
    }

    /// Constant data, if the value is the result of a `Const`.
    pub fn constant(&self, value: Value) -> Option<&Arc<crate::tensor::Tensor>> {
        let node = self.node(value.node);
        match node.attrs.get("value") {
            Some(Attr::Tensor(tensor)) if node.op == "Const" => Some(tensor),
            _ => None,
        }
    }

    /// Replaces every use of `old`, as operand and as output, by `new`. Unless `new` is an input,
    /// the two swap names, so that a diff shows the change and nothing else.
    pub fn replace(&mut self, old: Value, new: Value) {
        self.redirect(old, new);
        if !self.is_input(new) && !self.is_input(old) {
            let (a, b) = (self.name_of(old).to_string(), self.name_of(new).to_string());
            self.node_mut(old.node).results[old.slot as usize].name = b;
            self.node_mut(new.node).results[new.slot as usize].name = a;
        }
    }

    /// Replaces every use of `old` by `new` and touches no name.
    pub fn redirect(&mut self, old: Value, new: Value) {
        let (from, to) = (self.index[&old.node], self.index[&new.node]);
        let edges = self.dag.edges_directed(from, Direction::Outgoing);
        let uses: Vec<_> = edges
            .filter(|e| e.weight().from == old.slot)
            .map(|e| (e.id(), e.target(), e.weight().to))
            .collect();
        for (edge, user, position) in uses {
            self.dag.remove_edge(edge);
            self.dag.add_edge(to, user, Use { from: new.slot, to: position });
        }
        self.outputs.iter_mut().filter(|o| **o == old).for_each(|o| *o = new);
    }

    /// Removes a node and the edges at it.
    pub fn remove(&mut self, id: NodeId) {
        if let Some(at) = self.index.remove(&id) {
            self.dag.remove_node(at);
        }
    }

    /// Removes every node that no output needs, inputs excepted; says how many there were.
    pub fn sweep(&mut self) -> usize {
        let mut live: BTreeSet<NodeId> = self.inputs.iter().copied().collect();
        let mut open: Vec<NodeId> = self.outputs.iter().map(|v| v.node).collect();
        while let Some(id) = open.pop() {
            if live.insert(id) {
                open.extend(self.producers(id));
            }
        }
        let dead: Vec<NodeId> = self.index.keys().copied().filter(|id| !live.contains(id)).collect();
        dead.iter().for_each(|id| self.remove(*id));
        dead.len()
    }

    /// The nodes whose results a node uses.
    pub fn producers(&self, id: NodeId) -> Vec<NodeId> {
        let neighbors = self.dag.neighbors_directed(self.index[&id], Direction::Incoming);
        neighbors.map(|n| self.dag[n].id).collect()
    }

    /// All nodes but the inputs, oldest first.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> {
        self.index.keys().copied().filter(|id| self.node(*id).op != INPUT)
    }

    /// How many nodes there are, inputs not counted.
    pub fn len(&self) -> usize {
        self.index.len() - self.inputs.len()
    }

    /// Whether there is no node but inputs.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All nodes but the inputs, producers first; of those ready, the oldest first. Nodes on a
    /// cycle are left out.
    pub fn order(&self) -> Vec<NodeId> {
        let count = |at| self.dag.edges_directed(at, Direction::Incoming).count();
        let mut waiting: BTreeMap<NodeId, usize> =
            self.index.iter().map(|(id, at)| (*id, count(*at))).collect();
        let mut ready: BinaryHeap<_> =
            waiting.iter().filter(|(_, n)| **n == 0).map(|(id, _)| Reverse(*id)).collect();
        let mut order = Vec::with_capacity(self.index.len());
        while let Some(Reverse(id)) = ready.pop() {
            if self.node(id).op != INPUT {
                order.push(id);
            }
            for user in self.dag.neighbors_directed(self.index[&id], Direction::Outgoing) {
                let user = self.dag[user].id;
                if let Some(left) = waiting.get_mut(&user) {
                    *left -= 1;
                    if *left == 0 {
                        ready.push(Reverse(user));
                    }
                }
            }
        }
        order
    }

    /// A name that no value of this graph has, beginning with `stem`.
    pub fn fresh_name(&self, stem: &str) -> String {
        let taken: BTreeSet<&str> =
            self.dag.node_weights().flat_map(|e| &e.node.results).map(|r| &*r.name).collect();
        if !taken.contains(stem) {
            return stem.to_string();
        }
        (1..).map(|i| format!("{stem}~{i}")).find(|name| !taken.contains(&**name)).unwrap_or_default()
    }
}
