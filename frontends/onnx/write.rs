//! Modules as ONNX models: regions get their captures back by name, extents are computed from shapes.
mod expand;
mod extents;
mod external;
mod graph;
mod header;
mod opset;
mod parts;
mod pieces;

use crate::model::NEWEST_OPSET;
use crate::names::Names;
use crate::proto::ModelProto;
use crate::text;
use bytes::Bytes;
use graph::GraphWriter;
use opset::OLDEST;
pub(crate) use parts::tensor as tensor_proto;
use prost::Message;
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;
use weft_frontend::{NodeNote, Problem};
use weft_ir::{Module, OpSet};

/// What protobuf can hold in one message.
const MAX_BYTES: u64 = (2 << 30) - 1;

/// How a module is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteOptions {
    /// The opset; unless given, the oldest that has all the module needs, and no older than that of
    /// the file it was read from.
    pub opset: Option<i64>,
    /// How the model is written.
    pub form: Form,
    /// What the file of weights is called that lies beside the model if there is one.
    pub data_file: String,
    /// Weights of models larger than this go to that file. No more than protobuf can hold, 2 GB.
    pub inline_bytes: u64,
    /// What the file that the module was read from said of its nodes, by the name of a first result:
    /// the node that has it now bears the name and the remark. Others are named after that result.
    pub nodes: BTreeMap<String, NodeNote>,
}

impl WriteOptions {
    /// Weights go to `data_file` if the model would grow too large without.
    pub fn beside(data_file: String) -> Self {
        Self { opset: None, form: Form::Binary, data_file, inline_bytes: MAX_BYTES, nodes: BTreeMap::new() }
    }
}

/// The two forms of ONNX models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// The usual one.
    #[default]
    Binary,
    /// The text that `onnx.parser` reads.
    Text,
}

/// A model as files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The bytes of the model, in pieces that follow each other; large weights are the module's own.
    pub model: Vec<Bytes>,
    /// What lies in the file of weights: where, and the bytes, in order. Gaps are zeros.
    pub data: Vec<(u64, Bytes)>,
}

/// Why a module cannot be written as an ONNX model.
#[derive(Debug, Error)]
pub enum WriteError {
    /// Parts of it have no form in ONNX. Never empty.
    #[error("the module has no form in ONNX:{}", lines(.0))]
    Problems(Vec<Problem>),
    /// It would be larger than a file of this format may be.
    #[error("the model would take {0} bytes, an ONNX file holds at most {MAX_BYTES}")]
    TooLarge(u64),
    /// An opset that nothing is written in.
    #[error("opset {0} is not written, expected one from {OLDEST} to {NEWEST_OPSET}")]
    Opset(i64),
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("\n  {problem}")).collect()
}

/// The module as an ONNX model.
pub fn write(module: &Module, ops: &OpSet, options: &WriteOptions) -> Result<Written, WriteError> {
    let mut model = to_proto(module, ops, options)?;
    let mut data = Vec::new();
    if model.encoded_len() as u64 > options.inline_bytes.min(MAX_BYTES) {
        data = external::move_out(&mut model, &options.data_file);
    }
    if options.form == Form::Text {
        return Ok(Written { model: vec![text::print(&model).into()], data });
    }
    let bytes = model.encoded_len() as u64;
    if bytes > MAX_BYTES {
        Err(WriteError::TooLarge(bytes))
    } else {
        Ok(Written { model: pieces::pieces(model), data })
    }
}

/// What all graphs of one model share.
struct Shared<'a> {
    ops: &'a OpSet,
    names: Names,
    /// Domains other than ONNX's own.
    domains: BTreeMap<String, i64>,
    /// The opset needed so far.
    opset: i64,
    /// The newest that may be used.
    newest: i64,
    problems: Vec<Problem>,
    notes: &'a BTreeMap<String, NodeNote>,
    /// Names that nodes have.
    nodes: BTreeSet<String>,
}

impl Shared<'_> {
    /// The name and the remark of the node whose first result is called so.
    fn note(&mut self, result: &str) -> (Option<String>, Option<String>) {
        let note = self.notes.get(result);
        let said = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let name = note.and_then(|note| said(&note.name)).filter(|name| !self.nodes.contains(name));
        let name = name.unwrap_or_else(|| result.to_string());
        self.nodes.insert(name.clone());
        (Some(name), note.and_then(|note| said(&note.doc)))
    }
}

fn to_proto(module: &Module, ops: &OpSet, options: &WriteOptions) -> Result<ModelProto, WriteError> {
    let wanted = options.opset;
    if let Some(wanted) = wanted.filter(|wanted| !(OLDEST..=NEWEST_OPSET).contains(wanted)) {
        return Err(WriteError::Opset(wanted));
    }
    let mut shared = Shared {
        ops,
        names: Names::default(),
        domains: BTreeMap::new(),
        opset: wanted.unwrap_or_else(|| header::opset_of(module).clamp(OLDEST, NEWEST_OPSET)),
        newest: wanted.unwrap_or(NEWEST_OPSET),
        problems: Vec::new(),
        notes: &options.nodes,
        nodes: BTreeSet::new(),
    };
    let graph = GraphWriter::main(&module.graph, &mut shared).finish(header::graph_name(module));
    if !shared.problems.is_empty() {
        return Err(WriteError::Problems(shared.problems));
    }
    Ok(header::model(module, graph, shared.opset, shared.domains))
}

#[cfg(test)]
mod tests;
