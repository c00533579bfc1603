//! Codes of few bits times bytes with sign: a product in integers, group by group.
//!
//! A word of codes is taken apart into quads, see [`super::codes`], which are bytes without sign; the rows are bytes
//! with sign, and one instruction multiplies and adds up four of each. The sum of a group of steps begins at minus the
//! zero point times the sum of the row's bytes, so that it ends as `sum(x (q - z))`, exactly; it then is one number of
//! `f32`, times the scale.
//!
//! A machine without that instruction has one for pairs of bytes, whose sums are of 16 bits: those of a unit of codes of
//! few bits fit, and become sums of 32 bits once a unit.
//!
//! Where scales are shared by columns, the rows are bytes of their own for each group of columns, with those scales in
//! them (see [`super::codes::Beside`]); a group of steps is all of the depth then, and the scale that of the row.
use super::codes::{Buffers, CHUNK, Zeros, unit_steps};
use super::quads::QUAD;
use super::units::AHEAD;
use super::{Place, Writer};
use crate::nest::{Binary, BufferId, Builder, Compare, Hint, Reg, Scalar, Ty, Unary, Var};
use weft_ir::DType;

/// Rows that take less time than their codes take from memory.
const FEW: usize = 4;

/// A tile while it is computed: some rows by some vectors of the panel.
#[derive(Clone)]
pub(super) struct Part<'a> {
    pub(super) right: &'a Buffers,
    /// The sums of each group of the left-hand side.
    row_sums: BufferId,
    /// By group of columns from that of the first vector on, the left-hand side; one where it is the same for all.
    lefts: Vec<Left>,
    /// The first vector and how many.
    pub(super) vectors: (u32, u32),
    /// The sums of a group, row by row.
    sums: Vec<Var>,
    /// The sums of all groups so far, in `f32`.
    totals: Totals,
    /// The panel: its first word of codes, and its first scale.
    pub(super) panel: (Reg, Reg),
    /// How many words ahead of their use codes are asked for.
    ahead: i64,
    /// Quads that were taken apart before.
    quads: Option<Quads>,
}

