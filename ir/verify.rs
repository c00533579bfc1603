//! The rules every graph keeps.
use crate::attr::Attr;
use crate::graph::{Graph, Node, NodeId, OpName, Value};
use crate::infer::infer;
use crate::module::{Module, Stage};
use crate::op::{AttrDefault, OpDef, OpSet, Presence};
use crate::text::MAX_REGIONS;
use crate::types::{MAX_RANK, TensorType};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A tensor has fewer elements than this.
pub const MAX_ELEMENTS: u64 = 1 << 47;

/// The operator that stands for one already found wrong, while types are inferred.
const BROKEN: &str = "weft.Broken";

/// A rule that is not kept, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// The graph; region 1 of node `y` of `main` is `main/y.1`.
    pub graph: String,
    /// The operator and the name of the node's first result; `None` for the graph as a whole.
    pub node: Option<(String, String)>,
    /// The part of it.
    pub place: Place,
    /// What was found and what was expected.
    pub message: String,
}

/// A part of a node or of a graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// No part of its own.
    Whole,
    /// An operand, by its name in the operator's definition.
    Operand(String),
    /// An attribute.
    Attribute(String),
    /// A result, or the input of a graph.
    Value(String),
    /// The output of a graph.
    Output(String),
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.node {
            Some((op, at)) => write!(f, "`{op}` at `%{at}` in `{}`", self.graph)?,
            None => write!(f, "graph `{}`", self.graph)?,
        }
        match &self.place {
            Place::Whole => {}
            Place::Operand(name) => write!(f, ", operand `{name}`")?,
            Place::Attribute(name) => write!(f, ", attribute `{name}`")?,
            Place::Value(name) => write!(f, ", value `%{name}`")?,
            Place::Output(name) => write!(f, ", output `{name}`")?,
        }
        write!(f, ": {}", self.message)
    }
}

/// Checks every rule of the module's stage and returns all breaches at once.
pub fn verify(module: &Module, ops: &OpSet) -> Result<(), Vec<Breach>> {
    let mut verifier = Verifier { ops, stage: module.stage, path: Vec::new(), breaches: Vec::new() };
    let mut copy = module.graph.clone();
    verifier.graph(&mut copy, module.graph.name.clone());
    if let Err(problems) = infer(&mut copy, ops) {
        for problem in problems.into_iter().filter(|p| p.op != BROKEN) {
            let node = Some((problem.op, problem.at));
            let (graph, message) = (problem.graph, problem.message);
            verifier.breaches.push(Breach { graph, node, place: Place::Whole, message });
        }
    }
    verifier.types(&module.graph, &copy, module.graph.name.clone());
    if verifier.breaches.is_empty() { Ok(()) } else { Err(verifier.breaches) }
}

struct Verifier<'a> {
    ops: &'a OpSet,
    stage: Stage,
    /// The names of the graphs around the current one, and its own.
    path: Vec<String>,
    breaches: Vec<Breach>,
}

