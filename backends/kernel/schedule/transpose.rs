//! `transpose`: elements that lie in a row where they are read, and in another row where they go.
//!
//! A square of elements is computed row by row as it is read, turned around in registers, and written
//! row by row as it goes. Each cache line is read and written once, and nothing is gathered.
use super::domain::Domain;
use super::map::Grid;
use crate::nest::{BufferId, Builder, Compare, Hint, Op, Reg};
use crate::term::{Emitter, Index, Point};
use weft_ir::Dim;

/// The two axes of a transposition, and the side of a square.
#[derive(Debug, Clone, Copy)]
pub(super) struct Transpose {
    /// The axis along which the result lies in a row.
    to: usize,
    /// The axis along which what is read lies in a row.
    from: usize,
    lanes: u32,
}

impl Transpose {
    /// The axes, if the domain turns rows around: the result goes along one axis, and what is read is
    /// in a row, or the same, along another.
    pub(super) fn of(domain: &Domain, lanes: u32) -> Option<Self> {
        let positions = domain.terms.positions(&domain.roots);
        let factor = |axis: usize, p: &Index| p.factor(axis as u32).as_fixed();
        let varies = |axis: usize, p: &Index| p.opaques().any(|term| domain.terms.varies(term, axis as u32));
        let in_row = |axis: usize| {
            positions.iter().all(|p| !varies(axis, p) && matches!(factor(axis, p), Some(0 | 1)))
        };
        let to = (0..domain.dims.len()).find(|axis| factor(*axis, &domain.out) == Some(1))?;
        if lanes < 4 || domain.out.opaques().next().is_some() || in_row(to) {
            return None;
        }
        let long = |axis: &usize| domain.dims[*axis].as_fixed().is_none_or(|d| d >= i64::from(lanes));
        let read = |axis: &usize| positions.iter().any(|p| factor(*axis, p) == Some(1));
        let mut others = (0..domain.dims.len()).rev().filter(|axis| *axis != to);
        let from = others.find(|axis| in_row(*axis) && read(axis) && long(axis))?;
        Some(Self { to, from, lanes })
    }

    /// Writes the loops; returns how the work is cut.
    pub(super) fn write(
        self,
        b: &mut Builder,
        domain: &Domain,
        (buffers, out): (&[BufferId], BufferId),
    ) -> Grid {
        let side = Dim::fixed(self.lanes.into());
        let mut dims = domain.dims.clone();
        let across = std::mem::replace(&mut dims[self.to], Dim::fixed(1));
        dims[self.from] = dims[self.from].div_ceil(&side);
        let grid = Grid::weighted(&dims, self.from, &[across.clone(), side]);
        grid.rows(b, |b, axes, (first, last)| {
            let (zero, across, along) = (b.index(0), b.extent(&across), b.extent(&domain.dims[self.from]));
            let square = Square { what: self, domain, buffers, out, ends: (across, along) };
            b.for_each(first, last, 1, Hint::AsWritten, |b, number| {
                let side = b.index(self.lanes.into());
                let from = b.mul(number, side);
                b.for_each(zero, across, self.lanes.into(), Hint::AsWritten, |b, to| {
                    square.at(b, axes, (to, from));
                });
            });
        });
        grid
    }
}

/// What all squares share.
struct Square<'a> {
    what: Transpose,
    domain: &'a Domain,
    buffers: &'a [BufferId],
    out: BufferId,
    /// The extents of the axes `to` and `from`.
    ends: (Reg, Reg),
}

impl Square<'_> {
    /// The square that begins at those positions: whole, or as much of it as there is.
    fn at(&self, b: &mut Builder, axes: &[Reg], start: (Reg, Reg)) {
        let (right, down) = (b.sub(self.ends.0, start.0), b.sub(self.ends.1, start.1));
        let (side, least) = (b.index(self.what.lanes.into()), b.min(right, down));
        let whole = b.compare(Compare::Le, side, least);
        b.when_else(
            whole,
            |b| self.turn(b, axes, start, None),
            |b| self.turn(b, axes, start, Some((right, down))),
        );
    }

    /// Reads rows, turns them, and writes rows; `left` is how many there are to write in a row, and
    /// to read in a row.
    fn turn(&self, b: &mut Builder, axes: &[Reg], (to, from): (Reg, Reg), left: Option<(Reg, Reg)>) {
        let Transpose { to: to_axis, from: from_axis, lanes } = self.what;
        let zero = b.index(0);
        let mut rows = Vec::new();
        for row in 0..lanes {
            let number = b.index(row.into());
            let mut axes = axes.to_vec();
            (axes[to_axis], axes[from_axis]) = (b.add(to, number), from);
            let mask = left.map(|(right, down)| {
                let inside = b.compare(Compare::Lt, number, right);
                let count = b.select(inside, down, zero);
                b.first_lanes(count, lanes)
            });
            let point = Point { axes, shift: None, lanes: Some((from_axis as u32, lanes)), mask };
            rows.push(Emitter::new(&self.domain.terms, self.buffers, point).value(b, self.domain.roots[0]));
        }
        let mask = left.map(|(right, _)| b.first_lanes(right, lanes));
        for (row, value) in turned(b, rows).into_iter().enumerate() {
            let number = b.index(row as i64);
            let mut axes = axes.to_vec();
            (axes[to_axis], axes[from_axis]) = (to, b.add(from, number));
            let point = Point { axes, shift: None, lanes: Some((to_axis as u32, lanes)), mask };
            let store = |b: &mut Builder| {
                let mut emitter = Emitter::new(&self.domain.terms, self.buffers, point);
                emitter.store(b, self.out, &self.domain.out, value);
            };
            match left {
                None => store(b),
                Some((_, down)) => {
                    let inside = b.compare(Compare::Lt, number, down);
                    b.when(inside, store);
                }
            }
        }
    }
}

/// The columns of a square of as many vectors as each has lanes, a power of two: blocks off the
/// diagonal change places, from single elements to halves.
fn turned(b: &mut Builder, mut rows: Vec<Reg>) -> Vec<Reg> {
    let lanes = rows.len() as u32;
    let mut side = 1;
    while side < lanes {
        for at in (0..lanes).filter(|at| at & side == 0) {
            let (upper, lower) = (rows[at as usize], rows[(at + side) as usize]);
            let ty = b.ty(upper);
            let pick = |lane: u32, swapped: u32| match lane & side == 0 {
                true => lane + swapped * side,
                false => lanes + lane - (1 - swapped) * side,
            };
            let picks = |swapped: u32| (0..lanes).map(|lane| pick(lane, swapped)).collect();
            rows[at as usize] = b.op(ty, Op::Shuffle(upper, lower, picks(0)));
            rows[(at + side) as usize] = b.op(ty, Op::Shuffle(upper, lower, picks(1)));
        }
        side *= 2;
    }
    rows
}
