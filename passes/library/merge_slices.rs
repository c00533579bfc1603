//! Makes one slice of two in a row.
//!
//! Before: `%a = Slice(%x, 0, 129, axis 1)`, `%y = Slice(%a, 1, end, axis -1, step 2)`. After: one `Slice`
//! with both axes, or, where both cut the same axis, with starts, ends and steps put together.
//!
//! A value in between that something else uses stays, and the pair with it. Where one axis is cut twice
//! its extent must be known, as ends beyond it are cut short.
use weft_ir::{NodeId, Stage, Tensor, Value};
use weft_passes::{Cut, Declined, EachNode, PassInfo, PassKind, Rewriter, node};

pub(crate) const INFO: PassInfo = PassInfo {
    name: "merge-slices",
    summary: "makes one slice of two in a row",
    options: &[],
    kind: PassKind::Exact,
    accepts: (Stage::Canonical, Stage::Lowered),
    build: &|_| Ok(Box::new(EachNode(merge))),
};

const BACKWARDS: &str = "one axis is cut twice, backwards";

fn merge(g: &mut Rewriter<'_>, id: NodeId) -> Result<(), Declined> {
    if !g.applies(id, "Slice") {
        return Ok(());
    }
    let Some(inner) = g.operand(id, 0).filter(|x| g.made_by(*x, "Slice").is_some()) else { return Ok(()) };
    if !g.used_once(inner) {
        return Err("the value in between has other uses".into());
    }
    let source = g.operand(inner.node, 0).ok_or("it has no operand")?;
    let mut cuts = weft_passes::cuts(g, inner.node)?;
    for (axis, outer) in weft_passes::cuts(g, id)? {
        let both = match cuts.get(&axis) {
            Some(first) => joined(*first, outer, extent(g, source, axis)?)?,
            None => outer,
        };
        cuts.insert(axis, both);
    }
    let mut list = |of: &dyn Fn((&i64, &Cut)) -> i64| {
        g.constant(Tensor::vector(&cuts.iter().map(of).collect::<Vec<i64>>()))
    };
    let (starts, ends) = (list(&|(_, cut)| cut.start)?, list(&|(_, cut)| cut.end)?);
    let (axes, steps) = (list(&|(axis, _)| *axis)?, list(&|(_, cut)| cut.step)?);
    let operands = [source, starts, ends, axes, steps].map(Some);
    let merged = g.add(node("Slice", []), &operands)?;
    g.replace(g.result(id), merged);
    Ok(())
}

fn extent(g: &Rewriter<'_>, value: Value, axis: i64) -> Result<i64, Declined> {
    let dims = g.dims(value).and_then(|dims| dims.get(usize::try_from(axis).ok()?));
    Ok(dims.and_then(|dim| dim.as_fixed()).ok_or("one axis of unknown extent is cut twice")?)
}

/// First one cut of an axis, then another of what it left.
fn joined(first: Cut, second: Cut, extent: i64) -> Result<Cut, Declined> {
    let (a, count) = first.taken(extent).ok_or(BACKWARDS)?;
    let (b, count) = second.taken(count).ok_or(BACKWARDS)?;
    let overflow = || Declined::from("its numbers are too large");
    let start = b.checked_mul(first.step).and_then(|n| n.checked_add(a)).ok_or_else(overflow)?;
    let step = first.step.checked_mul(second.step).ok_or_else(overflow)?;
    let end = step.checked_mul(count).and_then(|n| n.checked_add(start)).ok_or_else(overflow)?;
    Ok(Cut { start, end: end.min(extent), step })
}
