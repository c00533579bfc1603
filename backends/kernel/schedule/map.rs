//! `map`: every element of the result from its own term, vectorised along one axis.
use super::domain::Domain;
use super::inside::Inside;
use super::transpose::Transpose;
use super::{Machine, Scheduled};
use crate::nest::{Access, Builder, Hint, Reg};
use crate::term::{Emitter, Index, Point, TermId, Terms};
use weft_ir::{DType, Dim};

/// Elements that one task computes, about.
pub(crate) const GRAIN: i64 = 16384;
/// Elements of a row that one task computes at least: some vectors.
const LEAST: i64 = 64;

/// What to compute: `out[index(axes)] = root(axes)` for all axes of the domain.
#[derive(Debug, Clone)]
pub struct Map {
    /// The extents of the axes.
    pub dims: Vec<Dim>,
    /// The term.
    pub root: TermId,
    /// Where the element goes.
    pub out: Index,
}

/// Writes the kernel; `sources` are the element types of [`crate::term::Source`]s in order.
pub fn map(name: &str, machine: &Machine, terms: &Terms, map: &Map) -> Scheduled {
    let mut domain = Domain::new(terms.clone(), map.dims.clone(), vec![map.root], map.out.clone());
    let ends = domain.cut_groups(machine, &[map.dims.len()]);
    domain.collapse_groups(&ends);
    let dtype = domain.terms.dtype(domain.roots[0]);
    let lanes = machine.lanes(dtype).min(machine.lanes(DType::F32));
    // Narrower elements would need more lanes than the terms are evaluated in.
    let turned = if dtype.bits() >= 32 { Transpose::of(&domain, lanes) } else { None };
    let axis = domain.lane_axis(machine);
    let inside = Inside::of(&domain, axis);
    let title =
        if turned.is_some() { "transpose".to_string() } else { title(&domain, inside.as_ref(), axis) };
    let mut b = Builder::new(name, &format!("{title} x{lanes}"));
    let used = domain.sources();
    let buffers = domain.buffers(&mut b, &used);
    let out = b.buffer("out", dtype, Access::Write);
    if let Some(turned) = turned {
        let grid = turned.write(&mut b, &domain, (&buffers, out));
        return Scheduled { kernel: b.finish(), sources: used, tasks: grid.tasks() };
    }
    let grid = Grid::new(&domain.dims, axis);
    let part = |b: &mut Builder, domain: &Domain, outer: &[Reg], range: (Reg, Reg)| {
        lanes_loop(b, range, lanes, |b, col, lanes, mask| {
            let mut axes = outer.to_vec();
            axes[axis] = col;
            let point = Point { axes, shift: None, lanes: (lanes > 1).then_some((axis as u32, lanes)), mask };
            let mut emitter = Emitter::new(&domain.terms, &buffers, point);
            let value = emitter.value(b, domain.roots[0]);
            emitter.store(b, out, &domain.out, value);
        });
    };
    grid.rows(&mut b, |b, outer, range| match &inside {
        None => part(b, &domain, outer, range),
        Some(inside) => {
            let (low, high) = inside.range(b, outer, range);
            part(b, &inside.domain, outer, (low, high));
            inside.border(b, (range, (low, high)), |b, range| part(b, &domain, outer, range));
        }
    });
    Scheduled { kernel: b.finish(), sources: used, tasks: grid.tasks() }
}

fn title(domain: &Domain, inside: Option<&Inside>, axis: usize) -> String {
    if inside.is_some() { "map inside".to_string() } else { domain.title("map", axis) }
}

/// How the rows of a domain are split into tasks.
#[derive(Debug)]
pub(crate) struct Grid {
    dims: Vec<Dim>,
    axis: usize,
    outer: Dim,
    rows_per_task: Dim,
    chunks: Dim,
    grain: Dim,
}

impl Grid {
    /// All axes but `axis` make rows; long rows are cut.
    pub(crate) fn new(dims: &[Dim], axis: usize) -> Self {
        Self::weighted(dims, axis, &[])
    }

