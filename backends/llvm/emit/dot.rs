//! Sums of products of bytes: one instruction where the processor has it, else as few as are exact.
//!
//! `vpmaddubsw`, the older instruction for bytes, saturates the sum of two products, so it is no
//! stand-in but where a schedule knows that they fit. Without VNNI the bytes of even and of odd number are widened to 16 bits where they lie, and
//! `pmaddwd` adds up products of pairs, which no pair overflows.
use super::{EmitError, Emitter, Result, Value, types, values};
use inkwell::values::InstructionOpcode as I;
use weft_backend::Level;
use weft_ir::DType;
use weft_kernel::nest::Ty;

impl<'c> Emitter<'_, 'c> {
    /// `c` plus, lane by lane, four products of bytes of `a`, without sign, and `b`, with sign.
    pub(super) fn dot4(&self, a: Value<'c>, b: Value<'c>, c: Value<'c>) -> Result<Value<'c>> {
        let lanes = values::lanes(c);
        if values::lanes(a) != 4 * lanes || values::lanes(b) != 4 * lanes {
            return Err(EmitError::Form(format!("{lanes} sums of products are not of four bytes each")));
        }
        // Wider than the machine's vectors there is no instruction.
        let fits = 4 * lanes <= self.machine.target.vector_bytes();
        match lanes {
            4 | 8 | 16 if fits && self.machine.target.vnni => {
                let name = match lanes {
                    4 => "llvm.x86.avx512.vpdpbusd.128",
                    8 => "llvm.x86.avx512.vpdpbusd.256",
                    _ => "llvm.x86.avx512.vpdpbusd.512",
                };
                self.call_value(name, &[], &[c, a, b])
            }
            4 | 8 | 16 if fits => self.dot4_of_pairs(a, b, c),
            _ => self.dot4_of_words(a, b, c),
        }
    }

    /// `c` plus, lane by lane, two products of bytes of `a`, without sign, and `b`, with sign, which fit.
    pub(super) fn dot2(&self, a: Value<'c>, b: Value<'c>, c: Value<'c>) -> Result<Value<'c>> {
        let lanes = values::lanes(c);
        if values::lanes(a) != 2 * lanes || values::lanes(b) != 2 * lanes {
            return Err(EmitError::Form(format!("{lanes} sums of products are not of two bytes each")));
        }
        let name = match lanes {
            8 if self.machine.target.level >= Level::V2 => "llvm.x86.ssse3.pmadd.ub.sw.128",
            16 => "llvm.x86.avx2.pmadd.ub.sw",
            32 => "llvm.x86.avx512.pmaddubs.w.512",
            _ => return self.dot2_of_halves(a, b, c),
        };
        if 2 * lanes > self.machine.target.vector_bytes() {
            return self.dot2_of_halves(a, b, c);
        }
        let sum = self.call_value(name, &[], &[a, b])?;
        self.binary_instruction(I::Add, c, sum)
    }

    fn dot2_of_halves(&self, a: Value<'c>, b: Value<'c>, c: Value<'c>) -> Result<Value<'c>> {
        let halves = c.get_type();
        let (a, b) = (self.conversion(I::BitCast, a, halves)?, self.conversion(I::BitCast, b, halves)?);
        let eight = self.int_in(a, 16, 8);
        let low = self.binary_instruction(I::And, a, self.int_in(a, 16, 0xff))?;
        let low_of = self.binary_instruction(I::Shl, b, eight)?;
        let low_of = self.binary_instruction(I::AShr, low_of, eight)?;
        let (high, high_of) =
            (self.binary_instruction(I::LShr, a, eight)?, self.binary_instruction(I::AShr, b, eight)?);
        let (low, high) =
            (self.binary_instruction(I::Mul, low, low_of)?, self.binary_instruction(I::Mul, high, high_of)?);
        let sum = self.binary_instruction(I::Add, low, high)?;
        self.binary_instruction(I::Add, c, sum)
    }

    /// `c` plus, lane by lane, two lanes of `a`.
    pub(super) fn pairs(&self, a: Value<'c>, c: Value<'c>) -> Result<Value<'c>> {
        let lanes = values::lanes(c);
        if values::lanes(a) != 2 * lanes {
            return Err(EmitError::Form(format!("{lanes} sums are not of two lanes each")));
        }
        if 4 * lanes <= self.machine.target.vector_bytes()
            && let Some(name) = madd(lanes)
        {
            let sum = self.call_value(name, &[], &[a, self.int_in(a, 16, 1)])?;
            return self.binary_instruction(I::Add, c, sum);
        }
        let words = c.get_type();
        let (a, sixteen) = (self.conversion(I::BitCast, a, words)?, self.int_in(c, 32, 16));
        let low = self.binary_instruction(I::Shl, a, sixteen)?;
        let low = self.binary_instruction(I::AShr, low, sixteen)?;
        let high = self.binary_instruction(I::AShr, a, sixteen)?;
        let sum = self.binary_instruction(I::Add, low, high)?;
        self.binary_instruction(I::Add, c, sum)
    }

    fn dot4_of_pairs(&self, a: Value<'c>, b: Value<'c>, c: Value<'c>) -> Result<Value<'c>> {
        let lanes = values::lanes(c);
        let Some(name) = madd(lanes) else { return self.dot4_of_words(a, b, c) };
        let halves = types::register(self.context, Ty::vector(DType::I16, 2 * lanes))?;
        let (a, b) = (self.conversion(I::BitCast, a, halves)?, self.conversion(I::BitCast, b, halves)?);
        let eight = self.int_in(a, 16, 8);
        let even = {
            let a = self.binary_instruction(I::And, a, self.int_in(a, 16, 0xff))?;
            let b = self.binary_instruction(I::Shl, b, eight)?;
            self.call_value(name, &[], &[a, self.binary_instruction(I::AShr, b, eight)?])?
        };
        let odd = {
            let (a, b) =
                (self.binary_instruction(I::LShr, a, eight)?, self.binary_instruction(I::AShr, b, eight)?);
            self.call_value(name, &[], &[a, b])?
        };
        let sum = self.binary_instruction(I::Add, even, odd)?;
        self.binary_instruction(I::Add, c, sum)
    }

    fn dot4_of_words(&self, a: Value<'c>, b: Value<'c>, c: Value<'c>) -> Result<Value<'c>> {
        let words = c.get_type();
        let (a, b) = (self.conversion(I::BitCast, a, words)?, self.conversion(I::BitCast, b, words)?);
        (0..4).try_fold(c, |sum, byte| {
            let x = self.binary_instruction(I::LShr, a, self.int_in(c, 32, 8 * byte))?;
            let x = self.binary_instruction(I::And, x, self.int_in(c, 32, 0xff))?;
            let y = self.binary_instruction(I::Shl, b, self.int_in(c, 32, 24 - 8 * byte))?;
            let y = self.binary_instruction(I::AShr, y, self.int_in(c, 32, 24))?;
            let product = self.binary_instruction(I::Mul, x, y)?;
            self.binary_instruction(I::Add, sum, product)
        })
    }
}

/// What multiplies pairs of 16 bits and adds them up, for so many sums.
fn madd(lanes: u32) -> Option<&'static str> {
    match lanes {
        4 => Some("llvm.x86.sse2.pmadd.wd"),
        8 => Some("llvm.x86.avx2.pmadd.wd"),
        16 => Some("llvm.x86.avx512.pmaddw.d.512"),
        _ => None,
    }
}
