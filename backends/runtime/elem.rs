//! Elements of a type known only at run time, as raw bits: order, zero, arithmetic and conversion.
//!
//! One path serves all types, so that the operators here need no copy per type. Arithmetic on floats goes through
//! `f64`, which holds sums and products of the narrower types well enough to be rounded once and rightly.

use crate::abi::code;

/// An element type of whole bytes on which order and arithmetic are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elem {
    class: Class,
    bits: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Signed,
    Unsigned,
    Float { exponent: u32 },
}

impl Elem {
    /// The type of a DLPack code and its bits, if it is one of bool, int 8 to 64, uint 8 to 64, f16, bf16, f32, f64.
    pub fn new(dtype: u8, bits: u8) -> Option<Self> {
        let class = match (dtype, bits) {
            (code::INT, 8 | 16 | 32 | 64) => Class::Signed,
            (code::UINT, 8 | 16 | 32 | 64) | (code::BOOL, 8) => Class::Unsigned,
            (code::FLOAT, 16) => Class::Float { exponent: 5 },
            (code::FLOAT, 32) | (code::BFLOAT, 16) => Class::Float { exponent: 8 },
            (code::FLOAT, 64) => Class::Float { exponent: 11 },
            _ => return None,
        };
        Some(Self { class, bits: u32::from(bits) })
    }

    /// The type that operators are passed: `code << 8 | bits`.
    pub fn from_code(elem: i64) -> Option<Self> {
        let elem = u16::try_from(elem).ok()?;
        Self::new((elem >> 8) as u8, elem as u8)
    }

    /// The bytes of one element.
    pub fn bytes(self) -> usize {
        self.bits as usize / 8
    }

    /// Whether it is a float.
    pub fn is_float(self) -> bool {
        matches!(self.class, Class::Float { .. })
    }

    /// The bits of element `index`.
    pub fn load(self, data: &[u8], index: usize) -> u64 {
        let at = index * self.bytes();
        let bytes = &data[at..at + self.bytes()];
        match *bytes {
            [a] => u64::from(a),
            [a, b] => u64::from(u16::from_le_bytes([a, b])),
            [a, b, c, d] => u64::from(u32::from_le_bytes([a, b, c, d])),
            [a, b, c, d, e, f, g, h] => u64::from_le_bytes([a, b, c, d, e, f, g, h]),
            _ => 0,
        }
    }

    /// Writes the bits of element `index`.
    pub fn store(self, data: &mut [u8], index: usize, raw: u64) {
        let at = index * self.bytes();
        data[at..at + self.bytes()].copy_from_slice(&raw.to_le_bytes()[..self.bytes()]);
    }

    /// Whether these bits are a zero of either sign.
    pub fn is_zero(self, raw: u64) -> bool {
        if self.is_float() { raw & !self.sign() == 0 } else { raw == 0 }
    }

    /// Whether these bits are not a number.
    pub fn is_nan(self, raw: u64) -> bool {
        let Class::Float { exponent } = self.class else { return false };
        let mantissa = self.bits - 1 - exponent;
        raw & !self.sign() > ((1 << exponent) - 1) << mantissa
    }

    /// A number that orders elements: zeros are equal, and NaN is the greatest and equal to itself.
    pub fn key(self, raw: u64) -> u64 {
        let sign = self.sign();
        match self.class {
            Class::Unsigned => raw,
            Class::Signed => raw ^ sign,
            Class::Float { .. } if self.is_nan(raw) => u64::MAX,
            Class::Float { .. } if raw == sign => sign,
            Class::Float { .. } if raw & sign != 0 => !raw & self.mask(),
            Class::Float { .. } => raw | sign,
        }
    }

    /// The sum; integers wrap.
    pub fn add(self, a: u64, b: u64) -> u64 {
        if self.is_float() {
            return self.from_f64(self.to_f64(a) + self.to_f64(b));
        }
        a.wrapping_add(b) & self.mask()
    }

    /// The product; integers wrap.
    pub fn mul(self, a: u64, b: u64) -> u64 {
        if self.is_float() {
            return self.from_f64(self.to_f64(a) * self.to_f64(b));
        }
        a.wrapping_mul(b) & self.mask()
    }

