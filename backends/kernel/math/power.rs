//! Powers of floats.
use super::log::{self, Split};
use super::real::Real;
use crate::nest::{Binary, Compare, Reg, Unary};
use weft_ir::DType;

/// `atanh(s) / s` as a polynomial in `s^2`, for `s` up to 0.1716; relative error 2^-45.
const ATANH: [f64; 6] = [
    1.0,
    0.3333333333789692,
    0.19999997812500755,
    0.14286054386949615,
    0.1108810289525351,
    0.09791950101010276,
];

/// `2^r` for `|r| <= 1/2`; relative error 2^-34.
const EXP2: [f64; 8] = [
    1.0,
    0.6931471807061981,
    0.24022651069230092,
    0.05550410361518662,
    0.009618037722392048,
    0.0013333937940108117,
    0.00015466894060964134,
    1.519568541189254e-05,
];

/// `x^y` as C's `pow` has it, specials and all: `2^(y log2(|x|))`, the sign put in after. `f32` is computed
/// in `f64` and at most 0.51 ulp off; `f64` with a logarithm of two parts as in fdlibm, at most 1 ulp,
/// results below `2^-1021.5` being 0.
pub(super) fn pow(m: &mut Real<'_>, x: Reg, y: Reg) -> Reg {
    let size = if m.is_double() {
        double_size(m, x, y)
    } else {
        let (wide_x, wide_y) = (m.b.cast(x, DType::F64), m.b.cast(y, DType::F64));
        let mut wide = Real::like(m.b, wide_x);
        let size = single_size(&mut wide, wide_x, wide_y);
        m.b.cast(size, DType::F32)
    };
    signed(m, size, x, y)
}

/// Gives `|x|^y` its sign, makes it NaN where the power is not real, and 1 where either argument says so.
fn signed(m: &mut Real<'_>, size: Reg, x: Reg, y: Reg) -> Reg {
    let floor = m.unary(Unary::Floor, y);
    let broken = m.b.compare(Compare::Ne, floor, y);
    let half = m.mul_num(y, 0.5);
    let half_floor = m.unary(Unary::Floor, half);
    let not_even = m.b.compare(Compare::Ne, half_floor, half);
    let negative = m.below(x, 0.0);
    let finite = m.above(x, f64::NEG_INFINITY);
    let unreal = m.b.binary(Binary::And, broken, negative);
    let unreal = m.b.binary(Binary::And, unreal, finite);
    let result = m.replace(size, unreal, f64::NAN);
    let whole = m.b.unary(Unary::Not, broken);
    let odd = m.b.binary(Binary::And, whole, not_even);
    let zero = m.num(0.0);
    let sign = m.select(odd, x, zero);
    let result = m.with_sign(result, sign);
    let (one, nought) = (m.equals(x, 1.0), m.equals(y, 0.0));
    let unit = m.b.binary(Binary::Or, one, nought);
    m.replace(result, unit, 1.0)
}

/// `|x|^y` for numbers that came from `f32`.
fn single_size(m: &mut Real<'_>, x: Reg, y: Reg) -> Reg {
    // An infinite exponent of 1 would give NaN.
    let y = m.clamp(y, -1e60, 1e60);
    let x = m.abs(x);
    let split = log::split(m, x);
    let below = m.add_num(split.fraction, 2.0);
    let s = m.div(split.fraction, below);
    let z = m.mul(s, s);
    let twice: Vec<f64> = ATANH.iter().map(|c| c * 2.0 * std::f64::consts::LOG2_E).collect();
    let series = m.polynomial(z, &twice);
    let log = m.fma(s, series, split.exponent);
    let log = log::special(m, x, log);
    let power = m.mul(y, log);
    let power = m.clamp(power, -200.0, 200.0);
    let (n, scale) = nearest(m, power, 0.0);
    let rest = m.sub(power, n);
    let fraction = m.polynomial(rest, &EXP2);
    m.mul(fraction, scale)
}

/// The nearest integer `n`, and `2^(n - shift)`.
fn nearest(m: &mut Real<'_>, x: Reg, shift: f64) -> (Reg, Reg) {
    let offset = 6755399441055744.0 + 1023.0 - shift;
    let counted = m.add_num(x, offset);
    let n = m.add_num(counted, -offset);
    let bits = m.bits(counted);
    let scale = m.bits_with(Binary::Shl, bits, 52);
    (n, m.of_bits(scale))
}

/// A number as the sum of two.
struct Sum {
    high: Reg,
    low: Reg,
}

fn double_size(m: &mut Real<'_>, x: Reg, y: Reg) -> Reg {
    let y = m.clamp(y, -f64::MAX, f64::MAX);
    let x = m.abs(x);
    let log = log2(m, x);
    let whole = m.add(log.high, log.low);
    let whole = log::special(m, x, whole);
    let about = m.mul(y, whole);
    // The product in two parts.
    let y_high = high(m, y);
    let y_low = m.sub(y, y_high);
    let low = m.mul(y, log.low);
    let low = m.fma(y_low, log.high, low);
    let power = Sum { high: m.mul(y_high, log.high), low };
    let result = exp2(m, &power);
    // Also where the parts are infinite or NaN.
    let known = m.b.compare(Compare::Eq, about, about);
    let result = m.select(known, result, about);
    let large = m.above(about, 1024.3);
    let result = m.replace(result, large, f64::INFINITY);
    let small = m.below(about, -1021.6);
    m.replace(result, small, 0.0)
}

