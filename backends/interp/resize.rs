//! Resize: each axis is a sum of neighbours with weights.
use crate::array::{Array, Elements, Lanes, extents};
use crate::call::{Call, Eval, EvalError, wrong};
use crate::place::result_dims;
use weft_ir::Tensor;
use weft_ir::ops::resize::{kept_scale, resized_axes};
use weft_ir::ops::window::Layout;

/// The functions of this family.
pub(crate) const EVALS: &[(&str, Eval)] = &[("Resize", resize)];

/// How one axis is sampled anew.
struct Axis {
    from: usize,
    to: usize,
    scale: f32,
    roi: (f32, f32),
}

impl Axis {
    /// Where element `i` of the result lies in the operand. 32-bit floats, as everyone does it:
    /// which neighbour is nearest hangs on the rounding.
    fn source(&self, mode: &str, i: usize) -> f32 {
        let (x, from, to) = (i as f32, self.from as f32, self.to as f32);
        let half_pixel = (x + 0.5) / self.scale - 0.5;
        match mode {
            "half_pixel_symmetric" => {
                let adjustment = to / (self.scale * from);
                from / 2.0 * (1.0 - adjustment) + (x + 0.5) / self.scale - 0.5
            }
            "pytorch_half_pixel" if self.to <= 1 => 0.0,
            "align_corners" if self.to <= 1 => 0.0,
            "align_corners" => x * (from - 1.0) / (to - 1.0),
            "asymmetric" => x / self.scale,
            "tf_crop_and_resize" if self.to <= 1 => 0.5 * (self.roi.0 + self.roi.1) * (from - 1.0),
            "tf_crop_and_resize" => {
                self.roi.0 * (from - 1.0) + x * (self.roi.1 - self.roi.0) * (from - 1.0) / (to - 1.0)
            }
            _ => half_pixel,
        }
    }
}

/// What an element of the result is made of along one axis; `None` outside of a cropped operand.
type Taps = Option<Vec<(usize, f64)>>;

fn taps(call: &Call<'_>, axis: &Axis, i: usize) -> Taps {
    let coordinates = call.attrs.str("coordinate_transformation_mode");
    let x = axis.source(coordinates, i);
    let last = axis.from as i64 - 1;
    if coordinates == "tf_crop_and_resize" && !(0.0..=last as f32).contains(&x) {
        return None;
    }
    let clamped = |i: i64| i.clamp(0, last) as usize;
    if call.attrs.str("mode") == "nearest" {
        return Some(vec![(clamped(nearest(call.attrs.str("nearest_mode"), x)), 1.0)]);
    }
    let low = x.floor();
    let weights = weights(call, f64::from(x - low), f64::from(axis.scale));
    let start = low as i64 + 1 - weights.len() as i64 / 2;
    let mut taps: Vec<(i64, f64)> = (start..).zip(weights).collect();
    if call.attrs.flag("exclude_outside") {
        taps.retain(|(i, _)| (0..=last).contains(i));
        let sum: f64 = taps.iter().map(|(_, w)| w).sum();
        taps.iter_mut().for_each(|(_, w)| *w /= sum);
    }
    Some(taps.into_iter().map(|(i, w)| (clamped(i), w)).collect())
}

fn nearest(mode: &str, x: f32) -> i64 {
    (match mode {
        "floor" => x.floor(),
        "ceil" => x.ceil(),
        "round_prefer_ceil" => (x + 0.5).floor(),
        _ if x.fract().abs() == 0.5 => x.floor(),
        _ => x.round(),
    }) as i64
}

/// The weights of an even number of neighbours; `ratio` is how far behind the middle left one the
/// place lies.
fn weights(call: &Call<'_>, ratio: f64, scale: f64) -> Vec<f64> {
    let cubic = call.attrs.str("mode") == "cubic";
    let a = f64::from(call.attrs.float("cubic_coeff_a"));
    let reach = if cubic { 2.0 } else { 1.0 };
    // Downwards, antialiasing makes the filter as wide as the elements of the result.
    let shrink = if call.attrs.flag("antialias") { scale.min(1.0) } else { 1.0 };
    let first = (-reach / shrink).floor() as i64 + 1;
    let filter = |x: f64| if cubic { cubic_filter(x.abs(), a) } else { (1.0 - x.abs()).clamp(0.0, 1.0) };
    let mut weights: Vec<f64> = (first..2 - first).map(|i| filter((i as f64 - ratio) * shrink)).collect();
    if shrink < 1.0 {
        let sum: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|w| *w /= sum);
    }
    weights
}

fn cubic_filter(x: f64, a: f64) -> f64 {
    if x <= 1.0 {
        ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a
    } else {
        0.0
    }
}

