//! One segment as a module of its own.
use super::flow::Flow;
use super::{Feed, fed_as};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use weft_ir::{Attr, Def, Dim, Graph, Module, Node, NodeId, TensorType, Value};

/// Constants of fewer elements stay where they are.
const FEW: u64 = 16;

/// Operators that are compiled as well for operands that come at run time as for constants.
const ANY_OPERAND: &[&str] = &[
    "Add",
    "Cast",
    "DequantizeLinear",
    "Div",
    "Gather",
    "Gemm",
    "Greater",
    "LayerNormalization",
    "MatMul",
    "Mul",
    "RMSNormalization",
    "Sub",
    "Where",
];

/// The module that makes `yields` of inputs, constants and what comes from levels before `start`.
pub(super) fn piece(
    (module, open): (&Module, &BTreeSet<Value>),
    flow: &Flow<'_>,
    start: usize,
    yields: &[Value],
) -> (Module, Vec<Feed>) {
    let (from, into) = (flow.graph, Graph::new("segment"));
    let mut piece = Piece { from, open, into, values: BTreeMap::new(), feeds: Vec::new() };
    let own = own(flow, start, yields);
    for id in flow.graph.order().into_iter().filter(|id| own.contains(id)) {
        piece.copy(id, &own);
    }
    piece.bind_symbols();
    let outputs: Vec<Value> = yields.iter().map(|value| piece.values[value]).collect();
    let names = (0..outputs.len()).map(|number| format!("y{number}")).collect();
    piece.into.set_outputs(outputs);
    piece.into.set_output_names(names);
    (Module::new(module.stage, piece.into), piece.feeds)
}

/// The nodes of a segment.
fn own(flow: &Flow<'_>, start: usize, yields: &[Value]) -> BTreeSet<NodeId> {
    let (mut own, mut open) = (BTreeSet::new(), yields.to_vec());
    while let Some(value) = open.pop() {
        if own.insert(value.node) {
            let operands = flow.graph.operands(value.node).into_iter().flatten();
            let here = |v: &Value| flow.level(*v) >= start || !flow.is_carried(*v);
            open.extend(operands.filter(|v| !flow.graph.is_input(*v) && here(v)));
        }
    }
    own
}

struct Piece<'g> {
    from: &'g Graph,
    open: &'g BTreeSet<Value>,
    into: Graph,
    values: BTreeMap<Value, Value>,
    feeds: Vec<Feed>,
}

impl Piece<'_> {
    fn copy(&mut self, id: NodeId, own: &BTreeSet<NodeId>) {
        let value = Value { node: id, slot: 0 };
        let constant = self.from.constant(value).filter(|_| self.is_free(value, own)).cloned();
        if let Some((dtype, tensor)) = constant.and_then(|tensor| Some((fed_as(tensor.dtype())?, tensor))) {
            let ty = TensorType::fixed(dtype, tensor.dims());
            self.feed((value, ty), Feed::Constant(value, tensor));
            return;
        }
        let operands =
            self.from.operands(id).into_iter().map(|v| v.map(|v| self.operand(v))).collect::<Vec<_>>();
        let (mut node, number): (Node, _) = (self.from.node(id).clone(), self.into.len());
        for (slot, result) in node.results.iter_mut().enumerate() {
            *result = Def { name: format!("v{number}_{slot}"), ty: result.ty.clone() };
        }
        let results = node.results.len() as u32;
        let copy = self.into.add(node, &operands);
        self.values.extend((0..results).map(|slot| (Value { node: id, slot }, Value { node: copy, slot })));
    }

    /// What a value of the whole module is here.
    fn operand(&mut self, value: Value) -> Value {
        if let Some(here) = self.values.get(&value) {
            return *here;
        }
        let number = self.from.inputs().iter().position(|id| *id == value.node);
        let ty = self.from.ty(value).clone();
        self.feed((value, ty), number.map_or(Feed::Carried(value), Feed::Input))
    }

    fn feed(&mut self, (value, ty): (Value, TensorType), feed: Feed) -> Value {
        let name = format!("x{}", self.feeds.len());
        let input = self.into.add_input(&name, ty);
        self.feeds.push(feed);
        self.values.insert(value, input);
        input
    }

    /// Whether a constant may as well be an input.
    fn is_free(&self, value: Value, own: &BTreeSet<NodeId>) -> bool {
        if self.open.contains(&value) {
            return true;
        }
        let users = self.from.uses(value).into_iter().map(|(user, _)| user).filter(|user| own.contains(user));
        let users: Vec<&str> = users.map(|user| self.from.node(user).op.as_str()).collect();
        let ty = self.from.ty(value);
        // Codes and their zero points must stay of one type; limits are all that tells masks apart.
        let large = ty.static_dims().is_some_and(|dims| dims.iter().product::<u64>() >= FEW)
            || ty.dtype.bits() < 8
            || users.iter().all(|user| *user == "Greater");
        large && !users.is_empty() && users.iter().all(|user| ANY_OPERAND.contains(user))
    }

    /// Adds the inputs of the whole module that say what symbols are which nothing here says.
    fn bind_symbols(&mut self) {
        let symbols = |ty: &TensorType| -> Vec<Arc<str>> {
            ty.dims.iter().flatten().flat_map(|dim| dim.symbols()).collect()
        };
        let named = |attr: &Attr| -> Vec<Arc<str>> {
            let Attr::Dims(dims) = attr else { return Vec::new() };
            dims.iter().flat_map(Dim::symbols).collect()
        };
        let plain = |ty: &TensorType| -> BTreeSet<String> {
            ty.dims.iter().flatten().filter_map(|dim| dim.as_symbol()).map(str::to_string).collect()
        };
        let input = |id: &NodeId| Value { node: *id, slot: 0 };
        let results = self.into.nodes().flat_map(|id| self.into.node(id).results.clone());
        let mut open: BTreeSet<Arc<str>> = results.flat_map(|def| symbols(&def.ty)).collect();
        open.extend(self.into.inputs().iter().flat_map(|id| symbols(self.into.ty(input(id)))));
        open.extend(self.into.nodes().flat_map(|id| self.into.node(id).attrs.values().flat_map(named)));
        let bound: BTreeSet<String> =
            self.into.inputs().iter().flat_map(|id| plain(self.into.ty(input(id)))).collect();
        open.retain(|symbol| !bound.contains(&**symbol));
        for id in self.from.inputs() {
            let says = plain(self.from.ty(input(id)));
            if !self.values.contains_key(&input(id)) && open.iter().any(|symbol| says.contains(&**symbol)) {
                open.retain(|symbol| !says.contains(&**symbol));
                self.operand(input(id));
            }
        }
    }
}