/// A number without the lower half of its bits, so that products of such are exact.
fn high(m: &mut Real<'_>, x: Reg) -> Reg {
    let bits = m.bits(x);
    let upper = m.bits_with(Binary::And, bits, -1 << 32);
    m.of_bits(upper)
}

/// A number near 1 or near 3/2, and which: `fdlibm`'s intervals.
struct Near {
    exponent: Reg,
    number: Reg,
    center: Reg,
    is_upper: Reg,
}

fn near(m: &mut Real<'_>, split: &Split) -> Near {
    let lower = m.below(split.one_plus, 0.8660254037844386);
    let (twice, less) = (m.add(split.one_plus, split.one_plus), m.add_num(split.exponent, -1.0));
    let number = m.select(lower, twice, split.one_plus);
    let exponent = m.select(lower, less, split.exponent);
    let is_upper = m.above(number, 1.224744871391589);
    let one = m.num(1.0);
    let center = m.replace(one, is_upper, 1.5);
    Near { exponent, number, center, is_upper }
}

/// `log2` of a positive number to about 68 bits.
fn log2(m: &mut Real<'_>, x: Reg) -> Sum {
    let split = log::split(m, x);
    let near = near(m, &split);
    let log = log_of_ratio(m, &near);
    // Times 2 / (3 log(2)), in two parts.
    let high_part = m.mul_num(log.high, 0.9617967009544373);
    let low_part = m.mul_num(log.low, 0.9617966939259756);
    let low_part = m.fma_num(log.high, -7.028461650952758e-09, low_part);
    let zero = m.num(0.0);
    let center_low = m.replace(zero, near.is_upper, 1.350039202129749e-08);
    let center_high = m.replace(zero, near.is_upper, 0.5849624872207642);
    let low_part = m.add(low_part, center_low);
    let sum = m.add(high_part, low_part);
    let sum = m.add(sum, center_high);
    let sum = m.add(sum, near.exponent);
    let sum = high(m, sum);
    let rest = m.sub(sum, near.exponent);
    let rest = m.sub(rest, center_high);
    let rest = m.sub(rest, high_part);
    Sum { high: sum, low: m.sub(low_part, rest) }
}

/// `3/2 log(number / center)`, from `s = (number - center) / (number + center)`.
fn log_of_ratio(m: &mut Real<'_>, near: &Near) -> Sum {
    let difference = m.sub(near.number, near.center);
    let total = m.add(near.number, near.center);
    let inverse = m.num_div(1.0, total);
    let s = m.mul(difference, inverse);
    let s_high = high(m, s);
    let total_high = high(m, total);
    let back = m.sub(total_high, near.center);
    let total_low = m.sub(near.number, back);
    let product = m.mul(s_high, total_high);
    let rest = m.sub(difference, product);
    let product = m.mul(s_high, total_low);
    let rest = m.sub(rest, product);
    let s = Sum { high: s_high, low: m.mul(inverse, rest) };
    ratio_series(m, &s)
}

/// `s (3 + s^2 + ...)` for a number in two parts.
fn ratio_series(m: &mut Real<'_>, s: &Sum) -> Sum {
    const SERIES: [f64; 6] = [
        0.5999999999999946,
        0.4285714285785502,
        0.33333332981837743,
        0.272728123808534,
        0.23066074577556175,
        0.20697501780033842,
    ];
    let whole = m.add(s.high, s.low);
    let square = m.mul(whole, whole);
    let series = m.polynomial(square, &SERIES);
    let fourth = m.mul(square, square);
    let tail = m.mul(fourth, series);
    let sum = m.add(s.high, whole);
    let tail = m.fma(s.low, sum, tail);
    let square = m.mul(s.high, s.high);
    let three = m.add_num(square, 3.0);
    let factor = m.add(three, tail);
    let factor = high(m, factor);
    let back = m.add_num(factor, -3.0);
    let back = m.sub(back, square);
    let factor_low = m.sub(tail, back);
    let main = m.mul(s.high, factor);
    let small = m.mul(factor_low, whole);
    let small = m.fma(s.low, factor, small);
    let sum = m.add(main, small);
    let sum = high(m, sum);
    let back = m.sub(sum, main);
    Sum { high: sum, low: m.sub(small, back) }
}

/// `2^x` of a number in two parts, which lies between -1022 and 1024.5.
fn exp2(m: &mut Real<'_>, x: &Sum) -> Reg {
    let whole = m.add(x.high, x.low);
    let (n, scale) = nearest(m, whole, 1.0);
    let rest = m.sub(x.high, n);
    let top = m.add(x.low, rest);
    let top = high(m, top);
    let main = m.mul_num(top, 0.6931471824645996);
    let back = m.sub(top, rest);
    let bottom = m.sub(x.low, back);
    let small = m.mul_num(top, -1.904654299957768e-09);
    let small = m.fma_num(bottom, std::f64::consts::LN_2, small);
    let z = m.add(main, small);
    let back = m.sub(z, main);
    let lost = m.sub(small, back);
    let tail = super::exp::tail(m, z);
    let square = m.mul(z, z);
    let tail = m.fma(square, tail, lost);
    let tail = m.add(tail, z);
    let fraction = m.add_num(tail, 1.0);
    let twice = m.add(fraction, fraction);
    m.mul(twice, scale)
}