    /// The greater one; NaN wins.
    pub fn max(self, a: u64, b: u64) -> u64 {
        if self.key(b) > self.key(a) { b } else { a }
    }

    /// The lesser one; NaN wins.
    pub fn min(self, a: u64, b: u64) -> u64 {
        if self.is_nan(a) || (!self.is_nan(b) && self.key(a) <= self.key(b)) { a } else { b }
    }

    /// The value as a float; large integers are rounded.
    pub fn to_f64(self, raw: u64) -> f64 {
        match self.class {
            Class::Unsigned => raw as f64,
            Class::Signed => self.to_i64(raw) as f64,
            Class::Float { exponent: 11 } => f64::from_bits(raw),
            Class::Float { exponent: 8 } => f64::from(f32::from_bits((raw as u32) << (32 - self.bits))),
            Class::Float { .. } => widen_half(raw),
        }
    }

    /// The bits of the nearest value; ties go to even, integers are truncated and saturate.
    pub fn from_f64(self, value: f64) -> u64 {
        let most = self.sign() - 1;
        match self.class {
            Class::Unsigned => (value as u64).min(self.mask()),
            Class::Signed => {
                let most = most as i64;
                (value as i64).clamp(-most - 1, most) as u64 & self.mask()
            }
            Class::Float { exponent: 11 } => value.to_bits(),
            Class::Float { exponent: 8 } if self.bits == 32 => u64::from((value as f32).to_bits()),
            Class::Float { exponent } => narrow(value, exponent, self.bits),
        }
    }

    /// The value of an integer; `u64` wraps.
    pub fn to_i64(self, raw: u64) -> i64 {
        let unused = 64 - self.bits;
        match self.class {
            Class::Signed => (raw << unused) as i64 >> unused,
            _ => raw as i64,
        }
    }

    fn sign(self) -> u64 {
        1 << (self.bits - 1)
    }

    /// All bits of an element; raw bits never have others.
    fn mask(self) -> u64 {
        self.sign() | (self.sign() - 1)
    }
}

fn widen_half(raw: u64) -> f64 {
    let (exponent, mantissa) = (raw >> 10 & 0x1f, raw & 0x3ff);
    let sign = (raw & 0x8000) << 48;
    let magnitude = match exponent {
        0 => (mantissa as f64 * f64::from_bits(0x3e70_0000_0000_0000)).to_bits(),
        0x1f => 0x7ff0_0000_0000_0000 | mantissa << 42,
        _ => (exponent + 1023 - 15) << 52 | mantissa << 42,
    };
    f64::from_bits(sign | magnitude)
}

/// Rounds to a float of `bits` bits of which `exponent` are the exponent.
fn narrow(value: f64, exponent: u32, bits: u32) -> u64 {
    let sign = u64::from(value.is_sign_negative()) << (bits - 1);
    let mantissa = bits - 1 - exponent;
    let infinity = ((1_u64 << exponent) - 1) << mantissa;
    if value.is_nan() {
        return sign | infinity | 1 << (mantissa - 1);
    }
    let raw = value.to_bits() & (u64::MAX >> 1);
    let bias = (1_i64 << (exponent - 1)) - 1;
    let power = (raw >> 52) as i64 - 1023 + bias;
    // What a denormal result loses: its leading one moves into the mantissa.
    let lost = u64::from(52 - mantissa) + if power < 1 { (1 - power).min(63) as u64 } else { 0 };
    if lost >= 64 {
        return sign;
    }
    let full = if power < 1 { raw & ((1 << 52) - 1) | 1 << 52 } else { raw & ((1 << 52) - 1) };
    let kept = full >> lost;
    let rest = full & ((1 << lost) - 1);
    let half = 1_u64 << (lost - 1);
    let up = u64::from(rest > half || (rest == half && kept & 1 == 1));
    let base = if power < 1 { 0 } else { (power as u64) << mantissa };
    // A carry out of the mantissa rightly raises the exponent, up to infinity.
    sign | (base + kept + up).min(infinity)
}
