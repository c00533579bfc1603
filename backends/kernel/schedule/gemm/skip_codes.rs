//! One row of a product whose `A` is mostly zero with rows of codes: of those that meet a zero neither codes nor
//! scales nor zero points are read.
//!
//! As for numbers (see [`super::skip`]) a task lists what is not zero and adds up some rows of its panel at a
//! time. With one scale for some columns in every step, `x` is multiplied by all scales of its row at once, a lane for
//! each, and so is what zero points take off, which comes to one number for each group of columns. With
//! one scale for some steps in every column the list ends with each group, and what its sums come to is
//! added to totals.
//!
//! A row that is used costs the three operations for 16 numbers that it costs where all are, which with 4 bits
//! is about as long as it takes to come from memory; the sums in memory cost loads and stores beside them.
use super::Writer;
use super::code_rows::{CodeRows, LINE_BYTES, pieces};
use super::codes::{Groups, UNIT_VECTORS};
use super::skip::{Held, Panel};
use crate::nest::{Access, Binary, BufferId, Builder, Hint, Reduce, Reg, Scalar, Stmt, Ty};
use weft_ir::DType;

/// What gives the numbers that a row of the list is multiplied with, by its place and the vector of a unit.
type Factor<'f> = &'f mut dyn FnMut(&mut Builder, i64, (Reg, u32)) -> Reg;

/// What a task with groups of columns has besides.
struct Slots {
    /// How many groups the panel has, and how many columns they have.
    count: i64,
    shared: i64,
    /// Lanes of a vector of groups.
    lanes: u32,
    /// By row and group: what codes are multiplied with.
    scaled: BufferId,
    /// By group: what zero points take off.
    offsets: BufferId,
}

impl Slots {
    fn new(b: &mut Builder, right: &CodeRows, (lanes, at_once): (u32, u32)) -> Self {
        let (count, shared) = right.slots();
        let lanes = lanes.min((count as u32).next_power_of_two());
        let room = (count as u32).next_multiple_of(lanes);
        let scaled = b.buffer("scaled", DType::F32, Access::Local(at_once * room));
        let offsets = b.buffer("offsets", DType::F32, Access::Local(room));
        Self { count, shared, lanes, scaled, offsets }
    }

    /// Elements of whole vectors of groups.
    fn room(&self) -> i64 {
        (self.count as u64).next_multiple_of(self.lanes.into()) as i64
    }

    /// Where the vectors of groups start.
    fn vectors(&self) -> impl Iterator<Item = i64> + use<> {
        (0..self.room()).step_by(self.lanes as usize)
    }
}

