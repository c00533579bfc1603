//! Operators that a text defines: the graphs they stand for, or the function that computes them.
//!
//! Such an operator has no function of its own for types. Where a graph of known operators says
//! what it computes, its types are those that are inferred in that graph; where a function outside
//! weft does, those of the function's signature.
use crate::attr::Attr;
use crate::dim::Dim;
use crate::foreign::Foreign;
use crate::graph::{Graph, Node, NodeId, Value};
use crate::infer::{Fact, infer_from};
use crate::module::Module;
use crate::op::{AttrDefault, InferCx, InferError, OpDef, OpSet};
use crate::tensor::Tensor;
use crate::text::{NoWeights, print_attr};
use crate::types::TensorType;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What an operator stands for.
#[derive(Debug)]
pub struct Body {
    /// The definition as it was written; see [`crate::text::parse_operators`].
    pub text: String,
    pub(crate) meaning: Meaning,
}

/// What says what an operator computes.
#[derive(Debug)]
pub(crate) enum Meaning {
    /// Graphs, of which the first that fits the operands counts. `$name` stands for an attribute,
    /// `$name.tensor` for a tensor of its value.
    Graphs(Vec<String>),
    /// A function outside weft.
    Foreign(Foreign),
}

/// The graph that one node stands for.
#[derive(Debug, Clone)]
pub struct Instance {
    /// The graph, with types. Its values are named after the node.
    pub graph: Graph,
    /// Which operand of the node each input is.
    pub operands: Vec<usize>,
    /// What is known of the outputs.
    pub outputs: Vec<Fact>,
}

impl Body {
    /// The function outside weft that computes it, if one does.
    pub fn foreign(&self) -> Option<&Foreign> {
        match &self.meaning {
            Meaning::Foreign(foreign) => Some(foreign),
            Meaning::Graphs(_) => None,
        }
    }

    /// The graph that a node stands for, given what is known of its operands.
    pub fn instance(
        &self,
        def: &OpDef,
        node: &Node,
        operands: &[Option<Fact>],
    ) -> Result<Instance, InferError> {
        let Meaning::Graphs(graphs) = &self.meaning else {
            return Err(InferError("a function computes it, it stands for no graph".to_string()));
        };
        let attr = |name: &str| given(def, node, name);
        let mut reasons = Vec::new();
        for graph in graphs {
            let graph =
                filled(graph, &attr).and_then(|text| parsed(&text).map_err(|error| error.to_string()));
            let fitted = graph.and_then(|graph| fitted(graph, def, node, operands));
            match fitted {
                Ok(instance) => return inferred(instance, operands),
                Err(reason) => reasons.push(reason),
            }
        }
        Err(InferError(reasons.join("; and ")))
    }
}

/// For [`OpDef::infer`] of operators with a body.
pub(crate) fn infer(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    let body = cx.def.body.ok_or_else(|| InferError("the operator has no body".to_string()))?;
    let Some(foreign) = body.foreign() else {
        return Ok(body.instance(cx.def, cx.node, cx.operands)?.outputs);
    };
    let types: Vec<_> = cx.operands.iter().map(|fact| fact.as_ref().map(|fact| fact.ty.clone())).collect();
    Ok(foreign.call(cx.def, cx.node, &types)?.results.into_iter().map(Fact::of).collect())
}

/// A graph without weights, of the operators weft comes with.
pub(crate) fn parsed(graph: &str) -> Result<Graph, crate::text::ParseError> {
    let module = Module::parse(&format!("weft 1 imported\n{graph}"), OpSet::builtin(), &NoWeights)?;
    Ok(module.graph)
}

/// The value of an attribute, or of its default.
pub(crate) fn given(def: &OpDef, node: &Node, name: &str) -> Option<Attr> {
    let default = || match def.attr(name)?.default {
        AttrDefault::Int(x) => Some(Attr::Int(x)),
        AttrDefault::Float(x) => Some(Attr::Float(x)),
        AttrDefault::Str(x) => Some(Attr::Str(x.to_string())),
        AttrDefault::Ints(x) => Some(Attr::Ints(x.to_vec())),
        AttrDefault::Type(x) => Some(Attr::Type(x)),
        _ => None,
    };
    node.attrs.get(name).cloned().or_else(default)
}

/// The text with attributes in the place of `$name`; comments and texts in quotes stay as they are.
pub(crate) fn filled(text: &str, attr: &dyn Fn(&str) -> Option<Attr>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['$', '"', '/']) {
        let (plain, marked) = rest.split_at(at);
        out.push_str(plain);
        let kept = untouched(marked);
        let (kept, behind) = marked.split_at(kept);
        out.push_str(kept);
        rest = match behind.strip_prefix('$').filter(|_| kept.is_empty()) {
            Some(named) => value(named, attr, &mut out)?,
            None => behind,
        };
    }
    out.push_str(rest);
    Ok(out)
}

/// How much of a text that begins with a mark is a comment, a text in quotes or the mark itself;
/// nothing if the mark is `$`.
fn untouched(text: &str) -> usize {
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with('$') {
        return 0;
    }
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|(_, c)| {
        let closes = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        closes
    });
    if text.starts_with('"') { end.map_or(text.len(), |(at, _)| at + 1) } else { 1 }
}

