//! Elements put where indices say.
use crate::arith::{larger, smaller};
use crate::array::{Array, Elements, axis, extents, is_float, strides};
use crate::call::{Call, Eval, EvalError, wrong};
use crate::gather::{check_within, place, start_of};
use crate::place::{facts, for_each_index, offset};
use weft_ir::{DType, Tensor};

type Results = Result<Vec<Tensor>, EvalError>;

/// The functions of this family.
pub(crate) const EVALS: &[(&str, Eval)] =
    &[("ScatterElements", scatter_elements), ("ScatterND", scatter_nd), ("TensorScatter", tensor_scatter)];

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

fn tensor_scatter(call: &Call<'_>) -> Results {
    facts(call)?;
    let (cache, update) = (call.need(0)?, call.need(1)?);
    let (own, written) = (extents(cache), extents(update));
    let along = axis(call.attrs.int("axis"), own.len())?;
    let begins = call.list_opt(2)?.unwrap_or_else(|| vec![0; own[0]]);
    let circular = call.attrs.str("mode") == "circular";
    let (steps, mut data, update) = (strides(&own), Elements::of(cache), Elements::of(update));
    let (mut next, mut outside) = (0, None);
    for_each_index(&written, |at| {
        let place = begins[at[0]].saturating_add(at[along] as i64);
        let place = if circular { place.rem_euclid(own[along].max(1) as i64) } else { place };
        match usize::try_from(place).ok().filter(|place| *place < own[along]) {
            Some(place) => {
                data.set(offset(at, &steps) - at[along] * steps[along] + place * steps[along], &update, next);
            }
            None => outside = Some(place),
        }
        next += 1;
    });
    match outside {
        Some(place) => wrong(format!("place {place} is outside an axis of {} elements", own[along])),
        None => Ok(vec![data.store(&own)?]),
    }
}
