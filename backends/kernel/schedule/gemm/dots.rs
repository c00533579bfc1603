//! Codes of few bits times bytes with sign: a product in integers, group by group.
//!
//! A word of codes is taken apart into quads, see [`super::codes`], which are bytes without sign; the rows are bytes
//! with sign, and one instruction multiplies and adds up four of each. The sum of a group of steps begins at minus the
//! zero point times the sum of the row's bytes, so that it ends as `sum(x (q - z))`, exactly; it then is one number of
//! `f32`, times the scale.
use super::codes::{Buffers, CHUNK, Groups, Zeros, field, unit_steps};
use super::quads::QUAD;
use super::{Place, Writer};
use crate::nest::{Binary, BufferId, Builder, Compare, Hint, Reg, Scalar, Ty, Unary, Var};
use weft_ir::{DType, Dim};

/// How many steps of the depth ahead codes are asked for: 8 KB of 4 bits. Without, a single row reads weights from memory
/// at half the speed where the processor's own look-ahead ends with a page.
pub(super) const AHEAD: i64 = 4 * CHUNK;
/// Rows that take less time than their codes take from memory.
const FEW: usize = 4;

/// A tile while it is computed: some rows by some vectors of the panel.
pub(super) struct Part<'a> {
    right: &'a Buffers,
    /// The sums of each group of the left-hand side.
    row_sums: BufferId,
    /// Where the rows of the left-hand side start.
    rows: &'a [(Reg, i64)],
    /// Where the sums of the rows start.
    sums_of_rows: Vec<Reg>,
    /// The first vector and how many.
    vectors: (u32, u32),
    /// The sums of a group, row by row.
    sums: Vec<Var>,
    /// The sums of all groups so far, in `f32`.
    totals: Totals,
    /// The panel: its first word of codes, and its first scale.
    panel: (Reg, Reg),
    /// Quads that were taken apart before.
    quads: Option<Quads>,
}

/// Quads of some steps that were taken apart before.
#[derive(Clone, Copy)]
pub(super) struct Quads {
    /// Where they lie.
    pub(super) columns: BufferId,
    /// The step that they begin with.
    pub(super) from: Reg,
    /// The words that a tile asks for meanwhile, some for each chunk.
    pub(super) ahead: Reg,
}

/// The sums of all groups of a tile so far.
pub(super) enum Totals {
    /// In registers.
    Held(Vec<Var>),
    /// In memory, from an element on, rows as far apart as a tile is wide.
    Stored(BufferId, Reg),
}

