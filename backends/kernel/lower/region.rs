//! Regions: graphs on nodes of control flow, lowered into step lists of their own.
use super::{Handle, Lowering, Result, Scope, View};
use crate::program::Step;
use std::collections::{BTreeMap, BTreeSet};
use weft_ir::{Attr, Dim, Graph, NodeId, TensorType, Value};

impl Lowering<'_> {
    /// The region with names of its own for the extents it decides: other regions and the graph around
    /// it may use the same ones.
    pub(crate) fn own_region(&mut self, graph: &Graph) -> Graph {
        let mut own = graph.clone();
        self.regions += 1;
        let names = own_names(&own);
        rename(&mut own, &names, &format!("r{}", self.regions));
        own
    }

    /// The steps of a region whose inputs are the given tensors. `finish` gets its outputs while the
    /// list of steps is still open.
    pub(crate) fn region(
        &mut self,
        graph: &Graph,
        inputs: &[Handle],
        targets: BTreeMap<Value, View>,
        finish: impl FnOnce(&mut Self, &[Handle]) -> Result<()>,
    ) -> Result<Vec<Step>> {
        let mut scope = Scope { targets, ..Scope::default() };
        for (id, handle) in graph.inputs().iter().zip(inputs) {
            scope.values.insert(Value { node: *id, slot: 0 }, *handle);
        }
        self.scopes.push(scope);
        self.steps.push(Vec::new());
        let before = self.problems.len();
        self.graph(graph);
        let outputs: Option<Vec<Handle>> =
            graph.outputs().iter().map(|v| self.scope().values.get(v).copied()).collect();
        let finished = match outputs {
            Some(outputs) => finish(self, &outputs),
            None if self.problems.len() > before => Ok(()),
            None => Err("a region has an output without a value".to_string()),
        };
        self.scopes.pop();
        let steps = self.steps.pop().unwrap_or_default();
        finished.map(|()| steps)
    }

    /// Puts the elements of a tensor where they are expected.
    pub(crate) fn put(&mut self, handle: Handle, target: &View) {
        if self.force(handle) != *target {
            self.copy(handle, target);
        }
    }

    /// Whether a symbol has its number already.
    pub(crate) fn is_decided(&self, name: &str) -> bool {
        self.program.symbols.iter().any(|s| s == name) && !self.provisional.contains(name)
    }

    /// Whether the run has not decided an extent yet.
    pub(crate) fn is_open(&self, dims: &[Dim]) -> bool {
        dims.iter().any(|d| d.symbols().iter().any(|s| !self.is_decided(s)))
    }

    /// Gives the symbols of extents that nobody has decided the values that `found` has.
    pub(crate) fn decide(&mut self, dims: &[Dim], found: &[Dim], open: &BTreeSet<String>) {
        for (dim, value) in dims.iter().zip(found) {
            let Some(name) = dim.as_symbol().filter(|name| open.contains(*name)) else { continue };
            let symbol = self.symbol(name);
            self.provisional.remove(name);
            self.step(Step::Set { symbol, value: value.clone() });
        }
    }

    /// The symbols among extents that nobody has decided.
    pub(crate) fn open_symbols(&self, dims: &[Dim]) -> BTreeSet<String> {
        let open = dims.iter().filter(|d| self.is_open(std::slice::from_ref(d)));
        open.filter_map(|d| d.as_symbol().map(str::to_string)).collect()
    }
}

/// Puts `prefix` into some names of extents, in a graph and the regions in it. Regions hide names of
/// their own; how deep they lie in each other is bounded where graphs are read.
fn rename(graph: &mut Graph, names: &BTreeSet<String>, prefix: &str) {
    if names.is_empty() {
        return;
    }
    let of = |name: &str| names.contains(name).then(|| Dim::symbol(&format!("?{prefix}{name}")));
    let nodes: Vec<NodeId> = graph.inputs().iter().copied().chain(graph.nodes()).collect();
    for id in nodes {
        let node = graph.node_mut(id);
        for result in &mut node.results {
            substitute(&mut result.ty, &of);
        }
        for attr in node.attrs.values_mut() {
            if let Attr::Dims(dims) = attr {
                dims.iter_mut().for_each(|d| *d = d.substitute(&of));
            }
        }
        let mut regions = std::mem::take(&mut node.regions);
        for region in &mut regions {
            let hidden = own_names(region);
            let seen = names.difference(&hidden).cloned().collect();
            rename(region, &seen, prefix);
        }
        graph.node_mut(id).regions = regions;
    }
}

fn substitute(ty: &mut TensorType, of: &dyn Fn(&str) -> Option<Dim>) {
    for dim in ty.dims.iter_mut().flatten() {
        *dim = dim.substitute(of);
    }
}

/// The names of extents that a graph decides: those of its nodes' results, and of its inputs.
fn own_names(graph: &Graph) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for id in graph.inputs().iter().copied().chain(graph.nodes()) {
        for result in &graph.node(id).results {
            let rank = result.ty.rank().unwrap_or(0);
            names.extend((0..rank).map(|axis| format!("?{}.{axis}", result.name)));
        }
    }
    names
}
