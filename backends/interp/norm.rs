//! Softmax and its kin, and normalisations.
use crate::arith::larger;
use crate::array::{Array, Lanes, axis};
use crate::call::{Call, Eval, EvalError, wrong};
use crate::reduce::{fold_axes, log_sum_exp};
use crate::slide::{channels_back, channels_first};
use weft_ir::ops::window::Layout;
use weft_ir::{DType, Tensor};

type Results = Result<Vec<Tensor>, EvalError>;

/// The functions of this family.
pub(crate) const EVALS: &[(&str, Eval)] = &[
    ("BatchNormalization", batch),
    ("GroupNormalization", |call| channels(call, call.attrs.int("num_groups"))),
    ("Hardmax", |call| along(call, hardmax)),
    ("InstanceNormalization", |call| channels(call, call.need(1)?.len() as i64)),
    ("LRN", near_channels),
    ("LayerNormalization", |call| layer(call, &call.floats(0)?, call.attrs.int("axis"), 1)),
    ("LogSoftmax", |call| along(call, log_softmax)),
    ("LpNormalization", lp),
    ("MeanVarianceNormalization", over_axes),
    ("RMSNormalization", rms),
    ("Softmax", |call| along(call, softmax)),
    ("com.microsoft.SimplifiedLayerNormalization", rms),
    ("com.microsoft.SkipLayerNormalization", |call| skip(call, 4, |call, x| layer(call, x, -1, 2))),
    ("com.microsoft.SkipSimplifiedLayerNormalization", |call| skip(call, 3, skip_rms)),
];

/// Every lane along the attribute `axis` through `f`.
fn along(call: &Call<'_>, f: impl Fn(&mut [f64])) -> Results {
    let mut x = call.floats(0)?;
    let axis = axis(call.attrs.int("axis"), x.dims.len())?;
    each_lane(&mut x, axis, f);
    Ok(vec![x.store(call.dtype(0)?)?])
}

/// Every lane along an axis through `f`.
pub(crate) fn each_lane(x: &mut Array<f64>, axis: usize, f: impl Fn(&mut [f64])) {
    let mut lane_data = Vec::new();
    for lane in Lanes::around(&x.dims, axis).iter() {
        lane_data.clear();
        lane_data.extend(lane.clone().map(|i| x.data[i]));
        f(&mut lane_data);
        lane.zip(&lane_data).for_each(|(i, y)| x.data[i] = *y);
    }
}

/// The exponentials over their sum; where every element is minus infinity, zeros over zero.
pub(crate) fn softmax(lane: &mut [f64]) {
    let most = lane.iter().copied().fold(f64::NEG_INFINITY, larger);
    lane.iter_mut().for_each(|x| *x = (*x - most).exp());
    let sum: f64 = lane.iter().sum();
    lane.iter_mut().for_each(|x| *x /= sum);
}

/// The logarithm of [`softmax`].
pub(crate) fn log_softmax(lane: &mut [f64]) {
    let total = log_sum_exp(lane);
    lane.iter_mut().for_each(|x| *x -= total);
}

fn hardmax(lane: &mut [f64]) {
    let most = lane.iter().copied().fold(f64::NEG_INFINITY, larger);
    let at = lane.iter().position(|x| *x == most);
    lane.iter_mut().enumerate().for_each(|(i, x)| *x = f64::from(u8::from(Some(i) == at)));
}

fn lp(call: &Call<'_>) -> Results {
    let squares = call.attrs.int("p") == 2;
    along(call, |lane| {
        let norm = match squares {
            true => lane.iter().map(|x| x * x).sum::<f64>().sqrt(),
            false => lane.iter().map(|x| x.abs()).sum(),
        };
        lane.iter_mut().for_each(|x| *x = if norm == 0.0 { 0.0 } else { *x / norm });
    })
}

/// Mean and variance of a row.
fn moments(row: &[f64]) -> (f64, f64) {
    let n = row.len() as f64;
    let mean = row.iter().sum::<f64>() / n;
    (mean, row.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n)
}

