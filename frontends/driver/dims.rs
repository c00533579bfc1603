//! Symbolic extents given a number before compiling.
use crate::error::Error;
use std::collections::{BTreeMap, BTreeSet};
use weft_ir::{Attr, Dim, Graph, Module, Node, Value};

/// The numbers given to symbolic extents.
pub type Dims = BTreeMap<String, u64>;

/// The named extents of a module's inputs.
pub fn symbols(module: &Module) -> BTreeSet<String> {
    let graph = &module.graph;
    let types = graph.inputs().iter().map(|id| graph.ty(Value { node: *id, slot: 0 }));
    let symbols = types.flat_map(|ty| ty.dims.iter().flatten()).flat_map(Dim::symbols);
    symbols.map(|symbol| symbol.to_string()).collect()
}

/// Names the extents of inputs that nobody knows after the input and the axis, as inference does.
pub(crate) fn name_unknown(graph: &mut Graph) {
    for id in graph.inputs().to_vec() {
        let value = Value { node: id, slot: 0 };
        let (name, mut ty) = (graph.name_of(value).to_string(), graph.ty(value).clone());
        for (axis, dim) in ty.dims.iter_mut().flatten().enumerate().filter(|(_, dim)| dim.is_unknown()) {
            *dim = Dim::symbol(&format!("?{name}.{axis}"));
        }
        graph.set_ty(value, ty);
    }
}

/// Whether every extent that is given a number is there.
pub fn check_dims(module: &Module, dims: &Dims) -> Result<(), Error> {
    let known = symbols(module);
    if let Some(name) = dims.keys().find(|name| !known.contains(*name)) {
        let known: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
        let there = if known.is_empty() { "none".to_string() } else { known.join(", ") };
        return Err(Error::Dim(format!("no input has the symbolic extent `{name}`, there are: {there}")));
    }
    Ok(())
}

/// Puts numbers in the place of symbolic extents, everywhere in the module.
pub(crate) fn fix(module: &mut Module, dims: &Dims) -> Result<(), Error> {
    check_dims(module, dims)?;
    if !dims.is_empty() {
        fix_graph(&mut module.graph, &|name| {
            dims.get(name).map(|n| Dim::fixed(i64::try_from(*n).unwrap_or(i64::MAX)))
        });
    }
    Ok(())
}

/// Graphs of control flow lie at most [`weft_ir::text::MAX_REGIONS`] deep.
fn fix_graph(graph: &mut Graph, of: &dyn Fn(&str) -> Option<Dim>) {
    let nodes: Vec<_> = graph.inputs().iter().copied().chain(graph.nodes()).collect();
    for id in nodes {
        let node = graph.node_mut(id);
        fix_node(node, of);
        node.regions.iter_mut().for_each(|region| fix_graph(region, of));
    }
}

fn fix_node(node: &mut Node, of: &dyn Fn(&str) -> Option<Dim>) {
    for dim in node.results.iter_mut().filter_map(|r| r.ty.dims.as_mut()).flatten() {
        *dim = dim.substitute(of);
    }
    for attr in node.attrs.values_mut() {
        if let Attr::Dims(dims) = attr {
            dims.iter_mut().for_each(|dim| *dim = dim.substitute(of));
        }
    }
}
