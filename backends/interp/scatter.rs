//! Elements put where indices say.
use crate::arith::{larger, smaller};
use crate::array::{Array, Elements, axis, extents, is_float, strides};
use crate::call::{Call, Eval, EvalError, wrong};
use crate::gather::{check_within, place, start_of};
use crate::place::{facts, for_each_index, offset};
use weft_ir::{DType, Tensor};

type Results = Result<Vec<Tensor>, EvalError>;

/// The functions of this family.
pub(crate) const EVALS: &[(&str, Eval)] = &[("ScatterElements", scatter_elements), ("ScatterND", scatter_nd)];

fn scatter_elements(call: &Call<'_>) -> Results {
    facts(call)?;
    let (own, indices) = (extents(call.need(0)?), call.ints(1)?);
    let along = axis(call.attrs.int("axis"), own.len())?;
    check_within(&indices.dims, &own, along)?;
    let steps = strides(&own);
    let mut places = Vec::with_capacity(indices.data.len());
    let mut next = indices.data.iter();
    for_each_index(&indices.dims, |at| {
        let index = next.next().map_or(Ok(0), |i| place(*i, own[along]));
        let rest = offset(at, &steps) - at[along] * steps[along];
        places.push(index.map(|index| rest + index * steps[along]));
    });
    scattered(call, &places.into_iter().collect::<Result<Vec<_>, _>>()?)
}

fn scatter_nd(call: &Call<'_>) -> Results {
    facts(call)?;
    let (own, indices) = (extents(call.need(0)?), call.ints(1)?);
    let length = indices.dims[indices.dims.len() - 1];
    let (steps, run) = (strides(&own), own[length..].iter().product::<usize>());
    let mut places = Vec::new();
    for vector in indices.data.chunks_exact(length) {
        let start = start_of(vector, &own, &steps)?;
        places.extend(start..start + run);
    }
    scattered(call, &places)
}

/// The data after each update went to its place.
fn scattered(call: &Call<'_>, places: &[usize]) -> Results {
    let (x, updates) = (call.need(0)?, call.need(2)?);
    if updates.len() != places.len() as u64 {
        return wrong(format!("{} places for {} updates", places.len(), updates.len()));
    }
    let reduction = call.attrs.str("reduction");
    if reduction == "none" {
        let (mut data, updates) = (Elements::of(x), Elements::of(updates));
        places.iter().enumerate().for_each(|(i, at)| data.set(*at, &updates, i));
        return Ok(vec![data.store(&extents(x))?]);
    }
    Ok(vec![if is_float(x.dtype()) {
        let f: fn(f64, f64) -> f64 = match reduction {
            "add" => |a, b| a + b,
            "mul" => |a, b| a * b,
            "min" => smaller,
            _ => larger,
        };
        let mut data = Array::floats(x)?;
        let updates = Array::floats(updates)?.data;
        places.iter().zip(updates).for_each(|(at, u)| data.data[*at] = f(data.data[*at], u));
        data.store(x.dtype())?
    } else {
        let truth = x.dtype() == DType::Bool;
        let f: fn(i128, i128) -> i128 = match reduction {
            "add" if truth => |a, b| a | b,
            "add" => i128::wrapping_add,
            "mul" => i128::wrapping_mul,
            "min" => |a, b| a.min(b),
            _ => |a, b| a.max(b),
        };
        let mut data = Array::ints(x)?;
        let updates = Array::ints(updates)?.data;
        places.iter().zip(updates).for_each(|(at, u)| data.data[*at] = f(data.data[*at], u));
        data.store(x.dtype())?
    }])
}
