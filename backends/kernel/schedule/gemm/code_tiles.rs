//! Tiles of a product with codes, all whose sums stay in registers; see [`super::codes`] for what is summed up.
use super::codes::{Buffers, CHUNK, Groups, MANTISSA, ONE, Zeros, field, unit_steps};
use super::depth::LINE;
use super::quads::QUAD;
use super::units::AHEAD;
use super::{Place, Writer};
use crate::nest::{Binary, BufferId, Builder, Cache, Hint, Reduce, Reg, Scalar, Stmt, Ty, Var};
use weft_ir::{DType, Dim};

/// A tile while it is computed: some rows by some vectors of the panel.
struct Part<'a> {
    right: &'a Buffers,
    /// Where the rows of the left-hand side start.
    rows: &'a [(Reg, i64)],
    /// The first vector and how many.
    vectors: (u32, u32),
    /// `sum(x w)`, row by row.
    sums: Vec<Var>,
    /// By row and group: `sum(x' (1 + z / 2^b))` where columns share scales, else `sum(x)` of the group; lanes to
    /// be added up.
    offsets: Vec<Var>,
    /// The panel: its first word of codes, and its first scale.
    panel: (Reg, Reg),
}

impl Part<'_> {
    /// The groups of its vectors.
    fn slots(&self) -> std::ops::Range<u32> {
        let (first, count) = self.vectors;
        self.right.slot(first)..self.right.slot(first + count - 1) + 1
    }

    fn offset(&self, row: usize, vector: u32) -> Var {
        let slots = self.slots();
        let slot = self.right.slot(self.vectors.0 + vector) - slots.start;
        self.offsets[row * slots.len() + slot as usize]
    }
}

