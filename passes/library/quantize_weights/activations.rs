//! Activations as bytes: each row by its own largest number, as the row comes.
use super::columns;
use crate::forms::{Coded, Codes};
use weft_ir::{Attr, DType, Graph, NodeId, OpSet, Tensor, Value};
use weft_passes::{Declined, Linear, Rewriter, node};

/// The largest byte.
pub(super) const MOST: f32 = 127.0;
/// What the scale of a row of zeros is; a number that is not denormal, and below any scale that matters.
pub(super) const LEAST: f32 = 1e-30;

/// What a layer's matrix is multiplied with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Activations {
    /// Numbers as they are.
    F32,
    /// Bytes with a scale a row.
    Int8,
}

impl Activations {
    /// What becomes of a layer's input, or why it stays though bytes were asked for.
    pub(super) fn of(
        self,
        (graph, ops): (&Graph, &OpSet),
        layer: &Linear,
        codes: &Codes,
    ) -> Result<Input, Declined> {
        let stays = |why: Declined| Declined::from(format!("{why}: its activations stay `f32`"));
        match self {
            Activations::F32 => Ok(Input::Numbers),
            Activations::Int8 if codes.is_along_inputs() => Ok(Input::Rows),
            Activations::Int8 => {
                columns::fits(graph, ops, layer).and_then(|()| codes.columns_together()).map_err(stays)?;
                Ok(Input::Columns)
            }
        }
    }
}

/// What the matrix of one layer is multiplied with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    /// Numbers as they are.
    Numbers,
    /// Bytes with a scale a row.
    Rows,
    /// Bytes with a scale a row, of the row times the scales of each group of columns.
    Columns,
}

impl Input {
    /// Gives the layer its matrix, and what that is multiplied with.
    pub(super) fn put(self, g: &mut Rewriter<'_>, layer: &Linear, coded: &Coded) -> Result<(), Declined> {
        match (self, coded) {
            (Input::Columns, Coded::Codes(codes)) => columns::put(g, layer, codes),
            (Input::Rows, _) => {
                let input = rounded(g, layer)?;
                coded.put(g, layer, Some(input))
            }
            _ => coded.put(g, layer, None),
        }
    }
}

/// The input of a layer rounded: the one that other layers have already, where they read the same.
fn rounded(g: &mut Rewriter<'_>, layer: &Linear) -> Result<Value, Declined> {
    match rounded_already(g, layer) {
        Some(rounded) => Ok(rounded),
        None => rounded_rows(g, layer),
    }
}

/// `x` as bytes and back: `scale = max(max(|x|) / 127, 1e-30)` over the last axis, a block that is all of it.
fn rounded_rows(g: &mut Rewriter<'_>, layer: &Linear) -> Result<Value, Declined> {
    let x = layer.input;
    let number = |g: &mut Rewriter<'_>, number: f32| g.constant(Tensor::scalar(number));
    let size = g.add(node("Abs", []), &[Some(x)])?;
    let last = g.constant(Tensor::vector(&[-1i64]))?;
    let largest = g.add(node("ReduceMax", []), &[Some(size), Some(last)])?;
    let most = number(g, MOST)?;
    let part = g.add(node("Div", []), &[Some(largest), Some(most)])?;
    let least = number(g, LEAST)?;
    let scale = g.add(node("Max", []), &[Some(part), Some(least)])?;
    let mut attrs = blocks(layer).to_vec();
    attrs.push(("output_dtype", Attr::Type(DType::I8)));
    let bytes = g.add(node("QuantizeLinear", attrs), &[Some(x), Some(scale)])?;
    g.add(node("DequantizeLinear", blocks(layer)), &[Some(bytes), Some(scale)])
}

fn blocks(layer: &Linear) -> [(&'static str, Attr); 2] {
    [("axis", Attr::Int(-1)), ("block_size", Attr::Int(layer.dims[0] as i64))]
}

/// The rounded rows of the same input.
fn rounded_already(g: &Rewriter<'_>, layer: &Linear) -> Option<Value> {
    let result = |node: NodeId| Value { node, slot: 0 };
    let users = |value: Value, op: &'static str| {
        g.uses(value).into_iter().filter(move |(id, at)| *at == 0 && g.node(*id).op == op).map(|(id, _)| id)
    };
    let same =
        |id: NodeId| blocks(layer).iter().all(|(name, attr)| g.node(id).attrs.get(*name) == Some(attr));
    let to_bytes = |id: &NodeId| {
        same(*id)
            && g.node(*id).attrs.get("output_dtype") == Some(&Attr::Type(DType::I8))
            && g.operand(*id, 2).is_none()
    };
    let bytes = users(layer.input, "QuantizeLinear").find(to_bytes)?;
    let scale = g.operand(bytes, 1);
    let back = users(result(bytes), "DequantizeLinear").find(|id| same(*id) && g.operand(*id, 1) == scale);
    back.map(result)
}