/// The left-hand side of some columns of a tile.
#[derive(Clone)]
struct Left {
    /// Where its rows start.
    rows: Vec<(Reg, i64)>,
    /// Where the sums of the rows start.
    sums: Vec<Reg>,
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
#[derive(Clone)]
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
                let (cleared, whole) = (self.cleared(b, tall * count), (place.row, place.row));
                let totals = match right.totals {
                    Some(totals) => {
                        self.put(b, whole, (totals, count), &cleared);
                        Totals::Stored(totals, b.index(0))
                    }
                    None => Totals::Held(cleared.clone()),
                };
                let part = self.part_of_dots(b, place, (right, row_sums), (&rows, (first, count)), totals);
                self.all_groups(b, part);
                let totals = match right.totals {
                    Some(totals) => self.take(b, whole, (totals, count), tall),
                    None => cleared,
                };
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
        Part {
            right,
            row_sums,
            lefts: self.lefts(b, place, right, (rows, vectors)),
            vectors,
            sums: self.no_sums(b, rows.len() * vectors.1 as usize),
            totals,
            panel: self.panel_of_codes(b, place, right),
            ahead: self.words_of(right, AHEAD),
            quads: None,
        }
    }

    /// So many vectors of zeros.
    pub(super) fn no_sums(&self, b: &mut Builder, count: usize) -> Vec<Var> {
        let none = b.constant(Ty::vector(DType::I32, self.tile.lanes), Scalar::Int(0));
        (0..count).map(|_| b.var(none)).collect()
    }

    /// Where the rows of some vectors start, and their sums.
    fn lefts(
        &self,
        b: &mut Builder,
        place: &Place,
        right: &Buffers,
        (rows, vectors): (&[(Reg, i64)], (u32, u32)),
    ) -> Vec<Left> {
        let each = b.extent(&right.sums_per_row);
        let starts = (0..rows.len() as i64).map(|row| {
            let row = b.index(row);
            let row = b.add(place.row, row);
            b.mul(row, each)
        });
        let sums: Vec<Reg> = starts.collect();
        let Some(beside) = right.codes.beside else { return vec![Left { rows: rows.to_vec(), sums }] };
        let width = self.tile.panel();
        let (panel, size) = (b.index(width), b.index(beside.columns));
        let panel = b.rem(place.col, panel);
        let panel = b.sub(place.col, panel);
        let slots = right.slot(vectors.0)..right.slot(vectors.0 + vectors.1 - 1) + 1;
        slots
            .map(|slot| {
                let column = b.index(i64::from(slot) * width / i64::from(right.slots()));
                let column = b.add(panel, column);
                let (group, apart) = (b.div(column, size), b.index(beside.apart));
                let across = b.mul(group, apart);
                Left {
                    rows: rows.iter().map(|(start, offset)| (b.add(*start, across), *offset)).collect(),
                    sums: sums.iter().map(|sum| b.add(*sum, group)).collect(),
                }
            })
            .collect()
    }

    /// Group by group: the sums of its chunks, then its share of the totals. Where the steps are only a part of
    /// a group, that is what they add.
    pub(super) fn groups(&self, b: &mut Builder, part: &Part<'_>, (from, stop): (Reg, Reg)) {
        let size = part.right.depth_group;
        b.for_each(from, stop, size, Hint::AsWritten, |b, from| {
            let size = b.index(size);
            let end = b.add(from, size);
            let end = b.min(end, stop);
            let (group, scales) = self.group_at(b, part, from);
            self.begin_group(b, part, (from, group, scales));
            b.for_each(from, end, part.unit(), Hint::AsWritten, |b, step| self.unit_of_dots(b, part, step));
            self.end_group(b, part, scales);
        });
    }

    /// The number of the group of a step, and where its scales are.
    pub(super) fn group_at(&self, b: &mut Builder, part: &Part<'_>, step: Reg) -> (Reg, Reg) {
        let (size, width) = (b.index(part.right.depth_group), b.index(self.tile.panel()));
        let group = b.div(step, size);
        let scales = b.mul(group, width);
        (group, b.add(part.panel.1, scales))
    }

    /// The sum of each row of a group that begins at a step, by group of columns; nothing for a part that begins later in
    /// it.
    fn sums_of_group(&self, b: &mut Builder, part: &Part<'_>, (from, group): (Reg, Reg)) -> Vec<Vec<Reg>> {
        let (size, none) = (b.index(part.right.depth_group), b.index(0));
        let cut = part.right.many.is_some_and(|many| many.cuts(part.right.depth_group));
        let starts = (cut && part.quads.is_some()).then(|| {
            let within = b.rem(from, size);
            b.compare(Compare::Eq, within, none)
        });
        let mut sum = |start: &Reg| {
            let at = b.add(*start, group);
            let sum = b.load(part.row_sums, at, 0, 1);
            let Some(starts) = starts else { return sum };
            let none = b.constant(Ty::scalar(DType::I32), Scalar::Int(0));
            b.select(starts, sum, none)
        };
        part.lefts.iter().map(|left| left.sums.iter().map(&mut sum).collect()).collect()
    }

    /// Sums begin at minus the zero points times the sum of the row.
    pub(super) fn begin_group(
        &self,
        b: &mut Builder,
        part: &Part<'_>,
        (from, group, scales): (Reg, Reg, Reg),
    ) {
        let lanes = self.tile.lanes;
        let sums = self.sums_of_group(b, part, (from, group));
        if let Zeros::Same(zero) = part.right.codes.zeros {
            let zero = b.constant(Ty::scalar(DType::I32), Scalar::Int((-zero).into()));
            let mut first = |sum: &Reg| {
                let first = b.binary(Binary::Mul, *sum, zero);
                b.splat(first, lanes)
            };
            let firsts: Vec<Vec<Reg>> =
                sums.iter().map(|rows| rows.iter().map(&mut first).collect()).collect();
            for vector in 0..part.vectors.1 {
                let own = firsts[part.left(vector)].iter().enumerate();
                own.for_each(|(row, first)| b.set(part.sum(row, vector), *first));
            }
            return;
        }
        let Some(zeros) = part.right.zeros else { unreachable!("zero points have a buffer") };
        let mut all = |sum: &Reg| b.splat(*sum, lanes);
        let sums: Vec<Vec<Reg>> = sums.iter().map(|rows| rows.iter().map(&mut all).collect()).collect();
        for vector in 0..part.vectors.1 {
            let zero = b.load(zeros, scales, i64::from((part.vectors.0 + vector) * lanes), lanes);
            let zero = b.cast(zero, DType::I32);
            let zero = b.unary(Unary::Neg, zero);
            for (row, sum) in sums[part.left(vector)].iter().enumerate() {
                let first = b.binary(Binary::Mul, zero, *sum);
                b.set(part.sum(row, vector), first);
            }
        }
    }

    /// Whether a tile asks for codes ahead of their use: a machine that looks ahead is faster by itself, but not where
    /// it is busy with some rows meanwhile (8 rows on Zen 4: 13 % slower without; one row: 40 % faster).
    fn asks_for(&self, part: &Part<'_>) -> bool {
        self.asks || part.rows() > FEW
    }

    /// One unit of codes times the rows. With a single row and few registers a vector is done before the next one, whose
    /// words then take none; with more rows it is those that would take them.
    pub(super) fn unit_of_dots(&self, b: &mut Builder, part: &Part<'_>, step: Reg) {
        let (bits, right) = (part.right.codes.bits, part.right);
        let at = self.unit_at(b, (right, part.panel.0), (step, part.unit()));
        match &part.quads {
            Some(quads) => self.ask_share(b, quads, step),
            None if part.vectors.0 == 0 && self.asks_for(part) => {
                self.ask_codes(b, right, (at, part.unit()), part.ahead);
            }
            None => {}
        }
        let (quads, vectors) = (0..(part.unit() / QUAD) as u32, 0..part.vectors.1);
        let order: Vec<(u32, u32)> = match part.rows() {
            1 if right.is_crowded() => {
                vectors.flat_map(|vector| quads.clone().map(move |quad| (quad, vector))).collect()
            }
            _ => quads.clone().flat_map(|quad| vectors.clone().map(move |vector| (quad, vector))).collect(),
        };
        let mut loaded: Vec<Option<Reg>> = vec![None; (part.vectors.1 * bits) as usize];
        let (mut lefts, mut pairs) = (vec![None; quads.len()], vec![None; part.sums.len()]);
        for (quad, vector) in order {
            let own = &mut loaded[(vector * bits) as usize..][..bits as usize];
            let lefts = lefts[quad as usize].get_or_insert_with(|| self.quads_of_rows(b, part, (step, quad)));
            let codes = match &part.quads {
                Some(quads) => self.quad_of_bytes(b, quads, (step, quad), vector),
                None => self.quad_of_codes(b, (bits, quad), (at, part.vectors.0 + vector), own),
            };
            for (row, x) in lefts[part.left(vector)].iter().enumerate() {
                let number = part.number(row, vector);
                let last = quad + 1 == quads.end;
                let sum = (part.sums[number], &mut pairs[number], last);
                self.add_products(b, right, sum, (codes, *x));
            }
        }
    }

    /// Adds four products to a sum; where they are added up by pairs, the last quad of a unit adds those to the sum.
    pub(super) fn add_products(
        &self,
        b: &mut Builder,
        right: &Buffers,
        (sum, pairs, last): (Var, &mut Option<Reg>, bool),
        (codes, x): (Reg, Reg),
    ) {
        if !right.in_pairs {
            let so_far = b.get(sum);
            let so_far = b.dot4(codes, x, so_far);
            return b.set(sum, so_far);
        }
        let none = Ty::vector(DType::I16, 2 * self.tile.lanes);
        let so_far = pairs.unwrap_or_else(|| b.constant(none, Scalar::Int(0)));
        let all = b.dot2(codes, x, so_far);
        *pairs = Some(all);
        if last {
            let so_far = b.get(sum);
            let all = b.pairs(all, so_far);
            b.set(sum, all);
        }
    }

    /// Four steps of every row in every lane, by group of columns.
    fn quads_of_rows(&self, b: &mut Builder, part: &Part<'_>, (step, quad): (Reg, u32)) -> Vec<Vec<Reg>> {
        let lanes = self.tile.lanes;
        let mut of_row = |(start, offset): &(Reg, i64)| {
            let at = b.add(*start, step);
            let bytes = b.load(self.a, at, offset + i64::from(quad) * QUAD, QUAD as u32);
            let word = b.reinterpret(bytes, Ty::scalar(DType::I32));
            let words = b.splat(word, lanes);
            b.reinterpret(words, Ty::vector(DType::I8, lanes * QUAD as u32))
        };
        part.lefts.iter().map(|left| left.rows.iter().map(&mut of_row).collect()).collect()
    }

    /// Adds what a group gives to the totals.
    pub(super) fn end_group(&self, b: &mut Builder, part: &Part<'_>, scales: Reg) {
        let lanes = self.tile.lanes;
        for vector in 0..part.vectors.1 {
            let offset = i64::from((part.vectors.0 + vector) * lanes);
            let of_columns = self.scale_of_columns(b, part, (scales, offset));
            for row in 0..part.rows() {
                let number = part.number(row, vector);
                let scale = of_columns.unwrap_or_else(|| {
                    let scale = b.load(part.right.scales, part.lefts[part.left(vector)].sums[row], 0, 1);
                    b.splat(scale, lanes)
                });
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

impl Writer<'_> {
    /// The scales of a vector of columns; nothing where those are of the rows.
    fn scale_of_columns(
        &self,
        b: &mut Builder,
        part: &Part<'_>,
        (scales, offset): (Reg, i64),
    ) -> Option<Reg> {
        if part.right.codes.beside.is_some() {
            return None;
        }
        if self.asks_for(part) {
            self.ask(b, part.right.scales, (scales, self.tile.panel() + offset), self.tile.lanes.into());
        }
        Some(self.plain_scale(b, part.right, (scales, offset)))
    }
}

impl Part<'_> {
    /// Whether its codes were taken apart before.
    pub(super) fn is_taken_apart(&self) -> bool {
        self.quads.is_some()
    }

    /// How many rows it has.
    pub(super) fn rows(&self) -> usize {
        self.lefts[0].rows.len()
    }

    /// The number of the left-hand side of a vector.
    fn left(&self, vector: u32) -> usize {
        (self.right.slot(self.vectors.0 + vector) - self.right.slot(self.vectors.0)) as usize
    }

    /// The number of the sum of a row and a vector.
    fn number(&self, row: usize, vector: u32) -> usize {
        row * self.vectors.1 as usize + vector as usize
    }

    /// That sum.
    fn sum(&self, row: usize, vector: u32) -> Var {
        self.sums[self.number(row, vector)]
    }

    /// Steps that are written out: as few as have whole words. What is asked for ahead is spread so over the time,
    /// since no code generator keeps its order among the products of one body; more requests at once than a
    /// processor keeps count of hold up the loads behind them.
    pub(super) fn unit(&self) -> i64 {
        if self.quads.is_some() { CHUNK } else { unit_steps(self.right.codes.bits) }
    }

    /// How many sums a group has.
    pub(super) fn count(&self) -> usize {
        self.sums.len()
    }

    /// The same, with other sums for its groups.
    pub(super) fn with_sums(self, sums: Vec<Var>) -> Self {
        Self { sums, ..self }
    }

    /// The same, asking for codes so many words ahead.
    pub(super) fn asking_ahead(self, ahead: i64) -> Self {
        Self { ahead, ..self }
    }

    /// The same, with quads that were taken apart before.
    pub(super) fn of_bytes(self, quads: Quads) -> Self {
        Self { quads: Some(quads), ..self }
    }
}
