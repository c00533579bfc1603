//! Rounding to the element types: every float below 64 bits through one description of its format,
//! every integer by keeping its low bits.
use weft_ir::DType;

/// How a small float lies in its bits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Format {
    exponent: u32,
    mantissa: u32,
    bias: i32,
    specials: Specials,
}

/// What the unusual bit patterns mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Specials {
    /// The largest exponent holds infinities and NaNs.
    Ieee,
    /// All ones is NaN; no infinities.
    FiniteNan,
    /// Negative zero's pattern is the only NaN.
    Unsigned0,
    /// Every pattern is a number.
    None,
}

/// What becomes of a number beyond the largest finite one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overflow {
    /// The largest finite number.
    Saturate,
    /// Infinity, or NaN where the format has none.
    Special,
}

impl Format {
    /// The format of a float type below 32 bits that has a sign and a mantissa.
    pub(crate) fn of(dtype: DType) -> Option<Format> {
        let of = |exponent, mantissa, bias, specials| Some(Format { exponent, mantissa, bias, specials });
        match dtype {
            DType::F16 => of(5, 10, 15, Specials::Ieee),
            DType::Bf16 => of(8, 7, 127, Specials::Ieee),
            DType::F8E4M3Fn => of(4, 3, 7, Specials::FiniteNan),
            DType::F8E4M3FnUz => of(4, 3, 8, Specials::Unsigned0),
            DType::F8E5M2 => of(5, 2, 15, Specials::Ieee),
            DType::F8E5M2FnUz => of(5, 2, 16, Specials::Unsigned0),
            DType::F4E2M1 => of(2, 1, 1, Specials::None),
            _ => None,
        }
    }

    fn sign(self, negative: bool) -> u16 {
        u16::from(negative) << (self.exponent + self.mantissa)
    }

    /// The bits of the largest finite number.
    fn largest(self) -> u16 {
        let all = (1u16 << (self.exponent + self.mantissa)) - 1;
        match self.specials {
            Specials::Ieee => all - (1 << self.mantissa),
            Specials::FiniteNan => all - 1,
            Specials::Unsigned0 | Specials::None => all,
        }
    }

    fn nan(self) -> u16 {
        match self.specials {
            Specials::Ieee => (((1 << self.exponent) - 1) << self.mantissa) | 1 << (self.mantissa - 1),
            Specials::FiniteNan => (1 << (self.exponent + self.mantissa)) - 1,
            Specials::Unsigned0 => self.sign(true),
            // There is none; this is what the reference gives.
            Specials::None => self.sign(true),
        }
    }

    fn beyond(self, negative: bool, overflow: Overflow) -> u16 {
        match (overflow, self.specials) {
            (Overflow::Saturate, _) | (_, Specials::None) => self.sign(negative) | self.largest(),
            (_, Specials::Ieee) => self.sign(negative) | ((1 << self.exponent) - 1) << self.mantissa,
            (_, Specials::Unsigned0) => self.nan(),
            (_, Specials::FiniteNan) => self.sign(negative) | self.nan(),
        }
    }

    /// The bits of the nearest number, ties to even.
    pub(crate) fn encode(self, x: f64, overflow: Overflow) -> u16 {
        if x.is_nan() {
            let signed = matches!(self.specials, Specials::Ieee | Specials::FiniteNan);
            return self.nan() | self.sign(signed && x.is_sign_negative());
        }
        let negative = x.is_sign_negative();
        if x.is_infinite() {
            return self.beyond(negative, overflow);
        }
        let magnitude = x.abs();
        let lowest = 1 - self.bias;
        let exponent = ((magnitude.to_bits() >> 52) as i32 - 1023).max(lowest);
        // Scaling by a power of two is exact, so this rounds once.
        let steps = (magnitude * power_of_two(self.mantissa as i32 - exponent)).round_ties_even();
        let base = (exponent - lowest) as f64 * f64::from(1u32 << self.mantissa);
        let bits = base + steps;
        if bits > f64::from(self.largest()) {
            return self.beyond(negative, overflow);
        }
        let keeps_zero = bits != 0.0 || self.specials != Specials::Unsigned0;
        bits as u16 | self.sign(negative && keeps_zero)
    }

    /// The number behind the bits.
    pub(crate) fn decode(self, bits: u16) -> f64 {
        let fields = bits & (self.sign(true) - 1);
        let negative = bits & self.sign(true) != 0;
        let (top, rest) = (fields >> self.mantissa, fields & ((1 << self.mantissa) - 1));
        let signed = |x: f64| if negative { -x } else { x };
        match self.specials {
            Specials::Ieee if top == (1 << self.exponent) - 1 => {
                return if rest == 0 { signed(f64::INFINITY) } else { f64::NAN };
            }
            Specials::FiniteNan if fields == self.nan() => return f64::NAN,
            Specials::Unsigned0 if bits == self.nan() => return f64::NAN,
            _ => {}
        }
        let whole = if top == 0 { rest } else { rest | 1 << self.mantissa };
        let exponent = i32::from(top.max(1)) - self.bias - self.mantissa as i32;
        signed(f64::from(whole) * power_of_two(exponent))
    }
}

fn power_of_two(exponent: i32) -> f64 {
    2f64.powi(exponent)
}

/// How a number becomes a power of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PowerRounding {
    /// The next larger one.
    Up,
    /// The next smaller one.
    Down,
    /// The nearer one.
    Nearest,
}

