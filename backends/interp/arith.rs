//! Arithmetic of two or more operands, with broadcasting.
use crate::array::{Array, is_float};
use crate::call::{Call, Eval, EvalError, wrong};
use weft_ir::{DType, Tensor};

type Results = Result<Vec<Tensor>, EvalError>;

/// The functions of this family.
pub(crate) const EVALS: &[(&str, Eval)] = &[
    ("Add", |call| binary(call, |a, b| a + b, |a, b| a + b)),
    ("BitShift", shift),
    ("BitwiseAnd", |call| bits(call, |a, b| a & b)),
    ("BitwiseOr", |call| bits(call, |a, b| a | b)),
    ("BitwiseXor", |call| bits(call, |a, b| a ^ b)),
    ("Clip", clip),
    ("Div", |call| binary(call, |a, b| a / b, divide)),
    ("Max", |call| variadic(call, larger, |a, b| a.max(b))),
    ("Mean", mean),
    ("Min", |call| variadic(call, smaller, |a, b| a.min(b))),
    ("Mod", modulo),
    ("Mul", |call| binary(call, |a, b| a * b, i128::wrapping_mul)),
    ("Pow", pow),
    ("Sub", |call| binary(call, |a, b| a - b, |a, b| a - b)),
    ("Sum", |call| variadic(call, |a, b| a + b, |a, b| a + b)),
];

fn binary(call: &Call<'_>, on_floats: fn(f64, f64) -> f64, on_ints: fn(i128, i128) -> i128) -> Results {
    let dtype = call.dtype(0)?;
    Ok(vec![if is_float(dtype) {
        call.floats(0)?.zip(&call.floats(1)?, on_floats)?.store(dtype)?
    } else {
        call.ints(0)?.zip(&call.ints(1)?, on_ints)?.store(dtype)?
    }])
}

fn bits(call: &Call<'_>, f: fn(i128, i128) -> i128) -> Results {
    Ok(vec![call.ints(0)?.zip(&call.ints(1)?, f)?.store(call.dtype(0)?)?])
}

/// The quotient cut towards zero; 0 where the divisor is.
fn divide(a: i128, b: i128) -> i128 {
    a.checked_div(b).unwrap_or(0)
}

/// The larger one; NaN if one is.
pub(crate) fn larger(a: f64, b: f64) -> f64 {
    if a.is_nan() || a > b { a } else { b }
}

/// The smaller one; NaN if one is.
pub(crate) fn smaller(a: f64, b: f64) -> f64 {
    if a.is_nan() || a < b { a } else { b }
}

fn shift(call: &Call<'_>) -> Results {
    let dtype = call.dtype(0)?;
    let places = i128::from(dtype.bits());
    let f: fn(i128, i128, i128) -> i128 = match call.attrs.str("direction") {
        "LEFT" => |x, by, places| if (0..places).contains(&by) { x << by } else { 0 },
        "RIGHT" => |x, by, places| x >> if (0..places).contains(&by) { by } else { 127 },
        other => return wrong(format!("attribute `direction` is `{other}`, expected `LEFT` or `RIGHT`")),
    };
    Ok(vec![call.ints(0)?.zip(&call.ints(1)?, |x, by| f(x, by, places))?.store(dtype)?])
}

fn clip(call: &Call<'_>) -> Results {
    let dtype = call.dtype(0)?;
    if is_float(dtype) {
        let bound = |i: usize| call.get(i).map(|_| call.scalar(i)).transpose();
        let (low, high) = (bound(1)?, bound(2)?);
        let raised = |x: f64| low.filter(|low| x < *low).unwrap_or(x);
        let lowered = |x: f64| high.filter(|high| x > *high).unwrap_or(x);
        return Ok(vec![call.floats(0)?.map(|x| lowered(raised(x))).store(dtype)?]);
    }
    let bound = |i: usize| Ok::<_, EvalError>(call.ints_opt(i)?.and_then(|a| a.data.first().copied()));
    let (low, high) = (bound(1)?.unwrap_or(i128::MIN), bound(2)?.unwrap_or(i128::MAX));
    Ok(vec![call.ints(0)?.map(|x| x.max(low).min(high)).store(dtype)?])
}

fn modulo(call: &Call<'_>) -> Results {
    match call.attrs.flag("fmod") {
        true => binary(call, |a, b| a % b, |a, b| a.checked_rem(b).unwrap_or(0)),
        false => binary(call, floor_mod, |a, b| match b {
            0 => 0,
            _ => ((a % b) + b) % b,
        }),
    }
}

/// What the quotient rounded down leaves, with the sign of `b`.
fn floor_mod(a: f64, b: f64) -> f64 {
    let rest = a % b;
    if rest == 0.0 {
        0f64.copysign(b)
    } else if (rest < 0.0) != (b < 0.0) {
        rest + b
    } else {
        rest
    }
}

fn pow(call: &Call<'_>) -> Results {
    let (base, exponent) = (call.dtype(0)?, call.dtype(1)?);
    if is_float(base) || is_float(exponent) {
        return Ok(vec![call.floats(0)?.zip(&call.floats(1)?, f64::powf)?.store(base)?]);
    }
    Ok(vec![call.ints(0)?.zip(&call.ints(1)?, int_pow)?.store(base)?])
}

/// Integer power, low bits kept; that of a negative exponent is the quotient cut towards zero.
fn int_pow(base: i128, exponent: i128) -> i128 {
    if exponent < 0 {
        return match base {
            1 => 1,
            -1 if exponent % 2 == 0 => 1,
            -1 => -1,
            _ => 0,
        };
    }
    let (mut power, mut square, mut left) = (1i128, base, exponent);
    while left > 0 {
        if left & 1 == 1 {
            power = power.wrapping_mul(square);
        }
        square = square.wrapping_mul(square);
        left >>= 1;
    }
    power
}

fn variadic(call: &Call<'_>, on_floats: fn(f64, f64) -> f64, on_ints: fn(i128, i128) -> i128) -> Results {
    let dtype = call.dtype(0)?;
    if is_float(dtype) {
        return Ok(vec![fold(call, Array::floats, on_floats)?.store(dtype)?]);
    }
    Ok(vec![fold(call, Array::ints, on_ints)?.store(dtype)?])
}

fn fold<T: Copy>(
    call: &Call<'_>,
    read: fn(&Tensor) -> Result<Array<T>, EvalError>,
    f: fn(T, T) -> T,
) -> Result<Array<T>, EvalError> {
    let mut all = read(call.need(0)?)?;
    for tensor in call.operands.iter().skip(1).flatten() {
        all = all.zip(&read(tensor)?, f)?;
    }
    Ok(all)
}

fn mean(call: &Call<'_>) -> Results {
    let dtype: DType = call.dtype(0)?;
    let count = call.operands.iter().flatten().count() as f64;
    Ok(vec![fold(call, Array::floats, |a, b| a + b)?.map(|x| x / count).store(dtype)?])
}
