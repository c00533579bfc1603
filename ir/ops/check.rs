//! Checks of element types and ranks that many inference functions share.
use super::rules::fail;
use crate::dim::Dim;
use crate::infer::Fact;
use crate::op::{InferCx, InferError};
use crate::types::{DType, Kind};

/// A set of element types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Types {
    /// `f64 f32 f16 bf16`.
    Float,
    /// Integers of 8 bits and more.
    Int,
    /// Floats of 16 bits and more and signed integers of 8 bits and more.
    Signed,
    /// Floats of 16 bits and more and integers of 8 bits and more.
    Number,
    /// Numbers and truth values.
    NumberOrBool,
    /// Truth values.
    Bool,
    /// `i8 u8`.
    Byte,
    /// `i32 i64`.
    Index,
    /// Floats of any width.
    AnyFloat,
    /// What is quantised: a float or an `i32`.
    Plain,
    /// What is quantised to: integers up to 32 bits and floats up to 8.
    Quantised,
    /// Every type but text.
    NoText,
    /// Every type.
    Any,
}

impl Types {
    fn admits(self, dtype: DType) -> bool {
        let wide = dtype.bits() >= 8;
        let float = wide16(dtype);
        match self {
            Types::Float => float,
            Types::Int => dtype.is_int() && wide,
            Types::Signed => float || (dtype.kind() == Kind::Signed && wide),
            Types::Number => float || (dtype.is_int() && wide),
            Types::NumberOrBool => float || (dtype.is_int() && wide) || dtype == DType::Bool,
            Types::Bool => dtype == DType::Bool,
            Types::Byte => matches!(dtype, DType::I8 | DType::U8),
            Types::Index => matches!(dtype, DType::I32 | DType::I64),
            Types::AnyFloat => dtype.is_float(),
            Types::Plain => float || dtype == DType::I32,
            Types::Quantised => {
                (dtype.is_int() && dtype.bits() <= 32) || (dtype.is_float() && !wide16(dtype))
            }
            Types::NoText => dtype != DType::String,
            Types::Any => true,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Types::Float => "a float of at least 16 bits",
            Types::Int => "an integer of at least 8 bits",
            Types::Signed => "a float or a signed integer",
            Types::Number => "a float of at least 16 bits or an integer of at least 8",
            Types::NumberOrBool => "a float of at least 16 bits, an integer of at least 8 or bool",
            Types::Bool => "bool",
            Types::Byte => "i8 or u8",
            Types::Index => "i32 or i64",
            Types::AnyFloat => "a float",
            Types::Plain => "a float of at least 16 bits or i32",
            Types::Quantised => "an integer of at most 32 bits or a float of at most 8",
            Types::NoText => "no string",
            Types::Any => "anything",
        }
    }
}

fn wide16(dtype: DType) -> bool {
    matches!(dtype, DType::F64 | DType::F32 | DType::F16 | DType::Bf16)
}

/// Operand `i`, which must be present and of one of these element types.
pub(crate) fn operand<'a>(cx: &InferCx<'a>, i: usize, types: Types) -> Result<&'a Fact, InferError> {
    let fact = cx.need(i)?;
    check(cx, i, fact, types)?;
    Ok(fact)
}

/// Operand `i`, which must be of one of these element types if it is present.
pub(crate) fn optional<'a>(cx: &InferCx<'a>, i: usize, types: Types) -> Result<Option<&'a Fact>, InferError> {
    let Some(fact) = cx.get(i) else { return Ok(None) };
    check(cx, i, fact, types)?;
    Ok(Some(fact))
}

fn check(cx: &InferCx<'_>, i: usize, fact: &Fact, types: Types) -> Result<(), InferError> {
    if types.admits(fact.dtype()) {
        return Ok(());
    }
    let name = name_of(cx, i);
    fail(format!("operand {i} `{name}` has element type {}, expected {}", fact.dtype(), types.text()))
}

