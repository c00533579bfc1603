//! What all graphs of one import share.
use crate::names::Names;
use crate::proto::{FunctionProto, ModelProto, NodeProto, OperatorSetIdProto};
use std::collections::BTreeMap;
use weft_frontend::{Cause, Place, Problem, Report, Source};
use weft_ir::OpSet;

/// The newest opset of ONNX itself that is understood.
pub(crate) const NEWEST_OPSET: i64 = 28;
/// Nodes that may be read, those of functions counted at every call; fewer in tests, to reach it soon.
const MAX_NODES: u64 = if cfg!(test) { 40_000 } else { 400_000 };
/// Problems kept.
const MAX_PROBLEMS: usize = 2000;
/// Nodes named in one message.
const MAX_NODES_SHOWN: usize = 4;
/// Bytes of a name shown in messages.
const MAX_NAME: usize = 200;

/// The version of each domain that nodes mean.
pub(crate) type Opsets<'a> = BTreeMap<&'a str, i64>;

/// What names a function: domain, name, overload.
pub(crate) type FunctionKey<'a> = (&'a str, &'a str, &'a str);

/// One import.
pub(crate) struct Model<'a> {
    pub(crate) source: &'a Source,
    pub(crate) ops: &'a OpSet,
    pub(crate) functions: BTreeMap<FunctionKey<'a>, &'a FunctionProto>,
    pub(crate) opsets: Opsets<'a>,
    pub(crate) names: Names,
    pub(crate) problems: Vec<Problem>,
    pub(crate) report: Report,
    nodes: u64,
}

impl<'a> Model<'a> {
    pub(crate) fn new(proto: &'a ModelProto, source: &'a Source, ops: &'a OpSet) -> Self {
        let functions = proto.functions.iter().map(|f| ((domain(f.domain()), f.name(), f.overload()), f));
        Self {
            source,
            ops,
            functions: functions.collect(),
            opsets: opsets(&proto.opset_import),
            names: Names::default(),
            problems: Vec::new(),
            report: Report::default(),
            nodes: 0,
        }
    }

    /// Notes a problem.
    pub(crate) fn complain(&mut self, place: Place, cause: Cause) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(cause.at(place));
        }
    }

    /// The function a node calls, if it calls one.
    pub(crate) fn function(&self, node: &NodeProto) -> Option<&'a FunctionProto> {
        self.functions.get(&(domain(node.domain()), node.op_type(), node.overload())).copied()
    }

    /// Counts one more node; false once there are too many.
    pub(crate) fn count_node(&mut self) -> bool {
        self.nodes += 1;
        if self.nodes == MAX_NODES + 1 {
            let what = format!("more than {MAX_NODES} nodes, functions inlined");
            self.complain(Place::Model, Cause::Unsupported(what));
        }
        self.nodes <= MAX_NODES
    }
}

/// The versions of the imported domains.
pub(crate) fn opsets(imports: &[OperatorSetIdProto]) -> Opsets<'_> {
    imports.iter().map(|import| (domain(import.domain()), import.version())).collect()
}

/// The first import that contradicts one before it.
pub(crate) fn contradiction(imports: &[OperatorSetIdProto]) -> Option<Cause> {
    let mut seen = Opsets::new();
    imports.iter().find_map(|import| {
        let (name, version) = (domain(import.domain()), import.version());
        let before = seen.insert(name, version).filter(|before| *before != version)?;
        let name = if name.is_empty() { "ai.onnx".to_string() } else { clip(name) };
        Some(Cause::Invalid(format!("opsets {before} and {version} of domain `{name}` are imported")))
    })
}

/// ONNX's own domain has two names.
pub(crate) fn domain(name: &str) -> &str {
    if name == "ai.onnx" { "" } else { name }
}

/// The operator of a node as messages show it.
pub(crate) fn op_name(node: &NodeProto) -> String {
    match domain(node.domain()) {
        "" => clip(node.op_type()),
        domain => clip(&format!("{domain}.{}", node.op_type())),
    }
}

/// What weft does not have, with the nodes it is about.
pub(crate) fn concerning<'a>(
    cause: Cause,
    role: &str,
    path: &str,
    nodes: impl Iterator<Item = &'a NodeProto>,
) -> Cause {
    let Cause::Unsupported(what) = cause else { return cause };
    let nodes: Vec<String> = nodes.take(MAX_NODES_SHOWN).map(|node| place(path, node).to_string()).collect();
    let about = if nodes.is_empty() { String::new() } else { format!(" ({role} by {})", nodes.join(", ")) };
    Cause::Unsupported(what + &about)
}

/// Where a node is.
pub(crate) fn place(path: &str, node: &NodeProto) -> Place {
    Place::Node { op: op_name(node), name: clip(&format!("{path}{}", node_name(node))) }
}

/// The name of a node, or that of its first result.
pub(crate) fn node_name(node: &NodeProto) -> &str {
    let result = || node.output.iter().map(String::as_str).find(|name| !name.is_empty());
    if node.name().is_empty() { result().unwrap_or_default() } else { node.name() }
}

/// The name, cut if it is very long.
pub(crate) fn clip(name: &str) -> String {
    match name.char_indices().nth(MAX_NAME) {
        Some((end, _)) => format!("{}...", &name[..end]),
        None => name.to_string(),
    }
}
