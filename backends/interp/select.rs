//! Choices of elements, in number decided by their values.
use crate::array::{Array, Elements, Lanes, axis, extents, is_float};
use crate::call::{Call, Eval, EvalError};
use crate::place::{facts, result_dims};
use std::cmp::Ordering;
use weft_ir::{DType, Tensor};

type Results = Result<Vec<Tensor>, EvalError>;

/// The functions of this family.
pub(crate) const EVALS: &[(&str, Eval)] = &[("NonZero", non_zero), ("TopK", top_k), ("Unique", unique)];

fn indices(dims: Vec<usize>, data: Vec<usize>) -> Result<Tensor, EvalError> {
    Array::new(dims, data).map(|i| i as i128).store(DType::I64)
}

/// Whether each element is anything but zero.
fn truths(x: &Tensor) -> Result<Vec<bool>, EvalError> {
    Ok(match x.dtype() {
        DType::String => x.texts().iter().map(|t| !t.is_empty()).collect(),
        dtype if is_float(dtype) => Array::floats(x)?.data.into_iter().map(|x| x != 0.0).collect(),
        _ => Array::ints(x)?.data.into_iter().map(|x| x != 0).collect(),
    })
}

fn non_zero(call: &Call<'_>) -> Results {
    let x = call.need(0)?;
    let mut dims = extents(x);
    if dims.is_empty() {
        dims.push(1);
    }
    let found: Vec<usize> = truths(x)?.iter().enumerate().filter(|(_, t)| **t).map(|(i, _)| i).collect();
    let steps = crate::array::strides(&dims);
    let mut columns = Vec::with_capacity(dims.len() * found.len());
    for (extent, step) in dims.iter().zip(&steps) {
        columns.extend(found.iter().map(|i| i / step % extent));
    }
    Ok(vec![indices(vec![dims.len(), found.len()], columns)?])
}

/// Elements as keys that are ordered as numbers (or texts) are, NaN last.
enum Keys {
    Floats(Vec<f64>),
    Ints(Vec<i128>),
    Texts(Vec<String>),
}

impl Keys {
    fn of(x: &Tensor) -> Result<Self, EvalError> {
        Ok(match x.dtype() {
            DType::String => Keys::Texts(x.texts().to_vec()),
            dtype if is_float(dtype) => Keys::Floats(Array::floats(x)?.data),
            _ => Keys::Ints(Array::ints(x)?.data),
        })
    }

    fn compare(&self, a: usize, b: usize) -> Ordering {
        match self {
            Keys::Floats(x) => match (x[a].is_nan(), x[b].is_nan()) {
                (false, false) => x[a].partial_cmp(&x[b]).unwrap_or(Ordering::Equal),
                (a, b) => a.cmp(&b),
            },
            Keys::Ints(x) => x[a].cmp(&x[b]),
            Keys::Texts(x) => x[a].cmp(&x[b]),
        }
    }
}

fn top_k(call: &Call<'_>) -> Results {
    let dims = result_dims(call)?;
    let x = call.need(0)?;
    let along = axis(call.attrs.int("axis"), dims.len())?;
    let (keys, count) = (Keys::of(x)?, dims[along]);
    let largest = call.attrs.flag("largest");
    let (lanes, out) = (Lanes::around(&extents(x), along), Lanes::around(&dims, along));
    let mut from = vec![0; dims.iter().product()];
    let mut found = from.clone();
    for (lane, target) in lanes.iter().zip(out.iter()) {
        let offsets: Vec<usize> = lane.collect();
        let mut order: Vec<usize> = (0..offsets.len()).collect();
        // A stable sort keeps the first of equals first.
        order.sort_by(|a, b| match keys.compare(offsets[*a], offsets[*b]) {
            ordering if largest => ordering.reverse(),
            ordering => ordering,
        });
        for (place, index) in target.zip(order.into_iter().take(count)) {
            (from[place], found[place]) = (offsets[index], index);
        }
    }
    let values = Elements::of(x).pick(from.into_iter()).store(&dims)?;
    Ok(vec![values, indices(dims, found)?])
}

/// What Unique found: for each element of the result where it stood first and how often, and for
/// each element of the operand which of these it is.
struct Distinct {
    first: Vec<usize>,
    counts: Vec<usize>,
    which: Vec<usize>,
}

impl Distinct {
    /// Of `count` things, compared by `compare`.
    fn of(count: usize, compare: impl Fn(usize, usize) -> Ordering, sorted: bool) -> Self {
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by(|a, b| compare(*a, *b).then(a.cmp(b)));
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for i in order {
            match groups.last_mut().filter(|group| compare(group[0], i).is_eq()) {
                Some(group) => group.push(i),
                None => groups.push(vec![i]),
            }
        }
        if !sorted {
            groups.sort_by_key(|group| group[0]);
        }
        let mut which = vec![0; count];
        for (number, group) in groups.iter().enumerate() {
            group.iter().for_each(|i| which[*i] = number);
        }
        let first = groups.iter().map(|group| group[0]).collect();
        Self { first, counts: groups.iter().map(Vec::len).collect(), which }
    }
}

fn unique(call: &Call<'_>) -> Results {
    facts(call)?;
    let x = call.need(0)?;
    let (mut dims, along) = match call.attrs.int_opt("axis") {
        Some(at) => (extents(x), axis(at, x.dims().len())?),
        None => (vec![x.len() as usize], 0),
    };
    let (keys, lanes) = (Keys::of(x)?, Lanes::around(&dims, along));
    let offset = |outer: usize, i: usize, inner: usize| (outer * lanes.len + i) * lanes.inner + inner;
    let places = || (0..lanes.outer).flat_map(|o| (0..lanes.inner).map(move |i| (o, i)));
    let compare = |a: usize, b: usize| {
        let mut orders = places().map(|(o, i)| keys.compare(offset(o, a, i), offset(o, b, i)));
        orders.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    };
    let Distinct { first, counts, which } = Distinct::of(lanes.len, compare, call.attrs.flag("sorted"));
    let elements = Elements::of(x);
    let mut values = Elements::none(x.dtype());
    for outer in 0..lanes.outer {
        first.iter().for_each(|i| values.push_run(&elements, offset(outer, *i, 0), lanes.inner));
    }
    dims[along] = first.len();
    let n = first.len();
    Ok(vec![
        values.store(&dims)?,
        indices(vec![n], first)?,
        indices(vec![lanes.len], which)?,
        indices(vec![n], counts)?,
    ])
}
