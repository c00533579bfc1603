//! Arithmetic of two or more operands, with broadcasting.
use super::check::{Types, alike, attr_text, operand};
use super::rules::{attr, broadcast_all, int, many, op, opt, req, shaped};
use super::values::{self, OnDims};
use crate::dim::Dim;
use crate::infer::Fact;
use crate::op::{AttrDefault, AttrKind, InferCx, InferError, OpDef, OperandDef, Traits};
use crate::types::{DType, TensorType};

const AB: &[OperandDef] = &[req("A"), req("B")];
const XY: &[OperandDef] = &[req("X"), req("Y")];
const LIST: &[OperandDef] = &[many("data_0")];

/// An elementwise operator.
const fn map(name: &'static str, doc: &'static str, operands: &'static [OperandDef], infer: Infer) -> OpDef {
    OpDef { traits: Traits::ELEMENTWISE, ..op(name, doc, operands, infer) }
}

/// An elementwise operator whose first two operands may be swapped.
const fn swap(name: &'static str, doc: &'static str, operands: &'static [OperandDef], infer: Infer) -> OpDef {
    OpDef { traits: Traits::COMMUTATIVE, ..op(name, doc, operands, infer) }
}

use super::rules::Infer;

/// The table.
pub(crate) const OPS: &[OpDef] = &[
    swap("Add", "The sum `a + b`.", AB, |cx| number(cx, |a, b| Some(a.add(b)))),
    OpDef {
        attrs: &[attr("direction", AttrKind::Str, AttrDefault::Required)],
        ..map("BitShift", "`x` with its bits moved left or right by `y` places.", XY, shift)
    },
    swap("BitwiseAnd", "The bits set in both.", AB, bits),
    swap("BitwiseOr", "The bits set in either.", AB, bits),
    swap("BitwiseXor", "The bits set in one and not the other.", AB, bits),
    map("Clip", "`min(max(x, low), high)`.", &[req("input"), opt("min"), opt("max")], clip),
    map("Div", "The quotient `a / b`; that of integers is cut towards zero.", AB, |cx| {
        number(cx, values::div)
    }),
    swap("Max", "The largest of all operands; not a number if one is not.", LIST, |cx| {
        variadic(cx, Types::Number, Some(|a, b| Some(a.larger(b))))
    }),
    swap("Mean", "The mean of all operands.", LIST, |cx| variadic(cx, Types::Float, None)),
    swap("Min", "The smallest of all operands; not a number if one is not.", LIST, |cx| {
        variadic(cx, Types::Number, Some(|a, b| Some(a.smaller(b))))
    }),
    OpDef {
        attrs: &[int("fmod", 0)],
        ..map("Mod", "What `a / b` leaves: with the sign of `b`, or of `a` if `fmod`.", AB, modulo)
    },
    swap("Mul", "The product `a * b`.", AB, |cx| number(cx, |a, b| Some(a.mul(b)))),
    map("Pow", "`x` to the power `y`, in the type of `x`.", XY, pow),
    map("Sub", "The difference `a - b`.", AB, |cx| number(cx, |a, b| Some(a.sub(b)))),
    swap("Sum", "The sum of all operands.", LIST, |cx| variadic(cx, Types::Float, None)),
];

fn number(cx: &InferCx<'_>, on_dims: OnDims) -> Result<Vec<Fact>, InferError> {
    binary(cx, Types::Number, Some(on_dims))
}

fn bits(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    binary(cx, Types::Int, None)
}

fn shift(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    attr_text(cx, "direction", &["LEFT", "RIGHT"])?;
    bits(cx)
}

/// Broadcasts two operands of one type; where both are integers known symbolically, so is the result.
fn binary(cx: &InferCx<'_>, types: Types, on_dims: Option<OnDims>) -> Result<Vec<Fact>, InferError> {
    let (a, b) = (operand(cx, 0, types)?, operand(cx, 1, types)?);
    alike(cx, &[0, 1])?;
    let value = on_dims.and_then(|f| values::zip(a.value.as_ref()?, b.value.as_ref()?, f));
    Ok(vec![Fact::of(shaped(a.dtype(), broadcast_all(cx)?)).with_value(value)])
}

fn modulo(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    number(cx, if cx.attrs().flag("fmod") { values::trunc_mod } else { values::floor_mod })
}

fn pow(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    let base = operand(cx, 0, Types::Number)?;
    operand(cx, 1, Types::Number)?;
    Ok(vec![Fact::of(shaped(base.dtype(), broadcast_all(cx)?))])
}

fn variadic(cx: &InferCx<'_>, types: Types, on_dims: Option<OnDims>) -> Result<Vec<Fact>, InferError> {
    let positions: Vec<usize> = (0..cx.operands.len()).collect();
    let first = operand(cx, 0, types)?;
    positions.iter().try_for_each(|i| operand(cx, *i, types).map(drop))?;
    alike(cx, &positions)?;
    let fold = |value: Option<Vec<Dim>>, next: &Fact| {
        on_dims.and_then(|f| values::zip(&value?, next.value.as_ref()?, f))
    };
    let value = cx.operands.iter().flatten().skip(1).fold(first.value.clone(), fold);
    let value = value.filter(|_| on_dims.is_some() && first.dtype().is_int());
    Ok(vec![Fact::of(shaped(first.dtype(), broadcast_all(cx)?)).with_value(value)])
}

fn clip(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    let input = operand(cx, 0, Types::Number)?;
    alike(cx, &[0, 1, 2])?;
    for i in [1, 2] {
        let elements = cx.get(i).and_then(|f| f.ty.elements()).and_then(|n| n.as_fixed());
        if elements.is_some_and(|n| n != 1) {
            return super::rules::fail(format!(
                "operand {i} of {} elements, expected one",
                elements.unwrap_or(0)
            ));
        }
    }
    let bounded = |value: Option<Vec<Dim>>, i: usize, f: OnDims| match cx.get(i) {
        Some(bound) => values::zip(&value?, bound.value.as_ref()?, f),
        None => value,
    };
    let low = bounded(input.value.clone(), 1, |a, b| Some(a.larger(b)));
    let value = bounded(low, 2, |a, b| Some(a.smaller(b)));
    Ok(vec![Fact::of(input.ty.clone()).with_value(value)])
}

/// The result of comparing two operands: truth values, known where they can be told.
pub(crate) fn comparison(cx: &InferCx<'_>, types: Types, on_dims: OnDims) -> Result<Vec<Fact>, InferError> {
    let result = binary(cx, types, Some(on_dims))?;
    let truths = |fact: Fact| Fact { ty: TensorType { dtype: DType::Bool, ..fact.ty }, ..fact };
    Ok(result.into_iter().map(truths).collect())
}