fn over_axes(call: &Call<'_>) -> Results {
    let x = call.floats(0)?;
    let axes = call.attrs.ints("axes").iter().map(|a| axis(*a, x.dims.len()));
    let axes = axes.collect::<Result<Vec<_>, _>>()?;
    let found = fold_axes(&x, &axes, true, moments);
    let y = x.zip(&found, |x, (mean, variance)| (x - mean) / (variance.sqrt() + 1e-9))?;
    Ok(vec![y.store(call.dtype(0)?)?])
}

/// One number per channel, shaped to broadcast along axis 1.
fn per_channel(call: &Call<'_>, i: usize, rank: usize) -> Result<Array<f64>, EvalError> {
    let array = call.floats(i)?;
    let mut dims = vec![1; rank.saturating_sub(1)];
    match dims.first_mut() {
        Some(first) => *first = array.data.len(),
        None if array.data.len() != 1 => return wrong(format!("operand {i} has more than one channel")),
        None => {}
    }
    array.reshaped(dims)
}

/// Groups of channels brought to mean 0 and variance 1, then scaled and moved by channel.
fn channels(call: &Call<'_>, groups: i64) -> Results {
    let layout = Layout::of(&call.attrs)?;
    let x = channels_first(call.floats(0)?, layout);
    let rank = x.dims.len();
    let (count, groups) = (x.dims.get(1).copied().unwrap_or(0), groups.max(1) as usize);
    if rank < 2 || count % groups != 0 {
        return wrong(format!("{groups} groups do not divide the channels of shape {:?}", x.dims));
    }
    let each = x.data.len().checked_div(x.dims[0] * groups).unwrap_or(0);
    let epsilon = f64::from(call.attrs.float("epsilon"));
    let mut y = x;
    for group in y.data.chunks_exact_mut(each.max(1)) {
        let (mean, variance) = moments(group);
        group.iter_mut().for_each(|x| *x = (*x - mean) / (variance + epsilon).sqrt());
    }
    let scaled = y.zip(&per_channel(call, 1, rank)?, |y, s| y * s)?;
    let moved = scaled.zip(&per_channel(call, 2, rank)?, |y, b| y + b)?;
    Ok(vec![channels_back(moved, layout).store(call.dtype(0)?)?])
}

fn batch(call: &Call<'_>) -> Results {
    let (x, attrs) = (call.floats(0)?, call.attrs);
    let rank = x.dims.len();
    let (mut mean, mut variance) = (per_channel(call, 3, rank)?, per_channel(call, 4, rank)?);
    let mut running = Vec::new();
    if attrs.flag("training_mode") {
        let axes: Vec<usize> = (0..rank).filter(|a| *a != 1).collect();
        let found = fold_axes(&x, &axes, true, moments).reshaped(vec![mean.data.len()])?;
        let momentum = f64::from(attrs.float("momentum"));
        let blend = |old: f64, new: f64| old * momentum + new * (1.0 - momentum);
        running.push(call.floats(3)?.zip(&found, |old, new| blend(old, new.0))?.store(call.dtype(3)?)?);
        running.push(call.floats(4)?.zip(&found, |old, new| blend(old, new.1))?.store(call.dtype(4)?)?);
        mean = found.map(|f| f.0).reshaped(mean.dims)?;
        variance = found.map(|f| f.1).reshaped(variance.dims)?;
    }
    let epsilon = f64::from(attrs.float("epsilon"));
    let centred = x.zip(&mean, |x, mean| x - mean)?;
    let even = centred.zip(&variance, |x, variance| x / (variance + epsilon).sqrt())?;
    let scaled = even.zip(&per_channel(call, 1, rank)?, |y, s| y * s)?;
    let y = scaled.zip(&per_channel(call, 2, rank)?, |y, b| y + b)?;
    Ok([y.store(call.dtype(0)?)?].into_iter().chain(running).collect())
}

