//! A text as a model.
use super::lex::{Lexer, Read, TextError};
use super::value::attributes;
use super::{MAX_DEPTH, elements, type_named};
use crate::proto::tensor_proto::DataLocation;
use crate::proto::tensor_shape_proto::{Dimension, dimension};
use crate::proto::{
    GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};

/// The model of a text.
pub(crate) fn parse(text: &str) -> Result<ModelProto, TextError> {
    let mut lexer = Lexer::new(text);
    let mut model = ModelProto::default();
    header(&mut lexer, &mut model)?;
    model.graph = Some(graph(&mut lexer, MAX_DEPTH)?);
    match lexer.is_at_end() {
        true => Ok(model),
        false if lexer.sees("<") => {
            lexer.fail("functions are not read from text; inline them, or save the model as `.onnx`")
        }
        false => lexer.expected("the end"),
    }
}

fn header(lexer: &mut Lexer<'_>, model: &mut ModelProto) -> Read<()> {
    lexer.mark("<")?;
    while !lexer.takes(">") {
        let key = lexer.word()?;
        lexer.mark(":")?;
        match key {
            "ir_version" => model.ir_version = Some(lexer.whole()?),
            "model_version" => model.model_version = Some(lexer.whole()?),
            "producer_name" => model.producer_name = Some(lexer.quoted()?),
            "producer_version" => model.producer_version = Some(lexer.quoted()?),
            "domain" => model.domain = Some(lexer.quoted()?),
            "doc_string" => model.doc_string = Some(lexer.quoted()?),
            "opset_import" => model.opset_import = listed(lexer, opset)?,
            "metadata_props" => model.metadata_props = listed(lexer, entry)?,
            other => return lexer.fail(format!("a model has no `{other}`")),
        }
        if !lexer.takes(",") {
            lexer.mark(">")?;
            break;
        }
    }
    Ok(())
}

/// Items in brackets.
fn listed<T>(lexer: &mut Lexer<'_>, item: fn(&mut Lexer<'_>) -> Read<T>) -> Read<Vec<T>> {
    lexer.mark("[")?;
    separated(lexer, "]", item)
}

/// Items with commas between, and what ends them.
pub(super) fn separated<'t, T>(
    lexer: &mut Lexer<'t>,
    end: &str,
    mut item: impl FnMut(&mut Lexer<'t>) -> Read<T>,
) -> Read<Vec<T>> {
    let mut items = Vec::new();
    while !lexer.takes(end) {
        items.push(item(lexer)?);
        if !lexer.takes(",") {
            lexer.mark(end)?;
            break;
        }
    }
    Ok(items)
}

fn opset(lexer: &mut Lexer<'_>) -> Read<OperatorSetIdProto> {
    let domain = lexer.quoted()?;
    lexer.mark(":")?;
    Ok(OperatorSetIdProto { domain: Some(domain), version: Some(lexer.whole()?) })
}

fn entry(lexer: &mut Lexer<'_>) -> Read<StringStringEntryProto> {
    let key = lexer.quoted()?;
    lexer.mark(":")?;
    Ok(StringStringEntryProto { key: Some(key), value: Some(lexer.quoted()?) })
}

/// A graph from its name on; inside of it, graphs may lie so many deep.
pub(super) fn graph(lexer: &mut Lexer<'_>, depth: usize) -> Read<GraphProto> {
    let name = lexer.name()?;
    graph_named(lexer, name, depth)
}

/// A graph from behind its name on.
pub(super) fn graph_named(lexer: &mut Lexer<'_>, name: String, depth: usize) -> Read<GraphProto> {
    if depth == 0 {
        return lexer.fail(format!("graphs lie more than {MAX_DEPTH} deep"));
    }
    let mut graph = GraphProto { name: Some(name), ..Default::default() };
    lexer.mark("(")?;
    for (info, weight) in separated(lexer, ")", port)? {
        graph.input.push(info);
        graph.initializer.extend(weight);
    }
    lexer.mark("=>")?;
    lexer.mark("(")?;
    graph.output = separated(lexer, ")", port)?.into_iter().map(|(info, _)| info).collect();
    if lexer.takes("<") {
        for (info, weight) in separated(lexer, ">", port)? {
            match weight {
                Some(weight) => graph.initializer.push(weight),
                None => graph.value_info.push(info),
            }
        }
    }
    lexer.mark("{")?;
    while !lexer.takes("}") {
        graph.node.push(node(lexer, depth)?);
    }
    Ok(graph)
}

