//! One row of a product whose `A` is mostly zero: rows of `B` that meet a zero are not read.
//!
//! A task has one row and one panel. It goes through the depth part by part: first a list of the elements that are
//! not zero and of their rows of the panel, then the rows of the list, some at a time,
//! added up into an array of sums. What a machine brings from memory ahead of its use are the lines
//! that follow, so that of short rows the skipped ones would be brought all the same; rows of 512 to
//! 1024 columns are read at twice the speed of all of them where half are skipped. Some streams side
//! by side are read faster than one, and the next ones are asked for: see [`Writer::at_once`]. The sums need as many
//! loads and stores as a quarter of the rows, or an eighth, from the first-level cache.
//!
//! (Liu et al., "Training-free activation sparsity in large language models", 2024, skip so on GPUs.)
use super::depth::LINE;
use super::tile::{Tile, tile};
use super::{Machine, Place, Writer};
use crate::nest::{Access, BufferId, Builder, Cache, Compare, Hint, Reg, Scalar, Stmt, Ty};
use weft_ir::{DType, Dim};

/// Elements of the depth that are listed at once.
pub(super) const PART: u32 = 512;
/// Rows of `A` that are done one by one where rows of `B` are codes: so many take no longer than if all were decoded
/// once, even where nothing is zero.
const FEW: i64 = 4;
/// Columns of a panel, about: many, but so that there are several tasks.
const WIDE: u64 = 1024;
/// The same where there are fewer than [`MANY`] columns.
const NARROW: u64 = 512;
const MANY: u64 = 4096;

/// The tile for a product whose rows may be skipped.
pub fn skipping_tile(machine: &Machine, dtype: DType, cols: &Dim) -> Tile {
    let tile = tile(machine, dtype, (&Dim::unknown(), cols), false);
    let all = cols.as_fixed().map_or(MANY, |cols| cols.max(1) as u64);
    let panels = (all / if all < MANY { NARROW } else { WIDE }).max(1);
    let width = all.div_ceil(panels).div_ceil(tile.cols() as u64);
    Tile { beside: width as u32, ..tile }
}

/// Up to how many rows of `A` are done one by one.
pub fn skipping_rows(codes: bool) -> i64 {
    if codes { FEW } else { 1 }
}

/// The arrays of a task.
#[derive(Clone, Copy)]
pub(super) struct Held {
    /// Rows of the panel.
    pub(super) rows: BufferId,
    /// What they are multiplied with.
    pub(super) factors: BufferId,
    /// The sums of all columns.
    pub(super) sums: BufferId,
}

/// The panel of a task.
#[derive(Clone)]
pub(super) struct Panel {
    /// Where its first column is.
    pub(super) place: Place,
    /// Its number.
    pub(super) number: Reg,
    /// How many columns of the result it has.
    pub(super) columns: Reg,
}

