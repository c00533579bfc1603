//! Codes of few bits times numbers for many rows: codes become numbers once for all of them.
//!
//! What tiles read then are the numbers that `DequantizeLinear` stands for, to the bit: `q - z` is exact, and the
//! product with the scale is rounded once. See [`super::many`].
use super::codes::{Buffers, Groups, unit_steps};
use super::{Place, Writer};
use crate::nest::{Binary, BufferId, Builder, Hint, Reg};

impl Writer<'_> {
    /// Makes numbers of the codes of some steps.
    pub(super) fn decode(
        &self,
        b: &mut Builder,
        place: &Place,
        (right, columns): (&Buffers, BufferId),
        (from, stop): (Reg, Reg),
    ) {
        let panel = self.panel_of_codes(b, place, right);
        let (prepared, unit) = (right.prepared(), unit_steps(right.codes.bits));
        b.for_each(from, stop, prepared, Hint::AsWritten, |b, step| {
            let held = self.factors_of_chunk(b, (right, panel.1), step);
            let (zero, chunk) = (b.index(0), b.index(prepared));
            b.for_each(zero, chunk, unit, Hint::AsWritten, |b, within| {
                let first = b.add(step, within);
                let (width, number) = (b.index(self.tile.cols()), b.sub(first, from));
                let to = (columns, b.mul(number, width));
                self.decode_unit(b, (right, panel.0, &held), (first, within), to);
            });
        });
    }

    /// The scale and `1 + z / 2^b` of each vector where steps share them; else they are left in an array, by group
    /// of columns and step.
    fn factors_of_chunk(
        &self,
        b: &mut Builder,
        (right, scales): (&Buffers, Reg),
        step: Reg,
    ) -> Vec<(Reg, Reg)> {
        let lanes = self.tile.lanes;
        let zero = b.index(0);
        match right.codes.groups {
            Groups::Depth(steps) => {
                let (steps, width) = (b.index(steps), b.index(self.tile.panel()));
                let group = b.div(step, steps);
                let at = b.mul(group, width);
                let at = b.add(scales, at);
                let offsets = (0..self.tile.vectors).map(|vector| i64::from((right.first + vector) * lanes));
                offsets
                    .map(|offset| {
                        (self.scale(b, right, (at, offset)), self.zero_point(b, right, (at, offset)))
                    })
                    .collect()
            }
            Groups::Columns(slots) => {
                let slots_reg = b.index(slots.into());
                let at = b.mul(step, slots_reg);
                let at = b.add(scales, at);
                for slot in self.slots_of(right) {
                    for sub in (0..right.prepared()).step_by(lanes as usize) {
                        let offset = i64::from(slot) * right.prepared() + sub;
                        let scale = self.scale(b, right, (at, offset));
                        b.store(right.scaled, zero, offset, scale);
                        let point = self.zero_point(b, right, (at, offset));
                        b.store(right.scaled, zero, i64::from(slots) * right.prepared() + offset, point);
                    }
                }
                Vec::new()
            }
        }
    }

    /// The groups of its columns.
    fn slots_of(&self, right: &Buffers) -> std::ops::Range<u32> {
        right.slot(right.first)..right.slot(right.first + self.tile.vectors - 1) + 1
    }

    /// Makes numbers of one unit of codes.
    fn decode_unit(
        &self,
        b: &mut Builder,
        (right, codes, held): (&Buffers, Reg, &[(Reg, Reg)]),
        (step, within): (Reg, Reg),
        (columns, to): (BufferId, Reg),
    ) {
        let (lanes, bits) = (self.tile.lanes, right.codes.bits);
        let unit = unit_steps(bits);
        let at = self.unit_at(b, (right, codes), (step, unit));
        if right.first == 0 {
            self.ask_next_part(b, right, (at, unit));
        }
        let mut loaded: Vec<Vec<Option<Reg>>> = vec![vec![None; bits as usize]; self.tile.vectors as usize];
        for step in 0..unit {
            let mut shared = vec![None; right.slots() as usize];
            for (vector, loaded) in (0..).zip(&mut loaded) {
                let slot = right.slot(right.first + vector);
                let (scale, zero) = match held.get(vector as usize) {
                    Some(own) => *own,
                    None => *shared[slot as usize].get_or_insert_with(|| {
                        let place = i64::from(slot) * right.prepared() + step;
                        let point = place + i64::from(right.slots()) * right.prepared();
                        let mut all = |place: i64| {
                            let one = b.load(right.scaled, within, place, 1);
                            b.splat(one, lanes)
                        };
                        (all(place), all(point))
                    }),
                };
                let weight = self.weight(b, (right, step), (at, right.first + vector), loaded);
                let less = b.binary(Binary::Sub, weight, zero);
                let weight = b.binary(Binary::Mul, less, scale);
                b.store(columns, to, step * self.tile.cols() + i64::from(vector * lanes), weight);
            }
        }
    }

    /// Asks for the words of the next part, or panel, that are as far behind its beginning as these are behind that of
    /// this one. In between all tiles are computed, and no machine looks so far ahead by itself.
    fn ask_next_part(&self, b: &mut Builder, right: &Buffers, (at, unit): (Reg, i64)) {
        let length = right.many.map_or(0, |many| many.blocks.length);
        self.ask(b, self.b, (at, self.words_of(right, length)), self.words_of(right, unit));
    }
}