impl Verifier<'_> {
    fn breach(&mut self, node: Option<&Node>, place: Place, message: String) {
        let node = node.map(|node| (node.op.to_string(), node.label().to_string()));
        self.breaches.push(Breach { graph: self.path.join("/"), node, place, message });
    }

    /// Everything but the agreement of types. Nodes found wrong become [`BROKEN`].
    fn graph(&mut self, graph: &mut Graph, name: String) {
        self.path.push(name);
        self.names(graph);
        self.outputs(graph);
        self.cycles(graph);
        let inputs = graph.inputs().to_vec();
        for id in inputs {
            self.extents(graph.node(id), None);
        }
        for id in graph.nodes().collect::<Vec<_>>() {
            let before = self.breaches.len();
            self.node(graph, id);
            let broken = self.breaches.len() > before;
            self.extents(graph.node(id), Some(graph.node(id)));
            self.regions(graph, id);
            if broken {
                graph.node_mut(id).op = OpName::new(BROKEN);
            }
        }
        self.path.pop();
    }

    fn names(&mut self, graph: &Graph) {
        let mut seen = BTreeSet::new();
        for id in graph.inputs().iter().copied().chain(graph.nodes()) {
            let node = graph.node(id);
            for def in &node.results {
                if !seen.insert(&*def.name) {
                    let node = Some(node).filter(|node| node.op != crate::graph::INPUT);
                    let message = "another value has this name".to_string();
                    self.breach(node, Place::Value(def.name.clone()), message);
                }
            }
        }
    }

    fn outputs(&mut self, graph: &Graph) {
        let (values, names) = (graph.outputs(), graph.output_names());
        if values.len() != names.len() {
            let message = format!("{} outputs have {} names", values.len(), names.len());
            self.breach(None, Place::Whole, message);
        }
        let mut seen = BTreeSet::new();
        for (value, name) in values.iter().zip(names) {
            if graph.def(*value).is_none() {
                self.breach(None, Place::Output(name.clone()), "its value is not there".to_string());
            }
            if !seen.insert(name) {
                self.breach(None, Place::Output(name.clone()), "another output has this name".to_string());
            }
        }
    }

    fn cycles(&mut self, graph: &Graph) {
        let order: BTreeSet<NodeId> = graph.order().into_iter().collect();
        let mut users: BTreeMap<NodeId, usize> =
            graph.nodes().filter(|id| !order.contains(id)).map(|id| (id, 0)).collect();
        for id in users.keys().copied().collect::<Vec<_>>() {
            for producer in graph.producers(id) {
                users.entry(producer).and_modify(|n| *n += 1);
            }
        }
        // What only follows a cycle has, in the end, no user left among the rest.
        let mut open: Vec<NodeId> = users.iter().filter(|(_, n)| **n == 0).map(|(id, _)| *id).collect();
        while let Some(id) = open.pop() {
            users.remove(&id);
            for producer in graph.producers(id) {
                if let Some(left) = users.get_mut(&producer) {
                    *left -= 1;
                    if *left == 0 {
                        open.push(producer);
                    }
                }
            }
        }
        if !users.is_empty() {
            let names: Vec<String> =
                users.keys().take(4).map(|id| format!("`%{}`", graph.node(*id).label())).collect();
            let dots = if users.len() > 4 { ", ..." } else { "" };
            let message = format!("these nodes wait for each other: {}{dots}", names.join(", "));
            self.breach(None, Place::Whole, message);
        }
    }

    fn node(&mut self, graph: &Graph, id: NodeId) {
        let node = graph.node(id);
        let Some(def) = self.ops.get(node.op.as_str()).copied() else {
            return self.breach(Some(node), Place::Whole, "no such operator".to_string());
        };
        let (least, most) = def.results;
        if !(least..=most).contains(&node.results.len()) {
            let message = format!("expected {}, found {}", count(least, most, "result"), node.results.len());
            self.breach(Some(node), Place::Whole, message);
        }
        if node.regions.len() != def.regions {
            let expected = count(def.regions, def.regions, "region");
            let message = format!("expected {expected}, found {}", node.regions.len());
            self.breach(Some(node), Place::Whole, message);
        }
        self.operands(graph, id, &def);
        self.attrs(node, &def);
    }

    fn operands(&mut self, graph: &Graph, id: NodeId, def: &OpDef) {
        let (node, operands) = (graph.node(id), graph.operands(id));
        let variadic = def.operands.last().is_some_and(|o| o.presence == Presence::Variadic);
        if !variadic && operands.len() > def.operands.len() {
            let most = def.operands.len();
            let message =
                format!("expected at most {}, found {}", count(most, most, "operand"), operands.len());
            self.breach(Some(node), Place::Whole, message);
        }
        for (i, operand) in def.operands.iter().enumerate() {
            if operand.presence == Presence::Required && operands.get(i).is_none_or(Option::is_none) {
                self.breach(
                    Some(node),
                    Place::Operand(operand.name.to_string()),
                    "it is missing".to_string(),
                );
            }
        }
        for (i, value) in operands.iter().enumerate() {
            if value.is_some_and(|value| graph.def(value).is_none()) {
                let name = def.operands.get(i).or(def.operands.last()).map_or("", |o| o.name).to_string();
                self.breach(Some(node), Place::Operand(name), "its value is not there".to_string());
            }
        }
    }

    fn attrs(&mut self, node: &Node, def: &OpDef) {
        for (name, value) in &node.attrs {
            let message = match def.attr(name) {
                None => "it is not known".to_string(),
                Some(known) if known.kind != value.kind() => {
                    format!("expected {}, found {}", known.kind, value.kind())
                }
                Some(_) => match value {
                    Attr::Tensor(tensor) if tensor.len() >= MAX_ELEMENTS => {
                        format!("expected fewer than 2^47 elements, found {}", tensor.len())
                    }
                    _ => continue,
                },
            };
            self.breach(Some(node), Place::Attribute(name.clone()), message);
        }
        for known in def.attrs.iter().filter(|known| known.default == AttrDefault::Required) {
            if !node.attrs.contains_key(known.name) {
                let message = format!("expected {}, it is missing", known.kind);
                self.breach(Some(node), Place::Attribute(known.name.to_string()), message);
            }
        }
    }

    fn regions(&mut self, graph: &mut Graph, id: NodeId) {
        let label = graph.node(id).label().to_string();
        let mut regions = std::mem::take(&mut graph.node_mut(id).regions);
        if self.path.len() > MAX_REGIONS && !regions.is_empty() {
            let message = format!("regions nest deeper than {MAX_REGIONS}");
            self.breach(Some(graph.node(id)), Place::Whole, message);
            graph.node_mut(id).op = OpName::new(BROKEN);
            return;
        }
        for (i, region) in regions.iter_mut().enumerate() {
            self.graph(region, format!("{label}.{i}"));
        }
        graph.node_mut(id).regions = regions;
    }

    /// The rules for a type alone.
    fn extents(&mut self, node: &Node, shown: Option<&Node>) {
        for def in &node.results {
            for message in self.extent_breaches(&def.ty) {
                self.breach(shown, Place::Value(def.name.clone()), message);
            }
        }
    }

    fn extent_breaches(&self, ty: &TensorType) -> Vec<String> {
        let (stage, settled) = (self.stage, self.stage > Stage::Imported);
        let Some(dims) = &ty.dims else {
            let message = format!("stage {stage} needs the rank, found {ty}");
            return if settled { vec![message] } else { Vec::new() };
        };
        if dims.len() > MAX_RANK {
            return vec![format!("expected at most {MAX_RANK} axes, found {}", dims.len())];
        }
        let mut messages = Vec::new();
        if settled && dims.iter().any(crate::dim::Dim::is_unknown) {
            messages.push(format!("stage {stage} needs a name for every extent, found {ty}"));
        }
        let numbers: Vec<i64> = dims.iter().filter_map(crate::dim::Dim::as_fixed).collect();
        if numbers.iter().any(|n| *n < 0) {
            messages.push(format!("an extent is negative in {ty}"));
        }
        let elements = numbers.iter().try_fold(1u64, |n, d| n.checked_mul(d.unsigned_abs()));
        if !numbers.contains(&0) && elements.is_none_or(|n| n >= MAX_ELEMENTS) {
            messages.push(format!("expected fewer than 2^47 elements, found {ty}"));
        }
        messages
    }

    /// Compares the types a graph declares with those inferred for its copy.
    fn types(&mut self, declared: &Graph, inferred: &Graph, name: String) {
        self.path.push(name);
        for id in declared.inputs().iter().copied().chain(declared.nodes()) {
            let node = declared.node(id);
            let shown = Some(node).filter(|node| node.op != crate::graph::INPUT);
            for (slot, def) in node.results.iter().enumerate() {
                let ty = inferred.ty(Value { node: id, slot: slot as u32 });
                if !self.agree(&def.ty, ty) {
                    let message = format!("it is declared as {}, but is {ty}", def.ty);
                    self.breach(shown, Place::Value(def.name.clone()), message);
                }
            }
            for (i, (a, b)) in node.regions.iter().zip(&inferred.node(id).regions).enumerate() {
                self.types(a, b, format!("{}.{i}", node.label()));
            }
        }
        self.path.pop();
    }

    /// Before stage canonical the names of extents are hints; later only those decided at run time.
    fn agree(&self, declared: &TensorType, inferred: &TensorType) -> bool {
        let (Some(a), Some(b)) = (&declared.dims, &inferred.dims) else {
            return declared.dtype == inferred.dtype;
        };
        let hints = self.stage == Stage::Imported;
        let differ = a.iter().zip(b).any(|(a, b)| {
            let numbers = a.as_fixed().is_some() && b.as_fixed().is_some();
            let open = a.is_decided_at_run_time() || b.is_decided_at_run_time();
            (numbers || !(hints || open)) && a.differs(b)
        });
        declared.dtype == inferred.dtype && a.len() == b.len() && !differ
    }
}

/// `1 result`, `2 to 3 results`.
pub(crate) fn count(least: usize, most: usize, what: &str) -> String {
    let plural = if most == 1 { "" } else { "s" };
    let range = if least == most { least.to_string() } else { format!("{least} to {most}") };
    format!("{range} {what}{plural}")
}
