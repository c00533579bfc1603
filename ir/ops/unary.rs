//! Functions of one operand, element by element: mathematics and activations.
use super::check::{Types, alike, attr_text, broadcast_to_first, operand, same_extent};
use super::rules::{Infer, fail, float, op, req, text};
use super::values;
use crate::dim::Dim;
use crate::infer::Fact;
use crate::op::{InferCx, InferError, OpDef, OperandDef, Traits};

const X: &[OperandDef] = &[req("X")];
const INPUT: &[OperandDef] = &[req("input")];

const fn map(name: &'static str, doc: &'static str, operands: &'static [OperandDef], infer: Infer) -> OpDef {
    OpDef { traits: Traits::ELEMENTWISE, ..op(name, doc, operands, infer) }
}

/// Functions of mathematics.
pub(crate) const MATH: &[OpDef] = &[
    map("Abs", "The magnitude.", X, |cx| followed(cx, Types::Number, values::abs)),
    map("Acos", "The inverse cosine.", INPUT, floats),
    map("Acosh", "The inverse hyperbolic cosine.", INPUT, floats),
    map("Asin", "The inverse sine.", INPUT, floats),
    map("Asinh", "The inverse hyperbolic sine.", INPUT, floats),
    map("Atan", "The inverse tangent.", INPUT, floats),
    map("Atanh", "The inverse hyperbolic tangent.", INPUT, floats),
    map("BitwiseNot", "Every bit turned over.", X, |cx| kept(cx, Types::Int)),
    map("Ceil", "The next whole number above.", X, floats),
    map("Cos", "The cosine.", INPUT, floats),
    map("Cosh", "The hyperbolic cosine.", INPUT, floats),
    map("Erf", "The error function.", INPUT, |cx| kept(cx, Types::Number)),
    map("Exp", "The exponential function.", INPUT, floats),
    map("Floor", "The next whole number below.", X, floats),
    map("Log", "The natural logarithm.", INPUT, floats),
    map("Neg", "The negation `-x`.", X, |cx| followed(cx, Types::Signed, |d| Some(d.scale(-1)))),
    map("Reciprocal", "One divided by `x`.", X, floats),
    map("Round", "The nearest whole number, ties to even.", X, floats),
    map("Sign", "-1, 0 or 1 as `x` is below, at or above zero.", INPUT, |cx| kept(cx, Types::Number)),
    map("Sin", "The sine of an angle.", INPUT, floats),
    map("Sinh", "The hyperbolic sine.", INPUT, floats),
    map("Sqrt", "The square root.", X, floats),
    map("Tan", "The tangent.", INPUT, floats),
    map("Tanh", "The hyperbolic tangent.", INPUT, floats),
];

