//! Activations as bytes where scales change along the inputs: what is rounded is the row times the scales.
use super::activations::{LEAST, MOST};
use crate::forms::Codes;
use weft_ir::{Attr, DType, Graph, OpSet, Tensor, Value};
use weft_passes::{Declined, Linear, Rewriter, node};

/// Whether the layer is a product, and maybe a bias, and nothing else.
pub(super) fn fits(graph: &Graph, ops: &OpSet, layer: &Linear) -> Result<(), Declined> {
    let node = graph.node(layer.node);
    let Some(attrs) = ops.attrs(node).filter(|_| node.op == "Gemm") else { return Ok(()) };
    let scaled = |name, operand| graph.operand(layer.node, operand).is_some() && attrs.float(name) != 1.0;
    if scaled("alpha", 0) || scaled("beta", 2) {
        return Err("it has factors".into());
    }
    Ok(())
}

/// Puts the layer with its matrix as codes and its input as bytes, times the scales, in the place of the layer.
pub(super) fn put(g: &mut Rewriter<'_>, layer: &Linear, codes: &Codes) -> Result<(), Declined> {
    let beside = codes.beside()?;
    let x = scaled(g, layer, beside.scales.clone())?;
    let bytes = rounded(g, layer, x)?;
    let matrices = beside.add(g)?;
    let products = g.add(node("MatMul", []), &[Some(bytes), Some(matrices)])?;
    // The leading extents of the input, then all columns.
    let rank = g.ty(layer.input).rank().ok_or("its input has no rank")?;
    let mut shape = vec![0i64; rank - 1];
    shape.push(layer.dims[1] as i64);
    let shape = g.constant(Tensor::vector(&shape))?;
    let mut y = g.add(node("Reshape", []), &[Some(products), Some(shape)])?;
    if let Some(bias) = g.operand(layer.node, 2) {
        y = g.add(node("Add", []), &[Some(y), Some(bias)])?;
    }
    g.replace(layer.output(), y);
    Ok(())
}

/// `x[.., K]` times the scales of each group, `[.., G, 1, K]`.
fn scaled(g: &mut Rewriter<'_>, layer: &Linear, scales: Tensor) -> Result<Value, Declined> {
    let axes = g.constant(Tensor::vector(&[-3i64, -2]))?;
    let x = g.add(node("Unsqueeze", []), &[Some(layer.input), Some(axes)])?;
    let scales = g.constant(scales)?;
    g.add(node("Mul", []), &[Some(x), Some(scales)])
}

/// `x` as bytes and back: over the last axis `largest = max(max(|x|), 1e-30)`, bytes are `x * (127 / largest)`
/// rounded, and stand for so many times `largest / 127`.
fn rounded(g: &mut Rewriter<'_>, layer: &Linear, x: Value) -> Result<Value, Declined> {
    let number = |g: &mut Rewriter<'_>, number: f32| g.constant(Tensor::scalar(number)).map(Some);
    let size = g.add(node("Abs", []), &[Some(x)])?;
    let last = g.constant(Tensor::vector(&[-1i64]))?;
    let largest = g.add(node("ReduceMax", []), &[Some(size), Some(last)])?;
    let (least, most, one) = (number(g, LEAST)?, number(g, MOST)?, number(g, 1.0)?);
    let largest = g.add(node("Max", []), &[Some(largest), least])?;
    let factor = g.add(node("Div", []), &[most, Some(largest)])?;
    let counts = g.add(node("Mul", []), &[Some(x), Some(factor)])?;
    let bytes = [("output_dtype", Attr::Type(DType::I8))];
    let bytes = g.add(node("QuantizeLinear", bytes), &[Some(counts), one])?;
    let scale = g.add(node("Div", []), &[Some(largest), most])?;
    let blocks = [("axis", Attr::Int(-1)), ("block_size", Attr::Int(layer.dims[0] as i64))];
    g.add(node("DequantizeLinear", blocks), &[Some(bytes), Some(scale)])
}
