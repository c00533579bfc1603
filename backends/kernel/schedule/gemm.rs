//! `gemm`: matrix products, and convolutions as matrix products with rows gathered from an image.
//!
//! `A` is read in place, element by element, each splat over the columns of a tile; `B` lies in
//! panels of as many columns as a tile has. The tile is held in registers over the whole depth. The
//! order load, splat, multiply-add, row by row, keeps the register allocator from spilling.
use super::Scheduled;
use super::domain::Domain;
use super::tile::{Plan, Tile, has_tail, tail_sizes};
use crate::nest::{Access, Binary, BufferId, Builder, Compare, Hint, Reg, Scalar, Ty, Var};
use crate::term::{Emitter, Index, Point, Source, Term, TermId, Terms};
use weft_ir::{DType, Dim};

/// What to compute: `out[index(axes)] = root(axes)`, where the anchor of `root` is the sum of
/// `a(axes, depth) * b(batch, depth, column)` over the depth axes. The axes are batch axes, row
/// axes and one column axis; depth axes are numbered behind them.
#[derive(Debug, Clone)]
pub struct Gemm {
    /// The extents of batch, row and column axes.
    pub dims: Vec<Dim>,
    /// How many batch axes there are.
    pub batch: usize,
    /// The extents of the depth axes.
    pub depth: Vec<Dim>,
    /// A load over batch, row and depth axes.
    pub a: TermId,
    /// The panels.
    pub b: Source,
    /// The first element of the panels, over the batch axes.
    pub b_start: Index,
    /// The tile; see [`super::tile`].
    pub tile: Tile,
    /// What is stored.
    pub root: TermId,
    /// Where it goes.
    pub out: Index,
}

/// Writes the kernel.
pub fn gemm(name: &str, terms: &Terms, what: &Gemm) -> Scheduled {
    let rank = what.dims.len();
    let dims = what.dims.iter().chain(&what.depth).cloned().collect();
    let mut domain = Domain::new(terms.clone(), dims, vec![what.root, what.a], what.out.clone());
    // The start of the panels takes part as a position, so that batch axes merge only where it allows.
    let start = domain.terms.add(Term::Position(what.b_start.clone()));
    domain.roots.push(start);
    let row_step = uniform_rows(&domain, what.batch..rank - 1);
    let ends = domain.collapse_groups(&[what.batch, rank - 1, rank, rank + what.depth.len()]);
    let Term::Load(a_source, dtype, a_index) = domain.terms.get(domain.roots[1]).clone() else {
        unreachable!("`a` is a load")
    };
    let Tile { rows, vectors, lanes } = what.tile;
    let mut b = Builder::new(name, &format!("gemm {rows}x{}", vectors * lanes));
    let sources = sources(&domain, &[a_source, what.b]);
    let buffers = domain.buffers_typed(&mut b, &sources, &[(a_source, dtype), (what.b, dtype)]);
    let out = b.buffer("out", domain.terms.dtype(domain.roots[0]), Access::Write);
    let product =
        |axes: std::ops::Range<usize>| domain.dims[axes].iter().fold(Dim::fixed(1), |p, d| p.mul(d));
    let plan =
        Plan::new(what.tile, &product(ends[0]..ends[1]), &domain.dims[ends[1]], &domain.dims[ends[2]..]);
    let tasks = product(0..ends[0]).mul(&plan.row_blocks).mul(&plan.panel_blocks);
    let (a, panels) = (buffers[a_source.0 as usize], buffers[what.b.0 as usize]);
    let start = domain.terms.as_index(domain.roots[2]);
    let tile = what.tile;
    let (domain, buffers) = (&domain, &buffers[..]);
    Writer { domain, buffers, a, b: panels, out, a_index, start, ends, tile, plan, dtype, row_step }
        .task(&mut b);
    Scheduled { kernel: b.finish(), sources, tasks }
}

/// The sources of what is stored, and more, in order.
fn sources(domain: &Domain, more: &[Source]) -> Vec<Source> {
    let stored = Domain::new(domain.terms.clone(), Vec::new(), vec![domain.roots[0]], Index::fixed(0));
    let mut all = stored.sources();
    all.extend(more);
    all.sort();
    all.dedup();
    all
}

