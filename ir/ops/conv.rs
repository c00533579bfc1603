//! Convolutions.
use super::extents::{MAX_RANK, agree, agree_all, extent, ranked, same_dtype};
use super::rules::{DILATIONS, KERNEL, PADS, STRIDES, attr, fail, int, ints, op, opt, req, shaped, text};
use super::window::{AutoPad, Layout, Window, checked};
use crate::dim::Dim;
use crate::infer::Fact;
use crate::op::{AttrDef, AttrDefault, AttrKind, InferCx, InferError, OpDef};
use crate::types::DType;

type Facts = Result<Vec<Fact>, InferError>;

const PLAIN: &[AttrDef] = &[text("auto_pad", "NOTSET"), DILATIONS, int("group", 1), KERNEL, PADS, STRIDES];

/// The table.
pub(crate) const OPS: &[OpDef] = &[
    OpDef {
        attrs: &[
            text("auto_pad", "NOTSET"),
            DILATIONS,
            int("group", 1),
            KERNEL,
            text("layout", "nchw"),
            PADS,
            STRIDES,
        ],
        ..op("Conv", "Convolution over spatial axes, with bias.", &[req("X"), req("W"), opt("B")], conv)
    },
    OpDef {
        attrs: PLAIN,
        ..op(
            "ConvInteger",
            "Convolution of 8-bit integers less their zero points, into `i32`.",
            &[req("x"), req("w"), opt("x_zero_point"), opt("w_zero_point")],
            conv_integer,
        )
    },
    OpDef {
        attrs: PLAIN,
        ..op(
            "QLinearConv",
            "Convolution of quantised numbers, quantised again.",
            &[
                req("x"),
                req("x_scale"),
                req("x_zero_point"),
                req("w"),
                req("w_scale"),
                req("w_zero_point"),
                req("y_scale"),
                req("y_zero_point"),
                opt("B"),
            ],
            qlinear_conv,
        )
    },
    OpDef {
        attrs: &[DILATIONS, int("group", 1), KERNEL, int("offset_group", 1), PADS, STRIDES],
        ..op(
            "DeformConv",
            "Convolution whose taps are moved by `offset` and weighted by `mask`.",
            &[req("X"), req("W"), req("offset"), opt("B"), opt("mask")],
            deform_conv,
        )
    },
    OpDef {
        attrs: &[
            text("auto_pad", "NOTSET"),
            DILATIONS,
            int("group", 1),
            KERNEL,
            text("layout", "nchw"),
            ints("output_padding"),
            attr("output_shape", AttrKind::Ints, AttrDefault::Absent),
            PADS,
            STRIDES,
        ],
        ..op(
            "ConvTranspose",
            "Transposed convolution: the gradient of Conv with respect to its operand.",
            &[req("X"), req("W"), opt("B")],
            conv_transpose,
        )
    },
];

/// Operand and weights of a convolution, as far as known.
struct Sides<'a> {
    x: Option<&'a [Dim]>,
    w: Option<&'a [Dim]>,
    group: i64,
    layout: Layout,
}

impl<'a> Sides<'a> {
    fn of(cx: &InferCx<'a>, x: usize, w: usize, layout: Layout) -> Result<Self, InferError> {
        let (x, w) = (ranked(cx, x, 3..=MAX_RANK)?, ranked(cx, w, 3..=MAX_RANK)?);
        if let (Some(x), Some(w)) = (x, w)
            && x.len() != w.len()
        {
            return fail(format!(
                "the operand has rank {}, the weights {}, expected the same",
                x.len(),
                w.len()
            ));
        }
        match cx.attrs().int("group") {
            group @ 1.. => Ok(Self { x, w, group, layout }),
            other => fail(format!("`group` is {other}, expected at least 1")),
        }
    }

    fn rank(&self) -> Option<usize> {
        self.x.or(self.w).map(<[Dim]>::len)
    }

    /// The result of a forward convolution.
    fn forward(&self, cx: &InferCx<'_>) -> Result<Option<Vec<Dim>>, InferError> {
        let Some(rank) = self.rank() else { return Ok(None) };
        let (Some(x), Some(w)) = (self.x, self.w) else { return Ok(Some(super::extents::unknown(rank))) };
        let (batch, channels, spatial) = self.layout.split(x);
        agree(&w[1].scale(self.group), &channels, "channels of the weights (by groups) and of the operand")?;
        divides(&w[0], self.group)?;
        let window = Window::of(&cx.attrs(), w[2..].to_vec())?;
        let slides: Result<Vec<Dim>, _> =
            spatial.iter().enumerate().map(|(i, d)| window.slide(i, d)).collect();
        Ok(Some(self.layout.join(batch, w[0].clone(), &slides?)))
    }
}

fn divides(channels: &Dim, group: i64) -> Result<(), InferError> {
    match channels.modulo(&Dim::fixed(group)).as_fixed() {
        Some(rest) if rest != 0 => fail(format!("{channels} channels do not divide into {group} groups")),
        _ => Ok(()),
    }
}

