//! What a gate is put through.
use crate::math::{self, Function};
use crate::nest::{Binary, Builder, Compare, Reg, Scalar};

/// A function of one number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Activation {
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
    /// `max(x, 0)`.
    Relu,
    /// `alpha x + beta`.
    Affine(f64, f64),
    /// `alpha x` below 0, else `x`.
    LeakyRelu(f64),
    /// 0 below `alpha`, else `x`.
    ThresholdedRelu(f64),
    /// `alpha tanh(beta x)`.
    ScaledTanh(f64, f64),
    /// `alpha x + beta`, but not below 0 nor above 1.
    HardSigmoid(f64, f64),
    /// `alpha (exp(x) - 1)` below 0, else `x`.
    Elu(f64),
    /// `x / (1 + |x|)`.
    Softsign,
    /// `log(1 + exp(x))`.
    Softplus,
}

impl Activation {
    /// Writes the function.
    pub(super) fn emit(self, b: &mut Builder, x: Reg) -> Reg {
        match self {
            Activation::Sigmoid => call(b, Function::Sigmoid, x),
            Activation::Tanh => call(b, Function::Tanh, x),
            Activation::Relu => at_least(b, x, 0.0),
            Activation::Affine(alpha, beta) => line(b, x, alpha, beta),
            Activation::LeakyRelu(alpha) => {
                let below = times(b, x, alpha);
                below_or(b, x, 0.0, below)
            }
            Activation::ThresholdedRelu(alpha) => {
                let zero = number(b, x, 0.0);
                below_or(b, x, alpha, zero)
            }
            Activation::ScaledTanh(alpha, beta) => {
                let scaled = times(b, x, beta);
                let tanh = call(b, Function::Tanh, scaled);
                times(b, tanh, alpha)
            }
            Activation::HardSigmoid(alpha, beta) => {
                let line = line(b, x, alpha, beta);
                let low = at_least(b, line, 0.0);
                let one = number(b, x, 1.0);
                b.binary(Binary::Min, low, one)
            }
            Activation::Elu(alpha) => {
                let exp = call(b, Function::Exp, x);
                let below = line(b, exp, alpha, -alpha);
                below_or(b, x, 0.0, below)
            }
            Activation::Softsign => {
                let size = call(b, Function::Abs, x);
                let one = number(b, x, 1.0);
                let below = b.binary(Binary::Add, size, one);
                b.binary(Binary::Div, x, below)
            }
            Activation::Softplus => softplus(b, x),
        }
    }
}

/// `max(x, 0) + log(1 + exp(-|x|))`.
fn softplus(b: &mut Builder, x: Reg) -> Reg {
    let size = call(b, Function::Abs, x);
    let minus = call(b, Function::Neg, size);
    let (exp, one) = (call(b, Function::Exp, minus), number(b, x, 1.0));
    let sum = b.binary(Binary::Add, one, exp);
    let (log, positive) = (call(b, Function::Log, sum), at_least(b, x, 0.0));
    b.binary(Binary::Add, positive, log)
}

fn call(b: &mut Builder, function: Function, x: Reg) -> Reg {
    math::emit(b, function, b.ty(x).elem, &[x])
}

/// A number of the type of a register, in all lanes.
pub(super) fn number(b: &mut Builder, like: Reg, value: f64) -> Reg {
    b.constant(b.ty(like), Scalar::Float(value))
}

fn times(b: &mut Builder, x: Reg, by: f64) -> Reg {
    let by = number(b, x, by);
    b.binary(Binary::Mul, x, by)
}

fn line(b: &mut Builder, x: Reg, alpha: f64, beta: f64) -> Reg {
    let (alpha, beta) = (number(b, x, alpha), number(b, x, beta));
    b.fma(x, alpha, beta)
}

/// The larger one; NaN stays.
fn at_least(b: &mut Builder, x: Reg, bound: f64) -> Reg {
    let bound = number(b, x, bound);
    b.binary(Binary::Max, bound, x)
}

/// `value` where `x` is below a bound, else `x`.
fn below_or(b: &mut Builder, x: Reg, bound: f64, value: Reg) -> Reg {
    let bound = number(b, x, bound);
    let below = b.compare(Compare::Lt, x, bound);
    b.select(below, value, x)
}

/// Keeps a number between a bound and its negative; NaN stays.
pub(super) fn clipped(b: &mut Builder, x: Reg, clip: Option<f64>) -> Reg {
    let Some(clip) = clip else { return x };
    let (low, high) = (number(b, x, -clip), number(b, x, clip));
    let x = b.binary(Binary::Max, low, x);
    b.binary(Binary::Min, high, x)
}
