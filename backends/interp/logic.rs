//! Truth values, comparisons and choices.
use crate::array::{Array, Elements, Walk, broadcast, extents, is_float};
use crate::call::{Call, Eval, EvalError};
use weft_ir::{DType, Tensor};

type Results = Result<Vec<Tensor>, EvalError>;

/// The functions of this family.
pub(crate) const EVALS: &[(&str, Eval)] = &[
    ("And", |call| logic(call, |a, b| a & b)),
    ("Equal", equal),
    ("Greater", |call| compare(call, |a, b| a > b, |a, b| a > b)),
    ("GreaterOrEqual", |call| compare(call, |a, b| a >= b, |a, b| a >= b)),
    ("IsInf", is_inf),
    ("IsNaN", |call| Ok(vec![call.floats(0)?.map(f64::is_nan).store()?])),
    ("Less", |call| compare(call, |a, b| a < b, |a, b| a < b)),
    ("LessOrEqual", |call| compare(call, |a, b| a <= b, |a, b| a <= b)),
    ("Not", |call| Ok(vec![Array::truths(call.need(0)?)?.map(|x| !x).store()?])),
    ("Or", |call| logic(call, |a, b| a | b)),
    ("Where", choice),
    ("Xor", |call| logic(call, |a, b| a ^ b)),
];

fn logic(call: &Call<'_>, f: fn(bool, bool) -> bool) -> Results {
    Ok(vec![Array::truths(call.need(0)?)?.zip(&Array::truths(call.need(1)?)?, f)?.store()?])
}

fn compare(call: &Call<'_>, floats: fn(f64, f64) -> bool, ints: fn(i128, i128) -> bool) -> Results {
    Ok(vec![match is_float(call.dtype(0)?) {
        true => call.floats(0)?.zip(&call.floats(1)?, floats)?.store()?,
        false => call.ints(0)?.zip(&call.ints(1)?, ints)?.store()?,
    }])
}

fn equal(call: &Call<'_>) -> Results {
    if call.dtype(0)? != DType::String {
        return compare(call, |a, b| a == b, |a, b| a == b);
    }
    let (a, b) = (call.need(0)?, call.need(1)?);
    let indices = |t: &Tensor| Array::new(extents(t), (0..t.texts().len()).collect());
    Ok(vec![indices(a).zip(&indices(b), |i, j| a.texts()[i] == b.texts()[j])?.store()?])
}

fn is_inf(call: &Call<'_>) -> Results {
    let (negative, positive) = (call.attrs.flag("detect_negative"), call.attrs.flag("detect_positive"));
    let found = |x: f64| (negative && x == f64::NEG_INFINITY) || (positive && x == f64::INFINITY);
    Ok(vec![call.floats(0)?.map(found).store()?])
}

fn choice(call: &Call<'_>) -> Results {
    let condition = Array::truths(call.need(0)?)?;
    let (x, y) = (call.need(1)?, call.need(2)?);
    let dims = broadcast(&[&condition.dims, &extents(x), &extents(y)])?;
    call.room(&dims)?;
    let mut chosen = Elements::none(x.dtype());
    let (from_x, from_y) = (Elements::of(x), Elements::of(y));
    let walk = |from: &[usize]| Walk::broadcast(from, &dims);
    for ((c, i), j) in walk(&condition.dims).zip(walk(&extents(x))).zip(walk(&extents(y))) {
        match condition.data[c] {
            true => chosen.push(&from_x, i),
            false => chosen.push(&from_y, j),
        }
    }
    Ok(vec![chosen.store(&dims)?])
}
