//! Operators that sample images at computed places.
use super::extents::{MAX_RANK, agree, extent, need_vector, own, ranked, same_dtype, unknown};
use super::rules::{fail, float, int, op, req, shaped, text};
use crate::dim::Dim;
use crate::infer::Fact;
use crate::op::{InferCx, InferError, OpDef};
use crate::types::DType;

type Facts = Result<Vec<Fact>, InferError>;

/// The table.
pub(crate) const OPS: &[OpDef] = &[
    OpDef {
        attrs: &[int("align_corners", 0), text("mode", "linear"), text("padding_mode", "zeros")],
        ..op(
            "GridSample",
            "The operand at the places in `grid`, whose coordinates run from -1 to 1, last axis first.",
            &[req("X"), req("grid")],
            grid_sample,
        )
    },
    OpDef {
        attrs: &[int("align_corners", 0)],
        ..op(
            "AffineGrid",
            "Coordinates from -1 to 1 for a tensor of shape `size`, moved by the matrices `theta`.",
            &[req("theta"), req("size")],
            affine_grid,
        )
    },
    OpDef {
        attrs: &[
            text("coordinate_transformation_mode", "half_pixel"),
            text("mode", "avg"),
            int("output_height", 1),
            int("output_width", 1),
            int("sampling_ratio", 0),
            float("spatial_scale", 1.0),
        ],
        ..op(
            "RoiAlign",
            "The mean or maximum of samples in each cell of a grid over each region.",
            &[req("X"), req("rois"), req("batch_indices")],
            roi_align,
        )
    },
];

/// Refuses a text attribute that is none of these.
pub(crate) fn one_of(cx: &InferCx<'_>, name: &str, choices: &[&str]) -> Result<(), InferError> {
    let found = cx.attrs().str(name);
    if choices.contains(&found) {
        return Ok(());
    }
    fail(format!("`{name}` is `{found}`, expected one of {}", choices.join(", ")))
}

fn grid_sample(cx: &InferCx<'_>) -> Facts {
    one_of(cx, "mode", &["linear", "nearest", "cubic"])?;
    one_of(cx, "padding_mode", &["zeros", "border", "reflection"])?;
    let dtype = cx.need(0)?.dtype();
    let (x, grid) = (ranked(cx, 0, 3..=MAX_RANK)?, ranked(cx, 1, 3..=MAX_RANK)?);
    let (Some(x), Some(grid)) = (x, grid) else {
        return Ok(vec![Fact::of(shaped(dtype, x.or(grid).map(|d| unknown(d.len()))))]);
    };
    if x.len() != grid.len() {
        return fail(format!("the operand has rank {}, the grid {}, expected the same", x.len(), grid.len()));
    }
    let last = grid.len() - 1;
    agree(&grid[last], &Dim::fixed(last as i64 - 1), "coordinates in the grid and spatial axes")?;
    let batch = agree(&x[0], &grid[0], "batches of the operand and of the grid")?;
    let dims = [&[batch, x[1].clone()], &grid[1..last]].concat();
    Ok(vec![Fact::of(shaped(dtype, Some(dims)))])
}

fn affine_grid(cx: &InferCx<'_>) -> Facts {
    let dtype = cx.need(0)?.dtype();
    let theta = ranked(cx, 0, 3..=3)?;
    let size = need_vector(cx, 1)?;
    let rank = match (size.length, theta.and_then(|t| t[1].as_fixed())) {
        (Some(n @ 4..=5), _) => n,
        (None, Some(n @ 2..=3)) => n as usize + 2,
        (None, None) => return Ok(vec![Fact::of(shaped(dtype, None))]),
        (Some(n), _) => return fail(format!("`size` has {n} entries, expected 4 or 5")),
        (None, Some(n)) => return fail(format!("`theta` has {n} rows, expected 2 or 3")),
    };
    if let Some([_, rows, columns]) = theta {
        agree(rows, &Dim::fixed(rank as i64 - 2), "rows of `theta` and spatial axes")?;
        agree(columns, &Dim::fixed(rank as i64 - 1), "columns of `theta` and of a homogeneous vector")?;
    }
    let mut dims = vec![theta.map_or_else(Dim::unknown, |t| t[0].clone())];
    match &size.value {
        Some(value) => {
            dims[0] = agree(&dims[0], &value[0], "batches of `theta` and `size`")?;
            for d in &value[2..] {
                dims.push(extent(d.clone(), "`size`")?);
            }
        }
        None => dims.extend((1..rank - 1).map(|i| own(cx, 0, i))),
    }
    dims.push(Dim::fixed(rank as i64 - 2));
    Ok(vec![Fact::of(shaped(dtype, Some(dims)))])
}

fn roi_align(cx: &InferCx<'_>) -> Facts {
    one_of(cx, "mode", &["avg", "max"])?;
    one_of(cx, "coordinate_transformation_mode", &["half_pixel", "output_half_pixel"])?;
    same_dtype(cx, 0, 1)?;
    let (x, rois, batches) = (ranked(cx, 0, 4..=4)?, ranked(cx, 1, 2..=2)?, ranked(cx, 2, 1..=1)?);
    if cx.need(2)?.dtype() != DType::I64 {
        return fail(format!("`batch_indices` has type {}, expected i64", cx.need(2)?.dtype()));
    }
    let (height, width) = (cx.attrs().int("output_height"), cx.attrs().int("output_width"));
    if height < 1 || width < 1 || cx.attrs().int("sampling_ratio") < 0 {
        return fail(format!(
            "a grid of {height} by {width} cells, expected at least 1 and no negative sampling ratio"
        ));
    }
    let mut count = rois.map_or_else(Dim::unknown, |r| r[0].clone());
    if let Some([numbers]) = batches {
        count = agree(&count, numbers, "numbers of regions and of batch indices")?;
    }
    if let Some([_, four]) = rois {
        agree(four, &Dim::fixed(4), "the numbers in a region and the 4 expected")?;
    }
    let channels = x.map_or_else(Dim::unknown, |x| x[1].clone());
    Ok(vec![Fact::of(shaped(
        cx.need(0)?.dtype(),
        Some(vec![count, channels, Dim::fixed(height), Dim::fixed(width)]),
    ))])
}