impl Writer<'_> {
    /// All row tiles of one panel of codes.
    pub(super) fn column_of_codes(
        &self,
        b: &mut Builder,
        (place, end, vectors): (&Place, Reg, u32),
        right: &Buffers,
    ) {
        self.tiles(b, place, end, &mut |b, place, tall| {
            let rows = self.rows(b, place, tall);
            let each = right.vectors(tall);
            for first in (0..vectors).step_by(each as usize) {
                let count = each.min(vectors - first);
                let sums = self.part(b, place, right, (&rows, (first, count)));
                self.finish_from(b, place, (tall, first, count), &sums);
            }
        });
    }

    /// The sums of a part of a tile.
    fn part(
        &self,
        b: &mut Builder,
        place: &Place,
        right: &Buffers,
        (rows, vectors): (&[(Reg, i64)], (u32, u32)),
    ) -> Vec<Var> {
        let tall = rows.len() as u32;
        let mut part = Part {
            right,
            rows,
            vectors,
            sums: self.cleared(b, tall * vectors.1),
            offsets: Vec::new(),
            panel: self.panel_of_codes(b, place, right),
        };
        part.offsets = self.cleared(b, tall * part.slots().len() as u32);
        let depth = b.extent(&self.plan.depth);
        let zero = b.index(0);
        match right.codes.groups {
            Groups::Columns(_) => {
                self.chunks(b, &part, (zero, depth));
                self.less_offsets(b, &part)
            }
            Groups::Depth(steps) => {
                let totals = self.cleared(b, tall * vectors.1);
                b.for_each(zero, depth, steps, Hint::AsWritten, |b, from| {
                    self.clear_part(b, &part);
                    let steps = b.index(steps);
                    let end = b.add(from, steps);
                    let end = b.min(end, depth);
                    self.chunks(b, &part, (from, end));
                    self.add_group(b, &part, (from, &totals));
                });
                totals
            }
        }
    }

    /// The first word of codes of a panel, and its first scale.
    pub(super) fn panel_of_codes(&self, b: &mut Builder, place: &Place, right: &Buffers) -> (Reg, Reg) {
        let width = b.index(self.tile.panel());
        let panel = b.div(place.col, width);
        let chunks = self.plan.depth.div_ceil(&Dim::fixed(CHUNK));
        let codes = b.extent(&chunks.scale(i64::from(right.codes.bits) * self.tile.panel()));
        let scales = match right.codes.groups {
            Groups::Depth(each) => self.plan.depth.div_ceil(&Dim::fixed(each)).scale(self.tile.panel()),
            Groups::Columns(slots) => chunks.scale(CHUNK * i64::from(slots)),
        };
        let scales = b.extent(&scales);
        (b.mul(panel, codes), b.mul(panel, scales))
    }

    fn zero_vector(&self, b: &mut Builder) -> Reg {
        b.constant(Ty::vector(DType::F32, self.tile.lanes), Scalar::Float(0.0))
    }

    fn clear_part(&self, b: &mut Builder, part: &Part<'_>) {
        let zero = self.zero_vector(b);
        for var in part.sums.iter().chain(&part.offsets) {
            b.set(*var, zero);
        }
    }

    /// Adds up some steps at a time.
    fn chunks(&self, b: &mut Builder, part: &Part<'_>, (from, end): (Reg, Reg)) {
        let prepared = part.right.prepared();
        b.for_each(from, end, prepared, Hint::AsWritten, |b, step| {
            self.scale_rows(b, part, step);
            let (zero, chunk) = (b.index(0), b.index(prepared));
            let unit = unit_steps(part.right.codes.bits);
            b.for_each(zero, chunk, unit, Hint::AsWritten, |b, within| {
                self.unit(b, part, (step, within));
            });
        });
    }

    /// Leaves some steps of every row, times the scales of each group, where the units find it; adds to the
    /// offsets.
    fn scale_rows(&self, b: &mut Builder, part: &Part<'_>, step: Reg) {
        let (lanes, prepared) = (self.tile.lanes, part.right.prepared());
        let zero = b.index(0);
        for sub in (0..prepared).step_by(lanes as usize) {
            let mask = self.inside(b, (step, sub), prepared);
            let rows: Vec<Reg> = part
                .rows
                .iter()
                .map(|(start, offset)| {
                    let at = b.add(*start, step);
                    b.load_masked(self.a, at, offset + sub, lanes, mask)
                })
                .collect();
            for slot in part.slots() {
                let factors = self.factors(b, part, (step, sub, slot));
                for (row, x) in rows.iter().enumerate() {
                    let (x, weight) = match factors {
                        Some((scale, weight)) => (b.binary(Binary::Mul, *x, scale), Some(weight)),
                        None => (*x, None),
                    };
                    let place = (row as u32 * part.right.slots() + slot) as i64 * prepared + sub;
                    b.store(part.right.scaled, zero, place, x);
                    let slots = part.slots();
                    let var = part.offsets[row * slots.len() + (slot - slots.start) as usize];
                    let sum = b.get(var);
                    let sum = match weight {
                        Some(weight) => b.fma(x, weight, sum),
                        None => b.add(x, sum),
                    };
                    b.set(var, sum);
                }
            }
        }
    }

    /// The mask of the lanes from `sub` on of so many steps that the depth has; none where it has all.
    pub(super) fn inside(&self, b: &mut Builder, (step, sub): (Reg, i64), steps: i64) -> Option<Reg> {
        if self.plan.depth.as_fixed().is_some_and(|depth| depth % steps == 0) {
            return None;
        }
        let depth = b.extent(&self.plan.depth);
        let left = b.binary(Binary::Sub, depth, step);
        let sub = b.index(sub);
        let left = b.sub(left, sub);
        Some(b.first_lanes(left, self.tile.lanes))
    }

    /// The scales of some steps for a group of columns, and `1 + z / 2^b`; nothing where columns do
    /// not share scales.
    fn factors(
        &self,
        b: &mut Builder,
        part: &Part<'_>,
        (step, sub, slot): (Reg, i64, u32),
    ) -> Option<(Reg, Reg)> {
        let Groups::Columns(slots) = part.right.codes.groups else { return None };
        let slots = b.index(slots.into());
        let at = b.mul(step, slots);
        let at = b.add(part.panel.1, at);
        let offset = i64::from(slot) * part.right.prepared() + sub;
        if sub == 0 && part.vectors.0 == 0 {
            let ahead = AHEAD * i64::from(part.right.slots()) + offset;
            self.ask(b, part.right.scales, (at, ahead), part.right.prepared());
        }
        let scale = self.scale(b, part.right, (at, offset));
        Some((scale, self.zero_point(b, part.right, (at, offset))))
    }

    /// A vector of scales.
    pub(super) fn plain_scale(&self, b: &mut Builder, right: &Buffers, (at, offset): (Reg, i64)) -> Reg {
        let scale = b.load(right.scales, at, offset, self.tile.lanes);
        b.cast(scale, DType::F32)
    }

    /// A vector of scales, times two to the power of the bits.
    pub(super) fn scale(&self, b: &mut Builder, right: &Buffers, (at, offset): (Reg, i64)) -> Reg {
        let scale = self.plain_scale(b, right, (at, offset));
        let all = b.f32(self.tile.lanes, 2f32.powi(right.codes.bits as i32));
        b.binary(Binary::Mul, scale, all)
    }

    /// `1 + z / 2^b`.
    pub(super) fn zero_point(&self, b: &mut Builder, right: &Buffers, (at, offset): (Reg, i64)) -> Reg {
        let (lanes, step) = (self.tile.lanes, 0.5f32.powi(right.codes.bits as i32));
        match (right.codes.zeros, right.zeros) {
            (Zeros::Same(zero), _) => b.f32(lanes, 1.0 + zero as f32 * step),
            (Zeros::Each(_), Some(zeros)) => {
                let zero = b.load(zeros, at, offset, lanes);
                let zero = b.cast(zero, DType::F32);
                let (step, one) = (b.f32(lanes, step), b.f32(lanes, 1.0));
                b.fma(zero, step, one)
            }
            (Zeros::Each(_), None) => unreachable!("zero points have a buffer"),
        }
    }

    /// One unit of codes times the rows: some vectors of it after the others, so that their words stay in registers.
    fn unit(&self, b: &mut Builder, part: &Part<'_>, (step, within): (Reg, Reg)) {
        let unit = unit_steps(part.right.codes.bits);
        let first = b.add(step, within);
        let at = self.unit_at(b, (part.right, part.panel.0), (first, unit));
        let (first, count) = part.vectors;
        if first == 0 {
            self.ask_codes(b, part.right, (at, unit), self.words_of(part.right, AHEAD));
        }
        let each = if part.right.registers >= 32 { count } else { count.min(2) };
        for from in (0..count).step_by(each as usize) {
            let vectors = from..(from + each).min(count);
            self.vectors_of_unit(b, part, (at, within), vectors);
        }
    }

    fn vectors_of_unit(
        &self,
        b: &mut Builder,
        part: &Part<'_>,
        (at, within): (Reg, Reg),
        vectors: std::ops::Range<u32>,
    ) {
        let (lanes, bits) = (self.tile.lanes, part.right.codes.bits);
        let mut loaded: Vec<Vec<Option<Reg>>> = vec![vec![None; bits as usize]; vectors.len()];
        for step in 0..unit_steps(bits) {
            let mut splats = vec![None; part.rows.len() * part.right.slots() as usize];
            for (vector, loaded) in vectors.clone().zip(&mut loaded) {
                let column = part.vectors.0 + vector;
                let weight = self.weight(b, (part.right, step), (at, column), loaded);
                let slot = part.right.slot(column);
                for row in 0..part.rows.len() {
                    let place = row * part.right.slots() as usize + slot as usize;
                    let splat = *splats[place].get_or_insert_with(|| {
                        let offset = place as i64 * part.right.prepared() + step;
                        let x = b.load(part.right.scaled, within, offset, 1);
                        b.splat(x, lanes)
                    });
                    let var = part.sums[row * part.vectors.1 as usize + vector as usize];
                    let sum = b.get(var);
                    let sum = b.fma(splat, weight, sum);
                    b.set(var, sum);
                }
            }
        }
    }

    /// Asks for some words.
    pub(super) fn ask(&self, b: &mut Builder, buffer: BufferId, (index, offset): (Reg, i64), words: i64) {
        for word in (0..words).step_by(LINE as usize) {
            let offset = offset + word;
            b.stmt(Stmt::Prefetch { buffer, index, offset, into: Cache::Second });
        }
    }

    /// `1 + q / 2^b` of one vector of codes, at a step of a unit.
    pub(super) fn weight(
        &self,
        b: &mut Builder,
        (right, step): (&Buffers, i64),
        (at, vector): (Reg, u32),
        loaded: &mut [Option<Reg>],
    ) -> Reg {
        let (lanes, bits) = (self.tile.lanes, right.codes.bits);
        let ty = Ty::vector(DType::U32, lanes);
        let mut code = b.constant(ty, Scalar::Int(ONE));
        for (word, bit, from, count) in field(bits, (step / QUAD) as u32) {
            let bit = bit + (step % QUAD * 8) as u32;
            let word = self.word(b, (at, vector), word, loaded);
            let to = MANTISSA - bits + from;
            let by = (to + 32 - bit) % 32;
            let (up, down) = (to > bit || bit + count > 32, to < bit);
            let mut shifted = |op: Binary, by: u32| {
                let by = b.constant(ty, Scalar::Int(by.into()));
                b.binary(op, word, by)
            };
            let moved = match (up, down) {
                (true, true) => {
                    let (high, low) = (shifted(Binary::Shl, by), shifted(Binary::Shr, 32 - by));
                    b.binary(Binary::Or, high, low)
                }
                (true, false) => shifted(Binary::Shl, by),
                (false, true) => shifted(Binary::Shr, 32 - by),
                (false, false) => word,
            };
            let mask = b.constant(ty, Scalar::Int(((1 << count) - 1) << to));
            let part = b.binary(Binary::And, moved, mask);
            code = b.binary(Binary::Or, code, part);
        }
        b.bitcast(code, DType::F32)
    }

    /// All lanes of an offset added up.
    fn total(&self, b: &mut Builder, var: Var) -> Reg {
        let lanes = b.get(var);
        let total = b.reduce(Reduce::Add, lanes);
        b.splat(total, self.tile.lanes)
    }

    /// The sums less the offsets of their groups.
    fn less_offsets(&self, b: &mut Builder, part: &Part<'_>) -> Vec<Var> {
        for row in 0..part.rows.len() {
            for vector in 0..part.vectors.1 {
                let total = self.total(b, part.offset(row, vector));
                let var = part.sums[row * part.vectors.1 as usize + vector as usize];
                let sum = b.get(var);
                let sum = b.binary(Binary::Sub, sum, total);
                b.set(var, sum);
            }
        }
        part.sums.clone()
    }

    /// Adds what a group of steps gives, which begins at step `from`.
    fn add_group(&self, b: &mut Builder, part: &Part<'_>, (from, totals): (Reg, &[Var])) {
        let Groups::Depth(steps) = part.right.codes.groups else { return };
        let (steps, width) = (b.index(steps), b.index(self.tile.cols()));
        let group = b.div(from, steps);
        let at = b.mul(group, width);
        let at = b.add(part.panel.1, at);
        let rows: Vec<Reg> = (0..part.rows.len()).map(|row| self.total(b, part.offset(row, 0))).collect();
        for vector in 0..part.vectors.1 {
            let offset = i64::from((part.vectors.0 + vector) * self.tile.lanes);
            self.ask(b, part.right.scales, (at, self.tile.cols() + offset), self.tile.lanes.into());
            let scale = self.scale(b, part.right, (at, offset));
            let zero = self.zero_point(b, part.right, (at, offset));
            for (row, total) in rows.iter().enumerate() {
                let number = row * part.vectors.1 as usize + vector as usize;
                let sum = b.get(part.sums[number]);
                let weight = b.binary(Binary::Mul, zero, *total);
                let sum = b.binary(Binary::Sub, sum, weight);
                let so_far = b.get(totals[number]);
                let so_far = b.fma(scale, sum, so_far);
                b.set(totals[number], so_far);
            }
        }
    }
}