/// A bias must be a vector with an element for each channel.
fn bias(cx: &InferCx<'_>, i: usize, channels: Option<&Dim>) -> Result<(), InferError> {
    if cx.get(i).is_none() {
        return Ok(());
    }
    if let (Some([length]), Some(channels)) = (ranked(cx, i, 1..=1)?, channels) {
        agree(length, channels, "the length of the bias and the channels")?;
    }
    Ok(())
}

fn conv(cx: &InferCx<'_>) -> Facts {
    same_dtype(cx, 0, 1)?;
    same_dtype(cx, 0, 2)?;
    let sides = Sides::of(cx, 0, 1, Layout::of(&cx.attrs())?)?;
    bias(cx, 2, sides.w.map(|w| &w[0]))?;
    Ok(vec![Fact::of(shaped(cx.need(0)?.dtype(), sides.forward(cx)?))])
}

fn eight_bits(cx: &InferCx<'_>, i: usize) -> Result<(), InferError> {
    match cx.need(i)?.dtype() {
        DType::I8 | DType::U8 => Ok(()),
        other => fail(format!("operand {i} has type {other}, expected i8 or u8")),
    }
}

fn conv_integer(cx: &InferCx<'_>) -> Facts {
    eight_bits(cx, 0)?;
    eight_bits(cx, 1)?;
    same_dtype(cx, 0, 2)?;
    same_dtype(cx, 1, 3)?;
    let sides = Sides::of(cx, 0, 1, Layout::First)?;
    Ok(vec![Fact::of(shaped(DType::I32, sides.forward(cx)?))])
}

fn qlinear_conv(cx: &InferCx<'_>) -> Facts {
    eight_bits(cx, 0)?;
    eight_bits(cx, 3)?;
    eight_bits(cx, 7)?;
    same_dtype(cx, 0, 2)?;
    same_dtype(cx, 3, 5)?;
    let sides = Sides::of(cx, 0, 3, Layout::First)?;
    bias(cx, 8, sides.w.map(|w| &w[0]))?;
    Ok(vec![Fact::of(shaped(cx.need(7)?.dtype(), sides.forward(cx)?))])
}

fn deform_conv(cx: &InferCx<'_>) -> Facts {
    for other in 1..5 {
        same_dtype(cx, 0, other)?;
    }
    let sides = Sides::of(cx, 0, 1, Layout::First)?;
    bias(cx, 3, sides.w.map(|w| &w[0]))?;
    let dims = sides.forward(cx)?;
    let groups = cx.attrs().int("offset_group");
    if groups < 1 {
        return fail(format!("`offset_group` is {groups}, expected at least 1"));
    }
    if let (Some(dims), Some(x), Some(w)) = (&dims, sides.x, sides.w) {
        divides(&x[1], groups)?;
        let taps = super::extents::product(&w[2..]).scale(groups);
        let moves = taps.scale(w.len() as i64 - 2);
        for (i, per_tap) in [(2, moves), (4, taps)] {
            if let Some(found) = cx.get(i).and_then(Fact::dims) {
                let expected = [&[dims[0].clone(), per_tap], &dims[2..]].concat();
                agree_all(found, &expected, "extents of offsets or mask and of the result")?;
            }
        }
    }
    Ok(vec![Fact::of(shaped(cx.need(0)?.dtype(), dims))])
}

fn conv_transpose(cx: &InferCx<'_>) -> Facts {
    same_dtype(cx, 0, 1)?;
    same_dtype(cx, 0, 2)?;
    let sides = Sides::of(cx, 0, 1, Layout::of(&cx.attrs())?)?;
    let dtype = cx.need(0)?.dtype();
    let (Some(x), Some(w)) = (sides.x, sides.w) else {
        return Ok(vec![Fact::of(shaped(dtype, sides.rank().map(super::extents::unknown)))]);
    };
    let (batch, channels, spatial) = sides.layout.split(x);
    agree(&w[0], &channels, "channels of the weights and of the operand")?;
    divides(&channels, sides.group)?;
    let out_channels = w[1].scale(sides.group);
    bias(cx, 2, Some(&out_channels))?;
    let window = Window::of(&cx.attrs(), w[2..].to_vec())?;
    let extents = transposed_extents(cx, &window, &spatial)?;
    Ok(vec![Fact::of(shaped(dtype, Some(sides.layout.join(batch, out_channels, &extents))))])
}

fn transposed_extents(cx: &InferCx<'_>, window: &Window, spatial: &[Dim]) -> Result<Vec<Dim>, InferError> {
    let n = spatial.len();
    let more = checked("output_padding", cx.attrs().ints("output_padding"), (n, 0, 0))?;
    let given = checked("output_shape", cx.attrs().ints("output_shape"), (n, -1, 1))?;
    let extents = spatial.iter().enumerate().map(|(i, d)| {
        let stride = window.strides[i];
        let whole = match (given[i], window.auto) {
            (1.., _) => Dim::fixed(given[i]),
            (_, AutoPad::SameUpper | AutoPad::SameLower) => d.scale(stride),
            _ => {
                let pads = window.before[i].saturating_add(window.behind[i]);
                d.plus(-1).scale(stride).add(&window.span(i)).plus(more[i]).plus(pads.saturating_neg())
            }
        };
        extent(whole, "the result")
    });
    extents.collect()
}