/// A value with its type, and its elements if it is a weight.
fn port(lexer: &mut Lexer<'_>) -> Read<(ValueInfoProto, Option<TensorProto>)> {
    let ty = tensor_type(lexer)?;
    let name = lexer.name()?;
    let weight = lexer.takes("=").then(|| weight(lexer, &ty, name.clone())).transpose()?;
    let ty = TypeProto { value: Some(type_proto::Value::TensorType(ty)), ..Default::default() };
    Ok((ValueInfoProto { name: Some(name), r#type: Some(ty), ..Default::default() }, weight))
}

/// The elements of a weight of that type, or where they lie.
pub(super) fn weight(lexer: &mut Lexer<'_>, ty: &type_proto::Tensor, name: String) -> Read<TensorProto> {
    let dims = ty.shape.iter().flat_map(|shape| &shape.dim).map(|dim| match dim.value {
        Some(dimension::Value::DimValue(number)) => Some(number),
        _ => None,
    });
    let Some(dims) = dims.collect::<Option<Vec<i64>>>() else {
        return lexer.fail(format!("weight `{name}` has an extent that is no number"));
    };
    let mut tensor = TensorProto { name: Some(name), data_type: ty.elem_type, dims, ..Default::default() };
    if lexer.sees("[") {
        tensor.external_data = listed(lexer, entry)?;
        tensor.data_location = Some(DataLocation::External as i32);
    } else {
        elements::read(lexer, &mut tensor)?;
    }
    Ok(tensor)
}

/// `float[N, 3, ?]`; without brackets a scalar, with nothing in them of unknown rank.
pub(super) fn tensor_type(lexer: &mut Lexer<'_>) -> Read<type_proto::Tensor> {
    let Some(ty) = lexer.peek_word().and_then(type_named) else { return lexer.expected("an element type") };
    lexer.word()?;
    let mut shape = Some(TensorShapeProto::default());
    if lexer.takes("[") {
        let dim = separated(lexer, "]", extent)?;
        shape = (!dim.is_empty()).then_some(TensorShapeProto { dim });
    }
    Ok(type_proto::Tensor { elem_type: Some(ty as i32), shape })
}

fn extent(lexer: &mut Lexer<'_>) -> Read<Dimension> {
    let value = if lexer.takes("?") {
        None
    } else if lexer.sees_name() {
        Some(dimension::Value::DimParam(lexer.name()?))
    } else {
        Some(dimension::Value::DimValue(lexer.whole()?))
    };
    Ok(Dimension { value, ..Default::default() })
}

fn node(lexer: &mut Lexer<'_>, depth: usize) -> Read<NodeProto> {
    let mut node = NodeProto::default();
    if lexer.takes("[") {
        node.name = Some(lexer.name()?);
        lexer.mark("]")?;
    }
    let (mut operator, is_list) = (lexer.name()?, lexer.sees("=") || lexer.sees(","));
    if is_list {
        node.output.push(std::mem::take(&mut operator));
        while lexer.takes(",") {
            node.output.push(lexer.name()?);
        }
        lexer.mark("=")?;
        operator = lexer.word()?.to_string();
    }
    while lexer.takes(".") {
        operator = format!("{operator}.{}", lexer.word()?);
    }
    if let Some((domain, op)) = operator.rsplit_once('.') {
        (node.domain, node.op_type) = (Some(domain.to_string()), Some(op.to_string()));
    } else {
        node.op_type = Some(operator);
    }
    if lexer.takes(":") {
        node.overload = Some(lexer.name()?);
    }
    // Attributes stand before the operands or behind them.
    node.attribute = attributes(lexer, depth)?;
    lexer.mark("(")?;
    node.input = separated(lexer, ")", Lexer::name)?;
    node.attribute.extend(attributes(lexer, depth)?);
    Ok(node)
}
