//! The natural logarithm.
use super::real::{Real, Table};
use crate::nest::{Binary, Compare, Reg};
use weft_ir::DType;

/// `f32`: `log(1 + f) / f` for `1 + f` between the roots of 1/2 and 2, relative error 2^-27.3.
/// `f64`: `atanh(s) / s` as a polynomial in `s^2`, `s` up to 0.1716, relative error 2^-59.5.
const LOG: Table = Table {
    single: &[
        1.0,
        -0.5,
        0.3333333134651184,
        -0.250008225440979,
        0.20001237094402313,
        -0.166233092546463,
        0.1420169323682785,
        -0.13160693645477295,
        0.1276158094406128,
        -0.0763259008526802,
    ],
    double: &[
        1.0,
        0.3333333333333367,
        0.19999999999708443,
        0.14285714370976085,
        0.11111099306796829,
        0.09091781204493006,
        0.0765704777063252,
        0.07397767967197746,
    ],
};

/// A positive number as `2^exponent * (1 + fraction)`, the sum between the roots of 1/2 and 2.
pub(super) struct Split {
    pub(super) exponent: Reg,
    /// `1 + fraction`.
    pub(super) one_plus: Reg,
    pub(super) fraction: Reg,
}

/// The natural logarithm.
///
/// `log(x) = e log(2) + log(1 + f)`, the latter a polynomial (`f32`) or, with `s = f / (2 + f)`, twice
/// the series of `atanh(s)` (`f64`, as in fdlibm). At most 0.9 ulp (`f64`: 2), subnormal arguments included.
pub(super) fn log(m: &mut Real<'_>, x: Reg) -> Reg {
    let split = split(m, x);
    let finite = if m.is_double() { log_double(m, &split) } else { log_single(m, &split) };
    special(m, x, finite)
}

/// `log(1 + y)` for `y > -1`, less where `scale` is set: the logarithm of `y` itself, plus `log(2)`.
///
/// What `1 + y` loses by rounding is put back, divided by the sum. At most 3 ulp.
pub(super) fn log1p_or_log2x(m: &mut Real<'_>, y: Reg, large: Reg) -> Reg {
    let sum = m.add_num(y, 1.0);
    let (back, zero) = (m.add_num(sum, -1.0), m.num(0.0));
    let lost = m.sub(y, back);
    let correction = m.div(lost, sum);
    // An infinite sum has lost nothing.
    let finite = m.below(sum, f64::INFINITY);
    let correction = m.select(finite, correction, zero);
    let correction = m.replace(correction, large, std::f64::consts::LN_2);
    let of = m.select(large, y, sum);
    let log = log(m, of);
    m.add(log, correction)
}

/// Takes a number apart; what is subnormal is scaled first. Not for 0, negatives, infinity, NaN.
pub(super) fn split(m: &mut Real<'_>, x: Reg) -> Split {
    let (least, factor, exponent) = m.pick(
        (f64::from(f32::MIN_POSITIVE), 8388608.0, -23.0),
        (f64::MIN_POSITIVE, 4503599627370496.0, -52.0),
    );
    let small = m.below(x, least);
    let scaled = m.mul_num(x, factor);
    let x = m.select(small, scaled, x);
    let zero = m.num(0.0);
    let extra = m.replace(zero, small, exponent);
    let bits = m.bits(x);
    // Counted from the root of 1/2, the exponent is that of the wanted fraction.
    let (root, exponents) = m.pick((0x3f35_04f3, 0xff80_0000), (0x3fe6_a09e_667f_3bcd, -1 << 52));
    let from_root = m.bits_with(Binary::Sub, bits, root);
    let shifted = m.bits_with(Binary::And, from_root, exponents);
    let one_plus = m.b.binary(Binary::Sub, bits, shifted);
    let one_plus = m.of_bits(one_plus);
    let exponent = exponent_of(m, from_root);
    Split { exponent: m.add(exponent, extra), one_plus, fraction: m.add_num(one_plus, -1.0) }
}

/// The exponent field of bits as a signed number.
fn exponent_of(m: &mut Real<'_>, bits: Reg) -> Reg {
    if !m.is_double() {
        let signed = m.b.bitcast(bits, DType::I32);
        let shifted = m.bits_with(Binary::Shr, signed, 23);
        return m.b.cast(shifted, DType::F32);
    }
    // Without 64-bit conversions: the field, made positive, becomes the end of a large number.
    let positive = m.bits_with(Binary::Add, bits, 1024 << 52);
    let field = m.bits_with(Binary::Shr, positive, 52);
    let large = m.bits_with(Binary::Or, field, 0x4338_0000_0000_0000);
    let large = m.of_bits(large);
    m.add_num(large, -6755399441055744.0 - 1024.0)
}

fn log_single(m: &mut Real<'_>, split: &Split) -> Reg {
    let f = split.fraction;
    let square = m.mul(f, f);
    let tail = m.polynomial(f, &m.table(&LOG)[1..]);
    let low = m.mul_num(split.exponent, -2.12194440e-4);
    let sum = m.fma(square, tail, low);
    let sum = m.add(sum, f);
    m.fma_num(split.exponent, 0.693359375, sum)
}

fn log_double(m: &mut Real<'_>, split: &Split) -> Reg {
    let f = split.fraction;
    let below = m.add_num(f, 2.0);
    let s = m.div(f, below);
    let z = m.mul(s, s);
    let twice: Vec<f64> = m.table(&LOG)[1..].iter().map(|c| 2.0 * c).collect();
    let series = m.polynomial(z, &twice);
    let half = m.mul_num(f, 0.5);
    let half_square = m.mul(f, half);
    let inner = m.fma(z, series, half_square);
    let low = m.mul_num(split.exponent, 1.9082149292705877e-10);
    let inner = m.fma(s, inner, low);
    let minus = m.sub(half_square, inner);
    let sum = m.sub(f, minus);
    m.fma_num(split.exponent, 0.6931471803691238, sum)
}

/// Infinity and NaN are their own logarithms, 0 has minus infinity, negative numbers have none.
pub(super) fn special(m: &mut Real<'_>, x: Reg, finite: Reg) -> Reg {
    let infinite = m.num(f64::INFINITY);
    let less = m.b.compare(Compare::Lt, x, infinite);
    let result = m.select(less, finite, x);
    let zero = m.equals(x, 0.0);
    let result = m.replace(result, zero, f64::NEG_INFINITY);
    let negative = m.below(x, 0.0);
    m.replace(result, negative, f64::NAN)
}
