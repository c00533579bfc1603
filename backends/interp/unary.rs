//! Functions of one operand, element by element: mathematics and activations.
use crate::array::is_float;
use crate::call::{Call, Eval, EvalError};
use crate::special::{erf, erfc};
use std::f64::consts::{FRAC_1_SQRT_2, PI};
use weft_ir::Tensor;

type Results = Result<Vec<Tensor>, EvalError>;

/// The functions of mathematics.
pub(crate) const MATH: &[(&str, Eval)] = &[
    ("Abs", |call| number(call, f64::abs, i128::abs)),
    ("Acos", |call| float(call, f64::acos)),
    ("Acosh", |call| float(call, f64::acosh)),
    ("Asin", |call| float(call, f64::asin)),
    ("Asinh", |call| float(call, f64::asinh)),
    ("Atan", |call| float(call, f64::atan)),
    ("Atanh", |call| float(call, f64::atanh)),
    ("BitwiseNot", |call| Ok(vec![call.ints(0)?.map(|x| !x).store(call.dtype(0)?)?])),
    ("Ceil", |call| float(call, f64::ceil)),
    ("Cos", |call| float(call, f64::cos)),
    ("Cosh", |call| float(call, f64::cosh)),
    ("Erf", |call| float(call, erf)),
    ("Exp", |call| float(call, f64::exp)),
    ("Floor", |call| float(call, f64::floor)),
    ("Log", |call| float(call, f64::ln)),
    ("Neg", |call| number(call, |x| -x, |x| -x)),
    ("Reciprocal", |call| float(call, f64::recip)),
    ("Round", |call| float(call, f64::round_ties_even)),
    ("Sign", |call| number(call, sign, i128::signum)),
    ("Sin", |call| float(call, f64::sin)),
    ("Sinh", |call| float(call, f64::sinh)),
    ("Sqrt", |call| float(call, f64::sqrt)),
    ("Tan", |call| float(call, f64::tan)),
    ("Tanh", |call| float(call, f64::tanh)),
];

/// The activations of neural networks.
pub(crate) const ACTIVATIONS: &[(&str, Eval)] = &[
    ("Celu", |call| alpha(call, |x, a| x.max(0.0) + (a * (x / a).exp_m1()).min(0.0))),
    ("Elu", |call| alpha(call, |x, a| if x < 0.0 { a * x.exp_m1() } else { x })),
    ("Gelu", |call| float(call, if call.attrs.str("approximate") == "tanh" { tanh_gelu } else { gelu })),
    ("HardSigmoid", hard_sigmoid),
    ("HardSwish", |call| float(call, |x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0))),
    ("LeakyRelu", |call| alpha(call, |x, a| if x < 0.0 { a * x } else { x })),
    ("Mish", |call| float(call, |x| x * softplus(x).tanh())),
    ("PRelu", prelu),
    ("Relu", |call| number(call, |x| if x < 0.0 { 0.0 } else { x }, |x| x.max(0))),
    ("Selu", selu),
    ("Shrink", shrink),
    ("Sigmoid", |call| float(call, sigmoid)),
    ("Softplus", |call| float(call, softplus)),
    ("Softsign", |call| float(call, |x| x / (1.0 + x.abs()))),
    ("SwiGLU", swiglu),
    ("Swish", |call| alpha(call, swish)),
    ("ThresholdedRelu", |call| alpha(call, |x, a| if x > a { x } else { 0.0 })),
    ("com.microsoft.FastGelu", fast_gelu),
    ("com.microsoft.Gelu", |call| float(call, gelu)),
    ("com.microsoft.QuickGelu", |call| alpha(call, swish)),
];

fn float(call: &Call<'_>, f: fn(f64) -> f64) -> Results {
    Ok(vec![call.floats(0)?.map(f).store(call.dtype(0)?)?])
}

fn number(call: &Call<'_>, floats: fn(f64) -> f64, ints: fn(i128) -> i128) -> Results {
    match is_float(call.dtype(0)?) {
        true => float(call, floats),
        false => Ok(vec![call.ints(0)?.map(ints).store(call.dtype(0)?)?]),
    }
}

/// A function of `x` and the attribute `alpha`.
fn alpha(call: &Call<'_>, f: fn(f64, f64) -> f64) -> Results {
    let alpha = f64::from(call.attrs.float("alpha"));
    Ok(vec![call.floats(0)?.map(|x| f(x, alpha)).store(call.dtype(0)?)?])
}

fn sign(x: f64) -> f64 {
    if x == 0.0 || x.is_nan() { x } else { x.signum() }
}

/// `1 / (1 + exp(-x))`.
pub(crate) fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// `log(1 + exp(x))` without overflow.
pub(crate) fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// `x * sigmoid(alpha * x)`.
pub(crate) fn swish(x: f64, alpha: f64) -> f64 {
    x * sigmoid(alpha * x)
}

/// `x` times the normal distribution at `x`.
pub(crate) fn gelu(x: f64) -> f64 {
    0.5 * x * erfc(-x * FRAC_1_SQRT_2)
}

/// The same by a polynomial and `tanh`.
pub(crate) fn tanh_gelu(x: f64) -> f64 {
    0.5 * x * (1.0 + ((2.0 / PI).sqrt() * (x + 0.044_715 * x * x * x)).tanh())
}

fn fast_gelu(call: &Call<'_>) -> Results {
    let x = call.floats(0)?;
    let sum = match call.floats_opt(1)? {
        Some(bias) => x.zip(&bias, |x, b| x + b)?,
        None => x,
    };
    Ok(vec![sum.map(tanh_gelu).store(call.dtype(0)?)?])
}

fn hard_sigmoid(call: &Call<'_>) -> Results {
    let (alpha, beta) = (f64::from(call.attrs.float("alpha")), f64::from(call.attrs.float("beta")));
    Ok(vec![call.floats(0)?.map(|x| (alpha * x + beta).clamp(0.0, 1.0)).store(call.dtype(0)?)?])
}

fn prelu(call: &Call<'_>) -> Results {
    let dtype = call.dtype(0)?;
    Ok(vec![match is_float(dtype) {
        true => {
            call.floats(0)?.zip(&call.floats(1)?, |x, s| if x < 0.0 { s * x } else { x })?.store(dtype)?
        }
        false => call.ints(0)?.zip(&call.ints(1)?, |x, s| if x < 0 { s * x } else { x })?.store(dtype)?,
    }])
}

fn selu(call: &Call<'_>) -> Results {
    let (alpha, gamma) = (f64::from(call.attrs.float("alpha")), f64::from(call.attrs.float("gamma")));
    let f = |x: f64| gamma * if x > 0.0 { x } else { alpha * x.exp_m1() };
    Ok(vec![call.floats(0)?.map(f).store(call.dtype(0)?)?])
}

fn shrink(call: &Call<'_>) -> Results {
    let (bias, lambd) = (f64::from(call.attrs.float("bias")), f64::from(call.attrs.float("lambd")));
    let f = |x: f64| match x {
        _ if x < -lambd => x + bias,
        _ if x > lambd => x - bias,
        _ => 0.0,
    };
    Ok(vec![call.floats(0)?.map(f).store(call.dtype(0)?)?])
}

fn swiglu(call: &Call<'_>) -> Results {
    let alpha = f64::from(call.attrs.float("alpha"));
    Ok(vec![call.floats(0)?.zip(&call.floats(1)?, |a, b| swish(a, alpha) * b)?.store(call.dtype(0)?)?])
}
