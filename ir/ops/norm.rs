//! Softmax and its kin, and normalisations.
use super::check::{Types, alike, attr_type, broadcast_to_first, operand, optional, ranked, same_extent};
use super::rules::{self, Infer, attr, fail, float, int, op, opt, req, shaped, text};
use super::window::Layout;
use crate::dim::Dim;
use crate::infer::Fact;
use crate::op::{AttrDef, AttrDefault, AttrKind, InferCx, InferError, OpDef, OperandDef};
use crate::types::{DType, TensorType};

const INPUT: &[OperandDef] = &[req("input")];
const AXIS: AttrDef = int("axis", -1);
const EPSILON: AttrDef = float("epsilon", 1e-5);
const LAYOUT: AttrDef = text("layout", "nchw");
const SKIP_EPSILON: AttrDef = float("epsilon", 1e-12);
const STASH: AttrDef = attr("stash_type", AttrKind::Type, AttrDefault::Type(DType::F32));
const BATCH: &[OperandDef] = &[req("X"), req("scale"), req("B"), req("input_mean"), req("input_var")];
const SCALED: &[OperandDef] = &[req("X"), req("scale")];

const fn along(name: &'static str, doc: &'static str, infer: Infer) -> OpDef {
    OpDef { attrs: &[AXIS], ..op(name, doc, INPUT, infer) }
}

/// The table.
pub(crate) const OPS: &[OpDef] = &[
    OpDef {
        attrs: &[EPSILON, float("momentum", 0.9), int("training_mode", 0)],
        results: (1, 3),
        ..op("BatchNormalization", "`x` of each channel moved and scaled by mean and variance.", BATCH, batch)
    },
    OpDef {
        attrs: &[EPSILON, LAYOUT, attr("num_groups", AttrKind::Int, AttrDefault::Required), STASH],
        ..op(
            "GroupNormalization",
            "Groups of channels brought to mean 0 and variance 1, then scaled and moved.",
            &[req("X"), req("scale"), req("bias")],
            channels,
        )
    },
    along("Hardmax", "1 at the first largest element along an axis, else 0.", axis_only),
    OpDef {
        attrs: &[EPSILON, LAYOUT],
        ..op(
            "InstanceNormalization",
            "Each channel brought to mean 0 and variance 1, then scaled and moved.",
            &[req("input"), req("scale"), req("B")],
            channels,
        )
    },
    OpDef {
        attrs: &[float("alpha", 1e-4), float("beta", 0.75), float("bias", 1.0), SIZE],
        ..op("LRN", "`x` over a power of the squares of near channels.", &[req("X")], near_channels)
    },
    OpDef {
        attrs: &[AXIS, EPSILON, STASH],
        results: (1, 3),
        ..op(
            "LayerNormalization",
            "The last axes brought to mean 0 and variance 1, then scaled and moved.",
            &[req("X"), req("Scale"), opt("B")],
            layer,
        )
    },
    along("LogSoftmax", "The logarithm of `Softmax`.", axis_only),
    OpDef {
        attrs: &[AXIS, int("p", 2)],
        ..op("LpNormalization", "`x` over its norm along an axis.", INPUT, lp)
    },
    OpDef {
        attrs: &[attr("axes", AttrKind::Ints, AttrDefault::Ints(&[0, 2, 3]))],
        ..op(
            "MeanVarianceNormalization",
            "`x` brought to mean 0 and variance 1 over axes.",
            &[req("X")],
            over_axes,
        )
    },
    OpDef {
        attrs: &[AXIS, EPSILON, STASH],
        ..op("RMSNormalization", "The last axes over the root of their mean square, scaled.", SCALED, rms)
    },
    along("Softmax", "The exponentials along an axis over their sum.", axis_only),
    OpDef {
        attrs: &[AXIS, EPSILON, STASH],
        results: (1, 2),
        ..op(
            "com.microsoft.SimplifiedLayerNormalization",
            "The last axes over the root of their mean square, scaled.",
            SCALED,
            rms,
        )
    },
    OpDef {
        attrs: &[SKIP_EPSILON],
        results: (1, 4),
        ..op(
            "com.microsoft.SkipLayerNormalization",
            "`LayerNormalization` over the last axis of `input + skip + bias`.",
            &[req("input"), req("skip"), req("gamma"), opt("beta"), opt("bias")],
            skip_layer,
        )
    },
    OpDef {
        attrs: &[SKIP_EPSILON],
        results: (1, 4),
        ..op(
            "com.microsoft.SkipSimplifiedLayerNormalization",
            "`RMSNormalization` over the last axis of `input + skip + bias`.",
            &[req("input"), req("skip"), req("gamma"), opt("bias")],
            skip_layer,
        )
    },
];

const SIZE: AttrDef = attr("size", AttrKind::Int, AttrDefault::Required);

fn axis_only(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    let x = operand(cx, 0, Types::Float)?;
    if let Some(rank) = x.ty.rank() {
        rules::axis(cx.attrs().int("axis"), rank)?;
    }
    Ok(vec![Fact::of(x.ty.clone())])
}

fn lp(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    match cx.attrs().int("p") {
        1 | 2 => axis_only(cx),
        p => fail(format!("attribute `p` is {p}, expected 1 or 2")),
    }
}

