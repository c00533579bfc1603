//! Modules as ONNX models: regions get their captures back by name, extents are computed from shapes.
mod extents;
mod graph;
mod opset;
mod parts;

use crate::model::NEWEST_OPSET;
use crate::names::Names;
use crate::proto::{ModelProto, OperatorSetIdProto, StringStringEntryProto};
use graph::GraphWriter;
pub(crate) use parts::tensor as tensor_proto;
use prost::Message;
use std::collections::BTreeMap;
use thiserror::Error;
use weft_frontend::Problem;
use weft_ir::{Module, OpSet};

/// What protobuf can hold in one message.
const MAX_BYTES: u64 = (2 << 30) - 1;
/// The IR version written; it knows every element type weft has.
const IR_VERSION: i64 = 13;

/// Why a module cannot be written as an ONNX model.
#[derive(Debug, Error)]
pub enum WriteError {
    /// Parts of it have no form in ONNX. Never empty.
    #[error("the module has no form in ONNX:{}", lines(.0))]
    Problems(Vec<Problem>),
    /// It would be larger than a file of this format may be.
    #[error("the model would take {0} bytes, an ONNX file holds at most {MAX_BYTES}")]
    TooLarge(u64),
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("\n  {problem}")).collect()
}

/// The module as the bytes of an ONNX file, in the oldest opset from 18 on that has all it needs.
pub fn write(module: &Module, ops: &OpSet) -> Result<Vec<u8>, WriteError> {
    let model = to_proto(module, ops)?;
    let bytes = model.encoded_len() as u64;
    if bytes > MAX_BYTES { Err(WriteError::TooLarge(bytes)) } else { Ok(model.encode_to_vec()) }
}

/// What all graphs of one model share.
struct Shared<'a> {
    ops: &'a OpSet,
    names: Names,
    /// Domains other than ONNX's own.
    domains: BTreeMap<String, i64>,
    /// The opset needed so far.
    opset: i64,
    problems: Vec<Problem>,
}

fn to_proto(module: &Module, ops: &OpSet) -> Result<ModelProto, WriteError> {
    let opset = opset::OLDEST;
    let mut shared =
        Shared { ops, names: Names::default(), domains: BTreeMap::new(), opset, problems: Vec::new() };
    let name = module.metadata.get("onnx.graph").unwrap_or(&module.graph.name).clone();
    let graph = GraphWriter::main(&module.graph, &mut shared).finish(name);
    if !shared.problems.is_empty() {
        return Err(WriteError::Problems(shared.problems));
    }
    let own = OperatorSetIdProto { domain: None, version: Some(shared.opset.min(NEWEST_OPSET)) };
    let others = shared.domains.into_iter();
    let others =
        others.map(|(domain, version)| OperatorSetIdProto { domain: Some(domain), version: Some(version) });
    let entries = module.metadata.iter().filter(|(key, _)| !key.starts_with("onnx."));
    let entry = |(key, value): (&String, &String)| StringStringEntryProto {
        key: Some(key.clone()),
        value: Some(value.clone()),
    };
    Ok(ModelProto {
        ir_version: Some(IR_VERSION),
        opset_import: std::iter::once(own).chain(others).collect(),
        producer_name: Some("weft".to_string()),
        producer_version: Some(env!("CARGO_PKG_VERSION").to_string()),
        metadata_props: entries.map(entry).collect(),
        graph: Some(graph),
        ..Default::default()
    })
}

#[cfg(test)]
mod tests;
