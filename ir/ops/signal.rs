//! Fourier transforms, windows and mel filters.
use super::extents::{MAX_RANK, agree, extent, integers, own, ranked, same_dtype, single, unknown};
use super::rules::{attr, axis, fail, int, op, opt, req, shaped};
use crate::dim::Dim;
use crate::infer::Fact;
use crate::op::{AttrDef, AttrDefault, AttrKind, InferCx, InferError, OpDef};
use crate::types::DType;

type Facts = Result<Vec<Fact>, InferError>;

const OUTPUT: AttrDef = attr("output_datatype", AttrKind::Type, AttrDefault::Type(DType::F32));
const WINDOW: &[AttrDef] = &[OUTPUT, int("periodic", 1)];

/// The table.
pub(crate) const OPS: &[OpDef] = &[
    OpDef {
        attrs: &[int("inverse", 0), int("onesided", 0)],
        ..op(
            "DFT",
            "The discrete Fourier transform along `axis`; the last axis holds real and imaginary part.",
            &[req("input"), opt("dft_length"), opt("axis")],
            dft,
        )
    },
    OpDef {
        attrs: &[int("onesided", 1)],
        ..op(
            "STFT",
            "Fourier transforms of windows that slide over a signal.",
            &[req("signal"), req("frame_step"), opt("window"), opt("frame_length")],
            stft,
        )
    },
    OpDef { attrs: WINDOW, ..op("HannWindow", "A Hann window of length `size`.", &[req("size")], window) },
    OpDef {
        attrs: WINDOW,
        ..op("HammingWindow", "A Hamming window of length `size`.", &[req("size")], window)
    },
    OpDef {
        attrs: WINDOW,
        ..op("BlackmanWindow", "A Blackman window of length `size`.", &[req("size")], window)
    },
    OpDef {
        attrs: &[OUTPUT],
        ..op(
            "MelWeightMatrix",
            "The matrix that turns a one-sided spectrum into mel bands.",
            &[
                req("num_mel_bins"),
                req("dft_length"),
                req("sample_rate"),
                req("lower_edge_hertz"),
                req("upper_edge_hertz"),
            ],
            mel_weight_matrix,
        )
    },
];

/// How many frequencies of a real signal are not redundant.
fn bins(length: &Dim) -> Dim {
    length.div_floor(&Dim::fixed(2)).plus(1)
}

fn dft(cx: &InferCx<'_>) -> Facts {
    let dtype = cx.need(0)?.dtype();
    let (inverse, onesided) = (cx.attrs().flag("inverse"), cx.attrs().flag("onesided"));
    let Some(dims) = ranked(cx, 0, 2..=MAX_RANK)? else { return Ok(vec![Fact::of(shaped(dtype, None))]) };
    let rank = dims.len();
    let parts = dims[rank - 1].as_fixed();
    match (parts, inverse, onesided) {
        (Some(1 | 2) | None, _, false) | (Some(1) | None, false, true) | (Some(2) | None, true, true) => {}
        (found, ..) => {
            return fail(format!(
                "the last axis has the extent {}, expected 1 (real) or 2 (complex), and of these, the one that `onesided` takes",
                found.unwrap_or(0)
            ));
        }
    }
    let mut result = dims.to_vec();
    result[rank - 1] = Dim::fixed(if inverse && onesided { 1 } else { 2 });
    let at = match (cx.get(2), single(cx, 2)?.and_then(|d| d.as_fixed())) {
        (None, _) => rank.checked_sub(2),
        (Some(_), Some(at)) => Some(axis(at, rank)?),
        (Some(_), None) => None,
    };
    let Some(at) = at else {
        let kept = !onesided && cx.get(1).is_none();
        (0..rank - 1).filter(|_| !kept).for_each(|i| result[i] = own(cx, 0, i));
        return Ok(vec![Fact::of(shaped(dtype, Some(result)))]);
    };
    if at + 1 == rank {
        return fail(format!("axis {at} holds the parts of the numbers, expected another one"));
    }
    let length = match (integers(cx, 1)?.is_some(), inverse && onesided) {
        (true, _) => single(cx, 1)?,
        (false, true) => Some(dims[at].plus(-1).scale(2)),
        (false, false) => Some(dims[at].clone()),
    };
    result[at] = match length {
        Some(length) if onesided && !inverse => bins(&extent(length, "the transform")?),
        Some(length) => extent(length, "the transform")?,
        None => own(cx, 0, at),
    };
    Ok(vec![Fact::of(shaped(dtype, Some(result)))])
}

fn stft(cx: &InferCx<'_>) -> Facts {
    same_dtype(cx, 0, 2)?;
    let dtype = cx.need(0)?.dtype();
    let signal = ranked(cx, 0, 2..=3)?;
    let onesided = cx.attrs().flag("onesided");
    if let Some([_, _, parts]) = signal
        && !matches!((parts.as_fixed(), onesided), (Some(1) | None, _) | (Some(2), false))
    {
        return fail(format!("the signal has {parts} parts, expected 1, or 2 if it is not onesided"));
    }
    cx.need(1)?;
    let step = single(cx, 1)?.and_then(|d| d.as_fixed());
    if step.is_some_and(|step| step < 1) {
        return fail(format!("`frame_step` is {}, expected at least 1", step.unwrap_or(0)));
    }
    let window = if cx.get(2).is_some() { ranked(cx, 2, 1..=1)?.map(|w| w[0].clone()) } else { None };
    let length = match (cx.get(3).is_some(), cx.get(2).is_some()) {
        (true, _) => single(cx, 3)?,
        (false, true) => window.clone(),
        (false, false) => signal.map(|s| s[1].clone()),
    };
    if let (Some(window), Some(length)) = (&window, &length) {
        agree(window, length, "the lengths of window and frame")?;
    }
    let Some(signal) = signal else { return Ok(vec![Fact::of(shaped(dtype, Some(unknown(4))))]) };
    let frames =
        step.zip(length.as_ref()).map(|(step, n)| signal[1].sub(n).div_floor(&Dim::fixed(step)).plus(1));
    let frames = frames.map_or_else(|| Ok(own(cx, 0, 1)), |f| extent(f, "the number of frames"))?;
    let bands = length.map(|n| if onesided { bins(&n) } else { n });
    let bands = bands.map_or_else(|| Ok(own(cx, 0, 2)), |b| extent(b, "a frame"))?;
    Ok(vec![Fact::of(shaped(dtype, Some(vec![signal[0].clone(), frames, bands, Dim::fixed(2)])))])
}

fn window(cx: &InferCx<'_>) -> Facts {
    cx.need(0)?;
    let length = single(cx, 0)?.map_or_else(|| Ok(own(cx, 0, 0)), |n| extent(n, "the window"))?;
    Ok(vec![Fact::of(shaped(cx.attrs().dtype("output_datatype").unwrap_or(DType::F32), Some(vec![length])))])
}

fn mel_weight_matrix(cx: &InferCx<'_>) -> Facts {
    for i in 0..5 {
        ranked(cx, i, 0..=1)?;
    }
    let bands = single(cx, 0)?.map_or_else(|| Ok(own(cx, 0, 1)), |n| extent(n, "the bands"))?;
    let rows = single(cx, 1)?.map_or_else(|| Ok(own(cx, 0, 0)), |n| extent(bins(&n), "the spectrum"))?;
    let dtype = cx.attrs().dtype("output_datatype").unwrap_or(DType::F32);
    Ok(vec![Fact::of(shaped(dtype, Some(vec![rows, bands])))])
}
