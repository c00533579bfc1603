//! Operators that take many elements together along axes.
use crate::arith::{larger, smaller};
use crate::array::{Array, Lanes, axis, is_float};
use crate::call::{Call, Eval, EvalError};
use crate::number::int_range;
use weft_ir::{DType, Tensor};

type Results = Result<Vec<Tensor>, EvalError>;

/// The functions of this family.
pub(crate) const EVALS: &[(&str, Eval)] = &[
    ("ArgMax", |call| pick(call, |best, x| x > best, |best, x| x > best)),
    ("ArgMin", |call| pick(call, |best, x| x < best, |best, x| x < best)),
    ("CumProd", |call| along(call, 1, |all, x| all * x, i128::wrapping_mul)),
    ("CumSum", |call| along(call, 0, |all, x| all + x, i128::wrapping_add)),
    ("ReduceL1", |call| reduce(call, |row| total(row, f64::abs), |row| int_total(row, i128::abs))),
    ("ReduceL2", |call| {
        reduce(call, l2, |row| int_total(row, |x| x.wrapping_mul(x)).unsigned_abs().isqrt() as i128)
    }),
    ("ReduceLogSum", |call| float_only(call, |row| total(row, |x| x).ln())),
    ("ReduceLogSumExp", |call| float_only(call, log_sum_exp)),
    ("ReduceMax", reduce_max),
    ("ReduceMean", |call| {
        reduce(call, mean, |row| int_total(row, |x| x).checked_div(row.len() as i128).unwrap_or(0))
    }),
    ("ReduceMin", reduce_min),
    ("ReduceProd", |call| {
        reduce(
            call,
            |row| row.iter().product(),
            |row| row.iter().fold(1, |all, x| i128::wrapping_mul(all, *x)),
        )
    }),
    ("ReduceSum", |call| reduce(call, |row| total(row, |x| x), |row| int_total(row, |x| x))),
    ("ReduceSumSquare", |call| {
        reduce(call, |row| total(row, |x| x * x), |row| int_total(row, |x| x.wrapping_mul(x)))
    }),
];

fn total(row: &[f64], f: fn(f64) -> f64) -> f64 {
    row.iter().map(|x| f(*x)).sum()
}

fn int_total(row: &[i128], f: fn(i128) -> i128) -> i128 {
    row.iter().fold(0, |sum, x| i128::wrapping_add(sum, f(*x)))
}

fn l2(row: &[f64]) -> f64 {
    total(row, |x| x * x).sqrt()
}

fn mean(row: &[f64]) -> f64 {
    total(row, |x| x) / row.len() as f64
}

/// The logarithm of the sum of the exponentials, taken from the largest so that nothing overflows.
pub(crate) fn log_sum_exp(row: &[f64]) -> f64 {
    let most = row.iter().copied().fold(f64::NEG_INFINITY, larger);
    if most.is_infinite() {
        return most;
    }
    row.iter().map(|x| (x - most).exp()).sum::<f64>().ln() + most
}

/// The axes of a reduction, sorted.
fn axes_of(call: &Call<'_>, rank: usize) -> Result<Vec<usize>, EvalError> {
    let given = call.list_opt(1)?.unwrap_or_default();
    if given.is_empty() {
        let all = if call.attrs.flag("noop_with_empty_axes") { 0 } else { rank };
        return Ok((0..all).collect());
    }
    let mut axes: Vec<usize> = given.into_iter().map(|a| axis(a, rank)).collect::<Result<_, _>>()?;
    axes.sort_unstable();
    axes.dedup();
    Ok(axes)
}

/// Every set of elements that is taken together, through `f`.
pub(crate) fn fold_axes<T: Copy, U: Copy>(
    array: &Array<T>,
    axes: &[usize],
    keep: bool,
    f: impl Fn(&[T]) -> U,
) -> Array<U> {
    let (reduced, kept): (Vec<usize>, Vec<usize>) = (0..array.dims.len()).partition(|a| axes.contains(a));
    let order: Vec<usize> = kept.iter().chain(&reduced).copied().collect();
    let length: usize = reduced.iter().map(|a| array.dims[*a]).product();
    let count: usize = kept.iter().map(|a| array.dims[*a]).product();
    let rows = array.transposed(&order).data;
    let data = (0..count).map(|i| f(&rows[i * length..][..length])).collect();
    let dims = match keep {
        true => (0..array.dims.len()).map(|a| if axes.contains(&a) { 1 } else { array.dims[a] }).collect(),
        false => kept.iter().map(|a| array.dims[*a]).collect(),
    };
    Array::new(dims, data)
}

