//! Where the rows of a tile are: positions on the row axes, and offsets into `A`.
use super::{Place, Writer};
use crate::nest::{Builder, Compare, Reg};
use crate::term::{Emitter, Index, Point};

impl Writer<'_> {
    /// Where each row of `A` starts: a register and a constant.
    pub(super) fn rows(&self, b: &mut Builder, place: &Place, tall: u32) -> Vec<(Reg, i64)> {
        let Some(step) = &self.row_step else { return self.gathered_rows(b, place, tall) };
        let mut origin = place.batch.clone();
        let zero = b.index(0);
        origin.resize(self.domain.dims.len(), zero);
        let start = self.at(b, &origin, &self.a_index);
        let fixed = step.as_fixed();
        let step = b.extent(step);
        let distance = b.mul(place.row, step);
        let base = b.add(start, distance);
        let place_of = |row: u32| match fixed {
            Some(step) => (base, step * i64::from(row)),
            None => {
                let row = b.index(row.into());
                let distance = b.mul(step, row);
                (b.add(base, distance), 0)
            }
        };
        (0..tall).map(place_of).collect()
    }

    fn gathered_rows(&self, b: &mut Builder, place: &Place, tall: u32) -> Vec<(Reg, i64)> {
        let mut axes = self.axes(b, place);
        let mut rows = Vec::new();
        for row in 0..tall {
            rows.push((self.at(b, &axes, &self.a_index), 0));
            if row + 1 < tall {
                self.next_row(b, &mut axes);
            }
        }
        rows
    }

    /// The position on all axes of the first row of a tile, depth axes at 0.
    pub(super) fn axes(&self, b: &mut Builder, place: &Place) -> Vec<Reg> {
        let mut axes = place.batch.clone();
        axes.extend(self.split(b, place.row, self.ends[0]..self.ends[1]));
        axes.push(place.col);
        let zero = b.index(0);
        axes.resize(self.domain.dims.len(), zero);
        axes
    }

    /// Moves on to the next row; on the last axis that may carry over.
    pub(super) fn next_row(&self, b: &mut Builder, axes: &mut [Reg]) {
        let one = b.index(1);
        let mut carry: Option<Reg> = None;
        for axis in (self.ends[0]..self.ends[1]).rev() {
            let moved = b.add(axes[axis], one);
            axes[axis] = carry.map_or(moved, |carry| b.select(carry, moved, axes[axis]));
            if axis > self.ends[0] {
                let extent = b.extent(&self.domain.dims[axis]);
                let over = b.compare(Compare::Le, extent, axes[axis]);
                let zero = b.index(0);
                axes[axis] = b.select(over, zero, axes[axis]);
                carry = Some(over);
            }
        }
    }

    pub(super) fn at(&self, b: &mut Builder, axes: &[Reg], index: &Index) -> Reg {
        let mut axes = axes.to_vec();
        let zero = b.index(0);
        axes.resize(self.domain.dims.len(), zero);
        let point = Point { axes, shift: None, lanes: None, mask: None };
        Emitter::new(&self.domain.terms, self.buffers, point).scalar_index(b, index)
    }

    /// The position on some axes from their joint number.
    pub(super) fn split(&self, b: &mut Builder, number: Reg, axes: std::ops::Range<usize>) -> Vec<Reg> {
        let mut position = vec![number; axes.len()];
        let mut rest = number;
        for (i, axis) in axes.enumerate().rev() {
            if i == 0 {
                position[i] = rest;
            } else {
                let extent = b.extent(&self.domain.dims[axis]);
                position[i] = b.rem(rest, extent);
                rest = b.div(rest, extent);
            }
        }
        position
    }
}