/// Activations of neural networks.
pub(crate) const ACTIVATIONS: &[OpDef] = &[
    OpDef {
        attrs: &[float("alpha", 1.0)],
        ..map("Celu", "`max(0, x) + min(0, alpha * (exp(x / alpha) - 1))`.", X, floats)
    },
    OpDef {
        attrs: &[float("alpha", 1.0)],
        ..map("Elu", "`x`, or `alpha * (exp(x) - 1)` below zero.", X, floats)
    },
    OpDef {
        attrs: &[text("approximate", "none")],
        ..map("Gelu", "`x` times the normal distribution at `x`, exactly or by `tanh`.", X, gelu)
    },
    OpDef {
        attrs: &[float("alpha", 0.2), float("beta", 0.5)],
        ..map("HardSigmoid", "`min(1, max(0, alpha * x + beta))`.", X, floats)
    },
    map("HardSwish", "`x * min(1, max(0, x / 6 + 0.5))`.", X, floats),
    OpDef {
        attrs: &[float("alpha", 0.01)],
        ..map("LeakyRelu", "`x`, or `alpha * x` below zero.", X, floats)
    },
    map("Mish", "`x * tanh(log(1 + exp(x)))`.", X, floats),
    map("PRelu", "`x`, or `slope * x` below zero.", &[req("X"), req("slope")], prelu),
    map("Relu", "`max(x, 0)`.", X, |cx| kept(cx, Types::Signed)),
    OpDef {
        attrs: &[float("alpha", 1.673_263_2), float("gamma", 1.050_701)],
        ..map("Selu", "`gamma` times `x`, or `alpha * (exp(x) - 1)` below zero.", X, floats)
    },
    OpDef {
        attrs: &[float("bias", 0.0), float("lambd", 0.5)],
        ..map("Shrink", "`x` moved towards zero by `bias`, and zero within `lambd` of it.", INPUT, |cx| {
            kept(cx, Types::Number)
        })
    },
    map("Sigmoid", "`1 / (1 + exp(-x))`.", X, floats),
    map("Softplus", "`log(1 + exp(x))`.", X, floats),
    map("Softsign", "`x / (1 + abs(x))`.", INPUT, floats),
    OpDef {
        attrs: &[float("alpha", 1.0)],
        ..map("SwiGLU", "`a * sigmoid(alpha * a) * b`.", &[req("A"), req("B")], swiglu)
    },
    OpDef { attrs: &[float("alpha", 1.0)], ..map("Swish", "`x * sigmoid(alpha * x)`.", X, floats) },
    OpDef {
        attrs: &[float("alpha", 1.0)],
        ..map("ThresholdedRelu", "`x` above `alpha`, else zero.", X, floats)
    },
    map("com.microsoft.FastGelu", "Gelu of `x + bias` by `tanh`.", BIASED, fast_gelu),
    map("com.microsoft.Gelu", "`x` times the normal distribution at `x`.", X, floats),
    OpDef {
        attrs: &[float("alpha", 1.702)],
        ..map("com.microsoft.QuickGelu", "`x * sigmoid(alpha * x)`.", X, floats)
    },
];

const BIASED: &[OperandDef] = &[req("X"), super::rules::opt("bias")];

fn floats(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    kept(cx, Types::Float)
}

/// The type of the only operand is that of the result.
fn kept(cx: &InferCx<'_>, types: Types) -> Result<Vec<Fact>, InferError> {
    Ok(vec![Fact::of(operand(cx, 0, types)?.ty.clone())])
}

/// The same, with integers known symbolically followed through.
fn followed(cx: &InferCx<'_>, types: Types, f: fn(&Dim) -> Option<Dim>) -> Result<Vec<Fact>, InferError> {
    let x = operand(cx, 0, types)?;
    let value = x.value.as_ref().and_then(|v| v.iter().map(f).collect());
    Ok(vec![Fact::of(x.ty.clone()).with_value(value)])
}

fn gelu(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    attr_text(cx, "approximate", &["none", "tanh"])?;
    floats(cx)
}

fn prelu(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    one_way(cx, Types::Number)
}

fn fast_gelu(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    one_way(cx, Types::Float)
}

/// Operand 1 broadcasts to operand 0, whose type is that of the result.
fn one_way(cx: &InferCx<'_>, types: Types) -> Result<Vec<Fact>, InferError> {
    let x = operand(cx, 0, types)?;
    alike(cx, &[0, 1])?;
    broadcast_to_first(cx, &[1])?;
    Ok(vec![Fact::of(x.ty.clone())])
}

fn swiglu(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    let (a, b) = (operand(cx, 0, Types::Float)?, operand(cx, 1, Types::Float)?);
    if a.ty.rank() != b.ty.rank() && a.ty.rank().is_some() && b.ty.rank().is_some() {
        return fail(format!("shapes differ: {} and {}", a.ty, b.ty));
    }
    for (x, y) in a.dims().unwrap_or_default().iter().zip(b.dims().unwrap_or_default()) {
        same_extent(x, y, "extents of the operands")?;
    }
    one_way(cx, Types::Float)
}
