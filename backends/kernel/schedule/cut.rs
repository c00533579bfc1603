//! Axes cut in two where terms divide the position on them by a number.
//!
//! With `i = 4 a + b` the quotient `i / 4` is `a` and the remainder `i % 4` is `b`. A group of
//! channels, or a block of numbers that share a factor, is an axis then: what was gathered by
//! quotients is the same for all lanes, or lies in a row.
use super::Machine;
use super::domain::Domain;
use crate::math::Function;
use crate::term::{Index, Term, TermId, Terms};
use std::collections::BTreeSet;
use weft_ir::{DType, Dim};

/// An axis is cut at most that many times.
const MOST: usize = 4;

impl Domain {
    /// Cuts axes as long as lanes lie better then. Groups of axes are given by where each ends;
    /// returns where each ends now.
    pub(super) fn cut_groups(&mut self, machine: &Machine, ends: &[usize]) -> Vec<usize> {
        let mut ends = ends.to_vec();
        for _ in 0..MOST {
            let cuts = self.quotients().into_iter().map(|(axis, by)| (axis, self.cut(axis, by)));
            let best = cuts.min_by_key(|(_, domain)| domain.lane_cost(machine));
            let Some((axis, better)) =
                best.filter(|(_, cut)| cut.lane_cost(machine) < self.lane_cost(machine))
            else {
                break;
            };
            *self = better;
            ends.iter_mut().filter(|end| **end > axis).for_each(|end| *end += 1);
        }
        ends
    }

    /// The axes whose position is divided by a number that divides their extent, and the number.
    fn quotients(&self) -> BTreeSet<(usize, i64)> {
        let all = self.terms.reachable(&self.roots);
        let found = all.iter().filter_map(|id| {
            let (_, x, by) = division(&self.terms, self.terms.get(*id))?;
            let axis = x.as_axis()? as usize;
            let extent = self.dims[axis].as_fixed()?;
            (extent > by && extent % by == 0).then_some((axis, by))
        });
        found.collect()
    }

    /// The same terms over an axis of blocks of `by` positions and one of the positions in a block.
    fn cut(&self, axis: usize, by: i64) -> Self {
        let mut terms = self.terms.clone();
        let mut dims = self.dims.clone();
        dims[axis] = dims[axis].div_floor(&Dim::fixed(by));
        dims.insert(axis + 1, Dim::fixed(by));
        let place = |old: u32| match (old as usize).cmp(&axis) {
            std::cmp::Ordering::Less => Index::axis(old),
            std::cmp::Ordering::Equal => Index::axis(old).scale(&Dim::fixed(by)).add(&Index::axis(old + 1)),
            std::cmp::Ordering::Greater => Index::axis(old + 1),
        };
        let mut plainer = |terms: &mut Terms, _: TermId, term: Term| {
            let term = divided(terms, &dims, &term).unwrap_or(term);
            terms.add(term)
        };
        let roots = self.roots.iter().map(|root| terms.rewrite(*root, &place, &mut plainer)).collect();
        Self { terms, dims, roots, out: self.out.substitute(&place) }
    }
}

/// The function, the position and the number of a quotient or remainder of a position.
fn division<'a>(terms: &'a Terms, term: &'a Term) -> Option<(Function, &'a Index, i64)> {
    let Term::Call(DType::I64, function @ (Function::FloorDiv | Function::Mod | Function::Fmod), args) = term
    else {
        return None;
    };
    let [x, by] = args.as_slice() else { return None };
    let (Term::Position(x), Some(by)) = (terms.get(*x), terms.as_index(*by).as_fixed()) else { return None };
    (by > 1).then_some((*function, x, by))
}

/// A quotient or remainder as a position, if what is left over is less than the divisor everywhere.
fn divided(terms: &Terms, dims: &[Dim], term: &Term) -> Option<Term> {
    let (function, x, by) = division(terms, term)?;
    if x.opaques().next().is_some() {
        return None;
    }
    let base = x.base().as_fixed().filter(|base| *base >= 0)?;
    let (mut whole, mut rest) = (Index::fixed(base / by), Index::fixed(base % by));
    let mut most = base % by;
    for (axis, factor) in x.axes() {
        let factor = factor.as_fixed().filter(|factor| *factor >= 0)?;
        let here = |factor| Index::axis(axis).scale(&Dim::fixed(factor));
        if factor % by == 0 {
            whole = whole.add(&here(factor / by));
        } else {
            rest = rest.add(&here(factor));
            most = factor.checked_mul(dims[axis as usize].as_fixed()? - 1)?.checked_add(most)?;
        }
    }
    (most < by).then_some(Term::Position(if function == Function::FloorDiv { whole } else { rest }))
}
