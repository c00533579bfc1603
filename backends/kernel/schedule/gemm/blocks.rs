//! A depth that is cut into blocks, so that the part of a panel in use stays in the first-level cache.
//!
//! Without blocks every tile reads the whole panel anew, from the second-level cache if it is large:
//! 192 or 256 bytes for 12 cycles of multiply-adds. Some processors can just about do that; on one with two
//! multiply-adds of 512 bits a cycle the same products reach 64 % of its peak so, and 86 % with blocks. With blocks all
//! tiles of a column go through one part of the panel before the next part; in between their sums lie
//! in an array of the kernel's own. That costs as many loads and stores as a tile has vectors, once a
//! block (Goto and van de Geijn, "Anatomy of high-performance matrix multiplication", 2008).
//!
//! Where several tiles lie side by side in a panel, as skipping wants it, its rows are so far apart that
//! they share few sets of a cache: a tile's columns of a part are copied together first. Numbers of 16 bits
//! are copied, too, so that they are widened once for all rows, and codes that lie by rows are decoded so.
use super::depth::{Ahead, LINE, Reach, Sums};
use super::tile::{Tile, even_blocks};
use super::{Gemm, Machine, Place, Writer};
use crate::nest::{Access, BufferId, Builder, Cache, Hint, Reg, Stmt, Var};
use weft_ir::{DType, Dim};

/// Rows that share a part of a panel, about.
const ROWS: i64 = 128;
/// The share of the second-level cache that a block of `A` may take, the rest being for the panel.
const SHARE: (u64, u64) = (3, 8);
/// Fewer tiles than these do not make up for the way of the sums to memory and back.
pub(super) const LEAST_TILES: i64 = 3;
/// Panels of up to so many times the first-level cache stay whole: the way of the sums costs more than a few reads
/// from the second level.
const NEAR: i64 = 2;
/// Rows of a wide panel that are asked for before they are copied.
const AHEAD: i64 = 16;

/// How the depth is cut: one depth axis in parts, the axes outside of it step by step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Blocks {
    /// Which of the depth axes.
    axis: usize,
    /// Positions on that axis in a part.
    pub(super) length: i64,
    /// The most rows of a task, whole tiles.
    rows: i64,
    /// Rows of a tile.
    pub(super) tall: i64,
}

/// Elements that a block of `A` may have to stay in the second-level cache.
pub(super) fn near(machine: &Machine, dtype: DType) -> i64 {
    (machine.l2 * SHARE.0 / SHARE.1 * 8) as i64 / i64::from(dtype.bits())
}

/// The most rows that blocks of about [`ROWS`] have.
fn most_rows(tall: i64) -> i64 {
    (ROWS as u64).next_multiple_of(tall as u64) as i64
}

impl Blocks {
    /// Nothing where the depth is not known, or short enough, or where there are few rows; columns of
    /// wide panels always come part by part, and so do those that are widened for many rows.
    pub(super) fn new(
        machine: &Machine,
        what: &Gemm,
        dtype: DType,
        (rows, depth): (&Dim, &[Dim]),
    ) -> Option<Self> {
        let tile = what.tile;
        let tall = i64::from(tile.rows);
        let few = rows.as_fixed().is_some_and(|rows| rows < LEAST_TILES * tall);
        let extents: Vec<i64> = depth.iter().map(Dim::as_fixed).collect::<Option<_>>()?;
        let step = tile.cols() * i64::from(dtype.bits()) / 8;
        let near = extents.iter().product::<i64>() * step <= NEAR * machine.l1 as i64;
        if tile.beside == 1 && (few || (near && what.narrow.is_none())) {
            return None;
        }
        let most = (machine.l1 as i64 * 3 / 4 / step).max(1);
        let inner = |axis: usize| extents[axis + 1..].iter().product::<i64>();
        let axis = (0..extents.len()).find(|axis| inner(*axis) <= most)?;
        let (extent, longest) = (extents[axis], (most / inner(axis).max(1)).max(1));
        // Parts of about the same length, which the unrolled loop divides.
        let parts = (extent as u64).div_ceil(longest as u64).max(1);
        let length =
            (extent as u64).div_ceil(parts).max(1).next_multiple_of(if inner(axis) == 1 { 4 } else { 1 });
        Some(Self { axis, length: length as i64, rows: most_rows(tall), tall })
    }

