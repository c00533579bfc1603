//! Resize.
use super::extents::{axes, extent, integers, own, ranked, vector};
use super::rules::{fail, float, int, ints, op, opt, req, shaped, text};
use super::vision::one_of;
use super::window::Layout;
use crate::dim::Dim;
use crate::infer::Fact;
use crate::op::{Attrs, InferCx, InferError, OpDef};
use crate::types::DType;

type Facts = Result<Vec<Fact>, InferError>;

/// The table.
pub(crate) const OPS: &[OpDef] = &[OpDef {
    attrs: &[
        int("antialias", 0),
        ints("axes"),
        text("coordinate_transformation_mode", "half_pixel"),
        float("cubic_coeff_a", -0.75),
        int("exclude_outside", 0),
        float("extrapolation_value", 0.0),
        text("keep_aspect_ratio_policy", "stretch"),
        text("layout", "nchw"),
        text("mode", "nearest"),
        text("nearest_mode", "round_prefer_floor"),
    ],
    ..op(
        "Resize",
        "The operand sampled anew along `axes`, by `scales` or to `sizes`; in layout nhwc, these and `roi` still speak of nchw.",
        &[req("X"), opt("roi"), opt("scales"), opt("sizes")],
        resize,
    )
}];

const COORDINATES: &[&str] = &[
    "half_pixel",
    "half_pixel_symmetric",
    "pytorch_half_pixel",
    "align_corners",
    "asymmetric",
    "tf_crop_and_resize",
];

fn check(cx: &InferCx<'_>) -> Result<(), InferError> {
    one_of(cx, "coordinate_transformation_mode", COORDINATES)?;
    one_of(cx, "mode", &["nearest", "linear", "cubic"])?;
    one_of(cx, "nearest_mode", &["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"])?;
    one_of(cx, "keep_aspect_ratio_policy", &["stretch", "not_larger", "not_smaller"])?;
    if cx.attrs().str("coordinate_transformation_mode") == "tf_crop_and_resize" && cx.get(1).is_none() {
        return fail("`roi` is missing, which tf_crop_and_resize takes".to_string());
    }
    match (cx.get(2), cx.get(3)) {
        (Some(_), Some(_)) => fail("both `scales` and `sizes` are given, expected one".to_string()),
        (None, None) => fail("neither `scales` nor `sizes` is given, expected one".to_string()),
        _ => Ok(()),
    }
}

/// The axes that are resized, in a tensor of that rank.
pub fn resized_axes(attrs: &Attrs<'_>, rank: usize) -> Result<Vec<usize>, InferError> {
    match attrs.ints_opt("axes") {
        Some(list) if !list.is_empty() => axes(list, rank),
        _ => Ok((0..rank).collect()),
    }
}

fn resize(cx: &InferCx<'_>) -> Facts {
    check(cx)?;
    let x = cx.need(0)?;
    let layout = Layout::of(&cx.attrs())?;
    let Some(dims) = x.dims() else { return Ok(vec![Fact::of(shaped(x.dtype(), None))]) };
    if layout == Layout::Last {
        ranked(cx, 0, 3..=super::extents::MAX_RANK)?;
    }
    let places = resized_axes(&cx.attrs(), dims.len())?;
    let mut result = dims.to_vec();
    let place = |axis| layout.place(axis, dims.len());
    let from: Vec<Dim> = places.iter().map(|a| dims[place(*a)].clone()).collect();
    let to = if cx.get(3).is_some() { by_sizes(cx, &from)? } else { by_scales(cx, &from)? };
    for (axis, new) in places.into_iter().zip(to) {
        let at = place(axis);
        result[at] = new.unwrap_or_else(|| own(cx, 0, at));
    }
    Ok(vec![Fact::of(shaped(x.dtype(), Some(result)))])
}

fn by_sizes(cx: &InferCx<'_>, from: &[Dim]) -> Result<Vec<Option<Dim>>, InferError> {
    integers(cx, 3)?;
    let sizes = vector(cx, 3)?.unwrap_or_default();
    if sizes.length.is_some_and(|n| n != from.len()) {
        return fail(format!("`sizes` has {} entries, expected {}", sizes.length.unwrap_or(0), from.len()));
    }
    let Some(sizes) = sizes.value else { return Ok(vec![None; from.len()]) };
    let policy = cx.attrs().str("keep_aspect_ratio_policy");
    if policy == "stretch" {
        return sizes.into_iter().map(|d| extent(d, "the result").map(Some)).collect();
    }
    match super::extents::numbers(&sizes).zip(super::extents::numbers(from)) {
        Some((sizes, from)) => {
            Ok(kept_aspect(policy, &sizes, &from).into_iter().map(|d| Some(Dim::fixed(d))).collect())
        }
        None => Ok(vec![None; from.len()]),
    }
}

/// The scale of each axis whose extents are to become `sizes`.
pub fn kept_scale(policy: &str, sizes: &[i64], from: &[i64]) -> Vec<f32> {
    let scales = sizes.iter().zip(from).map(|(s, f)| *s as f32 / *f as f32);
    let scale = match policy {
        "not_larger" => scales.fold(f32::INFINITY, f32::min),
        "not_smaller" => scales.fold(0.0, f32::max),
        _ => return scales.collect(),
    };
    vec![scale; from.len()]
}

/// The extents nearest to `sizes` that are all the same multiple of `from`; half a pixel rounds up.
fn kept_aspect(policy: &str, sizes: &[i64], from: &[i64]) -> Vec<i64> {
    let scales = kept_scale(policy, sizes, from);
    from.iter().zip(scales).map(|(f, scale)| (scale * *f as f32 + 0.5).floor() as i64).collect()
}

fn by_scales(cx: &InferCx<'_>, from: &[Dim]) -> Result<Vec<Option<Dim>>, InferError> {
    let fact = cx.need(2)?;
    if fact.dtype() != DType::F32 {
        return fail(format!("`scales` has type {}, expected f32", fact.dtype()));
    }
    let Some(scales) = fact.constant.as_ref().and_then(|t| t.to_vec::<f32>()) else {
        return Ok(vec![None; from.len()]);
    };
    if scales.len() != from.len() {
        return fail(format!("`scales` has {} entries, expected {}", scales.len(), from.len()));
    }
    if let Some(bad) = scales.iter().find(|s| !(**s > 0.0 && s.is_finite())) {
        return fail(format!("`scales` holds {bad}, expected a number above 0"));
    }
    Ok(from.iter().zip(scales).map(|(d, s)| scaled(d, s)).collect())
}

/// An extent times a scale, rounded down as 32-bit floats do it.
fn scaled(dim: &Dim, scale: f32) -> Option<Dim> {
    if let Some(extent) = dim.as_fixed() {
        return Some(Dim::fixed((extent as f32 * scale).floor() as i64));
    }
    // A symbolic extent is exact if the scale is a fraction of small powers of two.
    let parts = [1.0f32, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];
    let exact = parts.into_iter().find(|p| (scale * p).fract() == 0.0 && scale * p < 65536.0)?;
    Some(dim.scale((scale * exact) as i64).div_floor(&Dim::fixed(exact as i64)))
}
