//! Random numbers, and dropping out at random.
use super::check::{Types, attr_type, operand, optional, ranked};
use super::rules::{Infer, attr, fail, float, int, op, opt, req};
use crate::dim::Dim;
use crate::infer::Fact;
use crate::op::{AttrDef, AttrDefault, AttrKind, InferCx, InferError, OpDef, OperandDef, Traits, one};
use crate::types::{DType, TensorType};

const INPUT: &[OperandDef] = &[req("input")];
const SEED: AttrDef = attr("seed", AttrKind::Float, AttrDefault::Absent);
const LIKE: AttrDef = attr("dtype", AttrKind::Type, AttrDefault::Absent);
const DTYPE: AttrDef = attr("dtype", AttrKind::Type, AttrDefault::Type(DType::F32));
const SHAPE: AttrDef = attr("shape", AttrKind::Ints, AttrDefault::Required);

const fn random(
    name: &'static str,
    doc: &'static str,
    operands: &'static [OperandDef],
    attrs: &'static [AttrDef],
    infer: Infer,
) -> OpDef {
    OpDef { traits: Traits::EFFECT, attrs, ..op(name, doc, operands, infer) }
}

const MEAN: AttrDef = float("mean", 0.0);
const SCALE: AttrDef = float("scale", 1.0);
const HIGH: AttrDef = float("high", 1.0);
const LOW: AttrDef = float("low", 0.0);
const SAMPLES: AttrDef = int("sample_size", 1);
const INDEX: AttrDef = attr("dtype", AttrKind::Type, AttrDefault::Type(DType::I32));

/// The table.
pub(crate) const OPS: &[OpDef] = &[
    random("Bernoulli", "1 with the probability the operand says, else 0.", INPUT, &[LIKE, SEED], bernoulli),
    OpDef {
        attrs: &[attr("seed", AttrKind::Int, AttrDefault::Absent)],
        results: (1, 2),
        ..op(
            "Dropout",
            "The first operand unchanged; training is not supported.",
            &[req("data"), opt("ratio"), opt("training_mode")],
            dropout,
        )
    },
    random(
        "Multinomial",
        "Classes drawn by their logarithmic weights.",
        INPUT,
        &[INDEX, SAMPLES, SEED],
        draw,
    ),
    random(
        "RandomNormal",
        "Numbers of a normal distribution.",
        &[],
        &[DTYPE, MEAN, SCALE, SEED, SHAPE],
        of_shape,
    ),
    random("RandomNormalLike", "Numbers of a normal distribution.", INPUT, &[LIKE, MEAN, SCALE, SEED], like),
    random("RandomUniform", "Numbers evenly spread.", &[], &[DTYPE, HIGH, LOW, SEED, SHAPE], of_shape),
    random("RandomUniformLike", "Numbers evenly spread.", INPUT, &[LIKE, HIGH, LOW, SEED], like),
];

fn of_shape(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    let shape = cx.attrs().ints("shape");
    if let Some(extent) = shape.iter().find(|d| **d < 0) {
        return fail(format!("attribute `shape` holds the extent {extent}"));
    }
    let dtype = attr_type(cx, "dtype", Types::Float)?.unwrap_or(DType::F32);
    one(TensorType::new(dtype, shape.iter().map(|d| Dim::fixed(*d)).collect()))
}

fn like(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    let x = cx.need(0)?;
    let dtype = match attr_type(cx, "dtype", Types::Float)? {
        Some(dtype) => dtype,
        None => operand(cx, 0, Types::Float)?.dtype(),
    };
    one(TensorType { dtype, ..x.ty.clone() })
}

fn bernoulli(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    let x = operand(cx, 0, Types::Float)?;
    let dtype = attr_type(cx, "dtype", Types::NumberOrBool)?.unwrap_or(x.dtype());
    one(TensorType { dtype, ..x.ty.clone() })
}

fn draw(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    let x = operand(cx, 0, Types::Float)?;
    ranked(cx, 0, &[2])?;
    let dtype = attr_type(cx, "dtype", Types::Index)?.unwrap_or(DType::I32);
    let samples = cx.attrs().int("sample_size");
    if samples < 0 {
        return fail(format!("attribute `sample_size` is {samples}, expected at least 0"));
    }
    let batch = x.dims().and_then(|d| d.first()).cloned().unwrap_or_else(Dim::unknown);
    one(TensorType::new(dtype, vec![batch, Dim::fixed(samples)]))
}

fn dropout(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    let x = operand(cx, 0, Types::AnyFloat)?;
    optional(cx, 1, Types::AnyFloat)?;
    optional(cx, 2, Types::Bool)?;
    Ok(vec![Fact::of(x.ty.clone()), Fact::of(TensorType { dtype: DType::Bool, ..x.ty.clone() })])
}