    /// A depth of one axis in parts of so many steps.
    pub(super) fn of_steps(length: i64, tile: Tile) -> Self {
        let tall = i64::from(tile.rows);
        Self { axis: 0, length, rows: most_rows(tall), tall }
    }

    /// Fewer rows than these do not make up for it.
    pub(super) fn least_rows(&self) -> i64 {
        LEAST_TILES * self.tall
    }

    /// The rows of a task: all about equal, and enough tasks that several threads have something to do.
    pub(super) fn rows_of_task(&self, rows: &Dim, shared: &Dim) -> Dim {
        let most = shared.smaller(&Dim::fixed(ROWS)).larger(&Dim::fixed(ROWS / 2));
        even_blocks(rows, &most, self.tall)
    }

    /// The array for the sums.
    pub(super) fn buffer(
        self,
        b: &mut Builder,
        dtype: DType,
        (tile, rows): (Tile, &Dim),
    ) -> (Self, BufferId) {
        let most = rows.as_fixed().map_or(self.rows, |rows| rows.min(self.rows));
        (self, b.buffer("sums", dtype, Access::Local((most * tile.cols()) as u32)))
    }

    /// The array for the columns of a tile, if they are copied.
    pub(super) fn columns(self, b: &mut Builder, dtype: DType, what: &Gemm) -> Option<BufferId> {
        let size = self.length * what.tile.cols();
        (what.tile.beside > 1 || what.narrow.is_some())
            .then(|| b.buffer("columns", dtype, Access::Local(size as u32)))
    }
}

