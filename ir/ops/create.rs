//! Operators that make tensors out of nothing but attributes and extents.
use super::extents::{extent, need_vector, own, rank_of_length, ranked, same_dtype, unknown};
use super::rules::{attr, fail, int, op, req, shaped};
use crate::attr::Attr;
use crate::dim::Dim;
use crate::infer::Fact;
use crate::op::{AttrDefault, AttrKind, InferCx, InferError, OpDef};
use crate::types::DType;

type Facts = Result<Vec<Fact>, InferError>;

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
    OpDef {
        attrs: &[attr("value", AttrKind::Tensor, AttrDefault::Absent)],
        ..op(
            "ConstantOfShape",
            "The shape `input` filled with the one element of `value`, or `f32` zeros.",
            &[req("input")],
            constant_of_shape,
        )
    },
    OpDef {
        attrs: &[int("stash_type", 1)],
        ..op(
            "Range",
            "The numbers from `start` to before `limit` in steps of `delta`.",
            &[req("start"), req("limit"), req("delta")],
            range,
        )
    },
    OpDef {
        attrs: &[attr("dtype", AttrKind::Type, AttrDefault::Absent), int("k", 0)],
        ..op(
            "EyeLike",
            "Ones on diagonal `k`, zeros elsewhere, in the shape of the operand.",
            &[req("input")],
            eye_like,
        )
    },
];

fn constant(cx: &InferCx<'_>) -> Facts {
    match cx.node.attrs.get("value") {
        Some(Attr::Tensor(tensor)) => Ok(vec![Fact::constant(tensor)]),
        _ => Err(InferError("attribute `value` holds no tensor".to_string())),
    }
}

fn extents(cx: &InferCx<'_>) -> Facts {
    Ok(vec![Fact::vector(DType::I64, cx.attrs().dims("value").to_vec())])
}

fn constant_of_shape(cx: &InferCx<'_>) -> Facts {
    let fill = match cx.node.attrs.get("value") {
        Some(Attr::Tensor(tensor)) if tensor.len() == 1 => Some(tensor),
        Some(Attr::Tensor(tensor)) => {
            return fail(format!("`value` has {} elements, expected 1", tensor.len()));
        }
        _ => None,
    };
    let dtype = fill.map_or(DType::F32, |t| t.dtype());
    let target = need_vector(cx, 0)?;
    let rank = target.rank()?;
    let Some(dims) = target.value else {
        return Ok(vec![Fact::of(shaped(
            dtype,
            rank.map(|rank| (0..rank).map(|i| own(cx, 0, i)).collect()),
        ))]);
    };
    for dim in &dims {
        extent(dim.clone(), "the result")?;
    }
    let one: Option<Vec<Dim>> =
        fill.and_then(|t| t.to_i64s()).map(|v| v.into_iter().map(Dim::fixed).collect());
    let value = match dims.as_slice() {
        [] => one,
        [n] => one.and_then(|one| super::shape::repeated(&one, n)),
        _ => None,
    };
    rank_of_length(dims.len() as i64)?;
    Ok(vec![Fact::of(shaped(dtype, Some(dims))).with_value(value)])
}

fn range(cx: &InferCx<'_>) -> Facts {
    same_dtype(cx, 0, 1)?;
    same_dtype(cx, 0, 2)?;
    let dtype = cx.need(0)?.dtype();
    let (length, value) = if dtype.is_int() { integer_range(cx)? } else { (float_range(cx)?, None) };
    let dims = vec![length.unwrap_or_else(|| own(cx, 0, 0))];
    Ok(vec![Fact::of(shaped(dtype, Some(dims))).with_value(value)])
}

/// The length of a range of integers, and its elements if they are few.
fn integer_range(cx: &InferCx<'_>) -> Result<(Option<Dim>, Option<Vec<Dim>>), InferError> {
    let of = |i| cx.need(i).map(|fact| fact.value.as_deref().and_then(<[Dim]>::first));
    let (Some(start), Some(limit), Some(delta)) = (of(0)?, of(1)?, of(2)?) else { return Ok((None, None)) };
    let Some(step) = delta.as_fixed() else { return Ok((None, None)) };
    let span = match step {
        0 => return fail("`delta` is 0, expected any other number".to_string()),
        1.. => limit.sub(start),
        _ => start.sub(limit),
    };
    let length = span.div_ceil(&Dim::fixed(step.saturating_abs())).larger(&Dim::fixed(0));
    let value = length.as_fixed().filter(|n| *n <= 64);
    let value = value.map(|n| (0..n).map(|i| start.add(&delta.scale(i))).collect());
    Ok((Some(length), value))
}

/// The length of a range of floats, if they are constants.
fn float_range(cx: &InferCx<'_>) -> Result<Option<Dim>, InferError> {
    let of = |i| cx.need(i).map(|fact| fact.constant.as_ref().and_then(|t| t.as_scalar()));
    let (Some(start), Some(limit), Some(delta)) = (of(0)?, of(1)?, of(2)?) else { return Ok(None) };
    let count = ((limit - start) / delta).ceil().max(0.0);
    if !count.is_finite() {
        return fail(format!("a range from {start} to {limit} in steps of {delta} has no end"));
    }
    Ok(Some(Dim::fixed(count as i64)))
}

fn eye_like(cx: &InferCx<'_>) -> Facts {
    let dtype = cx.attrs().dtype("dtype").unwrap_or(cx.need(0)?.dtype());
    let dims = ranked(cx, 0, 2..=2)?.map_or_else(|| unknown(2), <[Dim]>::to_vec);
    Ok(vec![Fact::of(shaped(dtype, Some(dims)))])
}
