//! Makes one slice of two in a row.
//!
//! Before: `%a = Slice(%x, 0, 129, axis 1)`, `%y = Slice(%a, 1, end, axis -1, step 2)`. After: one `Slice`
//! with both axes, or, where both cut the same axis, with starts, ends and steps put together.
//!
//! A value in between that something else uses stays, and the pair with it. Where one axis is cut twice
//! its extent must be known, as ends beyond it are cut short.
use std::collections::BTreeMap;
use weft_ir::{NodeId, Stage, Tensor, Value};
use weft_passes::{Declined, EachNode, PassInfo, PassKind, Rewriter, node};

pub(crate) const INFO: PassInfo = PassInfo {
    name: "merge-slices",
    summary: "makes one slice of two in a row",
    options: &[],
    kind: PassKind::Exact,
    accepts: (Stage::Canonical, Stage::Lowered),
    build: &|_| Ok(Box::new(EachNode(merge))),
};

/// What is taken of one axis, as the operator says it.
#[derive(Clone, Copy)]
struct Cut {
    start: i64,
    end: i64,
    step: i64,
}

fn merge(g: &mut Rewriter<'_>, id: NodeId) -> Result<(), Declined> {
    if !g.applies(id, "Slice") {
        return Ok(());
    }
    let Some(inner) = g.operand(id, 0).filter(|x| g.made_by(*x, "Slice").is_some()) else { return Ok(()) };
    if !g.used_once(inner) {
        return Err("the value in between has other uses".into());
    }
    let source = g.operand(inner.node, 0).ok_or("it has no operand")?;
    let mut cuts = cuts(g, inner.node)?;
    for (axis, outer) in self::cuts(g, id)? {
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

/// What a slice takes of each axis it names.
fn cuts(g: &Rewriter<'_>, id: NodeId) -> Result<BTreeMap<i64, Cut>, Declined> {
    let list =
        |position| g.operand(id, position).map(|value| g.ints(value).ok_or("what it takes is not constant"));
    let (starts, ends) = (list(1).ok_or("it has no starts")??, list(2).ok_or("it has no ends")??);
    let axes = list(3).unwrap_or_else(|| Ok((0..starts.len() as i64).collect()))?;
    let steps = list(4).unwrap_or_else(|| Ok(vec![1; starts.len()]))?;
    let rank = g.rank(g.result(id)).ok_or("its rank is not known")? as i64;
    let axes = axes.iter().map(|axis| if *axis < 0 { axis + rank } else { *axis });
    let cuts = starts.iter().zip(&ends).zip(&steps).map(|((start, end), step)| Cut {
        start: *start,
        end: *end,
        step: *step,
    });
    Ok(axes.zip(cuts).collect())
}

fn extent(g: &Rewriter<'_>, value: Value, axis: i64) -> Result<i64, Declined> {
    let dims = g.dims(value).and_then(|dims| dims.get(usize::try_from(axis).ok()?));
    Ok(dims.and_then(|dim| dim.as_fixed()).ok_or("one axis of unknown extent is cut twice")?)
}

/// First one cut of an axis, then another of what it left.
fn joined(first: Cut, second: Cut, extent: i64) -> Result<Cut, Declined> {
    let (a, count) = first.taken(extent)?;
    let (b, count) = second.taken(count)?;
    let overflow = || Declined::from("its numbers are too large");
    let start = b.checked_mul(first.step).and_then(|n| n.checked_add(a)).ok_or_else(overflow)?;
    let step = first.step.checked_mul(second.step).ok_or_else(overflow)?;
    let end = step.checked_mul(count).and_then(|n| n.checked_add(start)).ok_or_else(overflow)?;
    Ok(Cut { start, end: end.min(extent), step })
}

impl Cut {
    /// Where it begins, and how many elements it takes of so many.
    fn taken(self, extent: i64) -> Result<(i64, i64), Declined> {
        if self.step < 1 {
            return Err("one axis is cut twice, backwards".into());
        }
        let place = |n: i64| if n < 0 { n.saturating_add(extent) } else { n }.clamp(0, extent);
        let (start, end) = (place(self.start), place(self.end));
        let count = (end - start).max(0);
        Ok((start, count / self.step + i64::from(count % self.step > 0)))
    }
}