impl Writer<'_> {
    /// All row tiles of one panel of codes.
    pub(super) fn column_of_dots(
        &self,
        b: &mut Builder,
        (place, end, vectors): (&Place, Reg, u32),
        (right, row_sums): (&Buffers, BufferId),
    ) {
        self.tiles(b, place, end, &mut |b, place, tall| {
            let rows = self.rows(b, place, tall);
            let each = right.vectors(tall);
            for first in (0..vectors).step_by(each as usize) {
                let count = each.min(vectors - first);
                let totals = self.cleared(b, tall * count);
                let held = Totals::Held(totals.clone());
                let part = self.part_of_dots(b, place, (right, row_sums), (&rows, (first, count)), held);
                let (zero, depth) = (b.index(0), b.extent(&self.plan.depth));
                self.groups(b, &part, (zero, depth));
                self.finish_from(b, place, (tall, first, count), &totals);
            }
        });
    }

    pub(super) fn part_of_dots<'a>(
        &self,
        b: &mut Builder,
        place: &Place,
        (right, row_sums): (&'a Buffers, BufferId),
        (rows, vectors): (&'a [(Reg, i64)], (u32, u32)),
        totals: Totals,
    ) -> Part<'a> {
        let count = rows.len() as u32 * vectors.1;
        let none = b.constant(Ty::vector(DType::I32, self.tile.lanes), Scalar::Int(0));
        let groups = b.extent(&self.plan.depth.div_ceil(&Dim::fixed(right.depth_group())));
        let starts = (0..rows.len() as i64).map(|row| {
            let row = b.index(row);
            let row = b.add(place.row, row);
            b.mul(row, groups)
        });
        Part {
            sums_of_rows: starts.collect(),
            right,
            row_sums,
            rows,
            vectors,
            sums: (0..count).map(|_| b.var(none)).collect(),
            totals,
            panel: self.panel_of_codes(b, place, right),
            quads: None,
        }
    }

    /// Group by group: the sums of its chunks, then its share of the totals. Where the steps are only a part of
    /// a group, that is what they add.
    pub(super) fn groups(&self, b: &mut Builder, part: &Part<'_>, (from, stop): (Reg, Reg)) {
        let size = part.right.depth_group();
        b.for_each(from, stop, size, Hint::AsWritten, |b, from| {
            let size = b.index(size);
            let (group, end) = (b.div(from, size), b.add(from, size));
            let (width, end) = (b.index(self.tile.panel()), b.min(end, stop));
            let scales = b.mul(group, width);
            let scales = b.add(part.panel.1, scales);
            self.begin_group(b, part, (from, group, scales));
            b.for_each(from, end, part.unit(), Hint::AsWritten, |b, step| self.unit_of_dots(b, part, step));
            self.end_group(b, part, scales);
        });
    }

    /// The sum of each row of a group that begins at a step; nothing for a part that begins later in it.
    fn sums_of_group(&self, b: &mut Builder, part: &Part<'_>, (from, group): (Reg, Reg)) -> Vec<Reg> {
        let (size, none) = (b.index(part.right.depth_group()), b.index(0));
        let cut = part.right.many.is_some_and(|many| many.cuts(part.right.depth_group()));
        let starts = (cut && part.quads.is_some()).then(|| {
            let within = b.rem(from, size);
            b.compare(Compare::Eq, within, none)
        });
        let sum = |start: &Reg| {
            let at = b.add(*start, group);
            let sum = b.load(part.row_sums, at, 0, 1);
            let Some(starts) = starts else { return sum };
            let none = b.constant(Ty::scalar(DType::I32), Scalar::Int(0));
            b.select(starts, sum, none)
        };
        part.sums_of_rows.iter().map(sum).collect()
    }

    /// Sums begin at minus the zero points times the sum of the row.
    fn begin_group(&self, b: &mut Builder, part: &Part<'_>, (from, group, scales): (Reg, Reg, Reg)) {
        let lanes = self.tile.lanes;
        let sums = self.sums_of_group(b, part, (from, group));
        let own = |row: usize, vector: u32| part.sums[row * part.vectors.1 as usize + vector as usize];
        if let Zeros::Same(zero) = part.right.codes.zeros {
            let zero = b.constant(Ty::scalar(DType::I32), Scalar::Int((-zero).into()));
            for (row, sum) in sums.into_iter().enumerate() {
                let first = b.binary(Binary::Mul, sum, zero);
                let first = b.splat(first, lanes);
                (0..part.vectors.1).for_each(|vector| b.set(own(row, vector), first));
            }
            return;
        }
        let Some(zeros) = part.right.zeros else { unreachable!("zero points have a buffer") };
        let sums: Vec<Reg> = sums.into_iter().map(|sum| b.splat(sum, lanes)).collect();
        for vector in 0..part.vectors.1 {
            let zero = b.load(zeros, scales, i64::from((part.vectors.0 + vector) * lanes), lanes);
            let zero = b.cast(zero, DType::I32);
            let zero = b.unary(Unary::Neg, zero);
            for (row, sum) in sums.iter().enumerate() {
                let first = b.binary(Binary::Mul, zero, *sum);
                b.set(own(row, vector), first);
            }
        }
    }

    /// Whether a tile asks for codes ahead of their use: a machine that looks ahead is faster by itself, but not where
    /// it is busy with some rows meanwhile (8 rows on Zen 4: 13 % slower without; one row: 40 % faster).
    fn asks_for(&self, part: &Part<'_>) -> bool {
        self.asks || part.rows.len() > FEW
    }

    /// One unit of codes times the rows.
    fn unit_of_dots(&self, b: &mut Builder, part: &Part<'_>, step: Reg) {
        let (lanes, bits) = (self.tile.lanes, part.right.codes.bits);
        let at = self.unit_at(b, (part.right, part.panel.0), (step, part.unit()));
        let mut loaded: Vec<Option<Reg>> = vec![None; (part.vectors.1 * bits) as usize];
        match &part.quads {
            Some(quads) => self.ask_share(b, quads, step),
            None if part.vectors.0 == 0 && self.asks_for(part) => {
                self.ask_codes(b, part.right, (at, part.unit()));
            }
            None => {}
        }
        for quad in 0..(part.unit() / QUAD) as u32 {
            let rows: Vec<Reg> = part
                .rows
                .iter()
                .map(|(start, offset)| {
                    let at = b.add(*start, step);
                    let bytes = b.load(self.a, at, offset + i64::from(quad) * QUAD, QUAD as u32);
                    let word = b.reinterpret(bytes, Ty::scalar(DType::I32));
                    let words = b.splat(word, lanes);
                    b.reinterpret(words, Ty::vector(DType::I8, lanes * QUAD as u32))
                })
                .collect();
            for vector in 0..part.vectors.1 {
                let own = &mut loaded[(vector * bits) as usize..][..bits as usize];
                let codes = match &part.quads {
                    Some(quads) => self.quad_of_bytes(b, quads, (step, quad), vector),
                    None => self.quad_of_codes(b, (bits, quad), (at, part.vectors.0 + vector), own),
                };
                for (row, x) in rows.iter().enumerate() {
                    let var = part.sums[row * part.vectors.1 as usize + vector as usize];
                    let sum = b.get(var);
                    let sum = b.dot4(codes, *x, sum);
                    b.set(var, sum);
                }
            }
        }
    }

    /// Asks for codes some way ahead of a unit.
    pub(super) fn ask_codes(&self, b: &mut Builder, right: &Buffers, (at, unit): (Reg, i64)) {
        self.ask(b, self.b, (at, self.words_of(right, AHEAD)), self.words_of(right, unit));
    }

    /// The words of so many steps of a panel.
    pub(super) fn words_of(&self, right: &Buffers, steps: i64) -> i64 {
        steps * i64::from(right.codes.bits) * self.tile.panel() / CHUNK
    }

    /// Where a unit of so many steps lies that begins at a step.
    pub(super) fn unit_at(
        &self,
        b: &mut Builder,
        (right, panel): (&Buffers, Reg),
        (step, unit): (Reg, i64),
    ) -> Reg {
        let (unit, size) = (b.index(unit), b.index(self.words_of(right, unit)));
        let number = b.div(step, unit);
        let at = b.mul(number, size);
        b.add(panel, at)
    }

    /// Four steps of one vector of codes, as bytes.
    pub(super) fn quad_of_codes(
        &self,
        b: &mut Builder,
        (bits, quad): (u32, u32),
        (at, vector): (Reg, u32),
        loaded: &mut [Option<Reg>],
    ) -> Reg {
        let lanes = self.tile.lanes;
        let ty = Ty::vector(DType::U32, lanes);
        let mut code = None;
        for (word, shift, from, count) in field(bits, quad) {
            let part = self.word(b, (at, vector), word, loaded);
            let part = shifted(b, (Binary::Shr, shift), part);
            let mask = ((1i64 << count) - 1) * 0x0101_0101;
            let part = if count == 8 {
                part
            } else {
                let mask = b.constant(ty, Scalar::Int(mask));
                b.binary(Binary::And, part, mask)
            };
            let part = shifted(b, (Binary::Shl, from), part);
            code = Some(code.map_or(part, |code| b.binary(Binary::Or, code, part)));
        }
        let code = code.unwrap_or_else(|| b.constant(ty, Scalar::Int(0)));
        b.reinterpret(code, Ty::vector(DType::U8, lanes * QUAD as u32))
    }

    /// A word of every column of a vector, loaded once, in the order of the text.
    pub(super) fn word(
        &self,
        b: &mut Builder,
        (at, vector): (Reg, u32),
        word: u32,
        loaded: &mut [Option<Reg>],
    ) -> Reg {
        let lanes = self.tile.lanes;
        *loaded[word as usize].get_or_insert_with(|| {
            let offset = i64::from(vector * lanes) + i64::from(word) * self.tile.panel();
            let word = b.load(self.b, at, offset, lanes);
            b.in_order(word)
        })
    }

    /// Adds what a group gives to the totals.
    fn end_group(&self, b: &mut Builder, part: &Part<'_>, scales: Reg) {
        let lanes = self.tile.lanes;
        for vector in 0..part.vectors.1 {
            let offset = i64::from((part.vectors.0 + vector) * lanes);
            if self.asks_for(part) {
                self.ask(b, part.right.scales, (scales, self.tile.panel() + offset), lanes.into());
            }
            let scale = self.plain_scale(b, part.right, (scales, offset));
            for row in 0..part.rows.len() {
                let number = row * part.vectors.1 as usize + vector as usize;
                let sum = b.get(part.sums[number]);
                let sum = b.cast(sum, DType::F32);
                match &part.totals {
                    Totals::Held(totals) => {
                        let so_far = b.get(totals[number]);
                        let so_far = b.fma(scale, sum, so_far);
                        b.set(totals[number], so_far);
                    }
                    Totals::Stored(totals, at) => {
                        let offset = row as i64 * self.tile.cols() + i64::from(vector * lanes);
                        let so_far = b.load(*totals, *at, offset, lanes);
                        let so_far = b.fma(scale, sum, so_far);
                        b.store(*totals, *at, offset, so_far);
                    }
                }
            }
        }
    }
}

/// A word of codes shifted, where that changes anything.
fn shifted(b: &mut Builder, (way, by): (Binary, u32), word: Reg) -> Reg {
    if by == 0 {
        return word;
    }
    let by = b.constant(b.ty(word), Scalar::Int(by.into()));
    b.binary(way, word, by)
}

impl Part<'_> {
    /// Steps that are written out: as few as have whole words. What is asked for ahead is spread so over the time,
    /// since no code generator keeps its order among the products of one body; more requests at once than a
    /// processor keeps count of hold up the loads behind them.
    fn unit(&self) -> i64 {
        if self.quads.is_some() { CHUNK } else { unit_steps(self.right.codes.bits) }
    }

    /// The same, with quads that were taken apart before.
    pub(super) fn of_bytes(self, quads: Quads) -> Self {
        Self { quads: Some(quads), ..self }
    }
}

impl Buffers {
    /// Steps of the depth that share a scale.
    pub(super) fn depth_group(&self) -> i64 {
        match self.codes.groups {
            Groups::Depth(steps) => steps,
            Groups::Columns(_) => unreachable!("columns that share scales are not taken by quads"),
        }
    }
}
