//! How rows are split into tasks.
use super::super::map::GRAIN;
use super::sweep::Writer;
use crate::nest::{Builder, Hint, Reg};
use weft_ir::Dim;

/// The tasks of a kernel. A unit is one row, or as many rows side by side as are computed together.
pub(super) struct Plan<'a> {
    writer: &'a Writer<'a>,
    units: Dim,
    per_task: Dim,
    /// Units side by side.
    chunks: Dim,
}

impl<'a> Plan<'a> {
    pub(super) fn new(writer: &'a Writer<'a>) -> Self {
        let one = Dim::fixed(1);
        let dims = &writer.domain.dims;
        let others = (0..writer.kept).filter(|a| *a != writer.axis);
        let rows = others.fold(one.clone(), |p, a| p.mul(&dims[a]));
        let work = dims[writer.kept..].iter().fold(one.clone(), |p, d| p.mul(d));
        let (chunks, work) = if writer.across() {
            (dims[writer.axis].div_ceil(&Dim::fixed(writer.width())), work.scale(writer.width()))
        } else {
            (one.clone(), work)
        };
        let per_task = Dim::fixed(GRAIN).div_floor(&work.larger(&one)).larger(&one);
        Plan { writer, units: rows.mul(&chunks), per_task, chunks }
    }

    /// The number of tasks.
    pub(super) fn tasks(&self) -> Dim {
        self.units.div_ceil(&self.per_task)
    }

    /// Writes the loop over the units of one task; the body gets the position on all axes.
    pub(super) fn units(&self, b: &mut Builder, body: impl FnOnce(&mut Builder, &[Reg])) {
        let (task, per_task, units) = (b.task(), b.extent(&self.per_task), b.extent(&self.units));
        let start = b.mul(task, per_task);
        let end = b.add(start, per_task);
        let end = b.min(end, units);
        b.for_each(start, end, 1, Hint::AsWritten, |b, unit| {
            let axes = self.position(b, unit);
            body(b, &axes);
        });
    }

    /// The position of a unit; 0 on the axes of the row.
    fn position(&self, b: &mut Builder, unit: Reg) -> Vec<Reg> {
        let Writer { domain, kept, axis, .. } = *self.writer;
        let zero = b.index(0);
        let mut axes = vec![zero; domain.dims.len()];
        let mut rest = unit;
        if self.writer.across() {
            let (chunks, width) = (b.extent(&self.chunks), b.index(self.writer.width()));
            let chunk = b.rem(rest, chunks);
            axes[axis] = b.mul(chunk, width);
            rest = b.div(rest, chunks);
        }
        let others: Vec<usize> = (0..kept).filter(|a| *a != axis).collect();
        for (n, other) in others.iter().enumerate().rev() {
            if n == 0 {
                axes[*other] = rest;
            } else {
                let extent = b.extent(&domain.dims[*other]);
                axes[*other] = b.rem(rest, extent);
                rest = b.div(rest, extent);
            }
        }
        axes
    }
}
