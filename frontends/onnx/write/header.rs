//! What a model says of itself besides its graph: kept from the file it was read from.
use super::opset;
use crate::proto::{GraphProto, ModelProto, OperatorSetIdProto, StringStringEntryProto};
use std::collections::BTreeMap;
use weft_ir::Module;

/// The opset of the file that the module was read from, or 0.
pub(super) fn opset_of(module: &Module) -> i64 {
    said(module, "opset").and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// What the graph is called.
pub(super) fn graph_name(module: &Module) -> String {
    said(module, "graph").unwrap_or(&module.graph.name).clone()
}

/// What the file said, under a name that is not a user's.
fn said<'m>(module: &'m Module, what: &str) -> Option<&'m String> {
    module.metadata.get(&format!("onnx.{what}"))
}

/// The model around a graph.
pub(super) fn model(
    module: &Module,
    mut graph: GraphProto,
    opset: i64,
    domains: BTreeMap<String, i64>,
) -> ModelProto {
    let said = |what| said(module, what).cloned();
    graph.doc_string = said("graph_doc");
    let own = OperatorSetIdProto { domain: Some(String::new()), version: Some(opset) };
    let others = domains.into_iter();
    let others =
        others.map(|(domain, version)| OperatorSetIdProto { domain: Some(domain), version: Some(version) });
    let producer = said("producer");
    // Only who made the model knows what its version was; without anybody, it was weft.
    let ours = producer.is_none().then(|| env!("CARGO_PKG_VERSION").to_string());
    ModelProto {
        ir_version: Some(opset::ir_version(opset)),
        opset_import: std::iter::once(own).chain(others).collect(),
        producer_name: producer.or_else(|| Some("weft".to_string())),
        producer_version: said("producer_version").or(ours),
        domain: said("domain"),
        model_version: said("version").and_then(|text| text.parse().ok()),
        doc_string: said("doc"),
        metadata_props: properties(module),
        graph: Some(graph),
        ..Default::default()
    }
}

/// The user's own remarks.
fn properties(module: &Module) -> Vec<StringStringEntryProto> {
    let entries = module.metadata.iter().filter(|(key, _)| !key.starts_with("onnx."));
    let entry = |(key, value): (&String, &String)| StringStringEntryProto {
        key: Some(key.clone()),
        value: Some(value.clone()),
    };
    entries.map(entry).collect()
}