    /// The same, where each element costs as much as the product of `work`.
    pub(crate) fn weighted(dims: &[Dim], axis: usize, work: &[Dim]) -> Self {
        Self::with_least(dims, axis, work, LEAST)
    }

    /// The same for elements that are computed one by one: a few that cost much are tasks, too.
    pub(crate) fn one_by_one(dims: &[Dim], axis: usize, work: &[Dim]) -> Self {
        Self::with_least(dims, axis, work, 1)
    }

    fn with_least(dims: &[Dim], axis: usize, work: &[Dim], least: i64) -> Self {
        let one = Dim::fixed(1);
        let outer =
            dims.iter().enumerate().filter(|(i, _)| *i != axis).fold(one.clone(), |p, (_, d)| p.mul(d));
        let work = work.iter().fold(one.clone(), |p, d| p.mul(d)).larger(&one);
        let grain = Dim::fixed(GRAIN).div_floor(&work).larger(&Dim::fixed(least));
        let cols = &dims[axis];
        let rows_per_task = grain.div_floor(&cols.larger(&one)).larger(&one);
        let chunks = cols.div_ceil(&grain);
        Self { dims: dims.to_vec(), axis, outer, rows_per_task, chunks, grain }
    }

    /// The number of tasks.
    pub(crate) fn tasks(&self) -> Dim {
        self.outer.div_ceil(&self.rows_per_task).mul(&self.chunks)
    }

    /// Writes the loop over the rows of one task. The body gets the position on all axes (that on the
    /// row's own axis is meaningless) and the range along the row.
    pub(crate) fn rows(&self, b: &mut Builder, body: impl FnOnce(&mut Builder, &[Reg], (Reg, Reg))) {
        let (task, chunks, per_task) = (b.task(), b.extent(&self.chunks), b.extent(&self.rows_per_task));
        let (outer, cols, grain) =
            (b.extent(&self.outer), b.extent(&self.dims[self.axis]), b.extent(&self.grain));
        let (row_chunk, col_chunk) = (b.div(task, chunks), b.rem(task, chunks));
        let start = b.mul(row_chunk, per_task);
        let end = b.add(start, per_task);
        let end = b.min(end, outer);
        let col_start = b.mul(col_chunk, grain);
        let col_end = b.add(col_start, grain);
        let col_end = b.min(col_end, cols);
        b.for_each(start, end, 1, Hint::AsWritten, |b, row| {
            let axes = self.position(b, row);
            body(b, &axes, (col_start, col_end));
        });
    }

    /// The position on every axis, from the number of the row.
    fn position(&self, b: &mut Builder, row: Reg) -> Vec<Reg> {
        let zero = b.index(0);
        let mut axes = vec![zero; self.dims.len()];
        let mut rest = row;
        let others: Vec<usize> = (0..self.dims.len()).filter(|i| *i != self.axis).collect();
        for (n, axis) in others.iter().enumerate().rev() {
            if n == 0 {
                axes[*axis] = rest;
            } else {
                let extent = b.extent(&self.dims[*axis]);
                axes[*axis] = b.rem(rest, extent);
                rest = b.div(rest, extent);
            }
        }
        axes
    }
}

/// Whole vectors from `start` on, then what is left under a mask.
pub(crate) fn lanes_loop(
    b: &mut Builder,
    (start, end): (Reg, Reg),
    lanes: u32,
    mut body: impl FnMut(&mut Builder, Reg, u32, Option<Reg>),
) {
    let width = b.index(lanes.into());
    let length = b.sub(end, start);
    let rest = b.rem(length, width);
    let whole = b.sub(end, rest);
    b.for_each(start, whole, lanes.into(), Hint::AsWritten, |b, col| body(b, col, lanes, None));
    if lanes == 1 || b.known(rest) == Some(0) {
        return;
    }
    b.for_each(whole, end, lanes.into(), Hint::AsWritten, |b, col| {
        let mask = b.first_lanes(rest, lanes);
        body(b, col, lanes, Some(mask));
    });
}