fn name_of(cx: &InferCx<'_>, i: usize) -> &'static str {
    let operands = cx.def.operands;
    operands.get(i).or(operands.last()).map_or("", |o| o.name)
}

/// Checks that the operands of these positions that are present have one element type.
pub(crate) fn alike(cx: &InferCx<'_>, positions: &[usize]) -> Result<(), InferError> {
    let mut first: Option<DType> = None;
    for dtype in positions.iter().filter_map(|i| cx.get(*i)).map(Fact::dtype) {
        match first {
            Some(other) if other != dtype => {
                return fail(format!("element types differ: {other} and {dtype}"));
            }
            _ => first = Some(dtype),
        }
    }
    Ok(())
}

/// Checks that operand `i`, if present, has this element type.
pub(crate) fn typed(cx: &InferCx<'_>, i: usize, dtype: DType) -> Result<(), InferError> {
    match cx.get(i).map(Fact::dtype).filter(|found| *found != dtype) {
        Some(found) => {
            let name = name_of(cx, i);
            fail(format!("operand {i} `{name}` has element type {found}, expected {dtype}"))
        }
        None => Ok(()),
    }
}

/// Checks that operand `i`, if present and of known rank, has one of these ranks.
pub(crate) fn ranked(cx: &InferCx<'_>, i: usize, ranks: &[usize]) -> Result<(), InferError> {
    match cx.get(i).and_then(|fact| fact.ty.rank()).filter(|rank| !ranks.contains(rank)) {
        Some(rank) => {
            let expected: Vec<String> = ranks.iter().map(usize::to_string).collect();
            let (name, expected) = (name_of(cx, i), expected.join(" or "));
            fail(format!("operand {i} `{name}` has rank {rank}, expected {expected}"))
        }
        None => Ok(()),
    }
}

/// The one of two extents that says more; they must not be two different numbers.
pub(crate) fn same_extent(a: &Dim, b: &Dim, what: &str) -> Result<Dim, InferError> {
    match (a.as_fixed(), b.as_fixed()) {
        (Some(m), Some(n)) if m != n => fail(format!("{what} differ, found {m} and {n}")),
        (None, Some(_)) => Ok(b.clone()),
        _ if a.is_unknown() => Ok(b.clone()),
        _ => Ok(a.clone()),
    }
}

/// The element type of an attribute, which must be one of these if there is one.
pub(crate) fn attr_type(cx: &InferCx<'_>, name: &str, types: Types) -> Result<Option<DType>, InferError> {
    match cx.attrs().dtype(name) {
        Some(dtype) if !types.admits(dtype) => {
            fail(format!("attribute `{name}` is {dtype}, expected {}", types.text()))
        }
        dtype => Ok(dtype),
    }
}

/// The text of an attribute, which must be one of these.
pub(crate) fn attr_text<'a>(cx: &InferCx<'a>, name: &str, allowed: &[&str]) -> Result<&'a str, InferError> {
    let text = cx.attrs().str(name);
    if allowed.contains(&text) {
        return Ok(text);
    }
    let expected: Vec<String> = allowed.iter().map(|a| format!("`{a}`")).collect();
    fail(format!("attribute `{name}` is `{text}`, expected {}", expected.join(" or ")))
}

/// Checks that the operands of these positions that are present broadcast to operand 0 without
/// changing its shape.
pub(crate) fn broadcast_to_first(cx: &InferCx<'_>, positions: &[usize]) -> Result<(), InferError> {
    let Some(x) = cx.need(0)?.dims() else { return Ok(()) };
    for i in positions {
        let Some(dims) = cx.get(*i).and_then(|f| f.dims()) else { continue };
        if !stretches(dims, x)? {
            return fail(format!(
                "operand {i} `{}` does not broadcast to {}",
                name_of(cx, *i),
                cx.need(0)?.ty
            ));
        }
    }
    Ok(())
}

/// Whether a shape may broadcast to another without changing it.
pub(crate) fn stretches(from: &[Dim], to: &[Dim]) -> Result<bool, InferError> {
    let both = super::rules::broadcast(to, from)?;
    let grown = |(a, b): (&Dim, &Dim)| a.as_fixed() == Some(1) && b.as_fixed().is_some_and(|b| b != 1);
    Ok(both.len() == to.len() && !to.iter().zip(&both).any(grown))
}
