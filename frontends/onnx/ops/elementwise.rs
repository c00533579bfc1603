//! Element by element: arithmetic, activations, comparisons, logic, conversions of type.
use super::{Row, by, renamed, same};
use crate::call::{Call, Converted};
use weft_frontend::Cause;
use weft_ir::{Attr, Tensor, Value};

pub(super) const ROWS: &[Row] = &[
    same("Abs", 1),
    same("Acos", 7),
    same("Acosh", 9),
    by("Add", 1, broadcast_along_axis),
    same("Add", 7),
    by("And", 1, broadcast_along_axis),
    same("And", 7),
    same("Asin", 7),
    same("Asinh", 9),
    same("Atan", 7),
    same("Atanh", 9),
    same("BitCast", 26),
    same("BitShift", 11),
    same("BitwiseAnd", 18),
    same("BitwiseNot", 18),
    same("BitwiseOr", 18),
    same("BitwiseXor", 18),
    by("Cast", 1, cast_by_name),
    same("Cast", 6),
    by("CastLike", 15, cast_like),
    same("Ceil", 1),
    same("Celu", 12),
    by("Clip", 1, clip_by_attributes),
    same("Clip", 11),
    same("Cos", 7),
    same("Cosh", 9),
    by("Div", 1, broadcast_along_axis),
    same("Div", 7),
    by("Dropout", 1, dropout),
    by("Dropout", 12, dropout),
    same("Elu", 1),
    by("Equal", 1, broadcast_along_axis),
    same("Equal", 7),
    same("Erf", 9),
    same("Exp", 1),
    same("Floor", 1),
    same("Gelu", 20),
    by("Greater", 1, broadcast_along_axis),
    same("Greater", 7),
    same("GreaterOrEqual", 12),
    same("HardSigmoid", 1),
    same("HardSwish", 14),
    same("IsInf", 10),
    same("IsNaN", 9),
    same("LeakyRelu", 1),
    by("Less", 1, broadcast_along_axis),
    same("Less", 7),
    same("LessOrEqual", 12),
    same("Log", 1),
    same("Max", 1),
    same("Mean", 1),
    same("Min", 1),
    same("Mish", 18),
    same("Mod", 10),
    by("Mul", 1, broadcast_along_axis),
    same("Mul", 7),
    same("Neg", 1),
    same("Not", 1),
    by("Or", 1, broadcast_along_axis),
    same("Or", 7),
    by("PRelu", 1, prelu_by_channel),
    same("PRelu", 7),
    by("Pow", 1, broadcast_along_axis),
    same("Pow", 7),
    same("Reciprocal", 1),
    same("Relu", 1),
    same("Round", 11),
    // Before opset 6 the defaults were rounded.
    same("Selu", 6),
    same("Shrink", 9),
    same("Sigmoid", 1),
    same("Sign", 9),
    same("Sin", 7),
    same("Sinh", 9),
    same("Softplus", 1),
    same("Softsign", 1),
    same("Sqrt", 1),
    by("Sub", 1, broadcast_along_axis),
    same("Sub", 7),
    same("Sum", 1),
    same("SwiGLU", 28),
    same("Swish", 24),
    same("Tan", 7),
    same("Tanh", 1),
    same("ThresholdedRelu", 10),
    same("Where", 9),
    by("Xor", 1, broadcast_along_axis),
    same("Xor", 7),
];

/// Before opset 7 the second operand was laid along the axes of the first from `axis` on.
fn broadcast_along_axis(call: &mut Call<'_, '_, '_>) -> Converted {
    let op = call.node.op_type();
    let flag = call.attrs.int("broadcast")?.unwrap_or(0);
    let axis = call.attrs.int("axis")?;
    let (Some(axis), 1) = (axis, flag) else { return renamed(call, op) };
    let (a, b) = (call.need(0)?, call.need(1)?);
    let (outer, inner) = (call.rank(a)? as i64, call.rank(b)? as i64);
    let axis = if axis < 0 { axis.saturating_add(outer) } else { axis };
    if axis < 0 || axis.saturating_add(inner) > outer {
        return Err(Cause::Invalid(format!("`axis` = {axis} for ranks {outer} and {inner}")).into());
    }
    let aligned = trailing_ones(call, b, (outer - axis - inner) as usize)?;
    call.last(op, &[], &[Some(a), Some(aligned)])
}

