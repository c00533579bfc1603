//! Codes of few bits times numbers, in integers.
//!
//! A number is three bytes with sign: those of a part of a row are scaled so that the largest is 2^22, and rounded to
//! integers `65536 h + 256 m + l`. What multiplies four bytes by codes at once takes three instructions then for four
//! steps of a vector of columns, and a mask, where numbers take a shift, a mask and a multiplication for each step. What
//! multiplies pairs of bytes takes about twice as many, which still is faster for a single row (by a quarter on Zen 3);
//! more rows share what taking codes apart into numbers costs.
//! Sums of integers are exact, and rounding errs by 2^-23 of the largest number of a part, which is what a sum of a few
//! numbers does in `f32`.
//!
//! With one scale for some columns in every step, the row times the scales of each group of columns is what is taken
//! apart; what zero points take off is one number a group and part. With one scale for some steps in every column, it is
//! the row itself, and sums end with each group. A number that is not finite makes all sums of its row so, by way of
//! what zero points take off.
//!
//! (Ozaki et al., "Error-free transformations of matrix multiplication by using fast routines of matrix
//! multiplication and its applications", 2012, take numbers apart so.)
use super::codes::{Buffers, Codes, Groups, PAIRED_BITS, UNIT_VECTORS, Zeros, unit_steps};
use super::quads::QUAD;
use super::units::AHEAD;
use super::{Gemm, Machine, Place, Writer};
use crate::nest::{Access, Binary, BufferId, Builder, Hint, Reduce, Reg, Scalar, Ty, Unary, Var};
use weft_ir::{DType, Dim};

/// Bytes of a number.
const BYTES: u32 = 3;
/// The most steps of the depth that are taken apart at once.
const PART: i64 = 512;
/// The largest integer.
const LARGEST: f32 = 4_194_304.0;
/// Added to a number below [`LARGEST`], it leaves the nearest integer in the low bits of the sum.
const ROUNDING: f32 = 12_582_912.0;
/// 128 in each byte: added to an integer and taken off byte by byte again, it leaves bytes with sign.
const HALVES: i64 = 0x0080_8080;
/// Bytes of vectors of machines that multiply pairs of bytes in one instruction, at least.
const PAIRED_BYTES: u32 = 32;
/// What the largest number of a part is taken for if it is smaller: its inverse must not overflow.
const LEAST: f32 = 1e-30;

/// The arrays of a task.
#[derive(Debug, Clone)]
pub(super) struct Triples {
    /// Steps of a part.
    length: i64,
    /// A part of a row, times the scales of a group of columns.
    numbers: BufferId,
    /// Its bytes: by group of columns, the low ones, the middle ones, the high ones.
    bytes: BufferId,
    /// The sums of all parts so far.
    totals: BufferId,
}

impl Triples {
    /// Whether a machine has the instruction, or that for pairs of bytes, and the left-hand side is no bytes already.
    pub(super) fn pay(machine: &Machine, codes: &Codes) -> bool {
        let pairs = machine.vector_bytes >= PAIRED_BYTES && codes.bits <= PAIRED_BITS;
        (machine.dots || pairs) && codes.row_sums.is_none()
    }

    /// Nothing where they don't pay.
    pub(super) fn new(b: &mut Builder, (machine, codes): (&Machine, &Codes), what: &Gemm) -> Option<Self> {
        if !Self::pay(machine, codes) {
            return None;
        }
        let (length, slots) = match codes.groups {
            Groups::Columns(slots) => (PART, slots),
            Groups::Depth(steps) if steps <= PART => (PART / steps * steps, 1),
            Groups::Depth(steps) if is_all(&what.depth, steps) => (PART, 1),
            Groups::Depth(steps) => (1 << steps.trailing_zeros().min(PART.ilog2()), 1),
        };
        let local = |count: i64| Access::Local(count as u32);
        Some(Self {
            length,
            numbers: b.buffer("numbers", DType::F32, local(length)),
            bytes: b.buffer("bytes", DType::I8, local(length * i64::from(slots * BYTES))),
            totals: b.buffer("totals", DType::F32, local(what.tile.panel())),
        })
    }
}

