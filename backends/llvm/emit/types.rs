//! Nest types as LLVM types. Truth values are `i1` in registers and `i8` in memory; 16-bit floats
//! are their bits, since nests only load, store and cast them.
use super::{EmitError, Result};
use inkwell::context::Context;
use inkwell::types::{BasicType, BasicTypeEnum};
use inkwell::values::{BasicValueEnum, VectorValue};
use weft_ir::DType;
use weft_ir::types::Kind;
use weft_kernel::nest::{Scalar, Ty};

/// The type of one lane in a register.
pub(crate) fn lane(context: &Context, elem: DType) -> Result<BasicTypeEnum<'_>> {
    Ok(match elem {
        DType::F64 => context.f64_type().into(),
        DType::F32 => context.f32_type().into(),
        DType::I64 | DType::U64 => context.i64_type().into(),
        DType::I32 | DType::U32 => context.i32_type().into(),
        DType::I16 | DType::U16 | DType::F16 | DType::Bf16 => context.i16_type().into(),
        DType::I8 | DType::U8 => context.i8_type().into(),
        DType::Bool => context.bool_type().into(),
        _ => return Err(EmitError::Elem(elem)),
    })
}

/// The type of one element in memory.
pub(crate) fn element(context: &Context, elem: DType) -> Result<BasicTypeEnum<'_>> {
    if elem == DType::Bool { Ok(context.i8_type().into()) } else { lane(context, elem) }
}

/// As many of a type as there are lanes.
pub(crate) fn widened(lane: BasicTypeEnum<'_>, lanes: u32) -> BasicTypeEnum<'_> {
    match lane {
        _ if lanes == 1 => lane,
        BasicTypeEnum::FloatType(t) => t.vec_type(lanes).into(),
        BasicTypeEnum::IntType(t) => t.vec_type(lanes).into(),
        other => other,
    }
}

/// The type of a register.
pub(crate) fn register(context: &Context, ty: Ty) -> Result<BasicTypeEnum<'_>> {
    Ok(widened(lane(context, ty.elem)?, ty.lanes))
}

/// Bytes of one element in memory.
pub(crate) fn bytes(elem: DType) -> u32 {
    elem.bits().div_ceil(8).max(1)
}

/// A constant in all lanes.
pub(crate) fn constant(context: &Context, ty: Ty, value: Scalar) -> Result<BasicValueEnum<'_>> {
    let float = match value {
        Scalar::Float(x) => x,
        Scalar::Int(x) => x as f64,
    };
    let int = match value {
        Scalar::Float(x) => x as i64,
        Scalar::Int(x) => x,
    };
    let one: BasicValueEnum<'_> = match (ty.elem, lane(context, ty.elem)?) {
        (_, BasicTypeEnum::FloatType(t)) => t.const_float(float).into(),
        (DType::F16, BasicTypeEnum::IntType(t)) => {
            t.const_int(half::f16::from_f64(float).to_bits().into(), false).into()
        }
        (DType::Bf16, BasicTypeEnum::IntType(t)) => {
            t.const_int(half::bf16::from_f64(float).to_bits().into(), false).into()
        }
        (DType::Bool, BasicTypeEnum::IntType(t)) => t.const_int((float != 0.0).into(), false).into(),
        (_, BasicTypeEnum::IntType(t)) => t.const_int(int as u64, true).into(),
        _ => return Err(EmitError::Elem(ty.elem)),
    };
    Ok(repeated(one, ty.lanes))
}

/// A constant lane in all lanes.
pub(crate) fn repeated(lane: BasicValueEnum<'_>, lanes: u32) -> BasicValueEnum<'_> {
    if lanes == 1 {
        return lane;
    }
    inkwell::types::VectorType::const_vector(&vec![lane; lanes as usize]).into()
}

/// `0, 1, 2, ...` in lanes of an integer or float type.
pub(crate) fn iota(context: &Context, ty: Ty) -> Result<BasicValueEnum<'_>> {
    let scalar = Ty::scalar(ty.elem);
    let lanes: Result<Vec<_>> =
        (0..ty.lanes).map(|i| constant(context, scalar, Scalar::Int(i.into()))).collect();
    let lanes = lanes?;
    match lanes.as_slice() {
        [one] => Ok(*one),
        many => Ok(inkwell::types::VectorType::const_vector(many).into()),
    }
}

/// The numbers that pick lanes in a `shufflevector`.
pub(crate) fn picks<'c>(context: &'c Context, numbers: &[u32]) -> VectorValue<'c> {
    let i32_type = context.i32_type();
    let numbers: Vec<_> = numbers.iter().map(|n| i32_type.const_int((*n).into(), false)).collect();
    inkwell::types::VectorType::const_vector(&numbers)
}

/// Whether registers of this type hold an LLVM float.
pub(crate) fn is_float(elem: DType) -> bool {
    matches!(elem, DType::F32 | DType::F64)
}

/// Whether it is a 16-bit float, whose register holds bits.
pub(crate) fn is_short_float(elem: DType) -> bool {
    matches!(elem, DType::F16 | DType::Bf16)
}

/// Whether it is an integer with a sign.
pub(crate) fn is_signed(elem: DType) -> bool {
    elem.kind() == Kind::Signed
}

/// Poison of a type, for values that only hold what is inserted.
pub(crate) fn poison(ty: BasicTypeEnum<'_>) -> BasicValueEnum<'_> {
    match ty {
        BasicTypeEnum::VectorType(t) => t.get_poison().into(),
        BasicTypeEnum::IntType(t) => t.get_poison().into(),
        BasicTypeEnum::FloatType(t) => t.get_poison().into(),
        other => other.as_basic_type_enum().const_zero(),
    }
}