fn reduce(call: &Call<'_>, floats: impl Fn(&[f64]) -> f64, ints: impl Fn(&[i128]) -> i128) -> Results {
    let data = call.need(0)?;
    let axes = axes_of(call, data.dims().len())?;
    let keep = call.attrs.flag("keepdims");
    Ok(vec![match is_float(data.dtype()) {
        true => fold_axes(&call.floats(0)?, &axes, keep, floats).store(data.dtype())?,
        false => fold_axes(&call.ints(0)?, &axes, keep, ints).store(data.dtype())?,
    }])
}

fn float_only(call: &Call<'_>, f: fn(&[f64]) -> f64) -> Results {
    reduce(call, f, |row| f(&row.iter().map(|x| *x as f64).collect::<Vec<_>>()) as i128)
}

fn reduce_max(call: &Call<'_>) -> Results {
    let (lowest, _) = if is_float(call.dtype(0)?) { (0, 0) } else { int_range(call.dtype(0)?) };
    let most = |row: &[f64]| row.iter().copied().fold(f64::NEG_INFINITY, larger);
    reduce(call, most, |row| row.iter().copied().max().unwrap_or(lowest))
}

fn reduce_min(call: &Call<'_>) -> Results {
    let (_, highest) = if is_float(call.dtype(0)?) { (0, 0) } else { int_range(call.dtype(0)?) };
    let least = |row: &[f64]| row.iter().copied().fold(f64::INFINITY, smaller);
    reduce(call, least, |row| row.iter().copied().min().unwrap_or(highest))
}

fn pick(call: &Call<'_>, floats: fn(f64, f64) -> bool, ints: fn(i128, i128) -> bool) -> Results {
    let (data, attrs) = (call.need(0)?, call.attrs);
    let along = [axis(attrs.int("axis"), data.dims().len())?];
    if data.dims()[along[0]] == 0 {
        return crate::call::wrong("an axis of extent 0 has no largest or smallest element");
    }
    let (keep, last) = (attrs.flag("keepdims"), attrs.flag("select_last_index"));
    let picked = match is_float(data.dtype()) {
        true => fold_axes(&call.floats(0)?, &along, keep, |row| best(row, last, floats)),
        false => fold_axes(&call.ints(0)?, &along, keep, |row| best(row, last, ints)),
    };
    Ok(vec![picked.store(DType::I64)?])
}

/// The position of the element that none beats; the first or the last of several.
fn best<T: Copy + PartialEq>(row: &[T], last: bool, beats: fn(T, T) -> bool) -> i128 {
    let mut at = 0;
    for (i, x) in row.iter().enumerate() {
        if beats(row[at], *x) || (last && *x == row[at]) {
            at = i;
        }
    }
    at as i128
}

fn along(call: &Call<'_>, start: i128, floats: fn(f64, f64) -> f64, ints: fn(i128, i128) -> i128) -> Results {
    let x = call.need(0)?;
    let (x_dims, dtype) = (crate::array::extents(x), x.dtype());
    let along = call.list(1)?.first().copied().unwrap_or(0);
    let lanes = Lanes::around(&x_dims, axis(along, x_dims.len())?);
    Ok(vec![match is_float(dtype) {
        true => accumulate(call, call.floats(0)?, lanes, (start as f64, floats)).store(dtype)?,
        false => accumulate(call, call.ints(0)?, lanes, (start, ints)).store(dtype)?,
    }])
}

fn accumulate<T: Copy>(
    call: &Call<'_>,
    mut array: Array<T>,
    lanes: Lanes,
    (start, f): (T, fn(T, T) -> T),
) -> Array<T> {
    let (exclusive, reverse) = (call.attrs.flag("exclusive"), call.attrs.flag("reverse"));
    for lane in lanes.iter() {
        let mut offsets: Vec<usize> = lane.collect();
        if reverse {
            offsets.reverse();
        }
        let mut all = start;
        for offset in offsets {
            let next = f(all, array.data[offset]);
            array.data[offset] = if exclusive { all } else { next };
            all = next;
        }
    }
    array
}
