//! Hyperbolic functions and their inverses.
use super::exp::{self, Of};
use super::log;
use super::real::{Real, Table};
use crate::nest::{Reg, Unary};

/// `sinh(x) / x` as a polynomial in `x^2`, for `|x| <= 1`; relative error 2^-31.6 and 2^-61.7.
const SINH: Table = Table {
    single: &[1.0, 0.1666666716337204, 0.008333311416208744, 0.00019842613255605102, 2.784170419545262e-06],
    double: &[
        1.0,
        0.16666666666666669,
        0.008333333333332924,
        0.0001984126984157937,
        2.7557319112347852e-06,
        2.5052129992927576e-08,
        1.6056743124276383e-10,
        7.773954172875184e-13,
    ],
};

/// `tanh(x) / x` as a quotient of polynomials in `x^2`, `f32`, for `|x| <= 9`; relative error 2^-25.4.
const TANH_NUMERATOR: [f64; 5] =
    [1.0, 0.13383863866329193, 0.003498874604701996, 2.0659977963077836e-05, 1.3419370503697792e-08];
const TANH_DENOMINATOR: [f64; 5] =
    [1.0, 0.467171847820282, 0.025889700278639793, 0.0003290870226919651, 7.804267170286039e-07];

/// `(exp(r) - 1) / r` for `|r| <= log(2) / 2`, `f64`; relative error 2^-61.
const EXP_LESS_ONE: [f64; 12] = [
    1.0,
    0.5,
    0.16666666666666677,
    0.041666666666666644,
    0.008333333333321443,
    0.001388888888890378,
    0.00019841269886570383,
    2.4801587277633965e-05,
    2.755724377647554e-06,
    2.7557319206528476e-07,
    2.5109185893339606e-08,
    2.0899643406668383e-09,
];

/// The hyperbolic sine: a polynomial up to 1, above `(exp(x) - exp(-x)) / 2`. At most 1.7 ulp (`f64`: 3).
pub(super) fn sinh(m: &mut Real<'_>, x: Reg) -> Reg {
    let size = m.abs(x);
    let quarter = exp::quarter_exp(m, size);
    let twice = m.add(quarter, quarter);
    let inverse = m.num_div(0.125, quarter);
    let large = m.sub(twice, inverse);
    let z = m.mul(x, x);
    let tail = m.polynomial(z, &m.table(&SINH)[1..]);
    let cube = m.mul(size, z);
    let small = m.fma(cube, tail, size);
    let is_large = m.above(size, 1.0);
    let result = m.select(is_large, large, small);
    m.with_sign(result, x)
}

/// The hyperbolic cosine, `(exp(x) + exp(-x)) / 2`. At most 1.4 ulp (`f64`: 2).
pub(super) fn cosh(m: &mut Real<'_>, x: Reg) -> Reg {
    let size = m.abs(x);
    let quarter = exp::quarter_exp(m, size);
    let twice = m.add(quarter, quarter);
    let inverse = m.num_div(0.125, quarter);
    m.add(twice, inverse)
}

/// The hyperbolic tangent, never beyond 1. In `f32` a quotient of polynomials: at most 3.5 ulp below 1/2, 5.5 ulp
/// (3.3e-7) just below 1. In `f64` `u / (u + 2)` with `u = exp(2x) - 1`: at most 4 ulp.
pub(super) fn tanh(m: &mut Real<'_>, x: Reg) -> Reg {
    if m.is_double() {
        let twice = m.add(x, x);
        let twice = m.clamp(twice, -40.0, 40.0);
        let less_one = exp_less_one(m, twice);
        let below = m.add_num(less_one, 2.0);
        return m.div(less_one, below);
    }
    m.saturating_quotient(x, 81.0, (&TANH_NUMERATOR, &TANH_DENOMINATOR))
}

/// `exp(x) - 1` of numbers that are not large, `f64`.
fn exp_less_one(m: &mut Real<'_>, x: Reg) -> Reg {
    let reduced = exp::reduce(m, x, Of::Plus, 0);
    let series = m.polynomial(reduced.rest, &EXP_LESS_ONE);
    let rest = m.mul(series, reduced.rest);
    let whole = m.add_num(reduced.scale, -1.0);
    m.fma(reduced.scale, rest, whole)
}

/// The inverse hyperbolic sine: with `a = |x|`, `log1p(a + a^2 / (1 + sqrt(a^2 + 1)))`, or `log(2a)` where
/// that is the same. At most 2.2 ulp (`f64`: 4).
pub(super) fn asinh(m: &mut Real<'_>, x: Reg) -> Reg {
    let size = m.abs(x);
    let square = m.mul(size, size);
    let more = m.add_num(square, 1.0);
    let root = m.unary(Unary::Sqrt, more);
    let below = m.add_num(root, 1.0);
    let part = m.div(square, below);
    let sum = m.add(size, part);
    let result = log1p_unless_large(m, size, sum);
    m.with_sign(result, x)
}

/// The inverse hyperbolic cosine: with `t = x - 1`, `log1p(t + sqrt(t (t + 2)))`, or `log(2x)` where that is
/// the same. At most 2.2 ulp (`f64`: 4).
pub(super) fn acosh(m: &mut Real<'_>, x: Reg) -> Reg {
    let (less, more) = (m.add_num(x, -1.0), m.add_num(x, 1.0));
    let product = m.mul(less, more);
    let root = m.unary(Unary::Sqrt, product);
    let sum = m.add(less, root);
    let result = log1p_unless_large(m, x, sum);
    let outside = m.below(x, 1.0);
    m.replace(result, outside, f64::NAN)
}

/// The inverse hyperbolic tangent: with `a = |x|`, `log1p(2a / (1 - a)) / 2`. At most 2.4 ulp
/// (`f64`: 4).
pub(super) fn atanh(m: &mut Real<'_>, x: Reg) -> Reg {
    let size = m.abs(x);
    let (twice, below) = (m.add(size, size), m.num_sub(1.0, size));
    let ratio = m.div(twice, below);
    let large = m.above(ratio, f64::INFINITY);
    let log = log::log1p_or_log2x(m, ratio, large);
    let half = m.mul_num(log, 0.5);
    m.with_sign(half, x)
}

/// `log1p(sum)`, but `log(2x)` where the square of `x` dwarfs 1.
fn log1p_unless_large(m: &mut Real<'_>, x: Reg, sum: Reg) -> Reg {
    let bound = m.pick(16384.0, 268435456.0);
    let large = m.above(x, bound);
    let y = m.select(large, x, sum);
    log::log1p_or_log2x(m, y, large)
}
