//! Operators that only move elements: constants, shapes, slices, gathers.
use super::rules::{attr, op};
use crate::attr::Attr;
use crate::infer::Fact;
use crate::op::{AttrDefault, AttrKind, InferCx, InferError, OpDef};
use crate::types::DType;

/// The table.
pub(crate) const OPS: &[OpDef] = &[
    OpDef {
        attrs: &[attr("value", AttrKind::Tensor, AttrDefault::Required)],
        ..op("Const", "Constant data.", &[], constant)
    },
    OpDef {
        attrs: &[attr("value", AttrKind::Dims, AttrDefault::Required)],
        ..op(
            "weft.Extents",
            "A vector of extents as `i64`, computed from the shapes of the inputs.",
            &[],
            extents,
        )
    },
];

fn constant(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    match cx.node.attrs.get("value") {
        Some(Attr::Tensor(tensor)) => Ok(vec![Fact::constant(tensor)]),
        _ => Err(InferError("attribute `value` holds no tensor".to_string())),
    }
}

fn extents(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    Ok(vec![Fact::vector(DType::I64, cx.attrs().dims("value").to_vec())])
}
