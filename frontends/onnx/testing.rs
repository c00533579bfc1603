//! Small models for the tests of this crate.
use crate::proto::attribute_proto::AttributeType;
use crate::proto::tensor_proto::DataType;
use crate::proto::tensor_shape_proto::{Dimension, dimension};
use crate::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto,
    TypeProto, ValueInfoProto, type_proto,
};
use crate::read;
use prost::Message;
use weft_frontend::{Import, ImportError, Source};

pub(crate) fn node(op: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    NodeProto {
        op_type: Some(op.to_string()),
        input: inputs.iter().map(ToString::to_string).collect(),
        output: outputs.iter().map(ToString::to_string).collect(),
        ..Default::default()
    }
}

fn attribute(name: &str, kind: AttributeType) -> AttributeProto {
    AttributeProto { name: Some(name.to_string()), r#type: Some(kind as i32), ..Default::default() }
}

pub(crate) fn with(mut node: NodeProto, attribute: AttributeProto) -> NodeProto {
    node.attribute.push(attribute);
    node
}

pub(crate) fn with_graph(node: NodeProto, name: &str, graph: GraphProto) -> NodeProto {
    with(node, AttributeProto { g: Some(graph), ..attribute(name, AttributeType::Graph) })
}

pub(crate) fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto { i: Some(i), ..attribute(name, AttributeType::Int) }
}

pub(crate) fn ints(name: &str, ints: &[i64]) -> AttributeProto {
    AttributeProto { ints: ints.to_vec(), ..attribute(name, AttributeType::Ints) }
}

pub(crate) fn float(name: &str, f: f32) -> AttributeProto {
    AttributeProto { f: Some(f), ..attribute(name, AttributeType::Float) }
}

pub(crate) fn floats(name: &str, floats: &[f32]) -> AttributeProto {
    AttributeProto { floats: floats.to_vec(), ..attribute(name, AttributeType::Floats) }
}

pub(crate) fn text(name: &str, text: &str) -> AttributeProto {
    AttributeProto { s: Some(text.as_bytes().to_vec()), ..attribute(name, AttributeType::String) }
}

pub(crate) fn reference(name: &str, to: &str, kind: AttributeType) -> AttributeProto {
    AttributeProto { ref_attr_name: Some(to.to_string()), ..attribute(name, kind) }
}

pub(crate) fn weight(name: &str, dims: &[i64], data: &[f32]) -> TensorProto {
    TensorProto {
        name: Some(name.to_string()),
        data_type: Some(DataType::Float as i32),
        dims: dims.to_vec(),
        float_data: data.to_vec(),
        ..Default::default()
    }
}

/// An input whose name may end in `:f32[N, 3]`; without it, it is a `f32[2, 3]`.
pub(crate) fn port(written: &str) -> ValueInfoProto {
    let (name, ty) = written.split_once(':').unwrap_or((written, "f32[2, 3]"));
    let (dtype, dims) = ty.trim_end_matches(']').split_once('[').unwrap();
    let elem_type = match dtype {
        "f32" => DataType::Float,
        "i64" => DataType::Int64,
        "bool" => DataType::Bool,
        other => panic!("no element type {other}"),
    };
    let dim = dims.split(',').map(str::trim).filter(|d| !d.is_empty()).map(|d| Dimension {
        value: Some(
            d.parse().map_or_else(|_| dimension::Value::DimParam(d.to_string()), dimension::Value::DimValue),
        ),
        ..Default::default()
    });
    let shape = Some(TensorShapeProto { dim: dim.collect() });
    let tensor = type_proto::Tensor { elem_type: Some(elem_type as i32), shape };
    let ty = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() };
    ValueInfoProto { name: Some(name.to_string()), r#type: Some(ty), ..Default::default() }
}

pub(crate) fn graph(inputs: &[&str], nodes: Vec<NodeProto>, outputs: &[&str]) -> GraphProto {
    let named = |name: &&str| ValueInfoProto { name: Some(name.to_string()), ..Default::default() };
    GraphProto {
        input: inputs.iter().map(|name| port(name)).collect(),
        output: outputs.iter().map(named).collect(),
        node: nodes,
        ..Default::default()
    }
}

pub(crate) fn opset(domain: &str, version: i64) -> OperatorSetIdProto {
    OperatorSetIdProto { domain: Some(domain.to_string()), version: Some(version) }
}

pub(crate) fn model(version: i64, graph: GraphProto) -> ModelProto {
    ModelProto {
        ir_version: Some(10),
        opset_import: vec![opset("", version)],
        graph: Some(graph),
        ..Default::default()
    }
}

pub(crate) fn import(model: &ModelProto) -> Result<Import, ImportError> {
    read(&Source::memory("test.onnx", model.encode_to_vec().into()))
}

/// The nodes of the main graph as `Op(a, b) {attr} -> c : f32[2]` in the order of the program.
pub(crate) fn lines(model: &ModelProto) -> Vec<String> {
    let import = import(model).unwrap_or_else(|error| panic!("{error}"));
    summary(&import.module.graph)
}

/// See [`lines`].
pub(crate) fn summary(graph: &weft_ir::Graph) -> Vec<String> {
    graph.order().into_iter().map(|id| line(graph, id)).collect()
}

fn line(graph: &weft_ir::Graph, id: weft_ir::NodeId) -> String {
    let node = graph.node(id);
    let operands = graph.operands(id).into_iter().map(|o| o.map_or("_", |v| graph.name_of(v)));
    let operands = operands.collect::<Vec<_>>().join(", ");
    let attrs = node.attrs.iter().map(|(name, attr)| format!("{name} = {}", value(attr))).collect::<Vec<_>>();
    let attrs = if attrs.is_empty() { String::new() } else { format!(" {{{}}}", attrs.join(", ")) };
    let results =
        node.results.iter().map(|r| format!("{} : {}", r.name, r.ty)).collect::<Vec<_>>().join(", ");
    format!("{}({operands}){attrs} -> {results}", node.op)
}

fn value(attr: &weft_ir::Attr) -> String {
    use weft_ir::Attr;
    match attr {
        Attr::Int(x) => x.to_string(),
        Attr::Float(x) => format!("{x:?}"),
        Attr::Str(x) => x.clone(),
        Attr::Type(x) => x.to_string(),
        Attr::Tensor(x) => x.to_f64s().map_or_else(|| "..".to_string(), |x| format!("{x:?}")),
        other => format!("{other:?}"),
    }
}

/// What is said about a model that cannot be imported.
pub(crate) fn refusal(model: &ModelProto) -> String {
    import(model).map(|i| summary(&i.module.graph)).expect_err("the model was imported").to_string()
}