impl Writer<'_> {
    /// All columns of one panel of codes.
    pub(super) fn panel_of_codes_of_one_row(
        &self,
        b: &mut Builder,
        held: Held,
        panel: &Panel,
        right: &CodeRows,
    ) {
        match right.groups {
            Groups::Columns(_) => self.panel_by_columns(b, held, panel, right),
            Groups::Depth(steps) => self.panel_by_depth(b, held, panel, (right, steps)),
        }
    }

    fn panel_by_columns(&self, b: &mut Builder, held: Held, panel: &Panel, right: &CodeRows) {
        let slots = Slots::new(b, right, (self.tile.lanes, self.at_once().0));
        let (none, depth) = (b.index(0), b.extent(&self.plan.depth));
        self.clear(b, held.sums, panel.columns);
        let zero = b.constant(Ty::vector(DType::F32, slots.lanes), Scalar::Float(0.0));
        slots.vectors().for_each(|at| b.store(slots.offsets, none, at, zero));
        let scales = self.scales_of_panel(b, right, panel.number);
        self.listed(b, held, panel, (none, depth), &mut |b, first| {
            self.scale_row_of_list(b, held, (right, &slots), (first, scales));
            self.add_rows_of_codes(b, held, panel, (right, first), &mut |b, row, (unit, vector)| {
                let slot = slot_of(b, &slots, right, (unit, vector));
                let x = b.load(slots.scaled, slot, row * slots.room(), 1);
                b.splat(x, self.tile.lanes)
            });
        });
        self.store_sums(b, panel, &mut |b, col| {
            let sum = b.load(held.sums, col, 0, self.tile.lanes);
            let shared = b.index(slots.shared);
            let slot = b.div(col, shared);
            let offset = b.load(slots.offsets, slot, 0, 1);
            let offset = b.splat(offset, self.tile.lanes);
            b.binary(Binary::Sub, sum, offset)
        });
    }

    /// Leaves what codes of some rows of the list are multiplied with; adds to what zero points take off.
    fn scale_row_of_list(
        &self,
        b: &mut Builder,
        held: Held,
        (right, slots): (&CodeRows, &Slots),
        (first, scales): (Reg, Reg),
    ) {
        let (none, (_, into)) = (b.index(0), self.at_once());
        let apart = b.extent(&self.scales_of_step(right));
        let starts = self.starts(b, held, (first, 0), (scales, apart));
        for ahead in self.starts(b, held, (first, 1), (scales, apart)) {
            let buffers = [Some(right.scales), right.zero_points];
            for buffer in buffers.into_iter().flatten() {
                b.stmt(Stmt::Prefetch { buffer, index: ahead, offset: 0, into });
            }
        }
        for at in slots.vectors() {
            let mut offset = b.load(slots.offsets, none, at, slots.lanes);
            for (row, start) in (0..).zip(&starts) {
                let x = b.load(held.factors, first, row, 1);
                let x = b.splat(x, slots.lanes);
                let scale = self.scale_of_rows(b, right, (*start, at), slots.lanes);
                let x = b.binary(Binary::Mul, x, scale);
                b.store(slots.scaled, none, row * slots.room() + at, x);
                let zero = self.zero_of_rows(b, right, (*start, at), slots.lanes);
                offset = b.fma(x, zero, offset);
            }
            b.store(slots.offsets, none, at, offset);
        }
    }

    fn panel_by_depth(&self, b: &mut Builder, held: Held, panel: &Panel, (right, steps): (&CodeRows, i64)) {
        let totals = b.buffer("totals", DType::F32, Access::Local(right.panel as u32));
        let (none, depth) = (b.index(0), b.extent(&self.plan.depth));
        self.clear(b, totals, panel.columns);
        let scales = self.scales_of_panel(b, right, panel.number);
        b.for_each(none, depth, steps, Hint::AsWritten, |b, from| {
            let length = b.index(steps);
            let (group, end) = (b.div(from, length), b.add(from, length));
            let end = b.min(end, depth);
            self.clear(b, held.sums, panel.columns);
            let at_once = self.at_once().0;
            let zero = b.constant(Ty::vector(DType::F32, at_once), Scalar::Float(0.0));
            let sum = b.var(zero);
            self.listed(b, held, panel, (from, end), &mut |b, first| {
                let x = b.load(held.factors, first, 0, at_once);
                let so_far = b.get(sum);
                let so_far = b.add(so_far, x);
                b.set(sum, so_far);
                self.add_rows_of_codes(b, held, panel, (right, first), &mut |b, row, _| {
                    let x = b.load(held.factors, first, row, 1);
                    b.splat(x, self.tile.lanes)
                });
            });
            let sum = b.get(sum);
            let sum = b.reduce(Reduce::Add, sum);
            let width = b.index(right.panel);
            let down = b.mul(group, width);
            let scales = b.add(scales, down);
            self.add_group_of_rows(b, (held, totals), panel, (right, scales, sum));
        });
        self.store_sums(b, panel, &mut |b, col| b.load(totals, col, 0, self.tile.lanes));
    }

    /// Adds what the sums of a group of steps come to, whose `x` come to `sum`.
    fn add_group_of_rows(
        &self,
        b: &mut Builder,
        (held, totals): (Held, BufferId),
        panel: &Panel,
        (right, scales, sum): (&CodeRows, Reg, Reg),
    ) {
        let (none, lanes) = (b.index(0), self.tile.lanes);
        let offset = b.splat(sum, lanes);
        b.for_each(none, panel.columns, lanes.into(), Hint::AsWritten, |b, col| {
            let at = (b.add(scales, col), 0);
            let (scale, zero) =
                (self.scale_of_rows(b, right, at, lanes), self.zero_of_rows(b, right, at, lanes));
            let (sum, total) = (b.load(held.sums, col, 0, lanes), b.load(totals, col, 0, lanes));
            let offset = b.binary(Binary::Mul, zero, offset);
            let sum = b.binary(Binary::Sub, sum, offset);
            let total = b.fma(scale, sum, total);
            b.store(totals, col, 0, total);
        });
    }

    /// Adds some rows of the list to the sums, unit by unit; `factor` gives what a row is multiplied with in a
    /// vector of a unit.
    fn add_rows_of_codes(
        &self,
        b: &mut Builder,
        held: Held,
        panel: &Panel,
        (right, first): (&CodeRows, Reg),
        factor: Factor<'_>,
    ) {
        let (none, lanes, (_, into)) = (b.index(0), self.tile.lanes, self.at_once());
        let size = b.extent(&self.plan.depth.scale(right.row_bytes()));
        let (start, apart) = (b.mul(panel.number, size), b.index(right.row_bytes()));
        let starts = self.starts(b, held, (first, 0), (start, apart));
        let ahead = self.starts(b, held, (first, 1), (start, apart));
        b.for_each(none, panel.columns, right.unit, Hint::AsWritten, |b, col| {
            let (wide, bytes) = (b.index(right.unit), b.index(right.unit_bytes()));
            let unit = b.div(col, wide);
            let offset = b.mul(unit, bytes);
            for start in &ahead {
                let index = b.add(*start, offset);
                for offset in (0..right.unit_bytes()).step_by(LINE_BYTES as usize) {
                    b.stmt(Stmt::Prefetch { buffer: self.b, index, offset, into });
                }
            }
            let words: Vec<Vec<Reg>> = starts
                .iter()
                .map(|start| {
                    let at = b.add(*start, offset);
                    self.words(b, at, pieces(right.bits))
                })
                .collect();
            let mut factors: Vec<Vec<Reg>> = vec![Vec::new(); words.len()];
            for vector in 0..UNIT_VECTORS {
                let offset = i64::from(vector * lanes);
                let mut sum = b.load(held.sums, col, offset, lanes);
                for (row, words) in words.iter().enumerate() {
                    let x = match self.repeats(right, vector).then(|| factors[row].last()).flatten() {
                        Some(x) => *x,
                        None => factor(b, row as i64, (unit, vector)),
                    };
                    factors[row].push(x);
                    let weight = self.weight_of_unit(b, right, words, vector);
                    sum = b.fma(x, weight, sum);
                }
                b.store(held.sums, col, offset, sum);
            }
        });
    }

    /// Whether a vector of a unit is in the group of the one before.
    fn repeats(&self, right: &CodeRows, vector: u32) -> bool {
        let (_, shared) = right.slots();
        vector > 0 && i64::from(vector * self.tile.lanes) % shared != 0
    }
}

/// The group of a vector of a unit.
fn slot_of(b: &mut Builder, slots: &Slots, right: &CodeRows, (unit, vector): (Reg, u32)) -> Reg {
    let lanes = right.unit / i64::from(UNIT_VECTORS);
    // Groups are whole units, or parts of one.
    if slots.shared >= right.unit {
        let units = b.index(slots.shared / right.unit);
        return b.div(unit, units);
    }
    let (each, within) =
        (b.index(right.unit / slots.shared), b.index(i64::from(vector) * lanes / slots.shared));
    let before = b.mul(unit, each);
    b.add(before, within)
}
