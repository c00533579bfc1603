//! Pooling.
use super::extents::{MAX_RANK, agree_all, extent, need_vector, own, ranked, unknown};
use super::rules::{DILATIONS, PADS, STRIDES, attr, fail, int, op, opt, req, shaped, text};
use super::window::{Layout, Window};
use crate::dim::Dim;
use crate::infer::Fact;
use crate::op::{AttrDef, AttrDefault, AttrKind, InferCx, InferError, OpDef};
use crate::types::DType;

type Facts = Result<Vec<Fact>, InferError>;

const KERNEL: AttrDef = attr("kernel_shape", AttrKind::Ints, AttrDefault::Required);

/// The table.
pub(crate) const OPS: &[OpDef] = &[
    OpDef {
        attrs: &[
            text("auto_pad", "NOTSET"),
            int("ceil_mode", 0),
            DILATIONS,
            KERNEL,
            text("layout", "nchw"),
            PADS,
            int("storage_order", 0),
            STRIDES,
        ],
        results: (1, 2),
        ..op(
            "MaxPool",
            "The largest element in each window, and where it stands in the flat operand.",
            &[req("X")],
            max_pool,
        )
    },
    OpDef {
        attrs: &[
            text("auto_pad", "NOTSET"),
            int("ceil_mode", 0),
            int("count_include_pad", 0),
            DILATIONS,
            KERNEL,
            text("layout", "nchw"),
            PADS,
            STRIDES,
        ],
        ..op("AveragePool", "The mean of each window.", &[req("X")], average_pool)
    },
    OpDef {
        attrs: &[
            text("auto_pad", "NOTSET"),
            int("ceil_mode", 0),
            DILATIONS,
            KERNEL,
            int("p", 2),
            PADS,
            STRIDES,
        ],
        ..op("LpPool", "The `p`-norm of each window.", &[req("X")], lp_pool)
    },
    OpDef {
        attrs: &[text("layout", "nchw")],
        ..op("GlobalAveragePool", "The mean over all spatial axes.", &[req("X")], global)
    },
    OpDef {
        attrs: &[text("layout", "nchw")],
        ..op("GlobalMaxPool", "The largest element over all spatial axes.", &[req("X")], global)
    },
    OpDef {
        attrs: &[int("p", 2)],
        ..op("GlobalLpPool", "The `p`-norm over all spatial axes.", &[req("X")], global_lp)
    },
    OpDef {
        attrs: &[KERNEL, PADS, STRIDES],
        ..op(
            "MaxUnpool",
            "Zeros but for the elements, put back where MaxPool found them.",
            &[req("X"), req("I"), opt("output_shape")],
            max_unpool,
        )
    },
    OpDef {
        attrs: &[
            attr("pooled_shape", AttrKind::Ints, AttrDefault::Required),
            attr("spatial_scale", AttrKind::Float, AttrDefault::Float(1.0)),
        ],
        ..op(
            "MaxRoiPool",
            "The largest element in each cell of a grid over each region.",
            &[req("X"), req("rois")],
            max_roi_pool,
        )
    },
];

/// The shape after a window slid over operand 0.
fn slid(cx: &InferCx<'_>, layout: Layout) -> Result<Option<Vec<Dim>>, InferError> {
    let kernel: Vec<Dim> = cx.attrs().ints("kernel_shape").iter().map(|k| Dim::fixed(*k)).collect();
    let Some(dims) = ranked(cx, 0, 3..=MAX_RANK)? else {
        return Ok(super::extents::rank_of_length(kernel.len() as i64 + 2).map(unknown).ok());
    };
    if kernel.len() != dims.len() - 2 {
        return fail(format!("`kernel_shape` has {} entries, expected {}", kernel.len(), dims.len() - 2));
    }
    let window = Window::of(&cx.attrs(), kernel)?;
    let (batch, channels, spatial) = layout.split(dims);
    let slides: Result<Vec<Dim>, _> = spatial.iter().enumerate().map(|(i, d)| window.slide(i, d)).collect();
    Ok(Some(layout.join(batch, channels, &slides?)))
}

fn max_pool(cx: &InferCx<'_>) -> Facts {
    let layout = Layout::of(&cx.attrs())?;
    if layout == Layout::Last && cx.results() > 1 {
        return fail("indices are asked for in layout nhwc, expected nchw".to_string());
    }
    let dims = slid(cx, layout)?;
    let x = cx.need(0)?.dtype();
    Ok(vec![Fact::of(shaped(x, dims.clone())), Fact::of(shaped(DType::I64, dims))])
}