impl Writer<'_> {
    /// Rows that are added up at once, and where those of the next turn are asked into. The second-level cache of a
    /// machine that looks ahead takes more requests than its first-level one: Zen 4 reads every second row of 4 KB at
    /// 20 GB/s so, at 15 if they are asked into the first level, at 9 one by one and without asking.
    pub(super) fn at_once(&self) -> (u32, Cache) {
        if self.asks { (4, Cache::First) } else { (8, Cache::Second) }
    }

    /// All columns of one panel, for one row.
    pub(super) fn panel_of_one_row(&self, b: &mut Builder) {
        let held = self.held(b);
        let (zero, rows, width) = (b.index(0), b.extent(&self.plan.rows), b.index(self.tile.panel()));
        // Rows that share a panel follow each other.
        let (number, row) = (b.div(b.task(), rows), b.rem(b.task(), rows));
        let size = b.extent(&self.plan.depth.scale(self.tile.panel()));
        let (panel, col) = (b.mul(number, size), b.mul(number, width));
        let place = Place { batch: vec![zero; self.ends[0]], row, col, panel };
        let (cols, depth) = (b.extent(&self.plan.cols), b.extent(&self.plan.depth));
        let left = b.sub(cols, col);
        let panel = Panel { place, number, columns: b.min(left, width) };
        if let Some(right) = &self.code_rows {
            return self.panel_of_codes_of_one_row(b, held, &panel, right);
        }
        self.clear(b, held.sums, panel.columns);
        self.listed(b, held, &panel, (zero, depth), &mut |b, first| self.add_rows(b, held, &panel, first));
        self.store_sums(b, &panel, &mut |b, col| b.load(held.sums, col, 0, self.tile.lanes));
    }

    fn held(&self, b: &mut Builder) -> Held {
        let list = Access::Local(PART + 2 * self.at_once().0);
        Held {
            rows: b.buffer("rows", DType::I64, list),
            factors: b.buffer("factors", self.dtype, list),
            sums: b.buffer("sums", self.dtype, Access::Local(self.tile.panel() as u32)),
        }
    }

    /// Lists what is not zero, part by part of the depth, and goes through the list some rows at a time.
    pub(super) fn listed(
        &self,
        b: &mut Builder,
        held: Held,
        panel: &Panel,
        (from, end): (Reg, Reg),
        add: &mut dyn FnMut(&mut Builder, Reg),
    ) {
        b.for_each(from, end, PART.into(), Hint::AsWritten, |b, from| {
            let length = b.index(PART.into());
            let stop = b.add(from, length);
            let stop = b.min(stop, end);
            let (zero, count) = (b.index(0), self.list(b, held, &panel.place, (from, stop)));
            b.for_each(zero, count, self.at_once().0.into(), Hint::AsWritten, add);
        });
    }

    /// Lists what is not zero from one element to another; gives how many there are. Enough zeros
    /// follow that the list can be read some at a time, and as many ahead.
    fn list(&self, b: &mut Builder, held: Held, place: &Place, (from, end): (Reg, Reg)) -> Reg {
        let (row, offset) = self.rows(b, place, 1)[0];
        let stride = b.extent(&self.a_index.factor(self.ends[2] as u32));
        let none = b.index(0);
        let count = b.var(none);
        let zero = b.constant(Ty::scalar(self.dtype), Scalar::Float(0.0));
        b.for_each(from, end, 1, Hint::AsWritten, |b, k| {
            let distance = b.mul(k, stride);
            let at = b.add(row, distance);
            let (x, number) = (b.load(self.a, at, offset, 1), b.get(count));
            b.store(held.rows, number, 0, k);
            b.store(held.factors, number, 0, x);
            let counts = b.compare(Compare::Ne, x, zero);
            let counts = b.cast(counts, DType::I64);
            let next = b.add(number, counts);
            b.set(count, next);
        });
        let count = b.get(count);
        for i in 0..i64::from(2 * self.at_once().0) {
            b.store(held.rows, count, i, none);
            b.store(held.factors, count, i, zero);
        }
        count
    }

    /// Where the rows of the list from `first` on start, `apart` elements being from one row to the next.
    pub(super) fn starts(
        &self,
        b: &mut Builder,
        held: Held,
        (first, ahead): (Reg, i64),
        (start, apart): (Reg, Reg),
    ) -> Vec<Reg> {
        let at_once = i64::from(self.at_once().0);
        (0..at_once)
            .map(|i| {
                let row = b.load(held.rows, first, i + ahead * at_once, 1);
                let down = b.mul(row, apart);
                b.add(start, down)
            })
            .collect()
    }

    /// Adds some rows of the list to the sums.
    fn add_rows(&self, b: &mut Builder, held: Held, panel: &Panel, first: Reg) {
        let (zero, lanes) = (b.index(0), self.tile.lanes);
        let ((at_once, into), width) = (self.at_once(), b.index(self.tile.panel()));
        let starts = self.starts(b, held, (first, 0), (panel.place.panel, width));
        let ahead = self.starts(b, held, (first, 1), (panel.place.panel, width));
        let factors: Vec<Reg> = (0..i64::from(at_once))
            .map(|i| {
                let factor = b.load(held.factors, first, i, 1);
                b.splat(factor, lanes)
            })
            .collect();
        b.for_each(zero, panel.columns, self.tile.cols(), Hint::AsWritten, |b, col| {
            let rows: Vec<Reg> = starts.iter().map(|start| b.add(*start, col)).collect();
            let ahead: Vec<Reg> = ahead.iter().map(|start| b.add(*start, col)).collect();
            for offset in (0..self.tile.vectors).map(|vector| i64::from(vector * lanes)) {
                for index in ahead.iter().filter(|_| offset % LINE == 0) {
                    b.stmt(Stmt::Prefetch { buffer: self.b, index: *index, offset, into });
                }
                let mut sum = b.load(held.sums, col, offset, lanes);
                for (at, factor) in rows.iter().zip(&factors) {
                    let row = b.load(self.b, *at, offset, lanes);
                    let row = b.cast(row, self.dtype);
                    sum = b.fma(*factor, row, sum);
                }
                let sum = b.in_order(sum);
                b.store(held.sums, col, offset, sum);
            }
        });
    }

    /// An array of the columns of a panel begins at zero, that of whole tiles.
    pub(super) fn clear(&self, b: &mut Builder, array: BufferId, columns: Reg) {
        let lanes = self.tile.lanes;
        let zero = b.constant(Ty::vector(self.dtype, lanes), Scalar::Float(0.0));
        let none = b.index(0);
        b.for_each(none, columns, self.tile.cols(), Hint::AsWritten, |b, col| {
            (0..self.tile.vectors).for_each(|vector| b.store(array, col, (vector * lanes).into(), zero));
        });
    }

    /// Stores what some columns of a panel come to.
    pub(super) fn store_sums(
        &self,
        b: &mut Builder,
        panel: &Panel,
        sum: &mut dyn FnMut(&mut Builder, Reg) -> Reg,
    ) {
        let (lanes, none) = (self.tile.lanes, b.index(0));
        b.for_each(none, panel.columns, lanes.into(), Hint::AsWritten, |b, col| {
            let sum = sum(b, col);
            let place = Place { col: b.add(panel.place.col, col), ..panel.place.clone() };
            let axes = self.axes(b, &place);
            self.store(b, &place, &axes, (0, sum));
        });
    }
}
