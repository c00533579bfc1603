//! Regions: graphs on nodes of control flow, lowered into step lists of their own.
use super::{Call, Handle, Lowering, Result, Scope, View};
use crate::program::Step;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use weft_ir::{Attr, Dim, Graph, NodeId, TensorType, Value};

impl Lowering<'_> {
    /// A region of a node, with names of its own for the extents it decides: other regions and the graph
    /// around it may use the same ones.
    pub(crate) fn own_region(&mut self, call: &Call<'_>, region: usize) -> Result<Graph> {
        let regions = &call.attrs.node.regions;
        let mut own = regions.get(region).ok_or_else(|| format!("region {region} is missing"))?.clone();
        self.regions += 1;
        let names = own_names(&own, &operand_symbols(call.graph, call.id));
        rename(&mut own, &names, &format!("r{}", self.regions));
        Ok(own)
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
        self.graph(graph);
        let outputs: Option<Vec<Handle>> =
            graph.outputs().iter().map(|v| self.scope().values.get(v).copied()).collect();
        let finished = match outputs {
            Some(outputs) => finish(self, &outputs),
            // It cannot be made for a reason that was given already.
            None if !self.problems.is_empty() => Ok(()),
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
    // Before any of them is renamed.
    let holders = nodes.iter().filter(|id| !graph.node(**id).regions.is_empty());
    let given: BTreeMap<NodeId, _> = holders.map(|id| (*id, operand_symbols(graph, *id))).collect();
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
            let hidden = own_names(region, &given[&id]);
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

/// The symbols in the extents of a node's operands.
fn operand_symbols(graph: &Graph, id: NodeId) -> BTreeSet<Arc<str>> {
    let operands = graph.operands(id).into_iter().flatten();
    let dims = operands.filter_map(|value| graph.ty(value).dims.as_ref()).flatten();
    dims.flat_map(Dim::symbols).collect()
}

/// The names of extents that a region decides: those of its nodes' results, and of its inputs. An input
/// that is called like the operand it takes means the extents of that one, which are `given`.
fn own_names(graph: &Graph, given: &BTreeSet<Arc<str>>) -> BTreeSet<String> {
    let names = |id: NodeId| {
        let results = graph.node(id).results.iter();
        results.flat_map(|r| (0..r.ty.rank().unwrap_or(0)).map(|axis| format!("?{}.{axis}", r.name)))
    };
    let inputs = graph.inputs().iter().copied().flat_map(names).filter(|name| !given.contains(name.as_str()));
    graph.nodes().flat_map(names).chain(inputs).collect()
}
