//! Operators whose result is a choice of elements, in number decided by their values.
use super::extents::{MAX_RANK, agree, extent, own, product, ranked, single};
use super::rules::{attr, axis, fail, int, op, opt, req, shaped};
use crate::dim::Dim;
use crate::infer::Fact;
use crate::op::{AttrDefault, AttrKind, InferCx, InferError, OpDef};
use crate::types::DType;

type Facts = Result<Vec<Fact>, InferError>;

/// The table.
pub(crate) const OPS: &[OpDef] = &[
    op("NonZero", "The indices of all elements that are not zero, one column each.", &[req("X")], non_zero),
    OpDef {
        attrs: &[attr("axis", AttrKind::Int, AttrDefault::Absent), int("sorted", 1)],
        results: (1, 4),
        ..op(
            "Unique",
            "Each element (or slice along `axis`) once; also where it stood first, which of them each was, and how often.",
            &[req("X")],
            unique,
        )
    },
    OpDef {
        attrs: &[int("axis", -1), int("largest", 1), int("sorted", 1)],
        results: (1, 2),
        ..op(
            "TopK",
            "The `K` largest or smallest elements along `axis` and their indices; of equals the first.",
            &[req("X"), req("K")],
            top_k,
        )
    },
    OpDef {
        attrs: &[int("center_point_box", 0)],
        ..op(
            "NonMaxSuppression",
            "Triples of batch, class and box: the boxes of best score that do not overlap a better one.",
            &[
                req("boxes"),
                req("scores"),
                opt("max_output_boxes_per_class"),
                opt("iou_threshold"),
                opt("score_threshold"),
            ],
            non_max_suppression,
        )
    },
];

fn non_zero(cx: &InferCx<'_>) -> Facts {
    let rank = cx.need(0)?.dims().map_or_else(Dim::unknown, |d| Dim::fixed(d.len().max(1) as i64));
    Ok(vec![Fact::of(shaped(DType::I64, Some(vec![rank, own(cx, 0, 1)])))])
}

fn unique(cx: &InferCx<'_>) -> Facts {
    let x = cx.need(0)?;
    let (first, count, whole) = match (cx.attrs().int_opt("axis"), x.dims()) {
        (None, dims) => (Some(vec![own(cx, 0, 0)]), own(cx, 0, 0), dims.map_or_else(Dim::unknown, product)),
        (Some(_), None) => (None, Dim::unknown(), Dim::unknown()),
        (Some(at), Some(dims)) => {
            let at = axis(at, dims.len())?;
            let (count, whole) = (own(cx, 0, at), dims[at].clone());
            let mut dims = dims.to_vec();
            dims[at] = count.clone();
            (Some(dims), count, whole)
        }
    };
    let vector = |length: &Dim| Fact::of(shaped(DType::I64, Some(vec![length.clone()])));
    Ok(vec![Fact::of(shaped(x.dtype(), first)), vector(&count), vector(&whole), vector(&count)])
}

fn top_k(cx: &InferCx<'_>) -> Facts {
    let x = cx.need(0)?;
    cx.need(1)?;
    let Some(dims) = ranked(cx, 0, 1..=MAX_RANK)? else {
        return Ok(vec![Fact::of(shaped(x.dtype(), None)), Fact::of(shaped(DType::I64, None))]);
    };
    let at = axis(cx.attrs().int("axis"), dims.len())?;
    let mut result = dims.to_vec();
    if let Some(count) = single(cx, 1)? {
        if count.sub(&dims[at]).at_least().is_some_and(|more| more > 0) {
            return fail(format!("`K` is {count} on an axis of extent {}", dims[at]));
        }
        result[at] = extent(count, "`K`")?;
    } else {
        result[at] = own(cx, 0, at);
    }
    let ty = |dtype| Fact::of(shaped(dtype, Some(result.clone())));
    Ok(vec![ty(x.dtype()), ty(DType::I64)])
}

fn non_max_suppression(cx: &InferCx<'_>) -> Facts {
    let (boxes, scores) = (ranked(cx, 0, 3..=3)?, ranked(cx, 1, 3..=3)?);
    if let (Some([batch, count, four]), Some([batches, _, counts])) = (boxes, scores) {
        agree(batch, batches, "batches of boxes and scores")?;
        agree(count, counts, "numbers of boxes and scores")?;
        agree(four, &Dim::fixed(4), "the numbers in a box and the 4 expected")?;
    }
    Ok(vec![Fact::of(shaped(DType::I64, Some(vec![own(cx, 0, 0), Dim::fixed(3)])))])
}
