//! From a module to its text.
use super::literal::{float_text, is_inline, tensor_text};
use super::quote::{quote, quote_name, quote_word};
use super::weights::{named, written_order};
use crate::attr::Attr;
use crate::dim::Dim;
use crate::graph::{Graph, Node, NodeId, Value};
use crate::module::Module;
use crate::op::OpSet;
use crate::tensor::Tensor;
use crate::types::{DType, TensorType};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

/// How to print.
#[derive(Debug, Clone, Copy, Default)]
pub struct Style {
    /// How large tensors appear.
    pub weights: Weights,
}

/// How large tensors appear in the head of a text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Weights {
    /// By digest, which reads every byte once. Such a text can be read again.
    #[default]
    Digest,
    /// By name and type alone: quick, for looking at.
    Unnamed,
}

/// What makes two tensors one weight.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Digest([u8; 32]),
    Place(usize, DType, Vec<u64>),
}

impl Key {
    fn of(tensor: &Tensor, style: Style) -> Self {
        match style.weights {
            Weights::Digest => Key::Digest(*tensor.digest()),
            Weights::Unnamed => {
                Key::Place(tensor.data().as_ptr().addr(), tensor.dtype(), tensor.dims().to_vec())
            }
        }
    }
}

/// The text of a module. A node's attributes equal to the operator's defaults are left out.
pub fn print(module: &Module, ops: &OpSet, style: Style) -> String {
    let mut printer = Printer { out: String::new(), ops, style, weights: BTreeMap::new() };
    printer.head(module);
    printer.line(0, format_args!("graph @{}", quote_name(&module.graph.name)));
    printer.graph(&module.graph, 0);
    printer.out
}

/// The text of one node as it stands in its graph, regions included; large tensors are left out.
pub fn print_node(graph: &Graph, id: NodeId, ops: &OpSet) -> String {
    let style = Style { weights: Weights::Unnamed };
    let mut printer = Printer { out: String::new(), ops, style, weights: BTreeMap::new() };
    printer.node(graph, id, 0);
    printer.out.trim().to_string()
}

/// The text of an attribute; a large tensor appears by its type.
pub fn print_attr(attr: &Attr) -> String {
    let style = Style { weights: Weights::Unnamed };
    let ops = OpSet::builtin();
    let mut printer = Printer { out: String::new(), ops, style, weights: BTreeMap::new() };
    printer.attr(attr);
    printer.out
}

struct Printer<'a> {
    out: String,
    ops: &'a OpSet,
    style: Style,
    weights: BTreeMap<Key, String>,
}

