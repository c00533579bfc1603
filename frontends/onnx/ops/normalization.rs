//! Normalisations, the softmax family, attention.
use super::{Row, by, same};
use crate::call::{Call, Converted};
use weft_frontend::Cause;
use weft_ir::{Attr, Value};

pub(super) const ROWS: &[Row] = &[
    same("Attention", 23),
    by("BatchNormalization", 1, batch_normalization),
    same("BatchNormalization", 14),
    same("CausalConvWithState", 27),
    by("GroupNormalization", 18, group_normalization_by_group),
    same("GroupNormalization", 21),
    by("Hardmax", 1, flattened),
    same("Hardmax", 13),
    same("InstanceNormalization", 1),
    same("LRN", 1),
    same("LayerNormalization", 17),
    same("LinearAttention", 27),
    by("LogSoftmax", 1, flattened),
    same("LogSoftmax", 13),
    same("LpNormalization", 1),
    same("MeanVarianceNormalization", 9),
    same("RMSNormalization", 23),
    same("RotaryEmbedding", 23),
    by("Softmax", 1, flattened),
    same("Softmax", 13),
];

/// Before opset 13 all axes from `axis` on were one row.
fn flattened(call: &mut Call<'_, '_, '_>) -> Converted {
    let op = call.node.op_type();
    let x = call.need(0)?;
    let rank = call.rank(x)? as i64;
    let axis = call.attrs.int("axis")?.unwrap_or(1);
    let axis = if axis < 0 { axis.saturating_add(rank) } else { axis };
    if axis < 0 || axis > rank {
        return Err(Cause::Invalid(format!("`axis` = {axis} for rank {rank}")).into());
    }
    if axis == rank - 1 {
        return call.last(op, &[("axis", Attr::Int(-1))], &[Some(x)]);
    }
    let rows = call.step("rows", "Flatten", &[("axis", Attr::Int(axis))], &[x])?;
    let done = call.step("done", op, &[("axis", Attr::Int(-1))], &[rows])?;
    let shape = call.step("shape", "Shape", &[], &[x])?;
    call.last("Reshape", &[], &[Some(done), Some(shape)])
}

/// Before opset 14 training showed in flags and in the number of results; it gave other results then.
fn batch_normalization(call: &mut Call<'_, '_, '_>) -> Converted {
    call.only("is_test", 1)?;
    call.only("spatial", 1)?;
    if call.results() > 1 {
        return Err(Cause::unsupported("the statistics of training as results").into());
    }
    super::renamed(call, "BatchNormalization")
}

/// Before opset 21 scale and bias belonged to groups, now to channels.
fn group_normalization_by_group(call: &mut Call<'_, '_, '_>) -> Converted {
    let x = call.need(0)?;
    let groups = call.attrs.int("num_groups")?.unwrap_or(1);
    let channels = call.dims(x)?.get(1).and_then(|dim| dim.as_fixed());
    let channels = channels.ok_or_else(|| Cause::unsupported("channels whose number is not known"))?;
    if groups < 1 || channels % groups != 0 {
        return Err(Cause::Invalid(format!("{channels} channels in {groups} groups")).into());
    }
    let mut operands = vec![Some(x)];
    for (i, what) in [(1, "scale"), (2, "bias")] {
        let value = call.need(i)?;
        operands.push(Some(repeated(call, what, value, [groups, channels / groups])?));
    }
    super::with_operands(call, "GroupNormalization", operands)
}

/// Each element of a vector as often as the second number says.
fn repeated(call: &mut Call<'_, '_, '_>, what: &str, value: Value, shape: [i64; 2]) -> Result<Value, Cause> {
    let name = |part: &str| format!("{what}/{part}");
    let column = call.ints(&name("column"), &[shape[0], 1])?;
    let column = call.step(&name("groups"), "Reshape", &[], &[value, column])?;
    let table = call.ints(&name("table"), &shape)?;
    let table = call.step(&name("spread"), "Expand", &[], &[column, table])?;
    let flat = call.ints(&name("flat"), &[-1])?;
    call.step(&name("channels"), "Reshape", &[], &[table, flat])
}
