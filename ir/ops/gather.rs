//! Operators that pick elements by index.
use super::extents::{MAX_RANK, agree, agree_all, integers, own, rank_of_length, ranked, single, unknown};
use super::rules::{attr, axis, fail, int, op, req, shaped};
use crate::dim::Dim;
use crate::infer::Fact;
use crate::op::{AttrDefault, AttrKind, InferCx, InferError, OpDef};
use crate::types::DType;

type Facts = Result<Vec<Fact>, InferError>;

/// The table.
pub(crate) const OPS: &[OpDef] = &[
    OpDef {
        attrs: &[int("axis", 0)],
        ..op(
            "Gather",
            "Slices of the data along `axis`, one for each index.",
            &[req("data"), req("indices")],
            gather,
        )
    },
    OpDef {
        attrs: &[int("axis", 0)],
        ..op(
            "GatherElements",
            "For each index, the element of the data there along `axis` and at its own place elsewhere.",
            &[req("data"), req("indices")],
            gather_elements,
        )
    },
    OpDef {
        attrs: &[int("batch_dims", 0)],
        ..op(
            "GatherND",
            "For each vector of indices, the slice of the data it names.",
            &[req("data"), req("indices")],
            gather_nd,
        )
    },
    OpDef {
        attrs: &[int("axis", -1)],
        ..op(
            "OneHot",
            "For each index a vector along `axis` of off values with one on value.",
            &[req("indices"), req("depth"), req("values")],
            one_hot,
        )
    },
    OpDef {
        attrs: &[attr("axis", AttrKind::Int, AttrDefault::Absent)],
        ..op(
            "Compress",
            "The slices along `axis`, or elements, where the condition is true.",
            &[req("input"), req("condition")],
            compress,
        )
    },
];

fn gather(cx: &InferCx<'_>) -> Facts {
    let x = cx.need(0)?;
    cx.need(1)?;
    integers(cx, 1)?;
    let (Some(dims), Some(picked)) = (ranked(cx, 0, 1..=MAX_RANK)?, cx.need(1)?.dims()) else {
        return Ok(vec![Fact::of(shaped(x.dtype(), None))]);
    };
    let at = axis(cx.attrs().int("axis"), dims.len())?;
    let result = [&dims[..at], picked, &dims[at + 1..]].concat();
    rank_of_length(result.len() as i64)?;
    let indices = cx.need(1)?.ints();
    if let (Some(list), Some(n)) = (&indices, dims[at].as_fixed())
        && let Some(bad) = list.iter().find(|i| !(-n..n).contains(*i))
    {
        return fail(format!("index {bad} is outside axis {at} of extent {n}"));
    }
    let value = x.value.as_ref().zip(indices).and_then(|(value, list)| pick(value, &list));
    Ok(vec![Fact::of(shaped(x.dtype(), Some(result))).with_value(value)])
}

fn pick(value: &[Dim], indices: &[i64]) -> Option<Vec<Dim>> {
    let n = value.len() as i64;
    indices
        .iter()
        .map(|i| value.get(usize::try_from(if *i < 0 { *i + n } else { *i }).ok()?).cloned())
        .collect()
}

fn gather_elements(cx: &InferCx<'_>) -> Facts {
    let x = cx.need(0)?;
    cx.need(1)?;
    integers(cx, 1)?;
    let dims = ranked(cx, 0, 1..=MAX_RANK)?;
    let picked = cx.need(1)?.dims();
    if let (Some(dims), Some(picked)) = (dims, picked) {
        axis(cx.attrs().int("axis"), dims.len())?;
        if dims.len() != picked.len() {
            return fail(format!(
                "the data has rank {} and the indices {}, expected the same",
                dims.len(),
                picked.len()
            ));
        }
    }
    let result = picked.map(<[Dim]>::to_vec).or_else(|| dims.map(|d| unknown(d.len())));
    Ok(vec![Fact::of(shaped(x.dtype(), result))])
}

fn gather_nd(cx: &InferCx<'_>) -> Facts {
    let x = cx.need(0)?;
    cx.need(1)?;
    integers(cx, 1)?;
    let (dims, picked) = (ranked(cx, 0, 1..=MAX_RANK)?, ranked(cx, 1, 1..=MAX_RANK)?);
    let (Some(dims), Some(picked)) = (dims, picked) else {
        return Ok(vec![Fact::of(shaped(x.dtype(), None))]);
    };
    let batch = cx.attrs().int("batch_dims");
    let most = dims.len().min(picked.len()) as i64 - 1;
    if !(0..=most).contains(&batch) {
        return fail(format!("`batch_dims` is {batch}, expected 0 to {most}"));
    }
    let batch = batch as usize;
    let mut result = agree_all(&dims[..batch], &picked[..batch], "the batch extents")?;
    result.extend_from_slice(&picked[batch..picked.len() - 1]);
    let Some(length) = picked[picked.len() - 1].as_fixed() else {
        return Ok(vec![Fact::of(shaped(x.dtype(), None))]);
    };
    let room = (dims.len() - batch) as i64;
    if !(1..=room).contains(&length) {
        return fail(format!("vectors of {length} indices were found, expected 1 to {room}"));
    }
    result.extend_from_slice(&dims[batch + length as usize..]);
    rank_of_length(result.len() as i64)?;
    Ok(vec![Fact::of(shaped(x.dtype(), Some(result)))])
}

fn one_hot(cx: &InferCx<'_>) -> Facts {
    let dtype = cx.need(2)?.dtype();
    if let Some([length]) = ranked(cx, 2, 1..=1)? {
        agree(length, &Dim::fixed(2), "the length of `values` and the 2 expected")?;
    }
    let Some(indices) = cx.need(0)?.dims() else { return Ok(vec![Fact::of(shaped(dtype, None))]) };
    let rank = rank_of_length(indices.len() as i64 + 1)?;
    let at = axis(cx.attrs().int("axis"), rank)?;
    let constant = cx.need(1)?.constant.as_ref().and_then(|t| t.as_scalar());
    let depth = match cx.need(1)?.dtype() {
        DType::I32 | DType::I64 => single(cx, 1)?,
        _ => constant.map(|depth| Dim::fixed(depth as i64)),
    };
    let mut result = indices.to_vec();
    result.insert(at, depth.map_or_else(|| Ok(own(cx, 0, at)), |d| super::extents::extent(d, "the depth"))?);
    Ok(vec![Fact::of(shaped(dtype, Some(result)))])
}

fn compress(cx: &InferCx<'_>) -> Facts {
    let x = cx.need(0)?;
    let dims = ranked(cx, 0, 1..=MAX_RANK)?;
    ranked(cx, 1, 1..=1)?;
    if cx.need(1)?.dtype() != DType::Bool {
        return fail(format!("the condition has type {}, expected bool", cx.need(1)?.dtype()));
    }
    let Some(at) = cx.attrs().int_opt("axis") else {
        return Ok(vec![Fact::of(shaped(x.dtype(), Some(vec![own(cx, 0, 0)])))]);
    };
    let Some(dims) = dims else { return Ok(vec![Fact::of(shaped(x.dtype(), None))]) };
    let at = axis(at, dims.len())?;
    let mut result = dims.to_vec();
    result[at] = own(cx, 0, at);
    Ok(vec![Fact::of(shaped(x.dtype(), Some(result)))])
}