fn near_channels(call: &Call<'_>) -> Results {
    let (mut x, attrs) = (call.floats(0)?, call.attrs);
    let [alpha, beta, bias] = ["alpha", "beta", "bias"].map(|name| f64::from(attrs.float(name)));
    let size = attrs.int("size").max(1) as usize;
    let (before, after) = ((size - 1) / 2, size / 2);
    each_lane(&mut x, 1, |lane| {
        let near = |c: usize| c.saturating_sub(before)..(c + after + 1).min(lane.len());
        let squares = |c: usize| lane[near(c)].iter().map(|x| x * x).sum::<f64>();
        let divide = |c: usize| lane[c] / (bias + alpha / size as f64 * squares(c)).powf(beta);
        let result: Vec<f64> = (0..lane.len()).map(divide).collect();
        lane.copy_from_slice(&result);
    });
    Ok(vec![x.store(call.dtype(0)?)?])
}

/// The type statistics are given out in.
fn stash(call: &Call<'_>) -> DType {
    let declared = call.attrs.def.attrs.iter().any(|a| a.name == "stash_type");
    if declared { call.attrs.dtype("stash_type").unwrap_or(DType::F32) } else { DType::F32 }
}

/// The axes from the attribute on.
fn from_axis(x: &Array<f64>, first: i64) -> Result<Vec<usize>, EvalError> {
    Ok((axis(first, x.dims.len())?..x.dims.len()).collect())
}

/// Layer normalisation from an axis on, with bias behind the operand `scale`; also gives mean and
/// inverse deviation.
fn layer(call: &Call<'_>, x: &Array<f64>, first: i64, scale: usize) -> Results {
    let axes = from_axis(x, first)?;
    let epsilon = f64::from(call.attrs.float("epsilon"));
    let found = fold_axes(x, &axes, true, moments).map(|(mean, var)| (mean, (var + epsilon).sqrt().recip()));
    let mut y = x.zip(&found, |x, (mean, inverse)| (x - mean) * inverse)?;
    y = y.zip(&call.floats(scale)?, |y, s| y * s)?;
    if let Some(bias) = call.floats_opt(scale + 1)? {
        y = y.zip(&bias, |y, b| y + b)?;
    }
    let (mean, inverse) = (found.map(|f| f.0), found.map(|f| f.1));
    Ok(vec![y.store(call.dtype(0)?)?, mean.store(stash(call))?, inverse.store(stash(call))?])
}

fn rms_rows(
    call: &Call<'_>,
    x: &Array<f64>,
    first: i64,
    scale: usize,
) -> Result<(Array<f64>, Array<f64>), EvalError> {
    let axes = from_axis(x, first)?;
    let epsilon = f64::from(call.attrs.float("epsilon"));
    let square = |row: &[f64]| row.iter().map(|x| x * x).sum::<f64>() / row.len() as f64;
    let inverse = fold_axes(x, &axes, true, |row| (square(row) + epsilon).sqrt().recip());
    let y = x.zip(&inverse, |x, inverse| x * inverse)?.zip(&call.floats(scale)?, |y, s| y * s)?;
    Ok((y, inverse))
}

fn rms(call: &Call<'_>) -> Results {
    let (y, inverse) = rms_rows(call, &call.floats(0)?, call.attrs.int("axis"), 1)?;
    Ok(vec![y.store(call.dtype(1)?)?, inverse.store(stash(call))?])
}

fn skip_rms(call: &Call<'_>, x: &Array<f64>) -> Results {
    let (y, inverse) = rms_rows(call, x, -1, 2)?;
    let mean = fold_axes(x, &from_axis(x, -1)?, true, |row| moments(row).0);
    Ok(vec![y.store(call.dtype(0)?)?, mean.store(stash(call))?, inverse.store(stash(call))?])
}

/// A normalisation of `input + skip + bias`, which is the fourth result.
fn skip(call: &Call<'_>, bias: usize, f: fn(&Call<'_>, &Array<f64>) -> Results) -> Results {
    let dtype = call.dtype(0)?;
    let mut sum = call.floats(0)?.zip(&call.floats(1)?, |x, skip| x + skip)?;
    if let Some(bias) = call.floats_opt(bias)? {
        sum = sum.zip(&bias, |x, b| x + b)?;
    }
    let mut results = f(call, &sum)?;
    results.push(sum.store(dtype)?);
    Ok(results)
}
