//! A model as text.
use super::elements::{float, written};
use super::name_of;
use crate::proto::attribute_proto::AttributeType;
use crate::proto::tensor_shape_proto::dimension::Value as Extent;
use crate::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, type_proto,
};
use std::fmt::Write;

/// The text of a model whose values are tensors and that has no functions, as weft writes them.
pub(crate) fn print(model: &ModelProto) -> String {
    let mut out = format!("<\n   ir_version: {},\n   opset_import: [", model.ir_version());
    let opset = |entry: &crate::proto::OperatorSetIdProto| {
        format!("{} : {}", quoted(entry.domain()), entry.version())
    };
    out += &model.opset_import.iter().map(opset).collect::<Vec<_>>().join(", ");
    out.push(']');
    let said = [
        ("producer_name", model.producer_name()),
        ("producer_version", model.producer_version()),
        ("domain", model.domain()),
        ("doc_string", model.doc_string()),
    ];
    for (key, value) in said.into_iter().filter(|(_, value)| !value.is_empty()) {
        put(&mut out, format_args!(",\n   {key}: {}", quoted(value)));
    }
    if model.model_version() != 0 {
        put(&mut out, format_args!(",\n   model_version: {}", model.model_version()));
    }
    if !model.metadata_props.is_empty() {
        let entry =
            |e: &crate::proto::StringStringEntryProto| format!("{}: {}", quoted(e.key()), quoted(e.value()));
        let entries: Vec<_> = model.metadata_props.iter().map(entry).collect();
        put(&mut out, format_args!(",\n   metadata_props: [{}]", entries.join(", ")));
    }
    out += "\n>\n";
    if let Some(main) = &model.graph {
        graph(&mut out, main, 0);
    }
    out.push('\n');
    out
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = out.write_fmt(text);
}

/// A graph; weft writes none that lie deeper than it reads.
fn graph(out: &mut String, graph: &GraphProto, indent: usize) {
    let ports = |ports: &[ValueInfoProto]| ports.iter().map(port).collect::<Vec<_>>().join(", ");
    put(out, format_args!("{} ({}) => ({})", name(graph.name()), ports(&graph.input), ports(&graph.output)));
    let blanks = " ".repeat(indent);
    if !graph.initializer.is_empty() {
        let weights: Vec<_> = graph.initializer.iter().map(weight).collect();
        put(out, format_args!("\n{blanks}   <{}>", weights.join(&format!(",\n{blanks}    "))));
    }
    put(out, format_args!("\n{blanks}{{\n"));
    for inner in &graph.node {
        put(out, format_args!("{blanks}   "));
        node(out, inner, indent + 3);
        out.push('\n');
    }
    put(out, format_args!("{blanks}}}"));
}

fn node(out: &mut String, node: &NodeProto, indent: usize) {
    if !node.name().is_empty() {
        put(out, format_args!("[{}] ", name(node.name())));
    }
    let names = |names: &[String]| names.iter().map(|n| name(n)).collect::<Vec<_>>().join(", ");
    if !node.output.is_empty() {
        put(out, format_args!("{} = ", names(&node.output)));
    }
    if !node.domain().is_empty() {
        put(out, format_args!("{}.", node.domain()));
    }
    out.push_str(node.op_type());
    for (i, one) in node.attribute.iter().enumerate() {
        out.push_str(if i == 0 { " <" } else { ", " });
        attribute(out, one, indent);
    }
    out.push_str(if node.attribute.is_empty() { "" } else { ">" });
    put(out, format_args!(" ({})", names(&node.input)));
}

fn attribute(out: &mut String, attribute: &AttributeProto, indent: usize) {
    let text = |bytes: &Vec<u8>| quoted(&String::from_utf8_lossy(bytes));
    let list = |items: Vec<String>| format!("[{}]", items.join(", "));
    let (kind, value) = match attribute.r#type() {
        AttributeType::Float => ("float", float(attribute.f())),
        AttributeType::String => ("string", attribute.s.as_ref().map(text).unwrap_or_default()),
        AttributeType::Floats => ("floats", list(attribute.floats.iter().map(|x| float(*x)).collect())),
        AttributeType::Ints => ("ints", list(attribute.ints.iter().map(i64::to_string).collect())),
        AttributeType::Strings => ("strings", list(attribute.strings.iter().map(text).collect())),
        AttributeType::Tensor => ("tensor", attribute.t.as_ref().map(tensor).unwrap_or_default()),
        AttributeType::Graph => {
            put(out, format_args!("{}: graph = ", attribute.name()));
            attribute.g.iter().for_each(|inner| graph(out, inner, indent));
            return;
        }
        _ => ("int", attribute.i().to_string()),
    };
    put(out, format_args!("{}: {kind} = {value}", attribute.name()));
}

/// A tensor without a name; `onnx.parser` reads none but plain words there.
fn tensor(tensor: &TensorProto) -> String {
    format!("{} {}", tensor_type(tensor), written(tensor))
}

fn weight(tensor: &TensorProto) -> String {
    format!("{} {} = {}", tensor_type(tensor), name(tensor.name()), written(tensor))
}

fn tensor_type(tensor: &TensorProto) -> String {
    let dims: Vec<_> = tensor.dims.iter().map(i64::to_string).collect();
    let dims = if dims.is_empty() { String::new() } else { format!("[{}]", dims.join(",")) };
    format!("{}{dims}", name_of(tensor.data_type()))
}

fn port(port: &ValueInfoProto) -> String {
    let Some(type_proto::Value::TensorType(ty)) = port.r#type.as_ref().and_then(|ty| ty.value.as_ref())
    else {
        return name(port.name());
    };
    let dims = match &ty.shape {
        None => "[]".to_string(),
        Some(shape) if shape.dim.is_empty() => String::new(),
        Some(shape) => {
            let extent = |value: &Option<Extent>| match value {
                Some(Extent::DimValue(number)) => number.to_string(),
                Some(Extent::DimParam(symbol)) => name(symbol),
                None => "?".to_string(),
            };
            format!("[{}]", shape.dim.iter().map(|dim| extent(&dim.value)).collect::<Vec<_>>().join(","))
        }
    };
    format!("{}{dims} {}", name_of(ty.elem_type()), name(port.name()))
}

/// A name: bare if it is a word.
fn name(name: &str) -> String {
    let is_word = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if is_word { name.to_string() } else { quoted(name) }
}

/// Text in quotes.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
