//! Codes of few bits times bytes with sign for many rows: codes become bytes once for all of them.
//!
//! The tiles read those as they lie, so that the instruction that multiplies is nearly all there is: what is left a
//! group are the sums' way to `f32` and to memory. See [`super::many`].
use super::codes::Buffers;
use super::dots::{DOT_CHUNK, Totals};
use super::quads::QUAD;
use super::{Place, Writer};
use crate::nest::{BufferId, Builder, Compare, Hint, Reg, Ty};
use weft_ir::DType;

impl Writer<'_> {
    /// All row tiles of some columns of a panel, part by part of the depth.
    pub(super) fn column_of_bytes(
        &self,
        b: &mut Builder,
        (place, end, vectors): (&Place, Reg, u32),
        row_sums: BufferId,
    ) {
        let (Some(right), Some((blocks, sums)), Some(columns)) = (&self.codes, &self.sums, self.columns)
        else {
            return;
        };
        let first = place.row;
        let (zero, depth) = (b.index(0), b.extent(&self.plan.depth));
        b.for_each(zero, depth, blocks.length, Hint::AsWritten, |b, from| {
            let length = b.index(blocks.length);
            let stop = b.add(from, length);
            let stop = b.min(stop, depth);
            self.unpack(b, place, (right, columns), (from, stop, vectors));
            let (begins, ends) = (b.compare(Compare::Eq, from, zero), b.compare(Compare::Eq, stop, depth));
            self.tiles(b, place, end, &mut |b, place, tall| {
                let own = (place.row, first);
                b.when(begins, |b| {
                    let cleared = self.cleared(b, tall * vectors);
                    self.put(b, own, (*sums, vectors), &cleared);
                });
                let rows = self.rows(b, place, tall);
                let totals = Totals::Stored(*sums, self.held_at(b, own));
                let tile = (&rows[..], (right.first, vectors));
                let part = self.part_of_dots(b, place, (right, row_sums), tile, totals);
                self.groups(b, &part.of_bytes(columns, from), (from, stop));
                b.when(ends, |b| {
                    let held = self.take(b, own, (*sums, vectors), tall);
                    self.finish(b, place, (tall, vectors), &held);
                });
            });
        });
    }

    /// Makes bytes of the codes of some steps: quad by quad, in each the words of all columns.
    fn unpack(
        &self,
        b: &mut Builder,
        place: &Place,
        (right, columns): (&Buffers, BufferId),
        (from, stop, vectors): (Reg, Reg, u32),
    ) {
        let (bits, lanes) = (right.codes.bits, self.tile.lanes);
        let panel = self.panel_of_dots(b, place, right);
        b.for_each(from, stop, DOT_CHUNK, Hint::AsWritten, |b, step| {
            let at = self.unit_at(b, (right, panel.0), (step, DOT_CHUNK));
            let to = self.quads_at(b, (step, from));
            if right.first == 0 {
                self.ask_next_part(b, right, (at, i64::from(bits) * self.tile.panel()), DOT_CHUNK);
            }
            for vector in 0..vectors {
                let first = i64::from((right.first + vector) * lanes);
                let mut loaded: Vec<Option<Reg>> = vec![None; bits as usize];
                for quad in 0..(DOT_CHUNK / QUAD) as u32 {
                    let bytes = self.quad_of_codes(b, (bits, quad), (at, first), &mut loaded);
                    let words = b.reinterpret(bytes, Ty::vector(DType::U32, lanes));
                    let offset = i64::from(quad) * self.tile.cols() + i64::from(vector * lanes);
                    b.store(columns, to, offset, words);
                }
            }
        });
    }

    /// Where the bytes of a step lie in an array that begins with another.
    fn quads_at(&self, b: &mut Builder, (step, from): (Reg, Reg)) -> Reg {
        let (number, width) = (b.sub(step, from), b.index(self.tile.cols() / QUAD));
        b.mul(number, width)
    }

    /// Four steps of one vector, as bytes, from such an array.
    pub(super) fn quad_of_bytes(
        &self,
        b: &mut Builder,
        (quads, from): (BufferId, Reg),
        (step, quad): (Reg, u32),
        vector: u32,
    ) -> Reg {
        let lanes = self.tile.lanes;
        let at = self.quads_at(b, (step, from));
        let offset = i64::from(quad) * self.tile.cols() + i64::from(vector * lanes);
        let words = b.load(quads, at, offset, lanes);
        b.reinterpret(words, Ty::vector(DType::U8, lanes * QUAD as u32))
    }
}