fn average_pool(cx: &InferCx<'_>) -> Facts {
    let dims = slid(cx, Layout::of(&cx.attrs())?)?;
    Ok(vec![Fact::of(shaped(cx.need(0)?.dtype(), dims))])
}

fn positive_p(cx: &InferCx<'_>) -> Result<(), InferError> {
    match cx.attrs().int("p") {
        1.. => Ok(()),
        other => fail(format!("`p` is {other}, expected at least 1")),
    }
}

fn lp_pool(cx: &InferCx<'_>) -> Facts {
    positive_p(cx)?;
    Ok(vec![Fact::of(shaped(cx.need(0)?.dtype(), slid(cx, Layout::First)?))])
}

fn global(cx: &InferCx<'_>) -> Facts {
    pooled_away(cx, Layout::of(&cx.attrs())?)
}

fn global_lp(cx: &InferCx<'_>) -> Facts {
    positive_p(cx)?;
    pooled_away(cx, Layout::First)
}

/// All spatial extents become 1.
fn pooled_away(cx: &InferCx<'_>, layout: Layout) -> Facts {
    let dims = ranked(cx, 0, 2..=MAX_RANK)?.map(|dims| {
        let (batch, channels, spatial) = layout.split(dims);
        layout.join(batch, channels, &vec![Dim::fixed(1); spatial.len()])
    });
    Ok(vec![Fact::of(shaped(cx.need(0)?.dtype(), dims))])
}

fn max_unpool(cx: &InferCx<'_>) -> Facts {
    let dtype = cx.need(0)?.dtype();
    let (x, indices) = (ranked(cx, 0, 3..=MAX_RANK)?, cx.need(1)?);
    if indices.dtype() != DType::I64 {
        return fail(format!("the indices have type {}, expected i64", indices.dtype()));
    }
    let Some(x) = x else { return Ok(vec![Fact::of(shaped(dtype, None))]) };
    if let Some(indices) = indices.dims() {
        agree_all(x, indices, "extents of the operand and of the indices")?;
    }
    let kernel: Vec<Dim> = cx.attrs().ints("kernel_shape").iter().map(|k| Dim::fixed(*k)).collect();
    if kernel.len() != x.len() - 2 {
        return fail(format!("`kernel_shape` has {} entries, expected {}", kernel.len(), x.len() - 2));
    }
    let window = Window::of(&cx.attrs(), kernel)?;
    if cx.get(2).is_some() {
        return asked_shape(cx, dtype, x.len());
    }
    let mut dims = x[..2].to_vec();
    for (i, d) in x[2..].iter().enumerate() {
        let pads = window.before[i].saturating_add(window.behind[i]);
        let whole = d.plus(-1).scale(window.strides[i]).add(&window.span(i)).plus(pads.saturating_neg());
        dims.push(extent(whole, "the result")?);
    }
    Ok(vec![Fact::of(shaped(dtype, Some(dims)))])
}

/// The shape that operand 2 asks for.
fn asked_shape(cx: &InferCx<'_>, dtype: DType, rank: usize) -> Facts {
    let asked = need_vector(cx, 2)?;
    if asked.length.is_some_and(|n| n != rank) {
        return fail(format!("`output_shape` has {} entries, expected {rank}", asked.length.unwrap_or(0)));
    }
    let dims = match asked.value {
        Some(dims) => dims.into_iter().map(|d| extent(d, "`output_shape`")).collect::<Result<_, _>>()?,
        None => (0..rank).map(|i| own(cx, 0, i)).collect(),
    };
    Ok(vec![Fact::of(shaped(dtype, Some(dims)))])
}

fn max_roi_pool(cx: &InferCx<'_>) -> Facts {
    let dtype = cx.need(0)?.dtype();
    let (x, rois) = (ranked(cx, 0, 4..=4)?, ranked(cx, 1, 2..=2)?);
    let [height, width] = *cx.attrs().ints("pooled_shape") else {
        return fail(format!(
            "`pooled_shape` is {:?}, expected two numbers",
            cx.attrs().ints("pooled_shape")
        ));
    };
    if height < 1 || width < 1 {
        return fail(format!("`pooled_shape` is [{height}, {width}], expected at least 1"));
    }
    let count = rois.map_or_else(Dim::unknown, |r| r[0].clone());
    let channels = x.map_or_else(Dim::unknown, |x| x[1].clone());
    let dims = vec![count, channels, Dim::fixed(height), Dim::fixed(width)];
    Ok(vec![Fact::of(shaped(dtype, Some(dims)))])
}
