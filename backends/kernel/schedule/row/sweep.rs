//! Sweeps over a row, or over rows side by side.
use super::super::Combine;
use super::super::domain::Domain;
use crate::nest::{Binary, BufferId, Builder, Hint, Reg, Ty, Var};
use crate::term::{Emitter, Point, TermId};

/// Writes the sweeps of one kernel.
pub(super) struct Writer<'a> {
    pub(super) domain: &'a Domain,
    pub(super) buffers: &'a [BufferId],
    pub(super) out: BufferId,
    /// How many axes do not belong to the row.
    pub(super) kept: usize,
    /// The axis of the lanes.
    pub(super) axis: usize,
    pub(super) lanes: u32,
    /// Vectors computed together.
    pub(super) vectors: u32,
    /// Reads what was stored in the row of the result.
    pub(super) stored: Option<TermId>,
    /// Whether the input may as well be read again.
    pub(super) cheap: bool,
}

/// Where a unit is.
pub(super) struct Place<'a> {
    /// The position on all axes.
    pub(super) axes: &'a [Reg],
    /// How many columns there are, where they do not fill the vectors.
    pub(super) left: Option<Reg>,
}

/// A vector of a row, or of rows side by side.
#[derive(Clone)]
pub(super) struct At {
    point: Point,
    /// Which of the vectors that are computed together.
    pub(super) slot: usize,
}

/// What is known of rows: a vector for each of those that are computed together.
pub(super) type Totals = Vec<Reg>;

