//! What a `Slice` takes.
use crate::pass::Declined;
use crate::rewriter::Rewriter;
use std::collections::BTreeMap;
use weft_ir::NodeId;

/// What is taken of one axis, as the operator says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Where it begins; a negative number counts from the end.
    pub start: i64,
    /// Where it ends, likewise.
    pub end: i64,
    /// From one element to the next.
    pub step: i64,
}

/// What a slice takes of each axis it names, if that is constant.
pub fn cuts(g: &Rewriter<'_>, id: NodeId) -> Result<BTreeMap<i64, Cut>, Declined> {
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

impl Cut {
    /// Where it begins, and how many elements it takes of so many; none if it goes backwards.
    pub fn taken(self, extent: i64) -> Option<(i64, i64)> {
        let place = |n: i64| if n < 0 { n.saturating_add(extent) } else { n }.clamp(0, extent);
        let (start, end) = (place(self.start), place(self.end));
        let count = (end - start).max(0);
        (self.step > 0).then(|| (start, count / self.step + i64::from(count % self.step > 0)))
    }
}
