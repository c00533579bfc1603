//! Elements picked by index.
use crate::array::{Array, Elements, Lanes, axis, extents, strides};
use crate::call::{Call, Eval, EvalError, wrong};
use crate::place::{facts, for_each_index, offset, result_dims};
use weft_ir::Tensor;

type Results = Result<Vec<Tensor>, EvalError>;

/// The functions of this family.
pub(crate) const EVALS: &[(&str, Eval)] = &[
    ("Compress", compress),
    ("Gather", gather),
    ("GatherElements", gather_elements),
    ("GatherND", gather_nd),
    ("OneHot", one_hot),
];

/// An index counted from the end if negative, checked against the extent.
pub(crate) fn place(index: i128, extent: usize) -> Result<usize, EvalError> {
    let n = extent as i128;
    if (-n..n).contains(&index) {
        return Ok(if index < 0 { index + n } else { index } as usize);
    }
    wrong(format!("index {index} is outside an axis of extent {extent}"))
}

fn gather(call: &Call<'_>) -> Results {
    let dims = result_dims(call)?;
    let x = call.need(0)?;
    let own = extents(x);
    let lanes = Lanes::around(&own, axis(call.attrs.int("axis"), own.len())?);
    let indices: Result<Vec<usize>, _> = call.ints(1)?.data.iter().map(|i| place(*i, lanes.len)).collect();
    let (indices, elements) = (indices?, Elements::of(x));
    let mut result = Elements::none(x.dtype());
    for outer in 0..lanes.outer {
        for index in &indices {
            result.push_run(&elements, (outer * lanes.len + index) * lanes.inner, lanes.inner);
        }
    }
    Ok(vec![result.store(&dims)?])
}

fn gather_elements(call: &Call<'_>) -> Results {
    let dims = result_dims(call)?;
    let x = call.need(0)?;
    let own = extents(x);
    let along = axis(call.attrs.int("axis"), own.len())?;
    check_within(&dims, &own, along)?;
    let (indices, steps, elements) = (call.ints(1)?, strides(&own), Elements::of(x));
    let mut result = Elements::none(x.dtype());
    let mut error = None;
    let mut next = indices.data.iter();
    for_each_index(&dims, |at| match next.next().map(|i| place(*i, own[along])) {
        Some(Ok(index)) => {
            result.push(&elements, offset(at, &steps) - at[along] * steps[along] + index * steps[along])
        }
        Some(Err(wrong)) => error = Some(wrong),
        None => {}
    });
    match error {
        Some(error) => Err(error),
        None => Ok(vec![result.store(&dims)?]),
    }
}

/// Away from the axis, indices must not reach beyond the data.
pub(crate) fn check_within(indices: &[usize], data: &[usize], along: usize) -> Result<(), EvalError> {
    match (0..data.len()).find(|a| *a != along && indices[*a] > data[*a]) {
        Some(a) => {
            wrong(format!("axis {a} of the indices has extent {}, that of the data {}", indices[a], data[a]))
        }
        None => Ok(()),
    }
}

/// Where a vector of indices begins in data whose first axes it names.
pub(crate) fn start_of(indices: &[i128], dims: &[usize], steps: &[usize]) -> Result<usize, EvalError> {
    let mut start = 0;
    for ((index, extent), step) in indices.iter().zip(dims).zip(steps) {
        start += place(*index, *extent)? * step;
    }
    Ok(start)
}

fn gather_nd(call: &Call<'_>) -> Results {
    let dims = result_dims(call)?;
    let x = call.need(0)?;
    let (own, indices) = (extents(x), call.ints(1)?);
    let batch = call.attrs.int("batch_dims") as usize;
    let length = indices.dims[indices.dims.len() - 1];
    let steps = strides(&own);
    let run: usize = own[batch + length..].iter().product();
    let batches: usize = own[..batch].iter().product();
    let whole: usize = own[batch..].iter().product();
    let vectors = indices.data.chunks_exact(length);
    let each = (vectors.len() / batches.max(1)).max(1);
    let elements = Elements::of(x);
    let mut result = Elements::none(x.dtype());
    for (i, vector) in vectors.enumerate() {
        let start = start_of(vector, &own[batch..], &steps[batch..])?;
        result.push_run(&elements, i / each * whole + start, run);
    }
    Ok(vec![result.store(&dims)?])
}

fn one_hot(call: &Call<'_>) -> Results {
    let indices = call.floats(0)?.map(|x| x as i128);
    let depth = call.scalar(1)? as i64;
    let rank = indices.dims.len() + 1;
    facts(call)?;
    let along = axis(call.attrs.int("axis"), rank)?;
    let mut dims = indices.dims.clone();
    dims.insert(along, usize::try_from(depth).unwrap_or(0));
    call.room(&dims)?;
    let values = Elements::of(call.need(2)?);
    let steps = strides(&indices.dims);
    let mut result = Elements::none(call.dtype(2)?);
    for_each_index(&dims, |at| {
        let rest = offset(&at[..along], &steps) + offset(&at[along + 1..], &steps[along..]);
        let index = indices.data[rest];
        let wanted = if index < 0 { index + i128::from(depth) } else { index };
        result.push(&values, usize::from(wanted == at[along] as i128));
    });
    Ok(vec![result.store(&dims)?])
}

fn compress(call: &Call<'_>) -> Results {
    facts(call)?;
    let x = call.need(0)?;
    let condition = Array::truths(call.need(1)?)?.data;
    let flat = vec![x.len() as usize];
    let (mut dims, along) = match call.attrs.int_opt("axis") {
        Some(at) => (extents(x), axis(at, x.dims().len())?),
        None => (flat, 0),
    };
    let lanes = Lanes::around(&dims, along);
    let kept: Vec<usize> = (0..lanes.len.min(condition.len())).filter(|i| condition[*i]).collect();
    let elements = Elements::of(x);
    let mut result = Elements::none(x.dtype());
    for outer in 0..lanes.outer {
        for index in &kept {
            result.push_run(&elements, (outer * lanes.len + index) * lanes.inner, lanes.inner);
        }
    }
    dims[along] = kept.len();
    Ok(vec![result.store(&dims)?])
}