/// How far apart the rows of `A` are, if all of them are equally far apart.
fn uniform_rows(domain: &Domain, axes: std::ops::Range<usize>) -> Option<Dim> {
    let Term::Load(_, _, index) = domain.terms.get(domain.roots[1]) else { return None };
    let long: Vec<usize> = axes.filter(|a| domain.dims[*a].as_fixed() != Some(1)).collect();
    let factor = |axis: usize| index.factor(axis as u32);
    let even = long.windows(2).all(|w| factor(w[0]) == factor(w[1]).mul(&domain.dims[w[1]]));
    let plain = index.opaques().next().is_none();
    (even && plain).then(|| long.last().map_or(Dim::fixed(0), |a| factor(*a)))
}

struct Writer<'a> {
    domain: &'a Domain,
    buffers: &'a [BufferId],
    a: BufferId,
    b: BufferId,
    out: BufferId,
    a_index: Index,
    start: Index,
    ends: Vec<usize>,
    tile: Tile,
    plan: Plan,
    dtype: DType,
    /// How far apart the rows of `A` are, where that is the same everywhere.
    row_step: Option<Dim>,
}

/// Where a tile is.
#[derive(Clone)]
struct Place {
    /// The position on the batch axes.
    batch: Vec<Reg>,
    /// Its first row.
    row: Reg,
    /// Its first column.
    col: Reg,
    /// The first element of its panel.
    panel: Reg,
}

