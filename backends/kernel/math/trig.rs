//! Sine, cosine and tangent.
use super::real::{Real, Table};
use crate::nest::{Binary, Compare, Reg, Scalar, Unary};
use weft_ir::DType;

/// `sin(r) / r` as a polynomial in `r^2`, for `|r| <= pi / 4`; relative error 2^-27.8 and 2^-57.9.
const SIN: Table = Table {
    single: &[1.0, -0.16666653752326965, 0.008332116529345512, -0.0001951009762706235],
    double: &[
        1.0,
        -0.1666666666666663,
        0.008333333333321855,
        -0.00019841269829376642,
        2.75573135465331e-06,
        -2.5050735854380285e-08,
        1.5895528085058972e-10,
    ],
};

/// `cos(r)` as a polynomial in `r^2`; relative error 2^-33 and 2^-63.8.
const COS: Table = Table {
    single: &[1.0, -0.5, 0.04166664555668831, -0.0013887308305129409, 2.443210905767046e-05],
    double: &[
        1.0,
        -0.5,
        0.04166666666666659,
        -0.001388888888887227,
        2.4801587288388363e-05,
        -2.755731405121876e-07,
        2.087568402481128e-09,
        -1.135768943127076e-11,
    ],
};

/// `pi / 2` in parts of 33 bits, the last one with all its bits.
const QUARTER: Table = Table {
    single: &[1.5707963267341256, 6.077100506506192e-11],
    double: &[1.5707963267341256, 6.077100506303966e-11, 2.0222662487959506e-21],
};

/// An angle as `quarters * pi / 2 + rest`.
struct Angle {
    /// As 64-bit integers; only the last two bits count.
    quarters: Reg,
    rest: Reg,
}

/// The sine; at most 2 ulp for `|x| <= 1e8` (`f32`) or `|x| <= 1e6` (`f64`). Beyond, the
/// absolute error grows as `|x|` times 2^-53 (without fused multiply-add), and beyond 1e15 the result is
/// some number between -1 and 1.
pub(super) fn sin(m: &mut Real<'_>, x: Reg) -> Reg {
    let angle = reduce(m, x);
    wave(m, &angle, 0)
}

/// The cosine; as accurate as [`sin`].
pub(super) fn cos(m: &mut Real<'_>, x: Reg) -> Reg {
    let angle = reduce(m, x);
    wave(m, &angle, 1)
}

/// The tangent, a quotient of sine and cosine; at most 3.5 ulp (`f64`: 4) where [`sin`] is accurate.
pub(super) fn tan(m: &mut Real<'_>, x: Reg) -> Reg {
    let angle = reduce(m, x);
    let (sin, cos) = polynomials(m, angle.rest);
    let odd = bit_set(m, angle.quarters, 1);
    let minus_sin = m.unary(Unary::Neg, sin);
    let (above, below) = (m.select(odd, cos, sin), m.select(odd, minus_sin, cos));
    m.div(above, below)
}

/// The sine of an angle and some quarters.
fn wave(m: &mut Real<'_>, angle: &Angle, more: i64) -> Reg {
    let (sin, cos) = polynomials(m, angle.rest);
    let ty = m.b.ty(angle.quarters);
    let more = m.b.constant(ty, Scalar::Int(more));
    let quarters = m.b.binary(Binary::Add, angle.quarters, more);
    let odd = bit_set(m, quarters, 1);
    let result = m.select(odd, cos, sin);
    let negative = bit_set(m, quarters, 2);
    let minus = m.unary(Unary::Neg, result);
    m.select(negative, minus, result)
}

fn polynomials(m: &mut Real<'_>, rest: Reg) -> (Reg, Reg) {
    let z = m.mul(rest, rest);
    // A product, so that the sign of zero stays.
    let ratio = m.polynomial(z, m.table(&SIN));
    (m.mul(rest, ratio), m.polynomial(z, m.table(&COS)))
}

fn bit_set(m: &mut Real<'_>, bits: Reg, bit: i64) -> Reg {
    let ty = m.b.ty(bits);
    let masked = m.bits_with(Binary::And, bits, bit);
    let zero = m.b.constant(ty, Scalar::Int(0));
    m.b.compare(Compare::Ne, masked, zero)
}

/// Cody and Waite in `f64`: two parts of `pi / 2` suffice for an `f32`, three for an `f64`. The first
/// ones have 33 bits, so that products with up to 2^20 quarters are exact.
fn reduce(m: &mut Real<'_>, x: Reg) -> Angle {
    let parts = m.table(&QUARTER);
    let single = !m.is_double();
    let wide = m.b.cast(x, DType::F64);
    let mut wide_m = Real::like(m.b, wide);
    // The last bits of so large a number count ones.
    let size = wide_m.num(6755399441055744.0);
    let counted = wide_m.fma_num(wide, std::f64::consts::FRAC_2_PI, size);
    let n = wide_m.sub(counted, size);
    let mut rest = wide;
    for part in parts {
        rest = wide_m.fma_num(n, -part, rest);
    }
    let rest = wide_m.clamp(rest, -0.8, 0.8);
    let quarters = wide_m.bits(counted);
    let rest = if single { m.b.cast(rest, DType::F32) } else { rest };
    Angle { quarters, rest }
}