/// The axes of the operand that are resized, with how.
fn axes(call: &Call<'_>, dims: &[usize]) -> Result<Vec<(usize, Axis)>, EvalError> {
    let x = extents(call.need(0)?);
    let layout = Layout::of(&call.attrs)?;
    let places = resized_axes(&call.attrs, x.len())?;
    let roi: Vec<f32> =
        call.floats_opt(1)?.map_or(Vec::new(), |r| r.data.iter().map(|x| *x as f32).collect());
    let scales = match call.floats_opt(2)? {
        Some(scales) => scales.data.iter().map(|s| *s as f32).collect(),
        None => {
            let from: Vec<i64> = places.iter().map(|a| x[layout.place(*a, x.len())] as i64).collect();
            kept_scale(call.attrs.str("keep_aspect_ratio_policy"), &call.list(3)?, &from)
        }
    };
    if scales.len() != places.len() {
        return wrong(format!("`scales` has {} entries, expected {}", scales.len(), places.len()));
    }
    let n = places.len();
    let axis = |(i, (place, scale)): (usize, (usize, f32))| {
        let at = layout.place(place, x.len());
        let roi = (roi.get(i).copied().unwrap_or(0.0), roi.get(n + i).copied().unwrap_or(1.0));
        (at, Axis { from: x[at], to: dims[at], scale, roi })
    };
    Ok(places.into_iter().zip(scales).enumerate().map(axis).collect())
}

fn resize(call: &Call<'_>) -> Result<Vec<Tensor>, EvalError> {
    let dims = result_dims(call)?;
    let axes = axes(call, &dims)?;
    if axes.iter().any(|(_, axis)| axis.from == 0 && axis.to > 0) {
        return wrong("an axis without elements cannot be resized");
    }
    let dtype = call.dtype(0)?;
    if call.attrs.str("mode") == "nearest"
        && call.attrs.str("coordinate_transformation_mode") != "tf_crop_and_resize"
    {
        return Ok(vec![pick_nearest(call, &axes, &dims)?]);
    }
    let mut y = call.floats(0)?;
    let mut outside = vec![false; y.data.len()];
    for (at, axis) in &axes {
        let all: Vec<Taps> = (0..axis.to).map(|i| taps(call, axis, i)).collect();
        if axis.from == axis.to && all.iter().enumerate().all(|(i, t)| t.as_deref() == Some(&[(i, 1.0)])) {
            continue;
        }
        (y, outside) = along(&y, &outside, *at, &all);
    }
    let fill = f64::from(call.attrs.float("extrapolation_value"));
    y.data.iter_mut().zip(outside).filter(|(_, o)| *o).for_each(|(v, _)| *v = fill);
    // Integers are cut, as a cast does it, but do not wrap.
    if !dtype.is_float() {
        let (low, high) = crate::number::int_range(dtype);
        y.data.iter_mut().for_each(|v| *v = v.clamp(low as f64, high as f64));
    }
    Ok(vec![y.store(dtype)?])
}

/// One axis after another, moving elements of any type.
fn pick_nearest(call: &Call<'_>, axes: &[(usize, Axis)], dims: &[usize]) -> Result<Tensor, EvalError> {
    let x = call.need(0)?;
    let (mut elements, mut now) = (Elements::of(x), extents(x));
    for (at, axis) in axes {
        let lanes = Lanes::around(&now, *at);
        let mut next = Elements::none(x.dtype());
        for outer in 0..lanes.outer {
            for i in 0..axis.to {
                let from = taps(call, axis, i).map_or(0, |taps| taps[0].0);
                next.push_run(&elements, (outer * lanes.len + from) * lanes.inner, lanes.inner);
            }
        }
        (elements, now[*at]) = (next, axis.to);
    }
    elements.store(dims)
}

/// One axis sampled anew; `outside` marks what lies beyond a cropped operand.
fn along(x: &Array<f64>, outside: &[bool], at: usize, all: &[Taps]) -> (Array<f64>, Vec<bool>) {
    let lanes = Lanes::around(&x.dims, at);
    let mut dims = x.dims.clone();
    dims[at] = all.len();
    let count = dims.iter().product();
    let (mut data, mut beyond) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for outer in 0..lanes.outer {
        for taps in all {
            for inner in 0..lanes.inner {
                let offset = |i: usize| (outer * lanes.len + i) * lanes.inner + inner;
                let taps = taps.as_deref().unwrap_or(&[]);
                data.push(taps.iter().map(|(i, w)| x.data[offset(*i)] * w).sum());
                beyond.push(taps.is_empty() || taps.iter().any(|(i, _)| outside[offset(*i)]));
            }
        }
    }
    (Array::new(dims, data), beyond)
}
