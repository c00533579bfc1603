//! Losses of classifiers.
use super::check::{Types, alike, attr_text, operand, ranked, same_extent};
use super::rules::{attr, fail, op, opt, req, shaped, text};
use crate::dim::Dim;
use crate::infer::Fact;
use crate::op::{AttrDef, AttrDefault, AttrKind, InferCx, InferError, OpDef};

const ATTRS: &[AttrDef] =
    &[attr("ignore_index", AttrKind::Int, AttrDefault::Absent), text("reduction", "mean")];

/// The table.
pub(crate) const OPS: &[OpDef] = &[
    OpDef {
        attrs: ATTRS,
        ..op(
            "NegativeLogLikelihoodLoss",
            "Minus the logarithmic probability of the right class, weighted and averaged.",
            &[req("input"), req("target"), opt("weight")],
            loss,
        )
    },
    OpDef {
        attrs: ATTRS,
        results: (1, 2),
        ..op(
            "SoftmaxCrossEntropyLoss",
            "`NegativeLogLikelihoodLoss` of `LogSoftmax` over axis 1.",
            &[req("scores"), req("labels"), opt("weights")],
            loss,
        )
    },
];

fn loss(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    let scores = operand(cx, 0, Types::Float)?;
    let labels = operand(cx, 1, Types::Index)?;
    alike(cx, &[0, 2])?;
    ranked(cx, 2, &[1])?;
    if let Some(dims) = scores.dims() {
        if dims.len() < 2 {
            return fail(format!("operand 0 has rank {}, expected at least 2", dims.len()));
        }
        ranked(cx, 1, &[dims.len() - 1])?;
        let spatial: Vec<&Dim> = dims[..1].iter().chain(&dims[2..]).collect();
        for (label, dim) in labels.dims().unwrap_or_default().iter().zip(spatial) {
            same_extent(label, dim, "extents of operands 0 and 1")?;
        }
    }
    let dims = match attr_text(cx, "reduction", &["none", "sum", "mean"])? {
        "none" => labels.ty.dims.clone(),
        _ => Some(Vec::new()),
    };
    Ok(vec![Fact::of(shaped(scores.dtype(), dims)), Fact::of(scores.ty.clone())])
}
