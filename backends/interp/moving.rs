//! Shapes asked for, changed, joined and cut; elements only move.
use crate::array::{Elements, Lanes, axis, extents, strides};
use crate::call::{Call, Eval, EvalError, wrong};
use crate::place::{facts, offset, picked, result_dims};
use weft_ir::Tensor;

type Results = Result<Vec<Tensor>, EvalError>;

/// The functions of this family.
pub(crate) const EVALS: &[(&str, Eval)] = &[
    ("Concat", concat),
    ("Expand", expand),
    ("Flatten", view),
    ("Identity", |call| Ok(vec![call.need(0)?.clone()])),
    ("Reshape", view),
    ("Shape", shape),
    ("Size", |call| Ok(vec![Tensor::scalar(call.need(0)?.len() as i64)])),
    ("Slice", slice),
    ("Split", split),
    ("Squeeze", view),
    ("Tile", tile),
    ("Transpose", transpose),
    ("Unsqueeze", view),
];

/// The same elements under the shape that inference tells.
fn view(call: &Call<'_>) -> Results {
    let dims = result_dims(call)?.into_iter().map(|d| d as u64).collect();
    Ok(vec![call.need(0)?.reshaped(dims)?])
}

fn shape(call: &Call<'_>) -> Results {
    let dims = call.need(0)?.dims();
    let at = |index: i64| {
        let n = dims.len() as i64;
        (if index < 0 { index.saturating_add(n) } else { index }).clamp(0, n) as usize
    };
    let (start, end) = (at(call.attrs.int("start")), call.attrs.int_opt("end").map_or(dims.len(), at));
    let asked: Vec<i64> = dims.get(start..end).unwrap_or(&[]).iter().map(|d| *d as i64).collect();
    Ok(vec![Tensor::vector(&asked)])
}

fn expand(call: &Call<'_>) -> Results {
    let dims = result_dims(call)?;
    let x = call.need(0)?;
    let own = extents(x);
    let missing = dims.len() - own.len();
    let steps = strides(&own);
    let steps: Vec<usize> = own.iter().zip(steps).map(|(d, s)| if *d == 1 { 0 } else { s }).collect();
    Ok(vec![picked(x, &dims, |at| offset(&at[missing..], &steps))?])
}

fn tile(call: &Call<'_>) -> Results {
    let dims = result_dims(call)?;
    let x = call.need(0)?;
    let own = extents(x);
    let steps = strides(&own);
    Ok(vec![picked(x, &dims, |at| at.iter().zip(&own).zip(&steps).map(|((i, d), s)| i % d * s).sum())?])
}

fn transpose(call: &Call<'_>) -> Results {
    let dims = result_dims(call)?;
    let x = call.need(0)?;
    let steps = strides(&extents(x));
    let steps: Vec<usize> = match call.attrs.ints_opt("perm") {
        Some(perm) => {
            perm.iter().map(|p| axis(*p, dims.len()).map(|p| steps[p])).collect::<Result<_, _>>()?
        }
        None => steps.into_iter().rev().collect(),
    };
    Ok(vec![picked(x, &dims, |at| offset(at, &steps))?])
}

fn concat(call: &Call<'_>) -> Results {
    let dims = result_dims(call)?;
    let at = axis(call.attrs.int("axis"), dims.len())?;
    let mut parts = Vec::new();
    for part in call.operands.iter().flatten() {
        let lanes = Lanes::around(&extents(part), at);
        parts.push((Elements::of(part), lanes.len * lanes.inner));
    }
    let outer = dims[..at].iter().product();
    let mut joined = Elements::none(call.dtype(0)?);
    for o in 0..outer {
        for (part, run) in &parts {
            joined.push_run(part, o * run, *run);
        }
    }
    Ok(vec![joined.store(&dims)?])
}

fn split(call: &Call<'_>) -> Results {
    let x = call.need(0)?;
    let dims = extents(x);
    let at = axis(call.attrs.int("axis"), dims.len())?;
    let lanes = Lanes::around(&dims, at);
    let elements = Elements::of(x);
    let (mut start, mut results) = (0, Vec::new());
    for fact in facts(call)? {
        let Some(length) = fact.dims().and_then(|d| d[at].as_fixed()) else {
            return wrong("the length of a piece is unknown");
        };
        let length = length as usize;
        if start + length > lanes.len {
            return wrong(format!("the pieces sum up to more than the extent {}", lanes.len));
        }
        let mut piece = Elements::none(x.dtype());
        for o in 0..lanes.outer {
            piece.push_run(&elements, (o * lanes.len + start) * lanes.inner, length * lanes.inner);
        }
        let mut dims = dims.clone();
        dims[at] = length;
        results.push(piece.store(&dims)?);
        start += length;
    }
    Ok(results)
}

fn slice(call: &Call<'_>) -> Results {
    let dims = result_dims(call)?;
    let x = call.need(0)?;
    let own = extents(x);
    let (starts, rank) = (call.list(1)?, own.len());
    let axes = call.list_opt(3)?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = call.list_opt(4)?.unwrap_or_else(|| vec![1; starts.len()]);
    let strides = strides(&own);
    let mut origin = 0;
    let mut moves: Vec<i64> = strides.iter().map(|s| *s as i64).collect();
    for ((place, start), step) in axes.iter().zip(starts).zip(steps) {
        let at = axis(*place, rank)?;
        let extent = own[at] as i64;
        let start = if start < 0 { start.saturating_add(extent) } else { start };
        let first = if step > 0 { start.min(extent) } else { start.min(extent - 1) };
        // Where nothing is left, nothing is read either.
        origin += first.max(0) * strides[at] as i64;
        moves[at] = moves[at].saturating_mul(step);
    }
    let from =
        |at: &[usize]| (origin + at.iter().zip(&moves).map(|(i, m)| *i as i64 * m).sum::<i64>()) as usize;
    Ok(vec![picked(x, &dims, from)?])
}