impl Printer<'_> {
    fn line(&mut self, indent: usize, text: std::fmt::Arguments<'_>) {
        self.out.extend(std::iter::repeat_n(' ', indent));
        self.push(text);
    }

    fn push(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.out.write_fmt(text);
    }

    /// `items` with commas between them.
    fn list<T>(&mut self, items: impl IntoIterator<Item = T>, mut write: impl FnMut(&mut Self, T)) {
        for (i, item) in items.into_iter().enumerate() {
            self.out.push_str(if i == 0 { "" } else { ", " });
            write(self, item);
        }
    }

    fn head(&mut self, module: &Module) {
        self.line(0, format_args!("weft 1 {}\n", module.stage));
        for (key, value) in &module.metadata {
            self.line(0, format_args!("meta {} = {}\n", quote(key), quote(value)));
        }
        let mut keys = BTreeMap::new();
        let style = self.style;
        let mut count = 0usize;
        let found = named(module, |tensor| {
            let place = keys.entry(Key::of(tensor, style)).or_insert(count);
            let is_new = *place == count;
            count += usize::from(is_new);
            is_new
        });
        for (name, tensor) in &found {
            self.weight(name, tensor);
        }
        let name = |place: usize| found.get(place).map_or_else(String::new, |(name, _)| name.clone());
        self.weights = keys.into_iter().map(|(key, place)| (key, name(place))).collect();
    }

    fn weight(&mut self, name: &str, tensor: &Tensor) {
        let ty = TensorType::fixed(tensor.dtype(), tensor.dims());
        self.line(0, format_args!("weight @{} : {ty} = ", quote_name(name)));
        match self.style.weights {
            Weights::Digest => {
                self.out.push_str("blake3:");
                tensor.digest().iter().for_each(|byte| self.push(format_args!("{byte:02x}")));
            }
            Weights::Unnamed => self.out.push_str("unnamed"),
        }
        self.out.push('\n');
    }

    /// A graph from its inputs on.
    fn graph(&mut self, graph: &Graph, indent: usize) {
        self.out.push('(');
        self.list(graph.inputs(), |p, id| {
            let value = Value { node: *id, slot: 0 };
            p.value(graph, value);
            p.out.push_str(": ");
            p.ty(graph, value);
        });
        self.out.push_str(") -> (");
        self.list(graph.outputs(), |p, value| p.ty(graph, *value));
        self.out.push_str(") {\n");
        for id in written_order(graph) {
            self.node(graph, id, indent + 4);
        }
        self.line(indent + 4, format_args!("return"));
        self.out.push_str(if graph.outputs().is_empty() { "" } else { " " });
        self.list(graph.outputs().iter().enumerate(), |p, (i, value)| {
            p.value(graph, *value);
            let own = graph.def(*value).map(|def| &def.name);
            if let Some(name) = graph.output_names().get(i).filter(|name| Some(*name) != own) {
                p.push(format_args!(" as {}", quote(name)));
            }
        });
        self.out.push('\n');
        self.line(indent, format_args!("}}\n"));
    }

    fn node(&mut self, graph: &Graph, id: NodeId, indent: usize) {
        let node = graph.node(id);
        self.line(indent, format_args!(""));
        self.list(&node.results, |p, def| p.push(format_args!("%{}", quote_name(&def.name))));
        let assign = if node.results.is_empty() { "" } else { " = " };
        self.push(format_args!("{assign}{}(", quote_word(node.op.as_str())));
        self.list(graph.operands(id), |p, operand| match operand {
            Some(value) => p.value(graph, value),
            None => p.out.push('_'),
        });
        self.out.push(')');
        self.attrs(node);
        self.out.push_str(if node.results.is_empty() { "" } else { " : " });
        self.list(&node.results, |p, def| p.push(format_args!("{}", def.ty)));
        self.out.push('\n');
        for region in &node.regions {
            self.line(indent + 4, format_args!("region"));
            if !region.name.is_empty() {
                self.push(format_args!(" @{}", quote_name(&region.name)));
            }
            self.graph(region, indent + 4);
        }
    }

    fn attrs(&mut self, node: &Node) {
        let def = self.ops.get(node.op.as_str());
        let default = |name: &str| def.and_then(|d| d.attr(name)).map(|a| a.default);
        let given: Vec<_> =
            node.attrs.iter().filter(|(name, attr)| !default(name).is_some_and(|d| d.is(attr))).collect();
        if given.is_empty() {
            return;
        }
        self.out.push_str(" {");
        self.list(given, |p, (name, attr)| {
            p.push(format_args!("{} = ", quote_word(name)));
            p.attr(attr);
        });
        self.out.push('}');
    }

    fn attr(&mut self, attr: &Attr) {
        match attr {
            Attr::Int(x) => self.push(format_args!("{x}")),
            Attr::Float(x) => self.out.push_str(&f32_text(*x)),
            Attr::Str(text) => self.out.push_str(&quote(text)),
            Attr::Type(dtype) => self.push(format_args!("{dtype}")),
            Attr::Ints(xs) => self.array(xs, i64::to_string),
            Attr::Floats(xs) => self.array(xs, |x| f32_text(*x)),
            Attr::Strs(texts) => self.array(texts, |t| quote(t)),
            Attr::Dims(dims) => self.array(dims, Dim::to_string),
            Attr::Tensor(tensor) => self.tensor(tensor),
        }
    }

    fn array<T>(&mut self, items: &[T], text: impl Fn(&T) -> String) {
        self.out.push('[');
        self.list(items, |p, item| p.out.push_str(&text(item)));
        self.out.push(']');
    }

    fn tensor(&mut self, tensor: &Arc<Tensor>) {
        if is_inline(tensor) {
            return self.out.push_str(&tensor_text(tensor));
        }
        match self.weights.get(&Key::of(tensor, self.style)).map(|name| quote_name(name)) {
            Some(name) => self.push(format_args!("@{name}")),
            None => self.push(format_args!("{}", TensorType::fixed(tensor.dtype(), tensor.dims()))),
        }
    }

    fn value(&mut self, graph: &Graph, value: Value) {
        let name = graph.def(value).map_or_else(|| quote("?"), |def| quote_name(&def.name));
        self.push(format_args!("%{name}"));
    }

    fn ty(&mut self, graph: &Graph, value: Value) {
        if let Some(def) = graph.def(value) {
            self.push(format_args!("{}", def.ty));
        }
    }
}

fn f32_text(x: f32) -> String {
    float_text(DType::F32, x.to_bits().into())
}
