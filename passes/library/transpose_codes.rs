//! Draws a transpose of dequantised weights into their codes.
//!
//! Before: `%w = DequantizeLinear(%codes, %scales, %zeros) {axis = 1, block_size = 32}`,
//! `%t = Transpose(%w) {perm = [1, 0]}`, `%y = MatMul(%x, %t)`. After: `%t = DequantizeLinear` of transposed
//! codes, scales and zero points, `{axis = 0, block_size = 32}`.
//!
//! Codes that are not constant, tensors that are no matrices, and dequantised weights with other users
//! are left alone. No number changes.
use weft_ir::{Attr, Node, NodeId, Stage, Value};
use weft_passes::{Declined, EachNode, PassInfo, PassKind, Perm, Rewriter, permuted};

pub(crate) const INFO: PassInfo = PassInfo {
    name: "transpose-codes",
    summary: "draws a transpose of dequantised weights into their codes",
    options: &[],
    kind: PassKind::Exact,
    accepts: (Stage::Canonical, Stage::Lowered),
    build: &|_| Ok(Box::new(EachNode(transpose))),
};

fn transpose(g: &mut Rewriter<'_>, id: NodeId) -> Result<(), Declined> {
    let Some((operand, perm)) = g.transposed(g.result(id)) else { return Ok(()) };
    let Some(weights) = g.made_by(operand, "DequantizeLinear") else { return Ok(()) };
    if perm.axes() != [1, 0] {
        return Ok(());
    }
    if !g.used_once(operand) {
        return Err("others use the weights as they are".into());
    }
    let axis = g.attrs(weights).ok_or("the operator is not known")?.int("axis");
    let mut operands = Vec::new();
    for operand in g.operands(weights) {
        operands.push(operand.map(|operand| turned(g, operand, &perm)).transpose()?);
    }
    let mut turned = Node::new("DequantizeLinear", Vec::new());
    turned.attrs = g.node(weights).attrs.clone();
    let turned = g.add(turned.with("axis", Attr::Int(1 - axis.rem_euclid(2))), &operands)?;
    g.replace(g.result(id), turned);
    Ok(())
}

/// A constant with its axes exchanged; one number for each channel stays a vector.
fn turned(g: &mut Rewriter<'_>, operand: Value, perm: &Perm) -> Result<Value, Declined> {
    let tensor = g.data(operand).ok_or("the codes are not constant")?;
    if tensor.dims().len() < 2 {
        return Ok(operand);
    }
    let turned = permuted(tensor, perm).ok_or("the codes are no matrix")?;
    g.constant(turned)
}
