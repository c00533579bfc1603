//! Control flow: regions run on what they are given.
use crate::array::{Array, Elements, Lanes, axis, extents};
use crate::call::{Call, Eval, EvalError, wrong};
use std::sync::Arc;
use weft_ir::Tensor;

type Results = Result<Vec<Tensor>, EvalError>;
type Values = Vec<Arc<Tensor>>;

/// The functions of this family.
pub(crate) const EVALS: &[(&str, Eval)] = &[("If", branch), ("Loop", repeat), ("Scan", scan)];

/// No loop runs more often than this.
const MAX_ROUNDS: i64 = 1 << 32;

/// The operands from `start` on, which must all be present.
fn present(call: &Call<'_>, start: usize) -> Result<Values, EvalError> {
    let rest = call.operands.iter().enumerate().skip(start);
    rest.map(|(i, t)| t.clone().ok_or_else(|| EvalError::Wrong(format!("operand {i} is missing")))).collect()
}

fn owned(values: Values) -> Vec<Tensor> {
    values.into_iter().map(Arc::unwrap_or_clone).collect()
}

fn truth(tensor: &Tensor) -> Result<bool, EvalError> {
    match Array::truths(tensor)?.data.as_slice() {
        [truth] => Ok(*truth),
        many => wrong(format!("the condition has {} elements, expected 1", many.len())),
    }
}

fn branch(call: &Call<'_>) -> Results {
    let region = usize::from(!truth(call.need(0)?)?);
    Ok(owned(call.run_region(region, present(call, 1)?)?))
}

/// An attribute that counts operands, of which there are `most`.
fn count(call: &Call<'_>, name: &str, most: usize) -> Result<usize, EvalError> {
    let found = call.attrs.int(name);
    match usize::try_from(found).ok().filter(|n| *n <= most) {
        Some(n) => Ok(n),
        None => wrong(format!("`{name}` is {found}, expected 0 to {most}")),
    }
}

fn repeat(call: &Call<'_>) -> Results {
    let mut carried = present(call, 2)?;
    let captures = carried.split_off(count(call, "carried", carried.len())?);
    let most = call.list_opt(0)?.and_then(|m| m.first().copied());
    let mut goes_on = call.get(1).map_or(Ok(true), truth)?;
    let scans = call.node.results.len().saturating_sub(carried.len());
    let mut collected: Vec<Values> = vec![Vec::new(); scans];
    let mut round = 0;
    while goes_on && most.is_none_or(|most| round < most) {
        if round == MAX_ROUNDS {
            return wrong(format!("the loop did not end within {MAX_ROUNDS} rounds"));
        }
        let mut inputs = vec![Arc::new(Tensor::scalar(round)), Arc::new(Tensor::scalar(true))];
        inputs.extend(carried.iter().chain(&captures).cloned());
        let mut outputs = call.run_region(0, inputs)?.into_iter();
        let Some(condition) = outputs.next() else { return wrong("the region gives no condition") };
        goes_on = truth(&condition)?;
        carried = outputs.by_ref().take(carried.len()).collect();
        collected.iter_mut().zip(outputs).for_each(|(all, one)| all.push(one));
        round += 1;
    }
    let mut results = owned(carried);
    for parts in collected {
        let slot = results.len();
        results.push(stacked(call, slot, &parts, Stack { axis: 0, reversed: false })?);
    }
    Ok(results)
}

/// How parts are put together along a new axis.
#[derive(Clone, Copy)]
struct Stack {
    axis: i64,
    reversed: bool,
}

/// The parts of result `slot` along a new axis.
fn stacked(call: &Call<'_>, slot: usize, parts: &[Arc<Tensor>], how: Stack) -> Result<Tensor, EvalError> {
    let Some(first) = parts.first() else { return nothing(call, slot, how) };
    let part = extents(first);
    let at = axis(how.axis, part.len() + 1)?;
    if let Some(other) = parts.iter().find(|t| t.dims() != first.dims() || t.dtype() != first.dtype()) {
        return wrong(format!("parts of shapes {:?} and {:?} meet", first.dims(), other.dims()));
    }
    let mut dims = part.clone();
    dims.insert(at, parts.len());
    call.room(&dims)?;
    let mut elements: Vec<Elements> = parts.iter().map(|t| Elements::of(t)).collect();
    if how.reversed {
        elements.reverse();
    }
    let lanes = Lanes::around(&dims, at);
    let mut all = Elements::none(first.dtype());
    for outer in 0..lanes.outer {
        elements.iter().for_each(|part| all.push_run(part, outer * lanes.inner, lanes.inner));
    }
    all.store(&dims)
}

