//! The exponential function, and the logistic function made of it.
use super::real::{Real, Table};
use crate::nest::{Binary, Reg};

/// `exp(r)` for `|r| <= log(2) / 2`; minimax, relative error 2^-28 and 2^-57.9.
const EXP: Table = Table {
    single: &[
        1.0,
        1.0,
        0.4999999403953552,
        0.1666651964187622,
        0.04166823625564575,
        0.008368822745978832,
        0.001382349873892963,
    ],
    double: &[
        1.0,
        1.0,
        0.5000000000000011,
        0.16666666666666438,
        0.0416666666665267,
        0.008333333333479043,
        0.001388888894446706,
        0.00019841269538729505,
        2.480149227400496e-05,
        2.7557558296374153e-06,
        2.7630533663761897e-07,
        2.500883963972163e-08,
    ],
};

/// Which power of `e` is wanted.
#[derive(Clone, Copy)]
pub(super) enum Of {
    /// `exp(x)`.
    Plus,
    /// `exp(-x)`.
    Minus,
}

/// `exp(x)` as a number `r` near zero and a power of two.
pub(super) struct Reduced {
    /// `x - n log(2)`, or the negative of it for `exp(-x)`.
    pub(super) rest: Reg,
    /// `2^(n - shift)`.
    pub(super) scale: Reg,
}

/// The exponential function.
///
/// Cody and Waite: `exp(x) = 2^n exp(x - n log(2))`, `n` taken from the low bits of a large sum. At
/// most 0.9 ulp (`f64`: 1); results below `2^-125.5` (`2^-1021.5` in `f64`) are 0, so that no subnormal number,
/// which processors are slow with, ever appears.
pub(super) fn exp(m: &mut Real<'_>, x: Reg) -> Reg {
    exp_of(m, x, Of::Plus)
}

/// `1 / (1 + exp(-x))`; at most 2.5 ulp (`f64`: 3), 0 below `-88` (`-709` in `f64`).
pub(super) fn sigmoid(m: &mut Real<'_>, x: Reg) -> Reg {
    let exp = exp_of(m, x, Of::Minus);
    let below = m.add_num(exp, 1.0);
    m.num_div(1.0, below)
}

/// `exp(x)` or `exp(-x)`.
///
/// The polynomial is that of `2 exp(r)`, the scale `2^(n-1)`: both are normal for all results that
/// are, and where the result is too small, `n` is the one whose scale has all bits 0.
pub(super) fn exp_of(m: &mut Real<'_>, x: Reg, of: Of) -> Reg {
    let (low, high) = m.pick((-87.4, 89.0), (-708.5, 709.9));
    let x = match of {
        Of::Plus => m.clamp(x, low, high),
        Of::Minus => m.clamp(x, -high, -low),
    };
    let Reduced { rest, scale } = reduce(m, x, of, 1);
    let twice = fraction(m, rest, of, 2.0);
    m.mul(twice, scale)
}

/// `exp(x) / 4` for `x >= 0`, which overflows only where `cosh(x)` does.
pub(super) fn quarter_exp(m: &mut Real<'_>, x: Reg) -> Reg {
    let high = m.pick(89.5, 710.5);
    let x = m.at_most(x, high);
    let Reduced { rest, scale } = reduce(m, x, Of::Plus, 2);
    let fraction = fraction(m, rest, Of::Plus, 1.0);
    m.mul(fraction, scale)
}

/// `factor * exp(rest)`.
fn fraction(m: &mut Real<'_>, rest: Reg, of: Of, factor: f64) -> Reg {
    let sign = match of {
        Of::Plus => 1.0,
        Of::Minus => -1.0,
    };
    let mut power = factor;
    let mut signed = Vec::new();
    for c in m.table(&EXP) {
        signed.push(c * power);
        power *= sign;
    }
    m.polynomial(rest, &signed)
}

/// Splits the argument. It must be so small that `n - shift` is an exponent of the type.
pub(super) fn reduce(m: &mut Real<'_>, x: Reg, of: Of, shift: i64) -> Reduced {
    let sign = match of {
        Of::Plus => 1.0,
        Of::Minus => -1.0,
    };
    // The high part is so short that its product with `n` is exact.
    let (high, low) = m.pick((0.693359375, -2.12194440e-4), (0.6931471803691238, 1.9082149292705877e-10));
    // Numbers of this size count in ones: the sum rounds to `n`, which its last bits hold.
    let (size, bias) = m.pick((12582912.0, 127.0), (6755399441055744.0, 1023.0));
    let offset = size + bias - shift as f64;
    let offset_reg = m.num(offset);
    let counted = m.fma_num(x, sign * std::f64::consts::LOG2_E, offset_reg);
    let n = m.add_num(counted, -offset);
    let rest = m.fma_num(n, -sign * high, x);
    let rest = m.fma_num(n, -sign * low, rest);
    let bits = m.bits(counted);
    let scale = m.bits_with(Binary::Shl, bits, m.fraction_bits());
    Reduced { rest, scale: m.of_bits(scale) }
}

/// `(exp(r) - 1 - r) / r^2` for `|r| <= log(2) / 2`.
pub(super) fn tail(m: &mut Real<'_>, rest: Reg) -> Reg {
    m.polynomial(rest, &m.table(&EXP)[2..])
}
