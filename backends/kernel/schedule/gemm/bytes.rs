//! Codes of few bits times bytes with sign for many rows: codes become bytes once for all of them.
//!
//! The tiles read those as they lie, so that the instruction that multiplies is nearly all there is: what is left a
//! group are the sums' way to `f32` and to memory. See [`super::many`].
use super::codes::{Buffers, CHUNK, UNIT_VECTORS};
use super::depth::LINE;
use super::dots::{Quads, Totals};
use super::quads::QUAD;
use super::{Place, Writer};
use crate::nest::{BufferId, Builder, Compare, Hint, Reg, Ty};
use weft_ir::DType;

/// Cache lines that a tile asks for in each chunk: enough for codes of 4 bits and half as many rows as a block has.
const LINES: i64 = 2;

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
        // Totals need no memory between parts where there is one.
        let whole = self.plan.depth.as_fixed().is_some_and(|depth| depth <= blocks.length);
        b.for_each(zero, depth, blocks.length, Hint::AsWritten, |b, from| {
            let length = b.index(blocks.length);
            let stop = b.add(from, length);
            let stop = b.min(stop, depth);
            self.unpack(b, place, (right, columns), (from, stop, vectors));
            let (begins, ends) = (b.compare(Compare::Eq, from, zero), b.compare(Compare::Eq, stop, depth));
            self.tiles(b, place, end, &mut |b, place, tall| {
                let (own, rows) = ((place.row, first), self.rows(b, place, tall));
                let ahead = self.share_of_next(b, right, (place, first), from);
                let quads = Quads { columns, from, ahead };
                let tile = (&rows[..], (right.first, vectors));
                let groups = |b: &mut Builder, totals| {
                    let part = self.part_of_dots(b, place, (right, row_sums), tile, totals).of_bytes(quads);
                    self.groups(b, &part, (from, stop));
                };
                if whole {
                    let totals = self.cleared(b, tall * vectors);
                    groups(b, Totals::Held(totals.clone()));
                    return self.finish(b, place, (tall, vectors), &totals);
                }
                b.when(begins, |b| {
                    let cleared = self.cleared(b, tall * vectors);
                    self.put(b, own, (*sums, vectors), &cleared);
                });
                let stored = self.held_at(b, own);
                groups(b, Totals::Stored(*sums, stored));
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
        let panel = self.panel_of_codes(b, place, right);
        b.for_each(from, stop, CHUNK, Hint::AsWritten, |b, step| {
            let at = self.unit_at(b, (right, panel.0), (step, CHUNK));
            let to = self.quads_at(b, (step, from));
            for vector in 0..vectors {
                let mut loaded: Vec<Option<Reg>> = vec![None; bits as usize];
                for quad in 0..(CHUNK / QUAD) as u32 {
                    let bytes = self.quad_of_codes(b, (bits, quad), (at, right.first + vector), &mut loaded);
                    let words = b.reinterpret(bytes, Ty::vector(DType::U32, lanes));
                    let offset = i64::from(quad) * self.tile.cols() + i64::from(vector * lanes);
                    b.store(columns, to, offset, words);
                }
            }
        });
    }

    /// Where the words begin that a tile asks for of the next part, or panel: each tile has its share, and of the
    /// tiles side by side each has its part of the words. All at once they would be more than a processor keeps
    /// count of, and it does not look so far ahead by itself.
    fn share_of_next(
        &self,
        b: &mut Builder,
        right: &Buffers,
        (place, first): (&Place, Reg),
        from: Reg,
    ) -> Reg {
        let length = right.many.map_or(0, |many| many.blocks.length);
        let (panel, next) = (self.panel_of_codes(b, place, right), b.index(length));
        let next = b.add(from, next);
        let words = self.unit_at(b, (right, panel.0), (next, CHUNK));
        let beside = b.index(self.words_of(right, length) * i64::from(right.first) / i64::from(UNIT_VECTORS));
        let words = b.add(words, beside);
        let (rows, tall) = (b.sub(place.row, first), b.index(self.tile.rows.into()));
        let (number, share) = (b.div(rows, tall), b.index(length / CHUNK * LINES * LINE));
        let share = b.mul(number, share);
        b.add(words, share)
    }

    /// Asks for the words of one chunk's share.
    pub(super) fn ask_share(&self, b: &mut Builder, quads: &Quads, step: Reg) {
        let (done, chunk) = (b.sub(step, quads.from), b.index(CHUNK));
        let (number, size) = (b.div(done, chunk), b.index(LINES * LINE));
        let at = b.mul(number, size);
        let at = b.add(quads.ahead, at);
        self.ask(b, self.b, (at, 0), LINES * LINE);
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
        quads: &Quads,
        (step, quad): (Reg, u32),
        vector: u32,
    ) -> Reg {
        let lanes = self.tile.lanes;
        let at = self.quads_at(b, (step, quads.from));
        let offset = i64::from(quad) * self.tile.cols() + i64::from(vector * lanes);
        let words = b.load(quads.columns, at, offset, lanes);
        b.reinterpret(words, Ty::vector(DType::U8, lanes * QUAD as u32))
    }
}
