//! Operators that move or mask elements within a shape.
use super::extents::{
    agree, extent, integers, need_vector, own, product, rank_of_length, ranked, same_dtype, unknown, vector,
};
use super::rules::{attr, fail, int, ints, like_first, op, opt, req, shaped, text};
use super::window::checked;
use crate::dim::Dim;
use crate::infer::Fact;
use crate::op::{AttrDefault, AttrKind, InferCx, InferError, OpDef};

type Facts = Result<Vec<Fact>, InferError>;

/// The table.
pub(crate) const OPS: &[OpDef] = &[
    OpDef {
        attrs: &[text("mode", "constant")],
        ..op(
            "Pad",
            "The data with elements added (or removed, for negative numbers) before and behind each of `axes`.",
            &[req("data"), req("pads"), opt("constant_value"), opt("axes")],
            pad,
        )
    },
    OpDef {
        attrs: &[int("upper", 1)],
        ..op(
            "Trilu",
            "The upper or lower triangle of each matrix from diagonal `k` on, zeros elsewhere.",
            &[req("input"), opt("k")],
            trilu,
        )
    },
    OpDef {
        attrs: &[attr("blocksize", AttrKind::Int, AttrDefault::Required), text("mode", "DCR")],
        ..op(
            "DepthToSpace",
            "Spreads the channels over blocks of `blocksize` by `blocksize` places.",
            &[req("input")],
            depth_to_space,
        )
    },
    OpDef {
        attrs: &[attr("blocksize", AttrKind::Int, AttrDefault::Required), text("mode", "DCR")],
        ..op(
            "SpaceToDepth",
            "Gathers blocks of `blocksize` by `blocksize` places into the channels.",
            &[req("input")],
            space_to_depth,
        )
    },
    OpDef {
        attrs: &[int("batch_axis", 1), int("time_axis", 0)],
        ..op(
            "ReverseSequence",
            "Reverses the first `sequence_lens[i]` steps of each sequence `i`.",
            &[req("input"), req("sequence_lens")],
            reverse_sequence,
        )
    },
    OpDef {
        attrs: &[ints("dilations"), ints("pads"), ints("strides")],
        ..op(
            "Col2Im",
            "Images whose blocks, one a column, are added where they overlap.",
            &[req("input"), req("image_shape"), req("block_shape")],
            col2im,
        )
    },
];

fn pad(cx: &InferCx<'_>) -> Facts {
    let x = cx.need(0)?;
    same_dtype(cx, 0, 2)?;
    match cx.attrs().str("mode") {
        "constant" | "reflect" | "edge" | "wrap" => {}
        other => return fail(format!("`mode` is `{other}`, expected constant, reflect, edge or wrap")),
    }
    let (pads, places) = (need_vector(cx, 1)?, vector(cx, 3)?);
    let Some(dims) = x.dims() else { return Ok(vec![Fact::of(shaped(x.dtype(), None))]) };
    let places = match places {
        Some(list) => list.numbers(),
        None => Some((0..dims.len() as i64).collect()),
    };
    let run_time = |dims: &[Dim]| (0..dims.len()).map(|i| own(cx, 0, i)).collect::<Vec<_>>();
    let Some(places) = places else { return Ok(vec![Fact::of(shaped(x.dtype(), Some(run_time(dims))))]) };
    let places = super::extents::axes(&places, dims.len())?;
    if pads.length.is_some_and(|n| n != 2 * places.len()) {
        return fail(format!(
            "`pads` has {} entries, expected {}",
            pads.length.unwrap_or(0),
            2 * places.len()
        ));
    }
    let mut result = dims.to_vec();
    for (i, at) in places.iter().enumerate() {
        let ends = pads.value.as_ref().and_then(|p| Some((p.get(i)?, p.get(i + places.len())?)));
        result[*at] = match ends {
            Some((before, behind)) => extent(dims[*at].add(before).add(behind), "the result")?,
            None => own(cx, 0, *at),
        };
    }
    Ok(vec![Fact::of(shaped(x.dtype(), Some(result)))])
}

fn trilu(cx: &InferCx<'_>) -> Facts {
    ranked(cx, 0, 2..=super::extents::MAX_RANK)?;
    integers(cx, 1)?;
    like_first(cx)
}

