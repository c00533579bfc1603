//! Conversions between all element types, against Rust's own.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]
mod harness;

use half::{bf16, f16};
use harness::cases::{Case, check, processors};
use weft_backend::OptLevel;
use weft_ir::{Element, Tensor};

/// The nearest 16-bit float, the even one of two: `from_f64` may miss it by one, since it looks at the
/// upper half of the number only.
fn nearest(x: f64, guess: u16, beyond: f64, value: impl Fn(u16) -> f64) -> u16 {
    if !x.is_finite() {
        return guess;
    }
    // Infinity begins half way to the number after the largest.
    let value = |bits| if f64::is_finite(value(bits)) { value(bits) } else { beyond.copysign(value(bits)) };
    let around = [guess.wrapping_sub(1), guess, guess.wrapping_add(1)];
    let distance = |bits: &u16| (value(*bits) - x).abs();
    let same_sign = |bits: &u16| value(*bits).is_sign_negative() == x.is_sign_negative();
    let by_distance = |a: &u16, b: &u16| distance(a).total_cmp(&distance(b)).then((a % 2).cmp(&(b % 2)));
    around.into_iter().filter(same_sign).min_by(by_distance).unwrap_or(guess)
}

fn to_f16(x: f64) -> f16 {
    f16::from_bits(nearest(x, f16::from_f64(x).to_bits(), 65536.0, |bits| f16::from_bits(bits).to_f64()))
}

fn to_bf16(x: f64) -> bf16 {
    bf16::from_bits(nearest(x, bf16::from_f64(x).to_bits(), 2f64.powi(128), |bits| {
        bf16::from_bits(bits).to_f64()
    }))
}

/// Rust's conversion; through `f64` where one side is a 16-bit float.
trait To<R> {
    fn to(self) -> R;
}

macro_rules! plain {
    ($from:ty: $($to:ty),*) => {$(
        impl To<$to> for $from {
            fn to(self) -> $to {
                self as $to
            }
        }
    )*};
}
macro_rules! number {
    ($($from:ty),*) => {$(
        plain!($from: f64, f32, i8, i16, i32, i64, u8, u16, u32, u64);
        impl To<bool> for $from {
            fn to(self) -> bool {
                self != 0 as $from
            }
        }
        impl To<f16> for $from {
            fn to(self) -> f16 {
                to_f16(self as f64)
            }
        }
        impl To<bf16> for $from {
            fn to(self) -> bf16 {
                to_bf16(self as f64)
            }
        }
        impl To<$from> for bool {
            fn to(self) -> $from {
                u8::from(self) as $from
            }
        }
        impl To<$from> for f16 {
            fn to(self) -> $from {
                self.to_f64() as $from
            }
        }
        impl To<$from> for bf16 {
            fn to(self) -> $from {
                self.to_f64() as $from
            }
        }
    )*};
}
number!(f64, f32, i8, i16, i32, i64, u8, u16, u32, u64);

macro_rules! short {
    ($($ty:ty: $other:ty = $to:ident),*) => {$(
        impl To<bool> for $ty {
            fn to(self) -> bool {
                self.to_f64() != 0.0
            }
        }
        impl To<$ty> for bool {
            fn to(self) -> $ty {
                <$ty>::from_f64(u8::from(self).into())
            }
        }
        impl To<$other> for $ty {
            fn to(self) -> $other {
                $to(self.to_f64())
            }
        }
        impl To<$ty> for $ty {
            fn to(self) -> $ty {
                self
            }
        }
    )*};
}
short!(f16: bf16 = to_bf16, bf16: f16 = to_f16);

impl To<bool> for bool {
    fn to(self) -> bool {
        self
    }
}

fn case<T: Element + To<R>, R: Element>(values: &[T]) -> Case {
    let expected = values.iter().map(|v| v.to()).collect();
    Case::new(format!("{} to {}", T::DTYPE, R::DTYPE), |b, r| b.cast(r[0], R::DTYPE), expected)
}

macro_rules! all_from {
    ($ty:ty, $values:expr, $lanes:expr) => {{
        let values: Vec<$ty> = $values;
        let cases = [
            case::<$ty, f64>(&values),
            case::<$ty, f32>(&values),
            case::<$ty, f16>(&values),
            case::<$ty, bf16>(&values),
            case::<$ty, i8>(&values),
            case::<$ty, i16>(&values),
            case::<$ty, i32>(&values),
            case::<$ty, i64>(&values),
            case::<$ty, u8>(&values),
            case::<$ty, u16>(&values),
            case::<$ty, u32>(&values),
            case::<$ty, u64>(&values),
            case::<$ty, bool>(&values),
        ];
        for cpu in processors() {
            check(&[Tensor::vector(&values)], $lanes, &cases, cpu, OptLevel::O2);
        }
        check(&[Tensor::vector(&values)], 1, &cases, "native", OptLevel::O2);
    }};
}

/// Numbers at which conversions turn: ties, limits of every type, what is too large or too small.
fn turning_points() -> Vec<f64> {
    let mut values = vec![0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.1, 1e300, 5e-324];
    for power in -150..130 {
        let base = 2f64.powi(power);
        for part in [0.0, 1e-16, 2f64.powi(-8), 2f64.powi(-11), 2f64.powi(-24), 0.5, 0.999] {
            values.extend([base * (1.0 + part), -base * (1.0 + part)]);
            values.extend([base * (1.0 + part + 1e-12), base * (1.0 + part - 1e-12)]);
        }
    }
    for limit in [127.0, 128.0, 255.0, 256.0, 32767.0, 65504.0, 65519.999, 65520.0, 2147483647.0] {
        values.extend([limit, -limit, limit + 0.5, limit - 0.5, -limit - 0.5, -limit - 1.0]);
    }
    values
}

#[test]
fn floats() {
    all_from!(f64, turning_points(), 8);
    all_from!(f32, turning_points().into_iter().map(|x| x as f32).collect(), 16);
}

#[test]
fn short_floats() {
    all_from!(f16, (0..=u16::MAX).step_by(7).map(f16::from_bits).collect(), 16);
    all_from!(bf16, (0..=u16::MAX).step_by(7).map(bf16::from_bits).collect(), 16);
}

#[test]
fn integers() {
    let values: Vec<i64> =
        turning_points().into_iter().filter(|x| x.abs() < 9e15).map(|x| x as i64).collect();
    all_from!(i8, (i8::MIN..=i8::MAX).collect(), 16);
    all_from!(u8, (u8::MIN..=u8::MAX).collect(), 32);
    all_from!(i16, values.iter().map(|x| *x as i16).collect(), 16);
    all_from!(u16, values.iter().map(|x| *x as u16).collect(), 16);
    all_from!(i32, values.iter().map(|x| *x as i32).collect(), 16);
    all_from!(u32, values.iter().map(|x| *x as u32).collect(), 16);
    all_from!(i64, values.iter().copied().chain([i64::MIN, i64::MAX]).collect(), 8);
    all_from!(u64, values.iter().map(|x| *x as u64 & 0x1f_ffff_ffff_ffff).chain([u64::MAX]).collect(), 8);
    all_from!(bool, vec![true, false, true], 16);
}