/// Whether so many steps are all there are.
fn is_all(depth: &[Dim], steps: i64) -> bool {
    depth.iter().fold(Dim::fixed(1), |all, dim| all.mul(dim)).as_fixed().is_some_and(|depth| depth <= steps)
}

/// A row and a panel.
struct Row<'r> {
    right: &'r Buffers,
    triples: &'r Triples,
    /// Where the row starts.
    start: (Reg, i64),
    /// The panel: its first word of codes, and its first scale.
    panel: (Reg, Reg),
}

/// A part of the depth, taken apart.
struct Taken {
    /// Its first step.
    from: Reg,
    /// By group of columns: what an integer stands for, and what zero points take off.
    groups: Vec<(Reg, Reg)>,
}

impl Writer<'_> {
    /// All rows of one panel of codes, one by one.
    pub(super) fn column_of_triples(
        &self,
        b: &mut Builder,
        (place, end, vectors): (&Place, Reg, u32),
        (right, triples): (&Buffers, &Triples),
    ) {
        let panel = self.panel_of_codes(b, place, right);
        b.for_each(place.row, end, 1, Hint::AsWritten, |b, number| {
            let place = Place { row: number, ..place.clone() };
            let start = self.rows(b, &place, 1)[0];
            let row = Row { right, triples, start, panel };
            let (none, lanes) = (b.index(0), self.tile.lanes);
            let zero = b.f32(lanes, 0.0);
            (0..vectors).for_each(|vector| b.store(triples.totals, none, (vector * lanes).into(), zero));
            let depth = b.extent(&self.plan.depth);
            b.for_each(none, depth, triples.length, Hint::AsWritten, |b, from| {
                let length = b.index(triples.length);
                let stop = b.add(from, length);
                let stop = b.min(stop, depth);
                self.part_of_triples(b, &row, (from, stop), vectors);
            });
            let totals: Vec<Var> = (0..vectors)
                .map(|vector| {
                    let total = b.load(triples.totals, none, (vector * lanes).into(), lanes);
                    b.var(total)
                })
                .collect();
            self.finish_from(b, &place, (1, 0, vectors), &totals);
        });
    }

    /// Takes a part of the row apart and adds what it gives to the totals.
    fn part_of_triples(&self, b: &mut Builder, row: &Row<'_>, (from, stop): (Reg, Reg), vectors: u32) {
        let slots = 0..row.right.slot(vectors - 1) + 1;
        let groups = slots.map(|slot| self.take_apart(b, row, (from, stop), slot)).collect();
        let taken = Taken { from, groups };
        match row.right.codes.groups {
            Groups::Columns(_) => self.span(b, row, &taken, ((from, stop), vectors)),
            Groups::Depth(steps) => {
                let steps = steps.min(row.triples.length);
                b.for_each(from, stop, steps, Hint::AsWritten, |b, from| {
                    let steps = b.index(steps);
                    let end = b.add(from, steps);
                    let end = b.min(end, stop);
                    self.span(b, row, &taken, ((from, end), vectors));
                });
            }
        }
    }

    /// Leaves the bytes of a part for a group of columns; gives what an integer stands for, and what zero points take
    /// off.
    fn take_apart(&self, b: &mut Builder, row: &Row<'_>, (from, stop): (Reg, Reg), slot: u32) -> (Reg, Reg) {
        let lanes = self.tile.lanes;
        let zero = b.f32(lanes, 0.0);
        let (largest, offset) = (b.var(zero), b.var(zero));
        let prepared = row.right.prepared();
        b.for_each(from, stop, prepared, Hint::AsWritten, |b, step| {
            let to = b.sub(step, from);
            for sub in (0..prepared).step_by(lanes as usize) {
                let (x, weight) = self.scaled_number(b, row, (step, sub), slot);
                b.store(row.triples.numbers, to, sub, x);
                let (size, so_far) = (b.unary(Unary::Abs, x), b.get(largest));
                let most = b.binary(Binary::Max, size, so_far);
                b.set(largest, most);
                let so_far = b.get(offset);
                let so_far = b.fma(x, weight, so_far);
                b.set(offset, so_far);
            }
        });
        let (largest, offset) = (b.get(largest), b.get(offset));
        let (largest, offset) = (b.reduce(Reduce::Max, largest), b.reduce(Reduce::Add, offset));
        let least = b.f32(1, LEAST);
        let largest = b.binary(Binary::Max, largest, least);
        let most = b.f32(1, LARGEST);
        let factor = b.binary(Binary::Div, most, largest);
        let count = b.sub(stop, from);
        self.bytes_of_numbers(b, row, (factor, count), slot);
        (b.binary(Binary::Div, largest, most), offset)
    }

    /// Some numbers of the row, times the scales of a group of columns, and their zero points; ones where groups are
    /// of steps.
    fn scaled_number(
        &self,
        b: &mut Builder,
        row: &Row<'_>,
        (step, sub): (Reg, i64),
        slot: u32,
    ) -> (Reg, Reg) {
        let (right, lanes) = (row.right, self.tile.lanes);
        let mask = self.inside(b, (step, sub), right.prepared());
        let at = b.add(row.start.0, step);
        let x = b.load_masked(self.a, at, row.start.1 + sub, lanes, mask);
        let Groups::Columns(slots) = right.codes.groups else { return (x, b.f32(lanes, 1.0)) };
        let slots = b.index(slots.into());
        let at = b.mul(step, slots);
        let at = (b.add(row.panel.1, at), i64::from(slot) * right.prepared() + sub);
        // Those of the next part: too few in a row for a processor to look ahead by itself.
        let ahead = row.triples.length * i64::from(right.slots());
        self.ask(b, right.scales, (at.0, at.1 + ahead), lanes.into());
        let scale = self.plain_scale(b, right, at);
        (b.binary(Binary::Mul, x, scale), self.plain_zero_point(b, right, at))
    }

    /// Makes bytes of so many numbers.
    fn bytes_of_numbers(&self, b: &mut Builder, row: &Row<'_>, (factor, count): (Reg, Reg), slot: u32) {
        let (triples, lanes) = (row.triples, self.tile.lanes);
        let words = Ty::vector(DType::I32, lanes);
        let (none, prepared) = (b.index(0), row.right.prepared());
        b.for_each(none, count, prepared, Hint::AsWritten, |b, at| {
            let (factor, rounding) = (b.splat(factor, lanes), b.f32(lanes, ROUNDING));
            let shift = b.constant(words, Scalar::Int(HALVES - i64::from(ROUNDING.to_bits())));
            let halves = b.constant(words, Scalar::Int(HALVES));
            for sub in (0..prepared).step_by(lanes as usize) {
                let x = b.load(triples.numbers, at, sub, lanes);
                let x = b.fma(x, factor, rounding);
                let number = b.bitcast(x, DType::I32);
                let number = b.binary(Binary::Add, number, shift);
                let number = b.binary(Binary::Xor, number, halves);
                for byte in 0..BYTES {
                    let by = b.constant(words, Scalar::Int((8 * byte).into()));
                    let low = if byte == 0 { number } else { b.binary(Binary::Shr, number, by) };
                    let low = b.cast(low, DType::I8);
                    b.store(triples.bytes, at, bytes_at(triples, slot, byte) + sub, low);
                }
            }
        });
    }

    /// Adds what some steps give to the totals, which have one scale in every column, or are a whole part.
    fn span(&self, b: &mut Builder, row: &Row<'_>, taken: &Taken, (steps, vectors): ((Reg, Reg), u32)) {
        let each = if row.right.registers >= 32 { vectors } else { 2 };
        for first in (0..vectors).step_by(each as usize) {
            let count = each.min(vectors - first);
            let none = b.constant(Ty::vector(DType::I32, self.tile.lanes), Scalar::Int(0));
            let sums: Vec<Var> = (0..count * BYTES).map(|_| b.var(none)).collect();
            let unit = unit_steps(row.right.codes.bits);
            b.for_each(steps.0, steps.1, unit, Hint::AsWritten, |b, step| {
                self.unit_of_triples(b, row, (taken, step), (first, &sums));
            });
            self.add_span(b, row, (taken, steps), (first, &sums));
        }
    }

    /// One unit of codes times the three bytes.
    fn unit_of_triples(
        &self,
        b: &mut Builder,
        row: &Row<'_>,
        (taken, step): (&Taken, Reg),
        (first, sums): (u32, &[Var]),
    ) {
        let (right, bits) = (row.right, row.right.codes.bits);
        let unit = unit_steps(bits);
        let at = self.unit_at(b, (right, row.panel.0), (step, unit));
        let count = sums.len() as u32 / BYTES;
        match (self.asks, first) {
            (true, 0) if count == UNIT_VECTORS => {
                self.ask_codes(b, right, (at, unit), self.words_of(right, AHEAD))
            }
            (true, _) => self.ask_vectors(b, row, (at, unit), (first, count)),
            (false, _) => {}
        }
        let within = b.sub(step, taken.from);
        let quads = (unit / QUAD) as u32;
        let mut factors: Vec<Option<Vec<Reg>>> = vec![None; taken.groups.len() * quads as usize];
        // All of a vector before the next one: sums take nearly all registers.
        for (vector, sums) in (first..).zip(sums.chunks(BYTES as usize)) {
            let (slot, mut loaded) = (right.slot(vector), vec![None; bits as usize]);
            let mut pairs = vec![None; sums.len()];
            for quad in 0..quads {
                let codes = self.quad_of_codes(b, (bits, quad), (at, vector), &mut loaded);
                let factors = factors[(slot * quads + quad) as usize]
                    .get_or_insert_with(|| self.bytes_of_quad(b, row.triples, (within, quad), slot));
                for ((var, factor), pairs) in sums.iter().zip(factors).zip(&mut pairs) {
                    self.add_products(b, right, (*var, pairs, quad + 1 == quads), (codes, *factor));
                }
            }
            for var in sums {
                let sum = b.get(*var);
                let sum = b.in_order(sum);
                b.set(*var, sum);
            }
        }
    }

    /// Asks for the codes of some vectors of the next part, or panel, that are as far behind its beginning as these are
    /// behind that of this one: memory is to have something to do while the vectors beside these are computed.
    fn ask_vectors(
        &self,
        b: &mut Builder,
        row: &Row<'_>,
        (at, unit): (Reg, i64),
        (first, count): (u32, u32),
    ) {
        let (right, lanes) = (row.right, self.tile.lanes);
        let ahead = self.words_of(right, row.triples.length) + i64::from(first * lanes);
        for word in (0..self.words_of(right, unit)).step_by(self.tile.panel() as usize) {
            self.ask(b, self.b, (at, ahead + word), i64::from(count * lanes));
        }
    }

    /// The bytes of four steps in every column, low, middle and high.
    fn bytes_of_quad(
        &self,
        b: &mut Builder,
        triples: &Triples,
        (within, quad): (Reg, u32),
        slot: u32,
    ) -> Vec<Reg> {
        let lanes = self.tile.lanes;
        (0..BYTES)
            .map(|byte| {
                let offset = bytes_at(triples, slot, byte) + i64::from(quad) * QUAD;
                let bytes = b.load(triples.bytes, within, offset, QUAD as u32);
                let word = b.reinterpret(bytes, Ty::scalar(DType::I32));
                let words = b.splat(word, lanes);
                b.reinterpret(words, Ty::vector(DType::I8, lanes * QUAD as u32))
            })
            .collect()
    }

    /// Adds the sums of some steps to the totals.
    fn add_span(
        &self,
        b: &mut Builder,
        row: &Row<'_>,
        (taken, steps): (&Taken, (Reg, Reg)),
        (first, sums): (u32, &[Var]),
    ) {
        let (none, lanes) = (b.index(0), self.tile.lanes);
        let of_steps = match row.right.codes.groups {
            Groups::Columns(_) => None,
            Groups::Depth(size) => Some((self.sum_of_numbers(b, row, (taken.from, steps)), size)),
        };
        for (vector, sums) in (first..).zip(sums.chunks(BYTES as usize)) {
            let (stands, offset) = taken.groups[row.right.slot(vector) as usize];
            let sum = self.joined(b, sums);
            let (stands, at) = (b.splat(stands, lanes), i64::from(vector * lanes));
            let total = b.load(row.triples.totals, none, at, lanes);
            let total = match of_steps {
                None => {
                    let offset = b.splat(offset, lanes);
                    let total = b.binary(Binary::Sub, total, offset);
                    b.fma(stands, sum, total)
                }
                Some((all, size)) => {
                    let (size, width) = (b.index(size), b.index(self.tile.panel()));
                    let group = b.div(steps.0, size);
                    let down = b.mul(group, width);
                    let own = (b.add(row.panel.1, down), at);
                    let zero = self.plain_zero_point(b, row.right, own);
                    let (all, sum) = (b.splat(all, lanes), b.binary(Binary::Mul, stands, sum));
                    let offset = b.binary(Binary::Mul, zero, all);
                    let sum = b.binary(Binary::Sub, sum, offset);
                    let scale = self.plain_scale(b, row.right, own);
                    b.fma(scale, sum, total)
                }
            };
            b.store(row.triples.totals, none, at, total);
        }
    }

    /// The integers that three sums make, as numbers.
    fn joined(&self, b: &mut Builder, sums: &[Var]) -> Reg {
        let mut all: Option<Reg> = None;
        for var in sums.iter().rev() {
            let sum = b.get(*var);
            let sum = b.cast(sum, DType::F32);
            let base = b.f32(self.tile.lanes, 256.0);
            all = Some(all.map_or(sum, |all| b.fma(all, base, sum)));
        }
        all.unwrap_or_else(|| b.f32(self.tile.lanes, 0.0))
    }

    /// The sum of some numbers of a part that begins with a step.
    fn sum_of_numbers(&self, b: &mut Builder, row: &Row<'_>, (part, (from, stop)): (Reg, (Reg, Reg))) -> Reg {
        let (lanes, prepared) = (self.tile.lanes, row.right.prepared());
        let zero = b.f32(lanes, 0.0);
        let sum = b.var(zero);
        b.for_each(from, stop, prepared, Hint::AsWritten, |b, step| {
            let at = b.sub(step, part);
            for sub in (0..prepared).step_by(lanes as usize) {
                let (x, so_far) = (b.load(row.triples.numbers, at, sub, lanes), b.get(sum));
                let so_far = b.add(x, so_far);
                b.set(sum, so_far);
            }
        });
        let sum = b.get(sum);
        b.reduce(Reduce::Add, sum)
    }

    /// A vector of zero points.
    fn plain_zero_point(&self, b: &mut Builder, right: &Buffers, (at, offset): (Reg, i64)) -> Reg {
        let lanes = self.tile.lanes;
        match (right.codes.zeros, right.zeros) {
            (Zeros::Each(_), Some(zeros)) => {
                let zero = b.load(zeros, at, offset, lanes);
                b.cast(zero, DType::F32)
            }
            (Zeros::Same(zero), _) => b.f32(lanes, zero as f32),
            (Zeros::Each(_), None) => unreachable!("zero points have a buffer"),
        }
    }
}

/// Where the low, middle or high bytes of a group of columns begin.
fn bytes_at(triples: &Triples, slot: u32, byte: u32) -> i64 {
    i64::from(slot * BYTES + byte) * triples.length
}
