//! Changes of the element type.
use super::check::{Types, attr_text, operand};
use super::rules::{attr, fail, int, op, req, text};
use super::values;
use crate::dim::Dim;
use crate::infer::Fact;
use crate::op::{AttrDef, AttrDefault, AttrKind, InferCx, InferError, OpDef, Traits};
use crate::types::{DType, Kind, TensorType};

const TO: AttrDef = attr("to", AttrKind::Type, AttrDefault::Required);

/// The table.
pub(crate) const OPS: &[OpDef] = &[
    OpDef {
        attrs: &[TO],
        traits: Traits::ELEMENTWISE,
        ..op("BitCast", "The same bits as another element type of the same width.", &[req("input")], bit_cast)
    },
    OpDef {
        attrs: &[text("round_mode", "up"), int("saturate", 1), TO],
        traits: Traits::ELEMENTWISE,
        ..op("Cast", "The elements as another element type.", &[req("input")], cast)
    },
    OpDef {
        attrs: &[text("round_mode", "up"), int("saturate", 1)],
        ..op(
            "CastLike",
            "The elements as the element type of the second operand.",
            &[req("input"), req("target_type")],
            cast_like,
        )
    },
];

fn target(cx: &InferCx<'_>) -> Result<DType, InferError> {
    match cx.attrs().dtype("to") {
        Some(dtype) => Ok(dtype),
        None => fail("attribute `to` holds no element type".to_string()),
    }
}

fn bit_cast(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    let (x, to) = (operand(cx, 0, Types::NoText)?, target(cx)?);
    if x.dtype().bits() != to.bits() || to == DType::String {
        return fail(format!("{} and {to} are not of the same width", x.dtype()));
    }
    Ok(vec![Fact::of(TensorType { dtype: to, ..x.ty.clone() })])
}

fn cast(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    cast_to(cx, target(cx)?)
}

fn cast_like(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    cast_to(cx, cx.need(1)?.dtype())
}

fn cast_to(cx: &InferCx<'_>, to: DType) -> Result<Vec<Fact>, InferError> {
    attr_text(cx, "round_mode", &["up", "down", "nearest"])?;
    let x = cx.need(0)?;
    let value = x.value.as_ref().and_then(|v| v.iter().map(|d| cast_dim(d, to)).collect());
    Ok(vec![Fact::of(TensorType { dtype: to, ..x.ty.clone() }).with_value(value)])
}

/// A symbolic integer as another type, where it certainly fits.
fn cast_dim(dim: &Dim, to: DType) -> Option<Dim> {
    match (to.kind(), dim.as_fixed()) {
        (Kind::Bool, Some(x)) => Some(Dim::fixed(i64::from(x != 0))),
        (Kind::Bool, None) => values::lower_bound(dim).filter(|low| *low > 0).map(|_| Dim::fixed(1)),
        (Kind::Signed, Some(x)) if to.bits() < 64 => {
            let half = 1i64 << (to.bits() - 1);
            (-half..half).contains(&x).then(|| dim.clone())
        }
        (Kind::Unsigned, Some(x)) if to.bits() < 64 => {
            (0..1i64 << to.bits()).contains(&x).then(|| dim.clone())
        }
        (Kind::Unsigned, Some(x)) => (x >= 0).then(|| dim.clone()),
        // Extents are taken to fit the 32-bit integers that models compute them in.
        (Kind::Signed, _) if to.bits() >= 32 => Some(dim.clone()),
        _ => None,
    }
}
