//! Attributes in a text.
use super::lex::{Lexer, Number, Read};
use super::parse::{graph, graph_named, separated, tensor_type, weight};
use super::type_named;
use crate::proto::AttributeProto;
use crate::proto::attribute_proto::AttributeType;

/// The names of the types of attributes that may be told.
const KINDS: &[(&str, AttributeType)] = &[
    ("float", AttributeType::Float),
    ("floats", AttributeType::Floats),
    ("graph", AttributeType::Graph),
    ("int", AttributeType::Int),
    ("ints", AttributeType::Ints),
    ("string", AttributeType::String),
    ("strings", AttributeType::Strings),
    ("tensor", AttributeType::Tensor),
];

/// `<axis: int = 1, alpha = 0.5>`, or nothing.
pub(super) fn attributes(lexer: &mut Lexer<'_>, depth: usize) -> Read<Vec<AttributeProto>> {
    if !lexer.takes("<") {
        return Ok(Vec::new());
    }
    separated(lexer, ">", |lexer| attribute(lexer, depth))
}

fn attribute(lexer: &mut Lexer<'_>, depth: usize) -> Read<AttributeProto> {
    let mut attribute = AttributeProto { name: Some(lexer.name()?), ..Default::default() };
    let mut told = None;
    if lexer.takes(":") {
        let kind = lexer.word()?;
        told = KINDS.iter().find(|(name, _)| *name == kind).map(|(_, kind)| *kind);
        if told.is_none() {
            return lexer.fail(format!("attributes of type `{kind}` are not read"));
        }
    }
    lexer.mark("=")?;
    let mut found = value(lexer, &mut attribute, depth)?;
    // Whole numbers are floats, and empty lists anything, where that is said.
    match (told, found) {
        (Some(AttributeType::Float), AttributeType::Int) => {
            attribute.f = attribute.i.take().map(|number| number as f32);
            found = AttributeType::Float;
        }
        (Some(AttributeType::Floats), AttributeType::Ints) => {
            attribute.floats = attribute.ints.drain(..).map(|number| number as f32).collect();
            found = AttributeType::Floats;
        }
        (Some(told), AttributeType::Undefined) => found = told,
        (None, AttributeType::Undefined) => {
            return lexer.fail("an empty list needs a type, as `a: ints = []`");
        }
        _ => {}
    }
    if told.is_some_and(|told| told != found) {
        return lexer.fail(format!("attribute `{}` is of another type than is said", attribute.name()));
    }
    attribute.r#type = Some(found as i32);
    Ok(attribute)
}

/// Reads a value of any type, and says which it is.
fn value(lexer: &mut Lexer<'_>, to: &mut AttributeProto, depth: usize) -> Read<AttributeType> {
    if lexer.takes("[") {
        return list(lexer, to);
    }
    match lexer.number() {
        Some(Number::Whole(text)) => {
            to.i = text.parse().ok();
            return if to.i.is_some() {
                Ok(AttributeType::Int)
            } else {
                lexer.fail(format!("`{text}` is too large"))
            };
        }
        Some(Number::Float(text)) => {
            to.f = text.parse().ok();
            return if to.f.is_some() {
                Ok(AttributeType::Float)
            } else {
                lexer.fail(format!("`{text}` is no number"))
            };
        }
        None => {}
    }
    if lexer.peek_word().and_then(type_named).is_some() {
        let ty = tensor_type(lexer)?;
        let name = if lexer.sees_name() { lexer.name()? } else { String::new() };
        lexer.takes("=");
        to.t = Some(weight(lexer, &ty, name)?);
        return Ok(AttributeType::Tensor);
    }
    if lexer.peek_word().is_none() {
        let text = lexer.quoted()?;
        if !lexer.sees("(") {
            to.s = Some(text.into_bytes());
            return Ok(AttributeType::String);
        }
        to.g = Some(graph_named(lexer, text, depth - 1)?);
        return Ok(AttributeType::Graph);
    }
    to.g = Some(graph(lexer, depth - 1)?);
    Ok(AttributeType::Graph)
}

fn list(lexer: &mut Lexer<'_>, to: &mut AttributeProto) -> Read<AttributeType> {
    if lexer.takes("]") {
        return Ok(AttributeType::Undefined);
    }
    if lexer.sees("\"") {
        to.strings = separated(lexer, "]", Lexer::quoted)?.into_iter().map(String::into_bytes).collect();
        return Ok(AttributeType::Strings);
    }
    let mut is_whole = true;
    let numbers = separated(lexer, "]", |lexer| match lexer.number() {
        Some(Number::Whole(text)) => Ok(text.to_string()),
        Some(Number::Float(text)) => {
            is_whole = false;
            Ok(text.to_string())
        }
        None => lexer.expected("a number"),
    })?;
    if is_whole {
        let ints: Result<Vec<i64>, _> = numbers.iter().map(|text| text.parse()).collect();
        to.ints = ints.or_else(|_| lexer.fail("a number is too large"))?;
        return Ok(AttributeType::Ints);
    }
    let floats: Result<Vec<f32>, _> = numbers.iter().map(|text| text.parse()).collect();
    to.floats = floats.or_else(|_| lexer.fail("not all of the list are numbers"))?;
    Ok(AttributeType::Floats)
}
