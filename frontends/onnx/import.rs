//! From the bytes of a file to a module.
use crate::attributes::Bound;
use crate::builder::Builder;
use crate::frame::{Binding, Frame, Surroundings};
use crate::model::{Model, NEWEST_OPSET, clip, concerning, contradiction, domain};
use crate::order::readers;
use crate::proto::{GraphProto, ModelProto, ValueInfoProto};
use crate::region::output_names;
use crate::text;
use crate::types::tensor_type;
use crate::wire::measure;
use prost::Message;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use weft_frontend::{Cause, Import, ImportError, Place, Report, Source};
use weft_ir::{Fact, Graph, Module, OpSet, Stage, Value};

/// The newest version of the file format that is understood.
const NEWEST_IR: i64 = 14;

/// Reads the model of a source, of operators that weft comes with.
pub fn read(source: &Source) -> Result<Import, ImportError> {
    read_with(source, OpSet::builtin())
}

/// Reads the model of a source. Operators of ONNX's own domain are those of weft; those of others
/// are read as they stand where `ops` has them.
pub(crate) fn read_with(source: &Source, ops: &OpSet) -> Result<Import, ImportError> {
    let proto = decode(source)?;
    let mut model = Model::new(&proto, source, ops);
    check(&proto, &mut model);
    let graph = proto.graph.as_ref().and_then(|graph| main_graph(graph, &mut model));
    let Model { problems, report, .. } = model;
    let file = source.name().to_string();
    match graph {
        Some(graph) if problems.is_empty() => Ok(finished(&proto, graph, report)),
        _ => Err(ImportError::Problems { file, problems }),
    }
}

fn decode(source: &Source) -> Result<ModelProto, ImportError> {
    let format = |reason: String| ImportError::Format {
        file: source.name().to_string(),
        format: "an ONNX model",
        reason,
    };
    if source.name().ends_with(".onnxtxt") {
        let text = std::str::from_utf8(source.bytes()).map_err(|e| format(e.to_string()))?;
        return text::parse(text).map_err(|e| format(e.to_string()));
    }
    measure(source.bytes()).map_err(|e| format(e.to_string()))?;
    let proto = ModelProto::decode(source.bytes().clone()).map_err(|e| format(e.to_string()))?;
    if proto.graph.is_none() {
        return Err(format("it holds no graph".to_string()));
    }
    Ok(proto)
}

/// What can be said before any node is read.
fn check(proto: &ModelProto, model: &mut Model<'_>) {
    let mut wrong = Vec::new();
    if proto.ir_version() > NEWEST_IR {
        let found = proto.ir_version();
        wrong.push(Cause::Unsupported(format!("IR version {found}, the newest understood is {NEWEST_IR}")));
    }
    match model.opsets.get("") {
        Some(version) if *version > NEWEST_OPSET => {
            wrong.push(Cause::Unsupported(format!(
                "opset {version}, the newest understood is {NEWEST_OPSET}"
            )));
        }
        Some(version) if *version < 1 => wrong.push(Cause::Invalid(format!("opset {version}"))),
        // Files of before IR version 3 mean the first opset.
        None if proto.ir_version() < 3 => drop(model.opsets.insert("", 1)),
        _ => {}
    }
    if model.functions.len() < proto.functions.len() {
        wrong.push(Cause::invalid("two functions have one name"));
    }
    wrong.extend(contradiction(&proto.opset_import));
    for function in &proto.functions {
        if let Some(Cause::Invalid(what)) = contradiction(&function.opset_import) {
            wrong.push(Cause::Invalid(format!("function `{}`: {what}", clip(function.name()))));
        }
    }
    wrong.into_iter().for_each(|cause| model.complain(Place::Model, cause));
    if !proto.training_info.is_empty() {
        model.report.warn(Place::Model, "how it was trained is left out".to_string());
    }
}

fn main_graph<'a>(proto: &'a GraphProto, model: &mut Model<'a>) -> Option<Graph> {
    let around = Surroundings {
        opsets: Rc::new(model.opsets.clone()),
        bound: Rc::new(Bound::new()),
        path: "".into(),
        active: Rc::new(Vec::new()),
    };
    let mut builder = Builder::new(model, "main", 0);
    builder.frames.push(Frame::new(around));
    let defaults: BTreeSet<&str> = proto.initializer.iter().map(|weight| weight.name()).collect();
    for input in proto.input.iter().filter(|input| !defaults.contains(input.name())) {
        if let Err(cause) = builder.formal(input) {
            let cause = concerning(cause, "used", "", readers(&proto.node, input.name()));
            builder.model.complain(Place::Value(clip(input.name())), cause);
            builder.frame_mut().names.entry(input.name()).or_insert(Binding::Broken);
        }
    }
    let outputs = builder.body(proto);
    if proto.output.is_empty() {
        builder.model.complain(Place::Model, Cause::invalid("the graph has no outputs"));
    }
    let mut graph = builder.graph;
    let complete = outputs.len() == proto.output.len();
    complete.then(|| {
        graph.set_outputs(outputs);
        graph.set_output_names(output_names(&proto.output));
        graph
    })
}

impl<'a> Builder<'_, 'a> {
    /// An input of the model.
    fn formal(&mut self, input: &'a ValueInfoProto) -> Result<(), Cause> {
        let declared = input.r#type.as_ref().ok_or_else(|| Cause::invalid("the type is not given"))?;
        let ty = tensor_type(declared)?;
        if ty.dims.is_none() {
            return Err(Cause::unsupported("an input whose rank is not given"));
        }
        let name = self.model.names.unique(input.name());
        let value: Value = self.input(&name, Fact::of(ty));
        self.bind(input.name(), Binding::Value(value))
    }
}

fn finished(proto: &ModelProto, graph: Graph, report: Report) -> Import {
    let mut module = Module::new(Stage::Imported, graph);
    module.metadata = metadata(proto);
    Import { module, report }
}

/// What the file says about itself.
fn metadata(proto: &ModelProto) -> BTreeMap<String, String> {
    let said = proto.metadata_props.iter().map(|entry| (entry.key(), entry.value().to_string()));
    let mut metadata: BTreeMap<String, String> = said.map(|(key, value)| (key.to_string(), value)).collect();
    let graph = proto.graph.as_ref().map_or("", GraphProto::name);
    let version = if proto.model_version() == 0 { String::new() } else { proto.model_version().to_string() };
    let opset = proto.opset_import.iter().find(|import| domain(import.domain()).is_empty());
    let opset = opset.map_or_else(String::new, |import| import.version().to_string());
    let graph_doc = proto.graph.as_ref().map_or("", GraphProto::doc_string);
    let own = [
        ("onnx.doc", proto.doc_string()),
        ("onnx.domain", proto.domain()),
        ("onnx.graph_doc", graph_doc),
        ("onnx.opset", &opset),
        ("onnx.graph", graph),
        ("onnx.producer", proto.producer_name()),
        ("onnx.producer_version", proto.producer_version()),
        ("onnx.version", &version),
    ];
    let given = own.into_iter().filter(|(_, value)| !value.is_empty());
    metadata.extend(given.map(|(key, value)| (key.to_string(), value.to_string())));
    metadata
}

#[cfg(test)]
mod broken_tests;
#[cfg(test)]
mod tests;