/// The bits of an `f8e8m0`: the exponent alone, 255 for NaN.
pub(crate) fn encode_power(x: f64, rounding: PowerRounding, overflow: Overflow) -> u8 {
    if x.is_nan() || (x.is_infinite() && overflow == Overflow::Special) {
        return 255;
    }
    let smallest = power_of_two(-127);
    if x.abs() < smallest && overflow == Overflow::Special {
        return 255;
    }
    let magnitude = x.abs().clamp(smallest, f64::MAX);
    let exponent = (magnitude.to_bits() >> 52) as i32 - 1023;
    let fraction = magnitude / power_of_two(exponent);
    let up = match rounding {
        PowerRounding::Up => fraction > 1.0,
        PowerRounding::Down => false,
        PowerRounding::Nearest => fraction >= 1.5,
    };
    let biased = exponent + 127 + i32::from(up);
    match biased {
        0..=254 => biased as u8,
        _ if overflow == Overflow::Saturate => 254,
        _ => 255,
    }
}

/// The number behind an `f8e8m0`.
pub(crate) fn decode_power(bits: u8) -> f64 {
    if bits == 255 { f64::NAN } else { power_of_two(i32::from(bits) - 127) }
}

/// The number nearest to `x` among those of a float type; out of range is infinity or NaN.
pub(crate) fn round_to(x: f64, dtype: DType) -> f64 {
    match (dtype, Format::of(dtype)) {
        (DType::F32, _) => f64::from(x as f32),
        (DType::F8E8M0, _) => decode_power(encode_power(x, PowerRounding::Nearest, Overflow::Special)),
        (_, Some(format)) => format.decode(format.encode(x, Overflow::Special)),
        _ => x,
    }
}

/// `x` as an integer type keeps it: its low bits.
pub(crate) fn wrap_to(x: i128, dtype: DType) -> i128 {
    match dtype {
        DType::I64 => i128::from(x as i64),
        DType::I32 => i128::from(x as i32),
        DType::I16 => i128::from(x as i16),
        DType::I8 => i128::from(x as i8),
        DType::U64 => i128::from(x as u64),
        DType::U32 => i128::from(x as u32),
        DType::U16 => i128::from(x as u16),
        DType::U8 => i128::from(x as u8),
        DType::I4 => (x << 124) >> 124,
        DType::I2 => (x << 126) >> 126,
        DType::U4 => x & 15,
        DType::U2 => x & 3,
        DType::Bool => i128::from(x != 0),
        _ => x,
    }
}

/// The smallest and the largest number of an integer type.
pub(crate) fn int_range(dtype: DType) -> (i128, i128) {
    let bits = dtype.bits();
    match dtype.kind() {
        weft_ir::types::Kind::Signed => (-(1 << (bits - 1)), (1 << (bits - 1)) - 1),
        weft_ir::types::Kind::Bool => (0, 1),
        _ => (0, (1 << bits) - 1),
    }
}

/// A float cut to an integer type. Out of range, 32 and 64 bits saturate and smaller types keep
/// the low bits of the saturated 32-bit number; NaN is 0.
pub(crate) fn float_to_int(x: f64, dtype: DType) -> i128 {
    match dtype {
        DType::Bool => i128::from(x != 0.0),
        DType::I64 => i128::from(x as i64),
        DType::I32 => i128::from(x as i32),
        DType::U64 if x >= 0.0 => i128::from(x as u64),
        DType::U64 | DType::U32 => wrap_to(i128::from(x as i64), dtype),
        _ => wrap_to(i128::from(x as i32), dtype),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_formats_agree_with_the_half_crate() {
        for bits in 0..=u16::MAX {
            for (dtype, expected) in [
                (DType::F16, f64::from(half::f16::from_bits(bits))),
                (DType::Bf16, f64::from(half::bf16::from_bits(bits))),
            ] {
                let format = Format::of(dtype).unwrap();
                let found = format.decode(bits);
                assert!(found == expected || found.is_nan() && expected.is_nan(), "{dtype} {bits:x}");
                if !found.is_nan() {
                    assert_eq!(format.encode(found, Overflow::Special), bits, "{dtype} {bits:x}");
                }
            }
        }
    }

    #[test]
    fn eight_bit_formats_round_trip_and_saturate() {
        for dtype in [DType::F8E4M3Fn, DType::F8E4M3FnUz, DType::F8E5M2, DType::F8E5M2FnUz] {
            let format = Format::of(dtype).unwrap();
            for bits in 0..=255u16 {
                let x = format.decode(bits);
                if !x.is_nan() {
                    assert_eq!(format.encode(x, Overflow::Special), bits, "{dtype} {bits:x} is {x}");
                }
            }
        }
        let largest = |d: DType| Format::of(d).map(|f| f.decode(f.encode(1e9, Overflow::Saturate)));
        assert_eq!(largest(DType::F8E4M3Fn), Some(448.0));
        assert_eq!(largest(DType::F8E4M3FnUz), Some(240.0));
        assert_eq!(largest(DType::F8E5M2), Some(57344.0));
        assert_eq!(largest(DType::F4E2M1), Some(6.0));
        assert_eq!(round_to(65519.0, DType::F16), 65504.0);
        assert_eq!(round_to(65520.0, DType::F16), f64::INFINITY);
        assert_eq!(round_to(1.0 + 1.0 / 2048.0 + 1e-12, DType::F16), 1.0 + 1.0 / 1024.0);
    }
}
