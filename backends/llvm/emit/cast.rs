//! Conversions between element types, without a call into any library.
//!
//! A 16-bit float is widened to `f32` before anything else and narrowed from `f32` last. What does
//! not fit `f32` exactly is first rounded to odd, so that the second rounding, to nearest even, gives
//! what a single one would. (Integers of more than 53 bits are the exception, on their way to `bf16`.)
use super::{Emitter, Result, Value, types, values};
use inkwell::values::InstructionOpcode as I;
use inkwell::{FloatPredicate, IntPredicate};
use weft_ir::{DType, types::Kind};
use weft_kernel::nest::{Binary, Scalar, Ty};

impl<'c> Emitter<'_, 'c> {
    pub(super) fn cast(&self, value: Value<'c>, from: DType, to: DType) -> Result<Value<'c>> {
        if from == to {
            return Ok(value);
        }
        let (value, from) = match from {
            DType::F16 => (self.widen_f16(value)?, DType::F32),
            DType::Bf16 => (self.widen_bf16(value)?, DType::F32),
            _ => (value, from),
        };
        match to {
            DType::F16 => {
                let single = match from {
                    DType::F64 => self.to_odd(value)?,
                    // What is too large for `f32` to hold exactly is infinite in `f16` anyway.
                    _ => self.convert(value, from, DType::F32)?,
                };
                self.narrow_f16(single)
            }
            DType::Bf16 => {
                let single = if from == DType::F32 || from.bits() <= 16 {
                    self.convert(value, from, DType::F32)?
                } else {
                    self.to_odd(self.convert(value, from, DType::F64)?)?
                };
                self.narrow_bf16(single)
            }
            _ => self.convert(value, from, to),
        }
    }

    /// Between types whose registers hold numbers, not bits.
    fn convert(&self, value: Value<'c>, from: DType, to: DType) -> Result<Value<'c>> {
        if from == to {
            return Ok(value);
        }
        let like = value;
        match (from.kind(), to.kind()) {
            (Kind::Float, Kind::Float) => {
                let op = if to.bits() > from.bits() { I::FPExt } else { I::FPTrunc };
                self.conversion(op, value, self.float_like(like, to.bits()))
            }
            (Kind::Float, Kind::Bool) => {
                self.compare_floats(FloatPredicate::UNE, value, value.get_type().const_zero())
            }
            (Kind::Float, _) => self.saturated(value, from, to),
            (Kind::Signed, Kind::Float) => {
                self.conversion(I::SIToFP, value, self.float_like(like, to.bits()))
            }
            (_, Kind::Float) => self.conversion(I::UIToFP, value, self.float_like(like, to.bits())),
            (_, Kind::Bool) => self.compare_ints(IntPredicate::NE, value, value.get_type().const_zero()),
            (kind, _) => self.resize(value, kind, from, to),
        }
    }

    /// A float as an integer, without the intrinsic: LLVM has no vector form of that. NaN and what
    /// is out of range never reach the conversion.
    fn saturated(&self, value: Value<'c>, from: DType, to: DType) -> Result<Value<'c>> {
        let signed = types::is_signed(to);
        let digits = to.bits() - u32::from(signed);
        let number = |x: f64| {
            let ty = Ty::vector(from, values::lanes(value));
            types::constant(self.context, ty, Scalar::Float(x))
        };
        let least = if signed { -2f64.powi(digits as i32) } else { 0.0 };
        let above = number(2f64.powi(digits as i32))?;
        let zero = value.get_type().const_zero();
        let raised = self.binary(Binary::Max, value, number(least)?, from)?;
        let mantissa = if from == DType::F32 { 24 } else { 53 };
        if digits <= mantissa {
            let inside = self.binary(Binary::Min, raised, number(2f64.powi(digits as i32) - 1.0)?, from)?;
            let ordered = self.compare_floats(FloatPredicate::ORD, value, value)?;
            let safe = self.pick(ordered, inside, zero)?;
            return self.truncated(safe, signed || to.bits() < 32, to.bits());
        }
        let fits = self.compare_floats(FloatPredicate::OLT, value, above)?;
        let safe = self.pick(fits, raised, zero)?;
        let whole = self.truncated(safe, signed, to.bits())?;
        let most = if signed { i64::MAX as u64 >> (64 - to.bits()) } else { u64::MAX };
        let large = self.compare_floats(FloatPredicate::OGE, value, above)?;
        self.pick(large, self.int_in(value, to.bits(), most), whole)
    }

    /// A float that is in range as an integer; narrow ones by way of 32 bits.
    fn truncated(&self, value: Value<'c>, signed: bool, bits: u32) -> Result<Value<'c>> {
        let op = if signed { I::FPToSI } else { I::FPToUI };
        let whole = self.conversion(op, value, self.int_like(value, bits.max(32)))?;
        if bits >= 32 { Ok(whole) } else { self.conversion(I::Trunc, whole, self.int_like(value, bits)) }
    }

    fn resize(&self, value: Value<'c>, kind: Kind, from: DType, to: DType) -> Result<Value<'c>> {
        let width = if kind == Kind::Bool { 1 } else { from.bits() };
        let op = match width.cmp(&to.bits()) {
            std::cmp::Ordering::Equal => return Ok(value),
            std::cmp::Ordering::Greater => I::Trunc,
            std::cmp::Ordering::Less if kind == Kind::Signed => I::SExt,
            std::cmp::Ordering::Less => I::ZExt,
        };
        self.conversion(op, value, self.int_like(value, to.bits()))
    }

    fn as_bits(&self, value: Value<'c>) -> Result<Value<'c>> {
        self.conversion(I::BitCast, value, self.int_like(value, 32))
    }

    fn as_single(&self, bits: Value<'c>) -> Result<Value<'c>> {
        self.conversion(I::BitCast, bits, self.float_like(bits, 32))
    }

    fn with(&self, op: I, a: Value<'c>, number: u32) -> Result<Value<'c>> {
        self.binary_instruction(op, a, self.int_in(a, 32, number.into()))
    }

    fn widen_bf16(&self, value: Value<'c>) -> Result<Value<'c>> {
        let wide = self.conversion(I::ZExt, value, self.int_like(value, 32))?;
        self.as_single(self.with(I::Shl, wide, 16)?)
    }

    fn narrow_bf16(&self, single: Value<'c>) -> Result<Value<'c>> {
        let bits = self.as_bits(single)?;
        let high = self.with(I::LShr, bits, 16)?;
        let even = self.with(I::And, high, 1)?;
        let bias = self.with(I::Add, even, 0x7fff)?;
        let rounded = self.with(I::LShr, self.binary_instruction(I::Add, bits, bias)?, 16)?;
        let nan = self.compare_floats(FloatPredicate::UNO, single, single)?;
        let short = self.pick(nan, self.with(I::Or, high, 0x40)?, rounded)?;
        self.conversion(I::Trunc, short, self.int_like(short, 16))
    }

    fn widen_f16(&self, value: Value<'c>) -> Result<Value<'c>> {
        if self.machine.f16c {
            let half = self.conversion(I::BitCast, value, self.float_like(value, 16))?;
            return self.conversion(I::FPExt, half, self.float_like(value, 32));
        }
        let wide = self.conversion(I::ZExt, value, self.int_like(value, 32))?;
        let sign = self.with(I::Shl, self.with(I::And, wide, 0x8000)?, 16)?;
        let rest = self.with(I::Shl, self.with(I::And, wide, 0x7fff)?, 13)?;
        // 2^112 moves the exponent; what is subnormal becomes normal by the product.
        let factor = self.as_single(self.int_in(rest, 32, 0x7780_0000))?;
        let scaled = self.binary_instruction(I::FMul, self.as_single(rest)?, factor)?;
        let infinite = self.compare_ints(IntPredicate::UGE, rest, self.int_in(rest, 32, 0x0f80_0000))?;
        let special = self.with(I::Or, rest, 0x7f80_0000)?;
        let magnitude = self.pick(infinite, special, self.as_bits(scaled)?)?;
        self.as_single(self.binary_instruction(I::Or, magnitude, sign)?)
    }

    fn narrow_f16(&self, single: Value<'c>) -> Result<Value<'c>> {
        if self.machine.f16c {
            let half = self.conversion(I::FPTrunc, single, self.float_like(single, 16))?;
            return self.conversion(I::BitCast, half, self.int_like(single, 16));
        }
        let bits = self.as_bits(single)?;
        let size = self.with(I::And, bits, 0x7fff_ffff)?;
        let below = |limit| self.compare_ints(IntPredicate::ULT, size, self.int_in(size, 32, limit));
        // Adding one half aligns a subnormal's bits with the end of the mantissa.
        let half = self.as_single(self.int_in(size, 32, 0x3f00_0000))?;
        let aligned = self.as_bits(self.binary_instruction(I::FAdd, self.as_single(size)?, half)?)?;
        let small = self.with(I::Sub, aligned, 0x3f00_0000)?;
        let even = self.with(I::And, self.with(I::LShr, size, 13)?, 1)?;
        let biased = self.with(I::Add, self.binary_instruction(I::Add, size, even)?, 0xc800_0fff)?;
        let usual = self.with(I::LShr, biased, 13)?;
        let nan = self.compare_floats(FloatPredicate::UNO, single, single)?;
        let large = self.pick(nan, self.int_in(size, 32, 0x7e00), self.int_in(size, 32, 0x7c00))?;
        let finite = self.pick(below(0x3880_0000)?, small, usual)?;
        let magnitude = self.pick(below(0x4780_0000)?, finite, large)?;
        let sign = self.with(I::And, self.with(I::LShr, bits, 16)?, 0x8000)?;
        let short = self.binary_instruction(I::Or, magnitude, sign)?;
        self.conversion(I::Trunc, short, self.int_like(short, 16))
    }

    /// An `f64` as the `f32` next to it whose last bit is set, unless it fits exactly.
    fn to_odd(&self, value: Value<'c>) -> Result<Value<'c>> {
        let single = self.conversion(I::FPTrunc, value, self.float_like(value, 32))?;
        let back = self.conversion(I::FPExt, single, value.get_type())?;
        let size = |v: Value<'c>| self.call_value("llvm.fabs", &[v.get_type()], &[v]);
        let inexact = self.compare_floats(FloatPredicate::ONE, back, value)?;
        let beyond = self.compare_floats(FloatPredicate::OGT, size(back)?, size(value)?)?;
        let bits = self.as_bits(single)?;
        let inner = self.pick(beyond, self.with(I::Sub, bits, 1)?, bits)?;
        let odd = self.with(I::Or, inner, 1)?;
        self.as_single(self.pick(inexact, odd, bits)?)
    }
}