/// No parts at all: extents that nobody decided are 0.
fn nothing(call: &Call<'_>, slot: usize, how: Stack) -> Result<Tensor, EvalError> {
    let Some(result) = call.node.results.get(slot) else { return wrong("a result is missing") };
    let dims = result.ty.dims.iter().flatten();
    let known = dims.map(|d| d.eval(&|name| call.symbols.get(name).copied()).unwrap_or(0).max(0) as usize);
    let mut dims: Vec<usize> = known.collect();
    if dims.is_empty() {
        dims.push(0);
    }
    let at = axis(how.axis, dims.len())?;
    dims[at] = 0;
    Elements::none(result.ty.dtype).store(&dims)
}

/// Numbers for each of `n` items, zeros if not given.
fn per_item(call: &Call<'_>, name: &str, n: usize) -> Result<Vec<i64>, EvalError> {
    match call.attrs.ints(name) {
        [] => Ok(vec![0; n]),
        given if given.len() == n => Ok(given.to_vec()),
        given => wrong(format!("`{name}` has {} entries, expected {n}", given.len())),
    }
}

/// Slice `i` of a tensor along an axis, which is gone from it.
fn slice(x: &Tensor, at: usize, i: usize) -> Result<Tensor, EvalError> {
    let mut dims = extents(x);
    let lanes = Lanes::around(&dims, at);
    let elements = Elements::of(x);
    let mut part = Elements::none(x.dtype());
    (0..lanes.outer).for_each(|o| part.push_run(&elements, (o * lanes.len + i) * lanes.inner, lanes.inner));
    dims.remove(at);
    part.store(&dims)
}

fn scan(call: &Call<'_>) -> Results {
    let mut states = present(call, 0)?;
    let mut scanned = states.split_off(count(call, "states", states.len())?);
    let captures = scanned.split_off(count(call, "scanned", scanned.len())?);
    let backwards = per_item(call, "scan_input_directions", scanned.len())?;
    let mut axes = Vec::new();
    for (tensor, at) in scanned.iter().zip(per_item(call, "scan_input_axes", scanned.len())?) {
        axes.push(axis(at, tensor.dims().len())?);
    }
    let lengths: Vec<usize> = scanned.iter().zip(&axes).map(|(t, at)| extents(t)[*at]).collect();
    let Some(rounds) = lengths.first().copied() else { return wrong("nothing is scanned") };
    if let Some(other) = lengths.iter().find(|n| **n != rounds) {
        return wrong(format!("lengths {rounds} and {other} are scanned together, expected the same"));
    }
    let scans = call.node.results.len().saturating_sub(states.len());
    let mut collected: Vec<Values> = vec![Vec::new(); scans];
    for round in 0..rounds {
        let mut inputs = states.clone();
        for ((tensor, at), back) in scanned.iter().zip(&axes).zip(&backwards) {
            let i = if *back == 1 { rounds - 1 - round } else { round };
            inputs.push(Arc::new(slice(tensor, *at, i)?));
        }
        inputs.extend(captures.iter().cloned());
        let mut outputs = call.run_region(0, inputs)?.into_iter();
        states = outputs.by_ref().take(states.len()).collect();
        collected.iter_mut().zip(outputs).for_each(|(all, one)| all.push(one));
    }
    let (axes, reversed) = (call.attrs.ints("scan_output_axes"), call.attrs.ints("scan_output_directions"));
    let mut results = owned(states);
    for (i, parts) in collected.iter().enumerate() {
        let how = Stack { axis: *axes.get(i).unwrap_or(&0), reversed: reversed.get(i) == Some(&1) };
        let slot = results.len();
        results.push(stacked(call, slot, parts, how)?);
    }
    Ok(results)
}
