//! Lets a convolution pad its operand itself.
//!
//! Before: `%p = Pad(%x, %pads)`, `%y = Conv(%p, %w) {pads = [0, 1, 0, 1]}`. After:
//! `%y = Conv(%x, %w) {pads = [2, 1, 0, 1]}` for two rows before.
//!
//! Exact where zeros are put around spatial axes, which is what a convolution does. Padding of other
//! axes, with other numbers, by reflection, or that takes elements away is left alone, and so are
//! convolutions whose own padding hangs on the extents.
use weft_ir::{Attr, NodeId, Stage};
use weft_passes::{Declined, EachNode, PassInfo, PassKind, Rewriter};

pub(crate) const INFO: PassInfo = PassInfo {
    name: "fold-pads",
    summary: "lets a convolution pad its operand itself",
    options: &[],
    kind: PassKind::Exact,
    accepts: (Stage::Canonical, Stage::Lowered),
    build: &|_| Ok(Box::new(EachNode(fold))),
};

fn fold(g: &mut Rewriter<'_>, id: NodeId) -> Result<(), Declined> {
    if !g.applies(id, "Conv") {
        return Ok(());
    }
    let padded = g.operand(id, 0).and_then(|x| g.made_by(x, "Pad"));
    let Some(pad) = padded else { return Ok(()) };
    let around = spatial(g, pad)?;
    let attrs = g.attrs(id).ok_or("its operator is not known")?;
    if attrs.str("auto_pad") != "NOTSET" || attrs.str("layout") != "nchw" {
        return Err("the padding of the convolution hangs on its extents, or its channels are last".into());
    }
    let own = attrs.ints("pads");
    let own = if own.is_empty() { vec![0; around.len()] } else { own.to_vec() };
    if own.len() != around.len() {
        return Err("the convolution has another number of spatial axes".into());
    }
    let sum = around.iter().zip(&own).map(|(a, b)| a.saturating_add(*b)).collect();
    let mut operands = g.operands(id);
    operands[0] = g.operand(pad, 0);
    let mut changed = g.node(id).clone().with("pads", Attr::Ints(sum));
    changed.results.clear();
    let changed = g.add(changed, &operands)?;
    g.replace(g.result(id), changed);
    Ok(())
}

/// The zeros around the spatial axes, all those before first.
fn spatial(g: &Rewriter<'_>, pad: NodeId) -> Result<Vec<i64>, Declined> {
    let mode = g.attrs(pad).map(|attrs| attrs.str("mode") == "constant");
    let fill = g.operand(pad, 2).map_or(Some(0.0), |value| g.scalar(value));
    if mode != Some(true) || fill != Some(0.0) {
        return Err("what is put around are not zeros".into());
    }
    let data = g.operand(pad, 0).ok_or("it has no operand")?;
    let rank = g.rank(data).filter(|rank| *rank > 2).ok_or("it has no spatial axes")?;
    let pads = g.operand(pad, 1).and_then(|value| g.ints(value)).ok_or("the padding is not constant")?;
    let axes = match g.operand(pad, 3) {
        Some(axes) => g.ints(axes).ok_or("the axes of the padding are not constant")?,
        None => (0..rank as i64).collect(),
    };
    let mut around = vec![0; 2 * (rank - 2)];
    for (i, axis) in axes.iter().enumerate() {
        let sides = pads.get(i).zip(pads.get(i + axes.len())).ok_or("the padding has another rank")?;
        let axis = if *axis < 0 { axis + rank as i64 } else { *axis };
        match (usize::try_from(axis - 2).ok(), sides) {
            (_, (0, 0)) => {}
            (Some(axis), (before, behind)) if axis < rank - 2 && *before >= 0 && *behind >= 0 => {
                (around[axis], around[axis + rank - 2]) = (*before, *behind);
            }
            _ => return Err("other axes are padded, or elements are taken away".into()),
        }
    }
    Ok(around)
}
