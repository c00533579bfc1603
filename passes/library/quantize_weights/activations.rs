//! Activations as bytes: each row by its own largest number, as the row comes.
use crate::forms::Codes;
use weft_ir::{Attr, DType, NodeId, Tensor, Value};
use weft_passes::{Declined, Linear, Rewriter, node};

/// The largest byte.
const MOST: f32 = 127.0;
/// What the scale of a row of zeros is; a number that is not denormal, and below any scale that matters.
const LEAST: f32 = 1e-30;

/// What a layer's matrix is multiplied with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Activations {
    /// Numbers as they are.
    F32,
    /// Bytes with a scale a row.
    Int8,
}

impl Activations {
    /// Whether the layer's input is rounded, or why it is not though it was asked for.
    pub(super) fn of(self, codes: &Codes) -> Result<bool, Declined> {
        match self {
            Activations::F32 => Ok(false),
            Activations::Int8 if codes.is_along_inputs() => Ok(true),
            Activations::Int8 => Err(
                "its scales change along the inputs, which sums of integers cannot have: its activations \
                     stay `f32`"
                    .into(),
            ),
        }
    }
}

/// The input of a layer rounded: the one that other layers have already, where they read the same.
pub(super) fn rounded(g: &mut Rewriter<'_>, layer: &Linear) -> Result<Value, Declined> {
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
