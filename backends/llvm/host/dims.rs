//! Extents as integer arithmetic.
use super::Host;
use crate::emit::{EmitError, Result, element_at};
use inkwell::IntPredicate;
use inkwell::basic_block::BasicBlock;
use inkwell::builder::Builder;
use inkwell::intrinsics::Intrinsic;
use inkwell::values::{IntValue, PointerValue};
use weft_ir::{Atom, Dim};

/// What becomes of a number that does not fit, or a division by zero.
#[derive(Clone, Copy)]
pub(super) enum Overflow<'c> {
    /// It becomes the largest number; a division by zero gives 0.
    Saturates,
    /// It wraps; a division by zero goes to the block.
    Wraps(BasicBlock<'c>),
}

/// Writes the arithmetic of extents.
pub(super) struct Arithmetic<'h, 'a, 'c> {
    pub(super) host: &'h Host<'a, 'c>,
    pub(super) builder: &'h Builder<'c>,
    /// The array of symbols.
    pub(super) syms: PointerValue<'c>,
    pub(super) overflow: Overflow<'c>,
}

impl<'c> Arithmetic<'_, '_, 'c> {
    /// The value of an extent. (Extents are nested as deep as the importer lets them be.)
    pub(super) fn dim(&self, dim: &Dim) -> Result<IntValue<'c>> {
        let mut sum = None;
        for (atoms, factor) in dim.terms() {
            let mut product = self.number(factor);
            for (i, atom) in atoms.iter().enumerate() {
                let atom = self.atom(atom)?;
                product = if i == 0 && factor == 1 { atom } else { self.mul(product, atom)? };
            }
            sum = Some(match sum {
                None => product,
                Some(sum) => self.add(sum, product)?,
            });
        }
        Ok(sum.unwrap_or_else(|| self.number(0)))
    }

    pub(super) fn number(&self, number: i64) -> IntValue<'c> {
        self.host.i64().const_int(number as u64, true)
    }

    /// Where a symbol is kept.
    pub(super) fn symbol(&self, number: u32) -> Result<PointerValue<'c>> {
        element_at(self.builder, self.host.i64().into(), self.syms, self.number(number.into()))
    }

    pub(super) fn named(&self, name: &str) -> Result<IntValue<'c>> {
        let number = self.host.symbols.get(name);
        let number = number.ok_or_else(|| EmitError::Form(format!("nothing defines the symbol `{name}`")))?;
        Ok(self.builder.build_load(self.host.i64(), self.symbol(*number)?, "")?.into_int_value())
    }

    fn atom(&self, atom: &Atom) -> Result<IntValue<'c>> {
        match atom {
            Atom::Symbol(name) => self.named(name),
            Atom::Div(a, b) => self.floor_div(self.dim(a)?, self.dim(b)?),
            Atom::Mod(a, b) => {
                let (a, b) = (self.dim(a)?, self.dim(b)?);
                let whole = self.builder.build_int_mul(self.floor_div(a, b)?, b, "")?;
                Ok(self.builder.build_int_sub(a, whole, "")?)
            }
            Atom::Min(a, b) => self.call("llvm.smin", self.dim(a)?, self.dim(b)?),
            Atom::Max(a, b) => self.call("llvm.smax", self.dim(a)?, self.dim(b)?),
        }
    }

    fn call(&self, name: &'static str, a: IntValue<'c>, b: IntValue<'c>) -> Result<IntValue<'c>> {
        Ok(self.call_any(name, a, b)?.into_int_value())
    }

    fn call_any(
        &self,
        name: &'static str,
        a: IntValue<'c>,
        b: IntValue<'c>,
    ) -> Result<inkwell::values::BasicValueEnum<'c>> {
        let declared = Intrinsic::find(name)
            .and_then(|i| i.get_declaration(self.host.module, &[self.host.i64().into()]))
            .ok_or(EmitError::Intrinsic(name))?;
        let call = self.builder.build_call(declared, &[a.into(), b.into()], "")?;
        call.try_as_basic_value().basic().ok_or(EmitError::Intrinsic(name))
    }

    fn add(&self, a: IntValue<'c>, b: IntValue<'c>) -> Result<IntValue<'c>> {
        match self.overflow {
            Overflow::Saturates => self.call("llvm.sadd.sat", a, b),
            Overflow::Wraps(_) => Ok(self.builder.build_int_add(a, b, "")?),
        }
    }

    fn mul(&self, a: IntValue<'c>, b: IntValue<'c>) -> Result<IntValue<'c>> {
        if let Overflow::Wraps(_) = self.overflow {
            return Ok(self.builder.build_int_mul(a, b, "")?);
        }
        let both = self.call_any("llvm.smul.with.overflow", a, b)?.into_struct_value();
        let product = self.builder.build_extract_value(both, 0, "")?.into_int_value();
        let over = self.builder.build_extract_value(both, 1, "")?.into_int_value();
        Ok(self.builder.build_select(over, self.number(i64::MAX), product, "")?.into_int_value())
    }

    /// The quotient towards minus infinity. A divisor of -1 is kept from the instruction, which
    /// would end the process where the quotient does not fit.
    fn floor_div(&self, a: IntValue<'c>, b: IntValue<'c>) -> Result<IntValue<'c>> {
        let known = b.get_sign_extended_constant().filter(|b| *b > 0);
        let (safe, by_minus_one) = match known {
            Some(_) => (b, None),
            None => self.safe_divisor(b)?,
        };
        let quotient = self.builder.build_int_signed_div(a, safe, "")?;
        let rest = self.builder.build_int_signed_rem(a, safe, "")?;
        let zero = self.number(0);
        let inexact = self.builder.build_int_compare(IntPredicate::NE, rest, zero, "")?;
        let signs = self.builder.build_xor(a, safe, "")?;
        let differ = self.builder.build_int_compare(IntPredicate::SLT, signs, zero, "")?;
        let lower = self.builder.build_and(inexact, differ, "")?;
        let less = self.builder.build_int_sub(quotient, self.number(1), "")?;
        let floor = self.builder.build_select(lower, less, quotient, "")?.into_int_value();
        let Some(by_minus_one) = by_minus_one else { return Ok(floor) };
        let negative = self.builder.build_int_sub(zero, a, "")?;
        Ok(self.builder.build_select(by_minus_one, negative, floor, "")?.into_int_value())
    }

    /// A divisor that is neither 0 nor -1, and whether it was -1.
    fn safe_divisor(&self, b: IntValue<'c>) -> Result<(IntValue<'c>, Option<IntValue<'c>>)> {
        let one = self.number(1);
        let is = |number| self.builder.build_int_compare(IntPredicate::EQ, b, self.number(number), "");
        let is_zero = is(0)?;
        if let Overflow::Wraps(failed) = self.overflow {
            self.leave_if(is_zero, failed)?;
        }
        let minus_one = is(-1)?;
        let refused = self.builder.build_or(is_zero, minus_one, "")?;
        let safe = self.builder.build_select(refused, one, b, "")?.into_int_value();
        Ok((safe, Some(minus_one)))
    }

    /// Goes to a block under a condition, and on in a new one.
    pub(super) fn leave_if(&self, condition: IntValue<'c>, to: BasicBlock<'c>) -> Result<()> {
        let here = self.builder.get_insert_block().and_then(BasicBlock::get_parent);
        let function = here.ok_or_else(|| EmitError::Form("no block is open".to_string()))?;
        let on = self.host.context.append_basic_block(function, "on");
        self.builder.build_conditional_branch(condition, to, on)?;
        self.builder.position_at_end(on);
        Ok(())
    }
}
