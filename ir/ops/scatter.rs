//! Operators that put elements where indices say.
use super::extents::{MAX_RANK, agree_all, integers, ranked, same_dtype};
use super::rules::{axis, fail, int, like_first, op, opt, req, text};
use crate::dim::Dim;
use crate::infer::Fact;
use crate::op::{InferCx, InferError, OpDef};

type Facts = Result<Vec<Fact>, InferError>;

/// The table.
pub(crate) const OPS: &[OpDef] = &[
    OpDef {
        attrs: &[int("axis", 0), text("reduction", "none")],
        ..op(
            "ScatterElements",
            "The data with each update put, or reduced into, the place its index names along `axis`.",
            &[req("data"), req("indices"), req("updates")],
            scatter_elements,
        )
    },
    OpDef {
        attrs: &[text("reduction", "none")],
        ..op(
            "ScatterND",
            "The data with each slice of updates put, or reduced into, the place its vector of indices names.",
            &[req("data"), req("indices"), req("updates")],
            scatter_nd,
        )
    },
    OpDef {
        attrs: &[int("axis", -2), text("mode", "linear")],
        ..op(
            "TensorScatter",
            "The cache with the update written along `axis`, in each batch from its index on; `circular` goes on at the start.",
            &[req("past_cache"), req("update"), opt("write_indices")],
            tensor_scatter,
        )
    },
];

/// Checks what both have in common.
fn check(cx: &InferCx<'_>) -> Result<(), InferError> {
    cx.need(1)?;
    cx.need(2)?;
    integers(cx, 1)?;
    same_dtype(cx, 0, 2)?;
    match cx.attrs().str("reduction") {
        "none" | "add" | "mul" | "min" | "max" => Ok(()),
        other => fail(format!("`reduction` is `{other}`, expected none, add, mul, min or max")),
    }
}

fn scatter_elements(cx: &InferCx<'_>) -> Facts {
    check(cx)?;
    let ranks =
        [ranked(cx, 0, 1..=MAX_RANK)?, cx.need(1)?.dims(), cx.need(2)?.dims()].map(|d| d.map(<[_]>::len));
    if let Some(rank) = ranks[0] {
        axis(cx.attrs().int("axis"), rank)?;
        if let Some(other) = ranks.into_iter().flatten().find(|r| *r != rank) {
            return fail(format!("the data has rank {rank}, another operand {other}, expected the same"));
        }
    }
    if let (Some(indices), Some(updates)) = (cx.need(1)?.dims(), cx.need(2)?.dims()) {
        agree_all(indices, updates, "extents of indices and updates")?;
    }
    like_first(cx)
}

fn scatter_nd(cx: &InferCx<'_>) -> Facts {
    check(cx)?;
    let (dims, indices) = (ranked(cx, 0, 1..=MAX_RANK)?, ranked(cx, 1, 1..=MAX_RANK)?);
    if let (Some(dims), Some([places @ .., length]), Some(updates)) = (dims, indices, cx.need(2)?.dims())
        && let Some(length) = length.as_fixed()
    {
        let rank = dims.len() as i64;
        if !(1..=rank).contains(&length) {
            return fail(format!("vectors of {length} indices were found, expected 1 to {rank}"));
        }
        let expected = [places, &dims[length as usize..]].concat();
        agree_all(updates, &expected, "extents of the updates and of the slices")?;
    }
    like_first(cx)
}

fn tensor_scatter(cx: &InferCx<'_>) -> Facts {
    cx.need(1)?;
    integers(cx, 2)?;
    same_dtype(cx, 0, 1)?;
    match cx.attrs().str("mode") {
        "linear" | "circular" => {}
        other => return fail(format!("`mode` is `{other}`, expected linear or circular")),
    }
    let (cache, update) = (ranked(cx, 0, 2..=MAX_RANK)?, ranked(cx, 1, 2..=MAX_RANK)?);
    if let Some(cache) = cache {
        let along = axis(cx.attrs().int("axis"), cache.len())?;
        if along == 0 {
            return fail("axis 0 counts batches, expected another one".to_string());
        }
        if let Some(update) = update {
            let mut expected = cache.to_vec();
            expected[along] = update.get(along).cloned().unwrap_or_else(Dim::unknown);
            agree_all(update, &expected, "extents of the update and of the cache")?;
        }
    }
    if let (Some(cache), Some(indices)) = (cache, cx.get(2).and_then(|indices| indices.dims())) {
        agree_all(indices, &cache[..1], "extents of the indices and of the batch")?;
    }
    like_first(cx)
}
