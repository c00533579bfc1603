//! Truth values, comparisons and choices.
use super::arith::comparison;
use super::check::{Types, alike, operand};
use super::rules::{Infer, broadcast_all, int, op, req, shaped};
use super::values;
use crate::dim::Dim;
use crate::infer::Fact;
use crate::op::{InferCx, InferError, OpDef, OperandDef, Traits};
use crate::types::{DType, TensorType};

const AB: &[OperandDef] = &[req("A"), req("B")];
const CHOICE: &[OperandDef] = &[req("condition"), req("X"), req("Y")];

const fn map(name: &'static str, doc: &'static str, operands: &'static [OperandDef], infer: Infer) -> OpDef {
    OpDef { traits: Traits::ELEMENTWISE, ..op(name, doc, operands, infer) }
}

const fn swap(name: &'static str, doc: &'static str, infer: Infer) -> OpDef {
    OpDef { traits: Traits::COMMUTATIVE, ..op(name, doc, AB, infer) }
}

/// The table.
pub(crate) const OPS: &[OpDef] = &[
    swap("And", "Whether both are true.", |cx| comparison(cx, Types::Bool, |a, b| Some(a.mul(b)))),
    swap("Equal", "Whether both are equal.", |cx| comparison(cx, Types::Any, values::equal)),
    map("Greater", "Whether `a > b`.", AB, |cx| comparison(cx, Types::Number, values::greater)),
    map("GreaterOrEqual", "Whether `a >= b`.", AB, |cx| comparison(cx, Types::Number, values::at_least)),
    OpDef {
        attrs: &[int("detect_negative", 1), int("detect_positive", 1)],
        ..map("IsInf", "Whether it is infinite.", &[req("X")], special)
    },
    map("IsNaN", "Whether it is not a number.", &[req("X")], special),
    map("Less", "Whether `a < b`.", AB, |cx| comparison(cx, Types::Number, |a, b| values::greater(b, a))),
    map("LessOrEqual", "Whether `a <= b`.", AB, |cx| {
        comparison(cx, Types::Number, |a, b| values::at_least(b, a))
    }),
    map("Not", "Whether it is false.", &[req("X")], not),
    swap("Or", "Whether one is true.", |cx| comparison(cx, Types::Bool, |a, b| Some(a.larger(b)))),
    map("Where", "`x` where the condition is true, else `y`.", CHOICE, choice),
    swap("Xor", "Whether just one is true.", |cx| comparison(cx, Types::Bool, differ)),
];

fn differ(a: &Dim, b: &Dim) -> Option<Dim> {
    let (a, b) = (a.as_fixed()?, b.as_fixed()?);
    Some(Dim::fixed(i64::from(a != b)))
}

fn special(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    let x = operand(cx, 0, Types::AnyFloat)?;
    Ok(vec![Fact::of(TensorType { dtype: DType::Bool, ..x.ty.clone() })])
}

fn not(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    let x = operand(cx, 0, Types::Bool)?;
    let value = x.value.as_ref().map(|v| v.iter().map(|d| Dim::fixed(1).sub(d)).collect());
    Ok(vec![Fact::of(x.ty.clone()).with_value(value)])
}

fn choice(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    let condition = operand(cx, 0, Types::Bool)?;
    let (x, y) = (cx.need(1)?, cx.need(2)?);
    alike(cx, &[1, 2])?;
    let value = chosen(condition, x, y);
    Ok(vec![Fact::of(shaped(x.dtype(), broadcast_all(cx)?)).with_value(value)])
}

/// The elements of a choice, where every condition is known and the chosen element is too.
fn chosen(condition: &Fact, x: &Fact, y: &Fact) -> Option<Vec<Dim>> {
    let truths = condition.ints()?;
    let (x, y) = (x.value.as_ref()?, y.value.as_ref()?);
    let n = [truths.len(), x.len(), y.len()].into_iter().find(|n| *n != 1).unwrap_or(1);
    if [truths.len(), x.len(), y.len()].iter().any(|len| *len != n && *len != 1) {
        return None;
    }
    let pick = |i: usize| {
        let from = if truths[i % truths.len()] != 0 { x } else { y };
        from[i % from.len()].clone()
    };
    Some((0..n).map(pick).collect())
}
