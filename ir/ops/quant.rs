//! Quantisation: numbers of few bits with scales and zero points.
use super::check::{Types, alike, attr_type, operand, optional, same_extent, typed};
use super::rules::{self, attr, fail, int, op, opt, req, shaped};
use crate::dim::Dim;
use crate::infer::Fact;
use crate::op::{AttrDef, AttrDefault, AttrKind, InferCx, InferError, OpDef, one};
use crate::types::{DType, TensorType};

const OUTPUT: AttrDef = attr("output_dtype", AttrKind::Type, AttrDefault::Absent);

/// The table.
pub(crate) const OPS: &[OpDef] = &[
    OpDef {
        attrs: &[int("axis", 1), int("block_size", 0), OUTPUT],
        ..op(
            "DequantizeLinear",
            "`(x - zero_point) * scale`, per tensor, per channel or per block.",
            &[req("x"), req("x_scale"), opt("x_zero_point")],
            dequantize,
        )
    },
    OpDef {
        results: (3, 3),
        ..op(
            "DynamicQuantizeLinear",
            "`x` as bytes that span its range, with their scale and zero point.",
            &[req("x")],
            dynamic,
        )
    },
    OpDef {
        attrs: &[
            int("axis", 1),
            int("block_size", 0),
            OUTPUT,
            attr("precision", AttrKind::Type, AttrDefault::Absent),
            int("saturate", 1),
        ],
        ..op(
            "QuantizeLinear",
            "`x / scale + zero_point` rounded, per tensor, per channel or per block.",
            &[req("x"), req("y_scale"), opt("y_zero_point")],
            quantize,
        )
    },
];

/// Checks that scales are one number, one per index of the axis, or one per block.
fn granular(cx: &InferCx<'_>) -> Result<(), InferError> {
    let attrs = cx.attrs();
    let (Some(x), Some(scale)) = (cx.need(0)?.dims(), cx.need(1)?.dims()) else { return Ok(()) };
    let single = scale.iter().all(|d| d.as_fixed() == Some(1));
    if single && attrs.int("block_size") == 0 {
        return Ok(());
    }
    let axis = match rules::axis(attrs.int("axis"), x.len()) {
        // The axis of a vector may stay at its default where there is only one scale.
        Err(_) if x.len() == 1 && scale.iter().all(|d| d.as_fixed().is_none()) => return Ok(()),
        axis => axis?,
    };
    if attrs.int("block_size") > 0 {
        if scale.len() != x.len() {
            return fail(format!("blocked scales have rank {}, expected {}", scale.len(), x.len()));
        }
        let blocks = x[axis].div_ceil(&Dim::fixed(attrs.int("block_size")));
        return same_extent(&blocks, &scale[axis], "the blocks of operands 0 and 1").map(drop);
    }
    match scale {
        [extent] => same_extent(extent, &x[axis], "the channels of operands 0 and 1").map(drop),
        _ => fail(format!("scales have rank {}, expected 0 or 1", scale.len())),
    }
}

fn quantize(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    let x = operand(cx, 0, Types::Plain)?;
    let scale = cx.need(1)?;
    if scale.dtype() != DType::F8E8M0 {
        operand(cx, 1, Types::Plain)?;
    }
    let zero = optional(cx, 2, Types::Quantised)?.map(Fact::dtype);
    let to = match (zero, attr_type(cx, "output_dtype", Types::Quantised)?) {
        (Some(zero), Some(output)) if zero != output => {
            return fail(format!("the zero point is {zero}, the attribute `output_dtype` {output}"));
        }
        (zero, output) => zero.or(output).unwrap_or(DType::U8),
    };
    attr_type(cx, "precision", Types::Float)?;
    granular(cx)?;
    one(TensorType { dtype: to, ..x.ty.clone() })
}

fn dequantize(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    let x = operand(cx, 0, Types::Quantised)?;
    let scale = operand(cx, 1, Types::AnyFloat)?.dtype();
    alike(cx, &[0, 2])?;
    granular(cx)?;
    let plain = if scale == DType::F8E8M0 { DType::F32 } else { scale };
    let to = attr_type(cx, "output_dtype", Types::Float)?.unwrap_or(plain);
    one(TensorType { dtype: to, ..x.ty.clone() })
}

fn dynamic(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    let x = operand(cx, 0, Types::Float)?;
    typed(cx, 0, DType::F32)?;
    let number = |dtype| Fact::of(shaped(dtype, Some(Vec::new())));
    let bytes = TensorType { dtype: DType::U8, ..x.ty.clone() };
    Ok(vec![Fact::of(bytes), number(DType::F32), number(DType::U8)])
}
