//! Instructions over values that are scalars or vectors alike.
use super::{EmitError, Emitter, Result, Value, types};
use inkwell::intrinsics::Intrinsic;
use inkwell::types::BasicTypeEnum;
use inkwell::values::{BasicMetadataValueEnum, CallSiteValue, InstructionOpcode};
use inkwell::{FloatPredicate, IntPredicate};

impl<'c> Emitter<'_, 'c> {
    pub(super) fn binary_instruction(
        &self,
        op: InstructionOpcode,
        a: Value<'c>,
        b: Value<'c>,
    ) -> Result<Value<'c>> {
        Ok(self.builder.build_binop(op, a, b, "")?)
    }

    pub(super) fn conversion(
        &self,
        op: InstructionOpcode,
        a: Value<'c>,
        to: BasicTypeEnum<'c>,
    ) -> Result<Value<'c>> {
        Ok(self.builder.build_cast(op, a, to, "")?)
    }

    pub(super) fn compare_ints(
        &self,
        predicate: IntPredicate,
        a: Value<'c>,
        b: Value<'c>,
    ) -> Result<Value<'c>> {
        match (a, b) {
            (Value::IntValue(a), Value::IntValue(b)) => {
                Ok(self.builder.build_int_compare(predicate, a, b, "")?.into())
            }
            (Value::VectorValue(a), Value::VectorValue(b)) => {
                Ok(self.builder.build_int_compare(predicate, a, b, "")?.into())
            }
            _ => Err(EmitError::Form("integers of different shapes are compared".to_string())),
        }
    }

    pub(super) fn compare_floats(
        &self,
        predicate: FloatPredicate,
        a: Value<'c>,
        b: Value<'c>,
    ) -> Result<Value<'c>> {
        match (a, b) {
            (Value::FloatValue(a), Value::FloatValue(b)) => {
                Ok(self.builder.build_float_compare(predicate, a, b, "")?.into())
            }
            (Value::VectorValue(a), Value::VectorValue(b)) => {
                Ok(self.builder.build_float_compare(predicate, a, b, "")?.into())
            }
            _ => Err(EmitError::Form("floats of different shapes are compared".to_string())),
        }
    }

    pub(super) fn pick(&self, condition: Value<'c>, a: Value<'c>, b: Value<'c>) -> Result<Value<'c>> {
        match condition {
            Value::IntValue(condition) => Ok(self.builder.build_select(condition, a, b, "")?),
            Value::VectorValue(condition) => Ok(self.builder.build_select(condition, a, b, "")?),
            _ => Err(EmitError::Form("the condition of a selection is no truth value".to_string())),
        }
    }

    /// The shape of another value with lanes of that many bits.
    pub(super) fn int_like(&self, value: Value<'c>, bits: u32) -> BasicTypeEnum<'c> {
        let lane = match bits {
            1 => self.context.bool_type(),
            8 => self.context.i8_type(),
            16 => self.context.i16_type(),
            32 => self.context.i32_type(),
            _ => self.context.i64_type(),
        };
        types::widened(lane.into(), lanes(value))
    }

    pub(super) fn float_like(&self, value: Value<'c>, bits: u32) -> BasicTypeEnum<'c> {
        let lane = match bits {
            16 => self.context.f16_type(),
            32 => self.context.f32_type(),
            _ => self.context.f64_type(),
        };
        types::widened(lane.into(), lanes(value))
    }

    /// An integer in all lanes of the shape of another value.
    pub(super) fn int_in(&self, like: Value<'c>, bits: u32, number: u64) -> Value<'c> {
        let lane = match bits {
            16 => self.context.i16_type(),
            32 => self.context.i32_type(),
            _ => self.context.i64_type(),
        };
        types::repeated(lane.const_int(number, false).into(), lanes(like))
    }

    pub(super) fn call(
        &self,
        name: &'static str,
        overloads: &[BasicTypeEnum<'c>],
        args: &[Value<'c>],
    ) -> Result<CallSiteValue<'c>> {
        let intrinsic = Intrinsic::find(name).ok_or(EmitError::Intrinsic(name))?;
        let declared = intrinsic.get_declaration(self.module, overloads).ok_or(EmitError::Intrinsic(name))?;
        let args: Vec<BasicMetadataValueEnum<'c>> = args.iter().map(|a| (*a).into()).collect();
        Ok(self.builder.build_call(declared, &args, "")?)
    }

    pub(super) fn call_value(
        &self,
        name: &'static str,
        overloads: &[BasicTypeEnum<'c>],
        args: &[Value<'c>],
    ) -> Result<Value<'c>> {
        self.call(name, overloads, args)?.try_as_basic_value().basic().ok_or(EmitError::Intrinsic(name))
    }

    pub(super) fn flag(&self, set: bool) -> Value<'c> {
        self.context.bool_type().const_int(set.into(), false).into()
    }
}

/// How many lanes a value has.
pub(super) fn lanes(value: Value<'_>) -> u32 {
    match value {
        Value::VectorValue(vector) => vector.get_type().get_size(),
        _ => 1,
    }
}