fn block(cx: &InferCx<'_>) -> Result<i64, InferError> {
    match cx.attrs().str("mode") {
        "DCR" | "CRD" => {}
        other => return fail(format!("`mode` is `{other}`, expected DCR or CRD")),
    }
    match cx.attrs().int("blocksize") {
        block @ 1..=0xffff => Ok(block),
        other => fail(format!("`blocksize` is {other}, expected 1 to 65535")),
    }
}

fn exact(dim: &Dim, by: i64) -> Result<Dim, InferError> {
    match dim.modulo(&Dim::fixed(by)).as_fixed() {
        Some(rest) if rest != 0 => fail(format!("the extent {dim} does not divide by {by}")),
        _ => Ok(dim.div_floor(&Dim::fixed(by))),
    }
}

fn depth_to_space(cx: &InferCx<'_>) -> Facts {
    let block = block(cx)?;
    let dims = match ranked(cx, 0, 4..=4)? {
        Some([n, c, h, w]) => vec![n.clone(), exact(c, block * block)?, h.scale(block), w.scale(block)],
        _ => unknown(4),
    };
    Ok(vec![Fact::of(shaped(cx.need(0)?.dtype(), Some(dims)))])
}

fn space_to_depth(cx: &InferCx<'_>) -> Facts {
    let block = block(cx)?;
    let dims = match ranked(cx, 0, 4..=4)? {
        Some([n, c, h, w]) => vec![n.clone(), c.scale(block * block), exact(h, block)?, exact(w, block)?],
        _ => unknown(4),
    };
    Ok(vec![Fact::of(shaped(cx.need(0)?.dtype(), Some(dims)))])
}

fn reverse_sequence(cx: &InferCx<'_>) -> Facts {
    cx.need(1)?;
    integers(cx, 1)?;
    let (batch, time) = (cx.attrs().int("batch_axis"), cx.attrs().int("time_axis"));
    if !matches!((batch, time), (0, 1) | (1, 0)) {
        return fail(format!(
            "`batch_axis` is {batch} and `time_axis` {time}, expected 0 and 1 in either order"
        ));
    }
    let (dims, lengths) = (ranked(cx, 0, 2..=super::extents::MAX_RANK)?, ranked(cx, 1, 1..=1)?);
    if let (Some(dims), Some([count])) = (dims, lengths) {
        agree(count, &dims[batch as usize], "the number of lengths and the batch")?;
    }
    like_first(cx)
}

fn col2im(cx: &InferCx<'_>) -> Facts {
    let x = cx.need(0)?;
    let (columns, image, block) = (ranked(cx, 0, 3..=3)?, need_vector(cx, 1)?, need_vector(cx, 2)?);
    let Some(count) = image.length.or(block.length) else {
        return Ok(vec![Fact::of(shaped(x.dtype(), None))]);
    };
    if let Some(other) = block.length.filter(|other| *other != count) {
        return fail(format!("the image has {count} axes and its blocks {other}, expected as many"));
    }
    let rank = rank_of_length(count as i64 + 2)?;
    checked("pads", cx.attrs().ints("pads"), (2 * count, 0, 0))?;
    for name in ["dilations", "strides"] {
        checked(name, cx.attrs().ints(name), (count, 1, 1))?;
    }
    let mut dims: Vec<Dim> = (0..rank).map(|axis| own(cx, 0, axis)).collect();
    if let Some(columns) = columns {
        dims[0] = columns[0].clone();
        if let Some(block) = &block.value {
            dims[1] = channels(&columns[1], block)?;
        }
    }
    for (dim, known) in dims[2..].iter_mut().zip(image.value.into_iter().flatten()) {
        *dim = extent(known, "`image_shape`")?;
    }
    Ok(vec![Fact::of(shaped(x.dtype(), Some(dims)))])
}

/// How many images the rows of columns are when each has a row for every place in a block.
fn channels(rows: &Dim, block: &[Dim]) -> Result<Dim, InferError> {
    let places = product(block);
    match (rows.as_fixed(), places.as_fixed()) {
        (_, Some(..=0)) => fail(format!("blocks of {places} elements were found, expected some")),
        (Some(rows), Some(places)) if rows % places != 0 => {
            fail(format!("columns of {rows} elements hold no whole blocks of {places}"))
        }
        _ => Ok(rows.div_floor(&places)),
    }
}