fn over_axes(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    let x = operand(cx, 0, Types::Float)?;
    if let Some(rank) = x.ty.rank() {
        cx.attrs().ints("axes").iter().try_for_each(|a| rules::axis(*a, rank).map(drop))?;
    }
    Ok(vec![Fact::of(x.ty.clone())])
}

fn near_channels(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    channel_count(cx)?;
    match cx.attrs().int("size") {
        size if size > 0 => Ok(vec![Fact::of(operand(cx, 0, Types::Float)?.ty.clone())]),
        size => fail(format!("attribute `size` is {size}, expected at least 1")),
    }
}

/// The extent of axis 1 of operand 0, which must have one if its rank is known.
fn channel_count(cx: &InferCx<'_>) -> Result<Option<Dim>, InferError> {
    match operand(cx, 0, Types::Float)?.dims() {
        Some([_, channels, ..]) => Ok(Some(channels.clone())),
        Some(dims) => fail(format!("operand 0 has rank {}, expected at least 2", dims.len())),
        None => Ok(None),
    }
}

/// Checks that operands `from..` are vectors with one element per channel.
fn per_channel(cx: &InferCx<'_>, channels: Option<&Dim>) -> Result<(), InferError> {
    for i in 1..cx.operands.len() {
        let fact = operand(cx, i, Types::Float)?;
        ranked(cx, i, &[1])?;
        if let (Some([extent]), Some(channels)) = (fact.dims(), channels) {
            same_extent(extent, channels, &format!("the channels of operands 0 and {i}"))?;
        }
    }
    Ok(())
}

fn channels(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    let x = operand(cx, 0, Types::Float)?;
    channel_count(cx)?;
    let layout = Layout::of(&cx.attrs())?;
    let count = x.dims().map(|dims| dims[layout.channel(dims.len())].clone());
    per_channel(cx, count.as_ref())?;
    if cx.def.attrs.iter().any(|a| a.name == "num_groups") {
        let groups = cx.attrs().int("num_groups");
        let fits = count.and_then(|c| c.as_fixed()).is_none_or(|c| groups > 0 && c % groups == 0);
        if groups <= 0 || !fits {
            return fail(format!("{groups} groups do not divide the channels of {}", x.ty));
        }
    }
    Ok(vec![Fact::of(x.ty.clone())])
}

fn batch(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    let x = operand(cx, 0, Types::Float)?;
    // Rank 1 is one channel; ONNX allows it for `X` of shape [N].
    let count = if x.ty.rank() == Some(1) { None } else { channel_count(cx)? };
    per_channel(cx, count.as_ref())?;
    let mut facts = vec![Fact::of(x.ty.clone())];
    facts.extend([3, 4].iter().filter_map(|i| cx.get(*i)).map(|f| Fact::of(f.ty.clone())));
    if cx.results() > 1 && !cx.attrs().flag("training_mode") {
        return fail("running mean and variance are results of training mode only".to_string());
    }
    Ok(facts)
}

/// The type with the axes from `axis` on reduced to 1.
fn statistics(x: &Fact, axis: i64, dtype: DType) -> Result<TensorType, InferError> {
    let Some(dims) = x.dims() else { return Ok(TensorType::unranked(dtype)) };
    let axis = rules::axis(axis, dims.len())?;
    let kept = |(i, dim): (usize, &Dim)| if i < axis { dim.clone() } else { Dim::fixed(1) };
    Ok(TensorType::new(dtype, dims.iter().enumerate().map(kept).collect()))
}

/// Checks the operands of these positions as scales and biases of operand 0.
fn applied(cx: &InferCx<'_>, positions: &[usize]) -> Result<(), InferError> {
    positions.iter().try_for_each(|i| optional(cx, *i, Types::Float).map(drop))?;
    broadcast_to_first(cx, positions)
}

fn stash(cx: &InferCx<'_>) -> Result<DType, InferError> {
    Ok(attr_type(cx, "stash_type", Types::Float)?.unwrap_or(DType::F32))
}

fn layer(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    let x = operand(cx, 0, Types::Float)?;
    applied(cx, &[1, 2])?;
    let statistics = Fact::of(statistics(x, cx.attrs().int("axis"), stash(cx)?)?);
    Ok(vec![Fact::of(x.ty.clone()), statistics.clone(), statistics])
}

fn rms(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    let x = operand(cx, 0, Types::Float)?;
    let scale = operand(cx, 1, Types::Float)?;
    applied(cx, &[1])?;
    let statistics = statistics(x, cx.attrs().int("axis"), stash(cx)?)?;
    Ok(vec![Fact::of(shaped(scale.dtype(), x.ty.dims.clone())), Fact::of(statistics)])
}

fn skip_layer(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    let x = operand(cx, 0, Types::Float)?;
    let all: Vec<usize> = (0..cx.operands.len()).collect();
    alike(cx, &all)?;
    applied(cx, &all[1..])?;
    let statistics = Fact::of(statistics(x, -1, DType::F32)?);
    Ok(vec![Fact::of(x.ty.clone()), statistics.clone(), statistics, Fact::of(x.ty.clone())])
}