impl Writer<'_> {
    fn task(&self, b: &mut Builder) {
        let task = b.task();
        let (panel_blocks, row_blocks) = (b.extent(&self.plan.panel_blocks), b.extent(&self.plan.row_blocks));
        let (rest, panel_block) = (b.div(task, panel_blocks), b.rem(task, panel_blocks));
        let (batch, row_block) = (b.div(rest, row_blocks), b.rem(rest, row_blocks));
        let batch = self.split(b, batch, 0..self.ends[0]);
        let (rows, start_row, end_row) = self.range(b, row_block, &self.plan.rows_per_block, &self.plan.rows);
        let (_, first, last) = self.range(b, panel_block, &self.plan.panels_per_block, &self.plan.panels);
        let panels = self.at(b, &batch, &self.start);
        let size = self.plan.depth.scale(self.tile.cols());
        let size = b.extent(&size);
        b.for_each(first, last, 1, Hint::AsWritten, |b, panel| {
            let (offset, width) = (b.mul(panel, size), b.index(self.tile.cols()));
            let (panel_start, col) = (b.add(panels, offset), b.mul(panel, width));
            let place = Place { batch: batch.clone(), row: start_row, col, panel: panel_start };
            self.panel(b, &place, end_row);
        });
        let _ = rows;
    }

    /// Block `number` of `size` elements out of `total`: its size, start and end.
    fn range(&self, b: &mut Builder, number: Reg, size: &Dim, total: &Dim) -> (Reg, Reg, Reg) {
        let (size, total) = (b.extent(size), b.extent(total));
        let start = b.mul(number, size);
        let end = b.add(start, size);
        (size, start, b.min(end, total))
    }

    /// The position on some axes from their joint number.
    fn split(&self, b: &mut Builder, number: Reg, axes: std::ops::Range<usize>) -> Vec<Reg> {
        let mut position = vec![number; axes.len()];
        let mut rest = number;
        for (i, axis) in axes.enumerate().rev() {
            if i == 0 {
                position[i] = rest;
            } else {
                let extent = b.extent(&self.domain.dims[axis]);
                position[i] = b.rem(rest, extent);
                rest = b.div(rest, extent);
            }
        }
        position
    }

    /// All row tiles of one panel: whole ones, then ever smaller ones.
    fn panel(&self, b: &mut Builder, place: &Place, end: Reg) {
        let narrow = match self.plan.cols.as_fixed() {
            Some(cols) => (cols % self.tile.cols()) as u32,
            None => self.tile.cols() as u32,
        };
        let (full, rest) = (self.tile.vectors, narrow.div_ceil(self.tile.lanes));
        if narrow == 0 || rest == full || self.plan.cols.as_fixed().is_none() {
            return self.column(b, place, end, full);
        }
        let cols = b.extent(&self.plan.cols);
        let width = b.index(self.tile.cols());
        let next = b.add(place.col, width);
        let inside = b.compare(Compare::Le, next, cols);
        b.when_else(inside, |b| self.column(b, place, end, full), |b| self.column(b, place, end, rest));
    }

    fn column(&self, b: &mut Builder, place: &Place, end: Reg, vectors: u32) {
        let mut start = place.row;
        for (i, tall) in std::iter::once(self.tile.rows).chain(tail_sizes(self.tile.rows)).enumerate() {
            let size = b.index(tall.into());
            let left = b.sub(end, start);
            let rest = b.rem(left, size);
            let stop = b.sub(end, rest);
            let fits = i == 0 || self.plan.rows.as_fixed().is_none_or(|r| has_tail(r, self.tile.rows, tall));
            if fits {
                b.for_each(start, stop, tall.into(), Hint::AsWritten, |b, row| {
                    self.tile(b, &Place { row, ..place.clone() }, (tall, vectors));
                });
            }
            start = stop;
        }
    }

    /// One tile: the sum over the depth, then what is fused behind.
    fn tile(&self, b: &mut Builder, place: &Place, (tall, vectors): (u32, u32)) {
        let ty = Ty::vector(self.dtype, self.tile.lanes);
        let rows = self.rows(b, place, tall);
        let zero = b.constant(ty, Scalar::Float(0.0));
        let sums: Vec<Var> = (0..tall * vectors).map(|_| b.var(zero)).collect();
        let tile = Sums { rows: &rows, sums: &sums, vectors };
        let none = b.index(0);
        self.depth(b, &tile, (self.ends[2], none, none), place);
        let mut axes = self.axes(b, place);
        for row in 0..tall {
            for vector in 0..vectors {
                let sum = b.get(sums[(row * vectors + vector) as usize]);
                self.store(b, place, &axes, (vector, sum));
            }
            if row + 1 < tall {
                self.next_row(b, &mut axes);
            }
        }
    }

    /// Where each row of `A` starts: a register and a constant.
    fn rows(&self, b: &mut Builder, place: &Place, tall: u32) -> Vec<(Reg, i64)> {
        let Some(step) = &self.row_step else { return self.gathered_rows(b, place, tall) };
        let mut origin = place.batch.clone();
        let zero = b.index(0);
        origin.resize(self.domain.dims.len(), zero);
        let start = self.at(b, &origin, &self.a_index);
        let fixed = step.as_fixed();
        let step = b.extent(step);
        let distance = b.mul(place.row, step);
        let base = b.add(start, distance);
        let place_of = |row: u32| match fixed {
            Some(step) => (base, step * i64::from(row)),
            None => {
                let row = b.index(row.into());
                let distance = b.mul(step, row);
                (b.add(base, distance), 0)
            }
        };
        (0..tall).map(place_of).collect()
    }

    fn gathered_rows(&self, b: &mut Builder, place: &Place, tall: u32) -> Vec<(Reg, i64)> {
        let mut axes = self.axes(b, place);
        let mut rows = Vec::new();
        for row in 0..tall {
            rows.push((self.at(b, &axes, &self.a_index), 0));
            if row + 1 < tall {
                self.next_row(b, &mut axes);
            }
        }
        rows
    }

    /// The position on all axes of the first row of a tile, depth axes at 0.
    fn axes(&self, b: &mut Builder, place: &Place) -> Vec<Reg> {
        let mut axes = place.batch.clone();
        axes.extend(self.split(b, place.row, self.ends[0]..self.ends[1]));
        axes.push(place.col);
        let zero = b.index(0);
        axes.resize(self.domain.dims.len(), zero);
        axes
    }

    /// Moves on to the next row; on the last axis that may carry over.
    fn next_row(&self, b: &mut Builder, axes: &mut [Reg]) {
        let one = b.index(1);
        let mut carry: Option<Reg> = None;
        for axis in (self.ends[0]..self.ends[1]).rev() {
            let moved = b.add(axes[axis], one);
            axes[axis] = carry.map_or(moved, |carry| b.select(carry, moved, axes[axis]));
            if axis > self.ends[0] {
                let extent = b.extent(&self.domain.dims[axis]);
                let over = b.compare(Compare::Le, extent, axes[axis]);
                let zero = b.index(0);
                axes[axis] = b.select(over, zero, axes[axis]);
                carry = Some(over);
            }
        }
    }

    fn at(&self, b: &mut Builder, axes: &[Reg], index: &Index) -> Reg {
        let mut axes = axes.to_vec();
        let zero = b.index(0);
        axes.resize(self.domain.dims.len(), zero);
        let point = Point { axes, shift: None, lanes: None, mask: None };
        Emitter::new(&self.domain.terms, self.buffers, point).scalar_index(b, index)
    }

    /// Loops over the depth axes; `at` is the offset into `A` so far, `step` the number of the step.
    fn depth(&self, b: &mut Builder, tile: &Sums<'_>, (axis, at, step): (usize, Reg, Reg), place: &Place) {
        let (zero, extent) = (b.index(0), b.extent(&self.domain.dims[axis]));
        let stride = b.extent(&self.a_index.factor(axis as u32));
        let before = b.mul(step, extent);
        if axis + 1 < self.domain.dims.len() {
            return b.for_each(zero, extent, 1, Hint::AsWritten, |b, i| {
                let (distance, step) = (b.mul(i, stride), b.add(before, i));
                let at = b.add(at, distance);
                self.depth(b, tile, (axis + 1, at, step), place);
            });
        }
        let width = b.index(self.tile.cols());
        let panel = b.mul(before, width);
        let panel = b.add(place.panel, panel);
        let starts: Vec<(Reg, i64)> =
            tile.rows.iter().map(|(reg, offset)| (b.add(*reg, at), *offset)).collect();
        let tile = Sums { rows: &starts, ..*tile };
        let unroll = 4;
        let four = b.index(unroll);
        let rest = b.rem(extent, four);
        let whole = b.sub(extent, rest);
        b.for_each(zero, whole, unroll, Hint::AsWritten, |b, k| {
            self.steps(b, &tile, (k, unroll), (stride, panel))
        });
        b.for_each(whole, extent, 1, Hint::AsWritten, |b, k| self.steps(b, &tile, (k, 1), (stride, panel)));
    }

    /// `count` steps of the depth from `k` on.
    fn steps(&self, b: &mut Builder, tile: &Sums<'_>, (k, count): (Reg, i64), (stride, panel): (Reg, Reg)) {
        let (width, lanes) = (b.index(self.tile.cols()), self.tile.lanes);
        let (down, right) = (b.mul(k, width), b.mul(k, stride));
        let panel = b.add(panel, down);
        // Rows that differ by a constant share one register.
        let mut starts: Vec<(Reg, Reg)> = Vec::new();
        for (reg, _) in tile.rows {
            if !starts.iter().any(|(from, _)| from == reg) {
                starts.push((*reg, b.add(*reg, right)));
            }
        }
        let fixed = b.known(stride);
        for step in 0..count {
            let columns: Vec<Reg> = (0..tile.vectors)
                .map(|v| b.load(self.b, panel, step * self.tile.cols() + i64::from(v * lanes), lanes))
                .collect();
            for (row, (reg, offset)) in tile.rows.iter().enumerate() {
                let start = starts.iter().find(|(from, _)| from == reg).map_or(*reg, |(_, to)| *to);
                let scalar = match fixed {
                    Some(stride) => b.load(self.a, start, offset + step * stride, 1),
                    None => {
                        let step = b.index(step);
                        let distance = b.mul(step, stride);
                        let at = b.add(start, distance);
                        b.load(self.a, at, *offset, 1)
                    }
                };
                let splat = b.splat(scalar, lanes);
                for (vector, column) in columns.iter().enumerate() {
                    let var = tile.sums[row * tile.vectors as usize + vector];
                    let sum = b.get(var);
                    let sum = b.fma(splat, *column, sum);
                    b.set(var, sum);
                }
            }
        }
    }

    fn store(&self, b: &mut Builder, place: &Place, axes: &[Reg], (vector, sum): (u32, Reg)) {
        let lanes = self.tile.lanes;
        let offset = b.index((vector * lanes).into());
        let col = b.add(place.col, offset);
        let mut axes = axes.to_vec();
        axes[self.ends[1]] = col;
        let whole = self.plan.cols.as_fixed().is_some_and(|c| c % i64::from(lanes) == 0);
        let mask = (!whole).then(|| {
            let cols = b.extent(&self.plan.cols);
            let left = b.binary(Binary::Sub, cols, col);
            b.first_lanes(left, lanes)
        });
        let point =
            Point { axes, shift: None, lanes: (lanes > 1).then_some((self.ends[1] as u32, lanes)), mask };
        let mut emitter = Emitter::new(&self.domain.terms, self.buffers, point).with_anchor(sum);
        let value = emitter.value(b, self.domain.roots[0]);
        emitter.store(b, self.out, &self.domain.out, value);
    }
}

/// The registers of a tile.
#[derive(Clone, Copy)]
struct Sums<'a> {
    /// Where the rows of `A` start.
    rows: &'a [(Reg, i64)],
    /// The sums, row by row.
    sums: &'a [Var],
    /// Vectors in a row.
    vectors: u32,
}
