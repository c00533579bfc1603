//! `transpose`: elements that lie in a row where they are read, and in another row where they go.
//!
//! A square of elements is computed row by row as it is read, turned around in registers, and written
//! row by row as it goes. Each cache line is read and written once, and nothing is gathered. Where
//! only some of what a term is made of lies across the result, that is turned, and the rest of the
//! term is computed in the rows of the result.
use super::domain::Domain;
use super::map::Grid;
use crate::nest::{BufferId, Builder, Compare, Hint, Op, Reg};
use crate::term::{Emitter, Point, Term, TermId};
use std::collections::BTreeSet;
use weft_ir::{DType, Dim};

/// The two axes of a transposition, and the side of a square.
#[derive(Debug, Clone)]
pub(super) struct Transpose {
    /// The axis along which the result lies in a row.
    to: usize,
    /// The axis along which what is turned lies in a row.
    from: usize,
    /// What is turned.
    turned: BTreeSet<TermId>,
    lanes: u32,
}

impl Transpose {
    /// The axes, if the domain turns rows around: the result goes along one axis, and what is not
    /// read along it is in a row, or the same, along another.
    pub(super) fn of(domain: &Domain, lanes: u32) -> Option<Self> {
        let to = (0..domain.dims.len()).find(|axis| domain.out.factor(*axis as u32).as_fixed() == Some(1))?;
        if lanes < 4 || domain.out.opaques().next().is_some() || domain.rows(&domain.roots, to) {
            return None;
        }
        let at_least = |axis: &usize, least| domain.dims[*axis].as_fixed().is_none_or(|d| d >= least);
        let others = |least| (0..domain.dims.len()).rev().filter(move |a| *a != to && at_least(a, least));
        // Half a square is turned sooner than its elements are gathered, less is not.
        let mut long_first = others(lanes.into()).chain(others((lanes / 2).into()));
        long_first.find_map(|from| Some(Self { to, from, turned: across(domain, to, from)?, lanes }))
    }

    /// Writes the loops; returns how the work is cut.
    pub(super) fn write(
        &self,
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
    what: &'a Transpose,
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

    /// Turns what lies across, and writes rows; `left` is how many there are to write in a row, and to
    /// read in a row.
    fn turn(&self, b: &mut Builder, axes: &[Reg], start: (Reg, Reg), left: Option<(Reg, Reg)>) {
        let Transpose { to, from, ref turned, lanes } = *self.what;
        let parts: Vec<(TermId, Vec<Reg>)> =
            turned.iter().map(|id| (*id, self.columns(b, *id, (axes, start), left))).collect();
        let mask = left.map(|(right, _)| b.first_lanes(right, lanes));
        for row in 0..lanes as usize {
            let number = b.index(row as i64);
            let mut axes = axes.to_vec();
            (axes[to], axes[from]) = (start.0, b.add(start.1, number));
            let point = Point { axes, shift: None, lanes: Some((to as u32, lanes)), mask };
            let known = parts.iter().map(|(id, columns)| (*id, columns[row]));
            let mut emitter = Emitter::new(&self.domain.terms, self.buffers, point).with_values(known);
            let mut write = |b: &mut Builder| {
                let value = emitter.value(b, self.domain.roots[0]);
                emitter.store(b, self.out, &self.domain.out, value);
            };
            match left {
                None => write(b),
                Some((_, down)) => {
                    let inside = b.compare(Compare::Lt, number, down);
                    b.when(inside, write);
                }
            }
        }
    }

    /// The columns of a square of a term, which is computed row by row.
    fn columns(
        &self,
        b: &mut Builder,
        id: TermId,
        (axes, (to, from)): (&[Reg], (Reg, Reg)),
        left: Option<(Reg, Reg)>,
    ) -> Vec<Reg> {
        let lanes = self.what.lanes;
        let (zero, one) = (b.index(0), b.index(1));
        let mut rows = Vec::new();
        for row in 0..lanes {
            let number = b.index(row.into());
            let mut axes = axes.to_vec();
            (axes[self.what.to], axes[self.what.from]) = (b.add(to, number), from);
            let mask = left.map(|(right, down)| {
                // What is the same along the row is read without a mask, so never behind the end.
                let last = b.sub(self.ends.0, one);
                axes[self.what.to] = b.min(axes[self.what.to], last);
                let inside = b.compare(Compare::Lt, number, right);
                let count = b.select(inside, down, zero);
                b.first_lanes(count, lanes)
            });
            let point = Point { axes, shift: None, lanes: Some((self.what.from as u32, lanes)), mask };
            rows.push(Emitter::new(&self.domain.terms, self.buffers, point).value(b, id));
        }
        turned(b, rows)
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

/// The largest parts of the term that lie in rows along `from` and not along `to`, if the rest lies in
/// rows along `to`. Truth values are bits in registers, which cannot be turned: what they are made of is.
fn across(domain: &Domain, to: usize, from: usize) -> Option<BTreeSet<TermId>> {
    let (mut turned, mut open) = (BTreeSet::new(), domain.roots.clone());
    while let Some(id) = open.pop() {
        if domain.rows(&[id], to) {
            continue;
        }
        let truth = domain.terms.dtype(id) == DType::Bool;
        match domain.terms.get(id) {
            _ if !truth && domain.rows(&[id], from) => {
                turned.insert(id);
            }
            Term::Call(_, _, args) => open.extend(args),
            _ => return None,
        }
    }
    let read = |id: &TermId| {
        domain.terms.positions(&[*id]).iter().any(|p| p.factor(from as u32).as_fixed() == Some(1))
    };
    turned.iter().any(read).then_some(turned)
}