/// The value with that many axes of extent 1 behind its own.
fn trailing_ones(call: &mut Call<'_, '_, '_>, value: Value, count: usize) -> Result<Value, Cause> {
    if count == 0 {
        return Ok(value);
    }
    let rank = call.rank(value)?;
    let axes: Vec<i64> = (rank..rank + count).map(|axis| axis as i64).collect();
    let axes = call.ints("axes", &axes)?;
    call.step("aligned", "Unsqueeze", &[], &[value, axes])
}

/// Before opset 7 a slope of rank 1 belonged to the channels, axis 1.
fn prelu_by_channel(call: &mut Call<'_, '_, '_>) -> Converted {
    let (x, slope) = (call.need(0)?, call.need(1)?);
    let one_for_all = call.dims(slope)?.iter().all(|dim| dim.as_fixed() == Some(1));
    let count = call.rank(x)?.saturating_sub(2);
    let by_channel = call.rank(slope)? == 1 && !one_for_all;
    let slope = if by_channel { trailing_ones(call, slope, count)? } else { slope };
    call.last("PRelu", &[], &[Some(x), Some(slope)])
}

/// Before opset 6 the element type was written as its name.
fn cast_by_name(call: &mut Call<'_, '_, '_>) -> Converted {
    use crate::proto::tensor_proto::DataType;
    let name = call.attrs.str("to")?.unwrap_or_default().to_uppercase();
    let code = DataType::from_str_name(&name);
    let code = code.ok_or_else(|| Cause::Invalid(format!("`to` = `{name}` is no element type")))?;
    let to = crate::tensor::dtype(code as i32)?;
    let x = call.need(0)?;
    call.last("Cast", &[("to", Attr::Type(to))], &[Some(x)])
}

/// The element type of the second operand is known, so it is no operand.
fn cast_like(call: &mut Call<'_, '_, '_>) -> Converted {
    let (x, like) = (call.need(0)?, call.need(1)?);
    let mut attrs = call.declared(call.builder.def("Cast")?)?;
    attrs.insert("to".to_string(), Attr::Type(call.dtype(like)));
    call.finish("Cast", attrs, vec![Some(x)])
}

/// Before opset 11 the limits were attributes; the largest floats, the defaults, limit nothing.
fn clip_by_attributes(call: &mut Call<'_, '_, '_>) -> Converted {
    let x = call.need(0)?;
    let limits = [("min", call.attrs.float("min")?, f32::MIN), ("max", call.attrs.float("max")?, f32::MAX)];
    let mut operands = vec![Some(x)];
    for (name, limit, none) in limits {
        let limit = limit.filter(|limit| *limit != none);
        operands.push(limit.map(|limit| call.number_like(name, limit, x)).transpose()?);
    }
    call.last("Clip", &[], &operands)
}

/// A program that only infers drops nothing: the result is the operand, the mask all true.
fn dropout(call: &mut Call<'_, '_, '_>) -> Converted {
    ["ratio", "seed", "is_test"].iter().for_each(|name| call.attrs.ignore(name));
    if trains(call)? {
        return Err(Cause::unsupported("training mode").into());
    }
    let x = call.need(0)?;
    let name = call.result_name(0);
    let kept = call.named(name, "Identity", &[], &[x])?;
    if !call.wants(1) {
        return Ok(vec![kept]);
    }
    let shape = call.step("shape", "Shape", &[], &[x])?;
    let truth = Tensor::from_slice(&[1], &[true]).map_err(|e| Cause::Invalid(e.to_string()))?;
    let name = call.result_name(1);
    let mask = call.named(name, "ConstantOfShape", &[("value", Attr::Tensor(truth.into()))], &[shape])?;
    Ok(vec![kept, mask])
}

/// Whether anything is dropped: only if training mode is on, or may be, with a ratio that is not 0.
fn trains(call: &Call<'_, '_, '_>) -> Result<bool, Cause> {
    let number = |i: usize| match call.operand(i).map(|v| call.data(v)) {
        None => Some(0.0),
        Some(data) => data.and_then(|data| data.to_f64s()?.first().copied()),
    };
    let ratio_is_zero = call.operand(1).is_some() && number(1) == Some(0.0);
    Ok(number(2) != Some(0.0) && !ratio_is_zero)
}