impl Writer<'_> {
    /// Columns of one unit.
    pub(super) fn width(&self) -> i64 {
        i64::from(self.vectors * self.lanes)
    }

    /// Whether lanes are different rows.
    pub(super) fn across(&self) -> bool {
        self.axis < self.kept
    }

    /// Combines something over all elements of a row.
    pub(super) fn total(
        &self,
        b: &mut Builder,
        place: &Place<'_>,
        combine: Combine,
        step: &mut dyn FnMut(&mut Builder, &At, Reg) -> Reg,
    ) -> Totals {
        let dtype = self.domain.terms.dtype(self.domain.roots[1]);
        let neutral = b.constant(Ty::vector(dtype, self.lanes), combine.neutral(dtype));
        let totals: Vec<Var> = (0..self.vectors).map(|_| b.var(neutral)).collect();
        self.sweep(b, place, &mut |b, at| {
            let before = b.get(totals[at.slot]);
            let after = step(b, at, before);
            let after = at.point.mask.map_or(after, |mask| b.select(mask, after, before));
            b.set(totals[at.slot], after);
        });
        let totals: Totals = totals.into_iter().map(|total| b.get(total)).collect();
        if self.across() { totals } else { self.gathered(b, totals, combine) }
    }

    /// What all lanes of all vectors combine to.
    fn gathered(&self, b: &mut Builder, totals: Totals, combine: Combine) -> Totals {
        let op = if combine == Combine::Max { Binary::Max } else { Binary::Add };
        let joined = totals.into_iter().reduce(|x, y| b.binary(op, x, y));
        let total = joined.map(|all| b.reduce(combine.across(), all)).map(|all| b.splat(all, self.lanes));
        vec![total; self.vectors as usize].into_iter().flatten().collect()
    }

    /// The last sweep: stores what follows from the normalised elements.
    pub(super) fn finish(
        &self,
        b: &mut Builder,
        place: &Place<'_>,
        normalised: &mut dyn FnMut(&mut Builder, &At) -> Reg,
    ) {
        self.sweep(b, place, &mut |b, at| {
            let value = normalised(b, at);
            let point = at.point.clone();
            let mut emitter = Emitter::new(&self.domain.terms, self.buffers, point).with_anchor(value);
            let value = emitter.value(b, self.domain.roots[0]);
            emitter.store(b, self.out, &self.domain.out, value);
        });
    }

    /// Visits all elements of a unit.
    fn sweep(&self, b: &mut Builder, place: &Place<'_>, body: &mut dyn FnMut(&mut Builder, &At)) {
        let axes: Vec<usize> = (self.kept..self.domain.dims.len()).filter(|a| *a != self.axis).collect();
        self.outer(b, place.axes.to_vec(), &axes, &mut |b, axes| {
            if self.across() {
                self.side_by_side(b, axes, place.left, body);
            } else {
                self.along(b, axes, body);
            }
        });
    }

    /// Loops over the axes of a row but that of the lanes.
    fn outer(
        &self,
        b: &mut Builder,
        axes: Vec<Reg>,
        open: &[usize],
        body: &mut dyn FnMut(&mut Builder, Vec<Reg>),
    ) {
        let Some((axis, rest)) = open.split_first() else { return body(b, axes) };
        let (zero, extent) = (b.index(0), b.extent(&self.domain.dims[*axis]));
        b.for_each(zero, extent, 1, Hint::AsWritten, |b, at| {
            let mut axes = axes;
            axes[*axis] = at;
            self.outer(b, axes, rest, body);
        });
    }

    /// One element of each of the rows side by side.
    fn side_by_side(
        &self,
        b: &mut Builder,
        axes: Vec<Reg>,
        left: Option<Reg>,
        body: &mut dyn FnMut(&mut Builder, &At),
    ) {
        for slot in 0..self.vectors {
            let by = i64::from(slot * self.lanes);
            let mask = left.map(|left| {
                let by = b.index(by);
                let left = b.sub(left, by);
                b.first_lanes(left, self.lanes)
            });
            body(b, &self.at(axes.clone(), (slot, by), mask));
        }
    }

    /// All elements along the axis of the lanes: many vectors at once, then one by one, then the rest
    /// under a mask.
    fn along(&self, b: &mut Builder, axes: Vec<Reg>, body: &mut dyn FnMut(&mut Builder, &At)) {
        let (zero, extent) = (b.index(0), b.extent(&self.domain.dims[self.axis]));
        let (many, one) = (b.index(self.width()), b.index(self.lanes.into()));
        let (rest, tail) = (b.rem(extent, many), b.rem(extent, one));
        let (whole, vectors) = (b.sub(extent, rest), b.sub(extent, tail));
        let at = |col: Reg| {
            let mut axes = axes.clone();
            axes[self.axis] = col;
            axes
        };
        b.for_each(zero, whole, self.width(), Hint::AsWritten, |b, col| {
            for slot in 0..self.vectors {
                body(b, &self.at(at(col), (slot, i64::from(slot * self.lanes)), None));
            }
        });
        b.for_each(whole, vectors, self.lanes.into(), Hint::AsWritten, |b, col| {
            body(b, &self.at(at(col), (0, 0), None));
        });
        b.for_each(vectors, extent, self.lanes.into(), Hint::AsWritten, |b, col| {
            let mask = b.first_lanes(tail, self.lanes);
            body(b, &self.at(at(col), (0, 0), Some(mask)));
        });
    }

    fn at(&self, axes: Vec<Reg>, (slot, by): (u32, i64), mask: Option<Reg>) -> At {
        let axis = self.axis as u32;
        let lanes = (self.lanes > 1).then_some((axis, self.lanes));
        At { point: Point { axes, shift: Some((axis, by)), lanes, mask }, slot: slot as usize }
    }

    /// The value of a term.
    pub(super) fn value(&self, b: &mut Builder, at: &At, term: TermId) -> Reg {
        Emitter::new(&self.domain.terms, self.buffers, at.point.clone()).value(b, term)
    }

    /// The input, computed for the first time.
    pub(super) fn first(&self, b: &mut Builder, at: &At) -> Reg {
        let x = self.value(b, at, self.domain.roots[1]);
        if !self.cheap {
            self.keep(b, at, x);
        }
        x
    }

    /// The input once more, or what was kept of it.
    pub(super) fn again(&self, b: &mut Builder, at: &At) -> Reg {
        let kept = self.stored.filter(|_| !self.cheap);
        self.value(b, at, kept.unwrap_or(self.domain.roots[1]))
    }

    /// Stores a value in the row of the result, if it can be read from there.
    pub(super) fn keep(&self, b: &mut Builder, at: &At, value: Reg) {
        if self.stored.is_some() {
            let mut emitter = Emitter::new(&self.domain.terms, self.buffers, at.point.clone());
            emitter.store(b, self.out, &self.domain.out, value);
        }
    }
}