/// Writes the value of the attribute that a text begins with; gives what follows.
fn value<'t>(
    named: &'t str,
    attr: &dyn Fn(&str) -> Option<Attr>,
    out: &mut String,
) -> Result<&'t str, String> {
    let end = named.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(named.len());
    let (name, rest) = named.split_at(end);
    let value = attr(name).ok_or_else(|| format!("attribute `{name}` has no value"))?;
    match rest.strip_prefix(".tensor") {
        Some(rest) => {
            out.push_str(&print_attr(&as_tensor(name, &value)?));
            Ok(rest)
        }
        None => {
            out.push_str(&print_attr(&value));
            Ok(rest)
        }
    }
}

/// An attribute as an operand has it.
fn as_tensor(name: &str, attr: &Attr) -> Result<Attr, String> {
    let tensor = match attr {
        Attr::Int(x) => Tensor::scalar(*x),
        Attr::Float(x) => Tensor::scalar(*x),
        Attr::Ints(xs) => Tensor::vector(xs),
        _ => return Err(format!("attribute `{name}` is no number, so it has no tensor")),
    };
    Ok(Attr::Tensor(Arc::new(tensor)))
}

/// The graph for a node, if its inputs are what the operands are.
fn fitted(mut graph: Graph, def: &OpDef, node: &Node, operands: &[Option<Fact>]) -> Result<Instance, String> {
    let mut places = Vec::new();
    let mut symbols = BTreeMap::new();
    for id in graph.inputs().to_vec() {
        let value = Value { node: id, slot: 0 };
        let name = graph.name_of(value).to_string();
        let place = def.operands.iter().position(|operand| operand.name == name);
        let place = place.ok_or_else(|| format!("no operand is called `{name}`"))?;
        let fact = operands.get(place).and_then(Option::as_ref);
        let found = &fact.ok_or_else(|| format!("operand `{name}` is missing"))?.ty;
        fits(graph.ty(value), found, &mut symbols).map_err(|reason| format!("operand `{name}`: {reason}"))?;
        graph.set_ty(value, found.clone());
        places.push(place);
    }
    let present = operands.iter().flatten().count();
    if present != places.len() {
        return Err(format!("{} operands, expected {}", present, places.len()));
    }
    rename(&mut graph, node.label());
    Ok(Instance { graph, operands: places, outputs: Vec::new() })
}

/// Whether an operand of type `found` may stand where `wanted` is declared.
fn fits(
    wanted: &TensorType,
    found: &TensorType,
    symbols: &mut BTreeMap<Arc<str>, Dim>,
) -> Result<(), String> {
    let differ = || format!("found {found}, expected {wanted}");
    if wanted.dtype != found.dtype {
        return Err(differ());
    }
    let Some(wanted_dims) = &wanted.dims else { return Ok(()) };
    let dims = found.dims.as_ref().filter(|dims| dims.len() == wanted_dims.len()).ok_or_else(differ)?;
    for (wanted, dim) in wanted_dims.iter().zip(dims) {
        let same = match wanted.as_symbol() {
            Some(symbol) => symbols.entry(symbol.into()).or_insert_with(|| dim.clone()).same(dim),
            None => wanted.same(dim),
        };
        if !same {
            return Err(differ());
        }
    }
    Ok(())
}

/// Names values after the node the graph stands for, so that what is named after them is named
/// after this node alone.
fn rename(graph: &mut Graph, label: &str) {
    let ids: Vec<NodeId> = graph.inputs().iter().copied().chain(graph.nodes()).collect();
    for id in ids {
        graph.node_mut(id).results.iter_mut().for_each(|def| def.name = format!("{label}/{}", def.name));
    }
}

/// The instance with types, and with what is known of its outputs.
fn inferred(mut instance: Instance, operands: &[Option<Fact>]) -> Result<Instance, InferError> {
    let fact = |place: &usize| operands.get(*place).cloned().flatten();
    let entry: Vec<Fact> = instance.operands.iter().filter_map(fact).collect();
    let dims = entry.iter().flat_map(|fact| {
        let value = fact.value.iter().flatten();
        fact.ty.dims.iter().flatten().chain(value).flat_map(Dim::symbols).map(|s| s.to_string())
    });
    let known: BTreeSet<String> = dims.collect();
    let facts = infer_from(&mut instance.graph, entry, OpSet::builtin()).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        InferError(lines.join("; "))
    })?;
    let output = |value: &Value| {
        let unknown = || InferError("an output of the body is never made".to_string());
        Ok(outside(facts.get(value).cloned().ok_or_else(unknown)?, &known))
    };
    instance.outputs = instance.graph.outputs().iter().map(output).collect::<Result<_, _>>()?;
    Ok(instance)
}

/// What a fact says to those who know only these symbols.
fn outside(mut fact: Fact, known: &BTreeSet<String>) -> Fact {
    let is_known = |dim: &Dim| dim.symbols().iter().all(|symbol| known.contains(&**symbol));
    for dim in fact.ty.dims.iter_mut().flatten().filter(|dim| !is_known(dim)) {
        *dim = Dim::unknown();
    }
    fact.value = fact.value.filter(|value| value.iter().all(is_known));
    fact
}