impl Writer<'_> {
    /// All tiles of a column, part by part of the depth.
    pub(super) fn column_in_blocks(
        &self,
        b: &mut Builder,
        (place, end, vectors): (&Place, Reg, u32),
        (blocks, sums): (&Blocks, BufferId),
    ) {
        let first = place.row;
        self.tiles(b, place, end, &mut |b, place, tall| {
            let cleared = self.cleared(b, tall * vectors);
            self.put(b, (place.row, first), (sums, vectors), &cleared);
        });
        let start = Reach::start(b);
        self.parts(
            b,
            (self.ends[2], self.ends[2] + blocks.axis),
            start,
            blocks,
            &mut |b, axis, reach, stop| {
                self.gather_columns(b, place, (axis, reach, stop));
                self.tiles(b, place, end, &mut |b, place, tall| {
                    let held = self.take(b, (place.row, first), (sums, vectors), tall);
                    let rows = self.rows(b, place, tall);
                    let ahead = self.ahead(b, (axis, reach, stop), (place, first), tall);
                    let tile = Sums { rows: &rows, sums: &held, vectors, ahead };
                    self.depth(b, &tile, (axis, reach, stop), place);
                    self.put(b, (place.row, first), (sums, vectors), &held);
                });
            },
        );
        self.tiles(b, place, end, &mut |b, place, tall| {
            let held = self.take(b, (place.row, first), (sums, vectors), tall);
            self.finish(b, place, (tall, vectors), &held);
        });
    }

    /// Copies the columns of a tile together, if they lie apart or are narrow, or makes them of codes. A machine does not guess that the
    /// next ones are a panel's row away, so they are asked for.
    fn gather_columns(&self, b: &mut Builder, place: &Place, (axis, reach, stop): (usize, Reach, Reg)) {
        let Some(columns) = self.columns else { return };
        if let Some(right) = &self.codes {
            return self.decode(b, place, (right, columns), (reach.from, stop));
        }
        let (before, _) = self.steps_before(b, axis, &reach);
        if let Some(right) = &self.code_rows {
            let decoder = self.decoder(b, right, place);
            let narrow = b.index(self.tile.cols());
            return b.for_each(reach.from, stop, 1, Hint::AsWritten, |b, k| {
                let (step, number) = (b.add(before, k), b.sub(k, reach.from));
                let to = b.mul(number, narrow);
                let decoded = self.decoded(b, &decoder, step);
                for (vector, column) in (0..).zip(decoded) {
                    b.store(columns, to, vector * i64::from(self.tile.lanes), column);
                }
            });
        }
        let (width, narrow) = (b.index(self.tile.panel()), b.index(self.tile.cols()));
        let offsets = || (0..self.tile.vectors).map(|vector| i64::from(vector * self.tile.lanes));
        b.for_each(reach.from, stop, 1, Hint::AsWritten, |b, k| {
            let (step, number) = (b.add(before, k), b.sub(k, reach.from));
            let (down, to) = (b.mul(step, width), b.mul(number, narrow));
            let from = b.add(place.panel, down);
            for offset in offsets().filter(|offset| offset % LINE == 0) {
                let offset = offset + AHEAD * self.tile.panel();
                b.stmt(Stmt::Prefetch { buffer: self.b, index: from, offset, into: Cache::First });
            }
            for offset in offsets() {
                let column = b.load(self.b, from, offset, self.tile.lanes);
                let column = b.cast(column, self.dtype);
                b.store(columns, to, offset, column);
            }
        });
    }

    /// The parts of the depth: the axes before `last` step by step, that one in parts.
    fn parts(
        &self,
        b: &mut Builder,
        (axis, last): (usize, usize),
        reach: Reach,
        blocks: &Blocks,
        body: &mut dyn FnMut(&mut Builder, usize, Reach, Reg),
    ) {
        let (zero, extent) = (b.index(0), b.extent(&self.domain.dims[axis]));
        if axis < last {
            return b.for_each(zero, extent, 1, Hint::AsWritten, |b, i| {
                let reach = self.within(b, axis, &Reach { from: i, ..reach });
                self.parts(b, (axis + 1, last), reach, blocks, body);
            });
        }
        let length = b.index(blocks.length);
        b.for_each(zero, extent, blocks.length, Hint::AsWritten, |b, from| {
            let stop = b.add(from, length);
            let stop = b.min(stop, extent);
            body(b, axis, Reach { from, ..reach }, stop);
        });
    }

    /// What is needed after a tile of this part; for rows that are evenly apart, a part of one axis
    /// that lies in one piece, and a panel as wide as the tile.
    fn ahead(
        &self,
        b: &mut Builder,
        (axis, reach, stop): (usize, Reach, Reg),
        (place, first): (&Place, Reg),
        tall: u32,
    ) -> Option<Ahead> {
        let one_piece = self.a_index.factor(axis as u32).as_fixed() == Some(self.step());
        let step = self.row_step.as_ref().filter(|_| one_piece && axis + 1 == self.domain.dims.len())?;
        if self.columns.is_some() {
            return None;
        }
        let (blocks, _) = self.sums.as_ref()?;
        let rows = b.extent(&step.scale(tall.into()));
        let tiles = (blocks.rows / i64::from(self.tile.rows)).max(1);
        let lines = (self.tile.cols() as u64).div_ceil(tiles as u64) as i64;
        let (before, _) = self.steps_before(b, axis, &reach);
        let next = b.add(before, stop);
        let width = b.index(self.tile.cols());
        let next = b.mul(next, width);
        let panel = b.add(place.panel, next);
        let (length, height, per_step) =
            (b.sub(stop, reach.from), b.index(self.tile.rows.into()), b.index(lines));
        let number = b.sub(place.row, first);
        let number = b.div(number, height);
        let share = b.mul(length, per_step);
        let done = b.mul(number, share);
        let panel = b.add(panel, done);
        let skipped = b.mul(reach.from, per_step);
        Some(Ahead { rows, panel: b.sub(panel, skipped), lines })
    }

    /// Where the sums of a tile's first row lie.
    pub(super) fn held_at(&self, b: &mut Builder, (row, first): (Reg, Reg)) -> Reg {
        let (number, width) = (b.sub(row, first), b.index(self.tile.cols()));
        b.mul(number, width)
    }

    pub(super) fn take(
        &self,
        b: &mut Builder,
        rows: (Reg, Reg),
        (buffer, vectors): (BufferId, u32),
        tall: u32,
    ) -> Vec<Var> {
        let at = self.held_at(b, rows);
        let lanes = self.tile.lanes;
        let offset = |n: u32| i64::from(n / vectors) * self.tile.cols() + i64::from(n % vectors * lanes);
        let values: Vec<Reg> = (0..tall * vectors).map(|n| b.load(buffer, at, offset(n), lanes)).collect();
        values.into_iter().map(|value| b.var(value)).collect()
    }

    pub(super) fn put(
        &self,
        b: &mut Builder,
        rows: (Reg, Reg),
        (buffer, vectors): (BufferId, u32),
        sums: &[Var],
    ) {
        let at = self.held_at(b, rows);
        let width = self.tile.cols();
        for (n, sum) in (0u32..).zip(sums) {
            let offset = i64::from(n / vectors) * width + i64::from(n % vectors * self.tile.lanes);
            let sum = b.get(*sum);
            b.store(buffer, at, offset, sum);
        }
    }
}
