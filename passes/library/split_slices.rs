//! Makes one split of slices that take a value apart.
//!
//! Before: `%a = Slice(%x, 0, 64, axis 1)`, `%b = Slice(%x, 64, 128, axis 1)` of 128 elements. After:
//! `%a, %b = Split(%x, [64, 64])`.
//!
//! The slices must go in steps of 1 along one axis of known extent, and leave out and repeat nothing:
//! then the pieces are those of the split. Slices along other axes, and other uses of the value, stay.
use weft_ir::{Attr, NodeId, Stage, Tensor, Value};
use weft_passes::{Cut, Declined, EachNode, PassInfo, PassKind, Rewriter, cuts, node};

pub(crate) const INFO: PassInfo = PassInfo {
    name: "split-slices",
    summary: "makes one split of slices that take a value apart",
    options: &[],
    kind: PassKind::Exact,
    accepts: (Stage::Canonical, Stage::Lowered),
    build: &|_| Ok(Box::new(EachNode(split))),
};

/// Starts at the slice that takes the first piece.
fn split(g: &mut Rewriter<'_>, id: NodeId) -> Result<(), Declined> {
    if !g.applies(id, "Slice") {
        return Ok(());
    }
    let Some(x) = g.operand(id, 0) else { return Ok(()) };
    let (axis, _) = only(g, id)?;
    let dim = g.dims(x).and_then(|dims| dims.get(usize::try_from(axis).ok()?));
    let extent = dim.and_then(|dim| dim.as_fixed()).ok_or("the extent of the axis is not known")?;
    let pieces = pieces(g, x, axis, extent);
    if pieces.first().is_none_or(|piece| piece.slice != id) {
        return Ok(());
    }
    let mut next = 0;
    for piece in &pieces {
        if piece.start != next {
            return Err("the slices leave out or repeat elements".into());
        }
        next = piece.start + piece.length;
    }
    if next != extent || pieces.len() < 2 {
        return Err("the slices leave out elements".into());
    }
    let lengths: Vec<i64> = pieces.iter().map(|piece| piece.length).collect();
    let lengths = g.constant(Tensor::vector(&lengths))?;
    let axis = (axis != 0).then_some(("axis", Attr::Int(axis)));
    let made = g.add_many(node("Split", axis), pieces.len(), &[Some(x), Some(lengths)])?;
    for (piece, slot) in pieces.iter().zip(0..) {
        g.replace(g.result(piece.slice), Value { node: made, slot });
    }
    Ok(())
}

/// One slice of the value.
struct Piece {
    start: i64,
    length: i64,
    slice: NodeId,
}

/// The slices of a value along an axis alone, in the order of their elements.
fn pieces(g: &Rewriter<'_>, x: Value, axis: i64, extent: i64) -> Vec<Piece> {
    let slices = g.uses(x).into_iter().filter(|(user, at)| *at == 0 && g.applies(*user, "Slice"));
    let piece = |(slice, _): (NodeId, usize)| {
        let (of, cut) = only(g, slice).ok()?;
        let (start, length) = cut.taken(extent).filter(|_| of == axis && cut.step == 1)?;
        Some(Piece { start, length, slice })
    };
    let mut pieces: Vec<Piece> = slices.filter_map(piece).collect();
    pieces.sort_by_key(|piece| (piece.start, piece.length, piece.slice));
    pieces
}

/// The one axis that a slice cuts, and how.
fn only(g: &Rewriter<'_>, id: NodeId) -> Result<(i64, Cut), Declined> {
    let cuts = cuts(g, id)?;
    match (cuts.len(), cuts.into_iter().next()) {
        (1, Some(cut)) => Ok(cut),
        _ => Err("it cuts several axes".into()),
    }
}
