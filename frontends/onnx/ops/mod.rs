//! How the operators of each opset become the canonical ones, as tables by family.
//!
//! A row holds from the opset it names to that of the next row of the same operator. Canonical
//! operators have the names and meanings of the newest opset, so most rows say [`How::Same`].
mod control;
mod convolution;
mod elementwise;
mod experts;
mod index;
mod normalization;
mod quantization;
mod recurrent;
mod reduction;
mod sequence;
mod shape;

use crate::builder::Stop;
use crate::call::{Call, Converted};
use crate::model::domain;
use crate::proto::NodeProto;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::LazyLock;
use weft_frontend::Cause;
use weft_ir::{OpSet, Value};

/// Converts one node.
pub(crate) type Convert = fn(&mut Call<'_, '_, '_>) -> Converted;

/// How an operator becomes a canonical one.
#[derive(Clone, Copy)]
pub(crate) enum How {
    /// It is one, with the same operands and attributes.
    Same,
    /// By a conversion of its own.
    By(Convert),
    /// By a conversion that takes or makes a sequence.
    List(ConvertList),
}

/// Converts one node that has to do with sequences.
pub(crate) type ConvertList = fn(&mut Call<'_, '_, '_>) -> Result<Results, Stop>;

/// What a node gives.
pub(crate) enum Results {
    /// Tensors, one for each result.
    Values(Vec<Value>),
    /// A sequence, its only result.
    List(Rc<Vec<Value>>),
}

/// From which opset on an operator of ONNX is converted how.
pub(crate) struct Row {
    op: &'static str,
    since: i64,
    how: How,
}

/// A row that changes nothing.
const fn same(op: &'static str, since: i64) -> Row {
    Row { op, since, how: How::Same }
}

/// A row with a conversion.
const fn by(op: &'static str, since: i64, convert: Convert) -> Row {
    Row { op, since, how: How::By(convert) }
}

/// A row with a conversion that takes or makes a sequence.
const fn list(op: &'static str, since: i64, convert: ConvertList) -> Row {
    Row { op, since, how: How::List(convert) }
}

const FAMILIES: &[&[Row]] = &[
    control::ROWS,
    convolution::ROWS,
    elementwise::ROWS,
    experts::ROWS,
    index::ROWS,
    normalization::ROWS,
    quantization::ROWS,
    recurrent::ROWS,
    reduction::ROWS,
    sequence::ROWS,
    shape::ROWS,
];

/// The rows of each operator, in the order of their opsets.
static ROWS: LazyLock<BTreeMap<&str, Vec<&Row>>> = LazyLock::new(|| {
    let mut rows: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for row in FAMILIES.iter().copied().flatten() {
        rows.entry(row.op).or_default().push(row);
    }
    rows.values_mut().for_each(|rows| rows.sort_by_key(|row| row.since));
    rows
});

/// How a node is converted, given the version of its domain.
pub(crate) fn find(node: &NodeProto, version: Option<i64>, ops: &OpSet) -> Result<How, Cause> {
    let op = node.op_type();
    let domain = domain(node.domain());
    if !domain.is_empty() {
        let name = canonical_name(node);
        let own = ROWS.get(name.as_str()).and_then(|rows| rows.last()).map(|row| row.how);
        let known = own.or_else(|| ops.get(&name).map(|_| How::Same));
        return known.ok_or_else(|| Cause::unsupported("this operator, which is none of ONNX's own"));
    }
    let version = version.ok_or_else(|| Cause::invalid("the model does not say which opset it means"))?;
    let rows = ROWS.get(op).ok_or_else(|| Cause::unsupported("this operator"))?;
    let Some(row) = rows.iter().rev().find(|row| row.since <= version) else {
        let oldest = rows.first().map_or(0, |row| row.since);
        return Err(Cause::Unsupported(format!(
            "the operator of opset {version}, only from opset {oldest} on"
        )));
    };
    if matches!(row.how, How::Same) && ops.get(op).is_none() {
        return Err(Cause::unsupported("this operator"));
    }
    Ok(row.how)
}

/// From which opset on an operator of ONNX has its newest meaning.
pub(crate) fn newest(op: &str) -> Option<i64> {
    ROWS.get(op)?.last().map(|row| row.since)
}

/// The canonical operator that has the name of a node's own.
fn canonical_name(node: &NodeProto) -> String {
    match domain(node.domain()) {
        "" => node.op_type().to_string(),
        domain => format!("{domain}.{}", node.op_type()),
    }
}

/// Converts a node in that way.
pub(crate) fn convert(how: How, call: &mut Call<'_, '_, '_>) -> Result<Results, Stop> {
    match (how, call.lists.keys().next()) {
        (How::List(convert), _) => convert(call),
        (_, Some(i)) => Err(Cause::Unsupported(format!("operand {i}, a sequence")).into()),
        (How::Same, None) => renamed(call, &canonical_name(call.node)).map(Results::Values),
        (How::By(convert), None) => convert(call).map(Results::Values),
    }
}

/// The node as that canonical operator, attributes and operands as they are.
fn renamed(call: &mut Call<'_, '_, '_>, op: &str) -> Converted {
    let operands = call.operands.clone();
    with_operands(call, op, operands)
}

/// The node as that canonical operator, attributes as they are.
fn with_operands(call: &mut Call<'_, '_, '_>, op: &str, operands: Vec<Option<Value>>) -> Converted {
    let attrs = call.declared(call.builder.def(op)?)?;
    call.finish(op, attrs, operands)
}

#[cfg(test)]
mod tests;
