//! Terms: what one element of a result is, as an expression over elements of other tensors.
//!
//! A term is written over the axes of a domain. Whatever only moves elements (slices, transposes,
//! broadcasts) changes the [`Index`] at which a tensor is read and costs nothing.
mod emit;
mod index;

pub use emit::{Emitter, Point};
pub use index::Index;

use crate::math::Function;
use crate::nest::Scalar;
use std::collections::{BTreeMap, BTreeSet};
use weft_ir::DType;

/// Names a term of one [`Terms`]; equal terms have equal names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TermId(u32);

/// A tensor in memory that a kernel reads: its number among the kernel's sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source(pub u32);

/// One term.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Term {
    /// A number of that type; floats by their bits as `f64`.
    Const(DType, u64),
    /// A position as a number of type `i64`.
    Position(Index),
    /// The element of a tensor in memory at an address counted in elements.
    Load(Source, DType, Index),
    /// What an anchor (a contraction, a reduction) computed for this element.
    Anchor(DType, u32),
    /// A function of other terms.
    Call(DType, Function, Vec<TermId>),
}

/// Terms of one kernel, each stored once.
#[derive(Debug, Default, Clone)]
pub struct Terms {
    terms: Vec<Term>,
    names: BTreeMap<Term, TermId>,
}

impl Terms {
    /// Stores a term.
    pub fn add(&mut self, term: Term) -> TermId {
        if let Some(id) = self.names.get(&term) {
            return *id;
        }
        let id = TermId(self.terms.len() as u32);
        self.names.insert(term.clone(), id);
        self.terms.push(term);
        id
    }

    /// A constant.
    pub fn constant(&mut self, dtype: DType, value: Scalar) -> TermId {
        let bits = match value {
            Scalar::Float(x) => x.to_bits(),
            Scalar::Int(x) => x as u64,
        };
        self.add(Term::Const(dtype, bits))
    }

    /// A function of other terms.
    pub fn call(&mut self, dtype: DType, function: Function, args: &[TermId]) -> TermId {
        self.add(Term::Call(dtype, function, args.to_vec()))
    }

    /// A term by name.
    pub fn get(&self, id: TermId) -> &Term {
        &self.terms[id.0 as usize]
    }

    /// The element type of a term.
    pub fn dtype(&self, id: TermId) -> DType {
        match self.get(id) {
            Term::Const(dtype, _)
            | Term::Load(_, dtype, _)
            | Term::Anchor(dtype, _)
            | Term::Call(dtype, ..) => *dtype,
            Term::Position(_) => DType::I64,
        }
    }

    /// A position as an index, the value of a term as an opaque one.
    pub fn as_index(&self, id: TermId) -> Index {
        match self.get(id) {
            Term::Position(index) => index.clone(),
            Term::Const(_, bits) => Index::fixed(*bits as i64),
            _ => Index::opaque(id),
        }
    }

    /// Every term that `roots` are made of, themselves included; operands before users.
    pub fn reachable(&self, roots: &[TermId]) -> BTreeSet<TermId> {
        let mut seen = BTreeSet::new();
        let mut open = roots.to_vec();
        while let Some(id) = open.pop() {
            if !seen.insert(id) {
                continue;
            }
            match self.get(id) {
                Term::Call(_, _, args) => open.extend(args),
                Term::Load(_, _, index) | Term::Position(index) => open.extend(index.opaques()),
                Term::Const(..) | Term::Anchor(..) => {}
            }
        }
        seen
    }

    /// Whether the value of a term changes along an axis.
    pub fn varies(&self, id: TermId, axis: u32) -> bool {
        self.reachable(&[id]).iter().any(|id| match self.get(*id) {
            Term::Load(_, _, index) | Term::Position(index) => index.factor(axis).as_fixed() != Some(0),
            Term::Anchor(..) => true,
            _ => false,
        })
    }

    /// All loads among the terms that `root` is made of.
    pub fn loads(&self, root: TermId) -> Vec<(Source, Index)> {
        let all = self.reachable(&[root]);
        let loads = all.iter().filter_map(|id| match self.get(*id) {
            Term::Load(source, _, index) => Some((*source, index.clone())),
            _ => None,
        });
        loads.collect()
    }

    /// The same terms read elsewhere: every position of theirs over axes is replaced by the position
    /// that `to` gives for the axis.
    pub fn at(&mut self, root: TermId, to: &dyn Fn(u32) -> Index) -> TermId {
        self.rewrite(root, to, &mut |terms, _, term| terms.add(term))
    }

    /// The same terms with `leaf` replaced by `by`.
    pub fn replace(&mut self, root: TermId, leaf: TermId, by: TermId) -> TermId {
        self.rewrite(root, &Index::axis, &mut |terms, id, term| if id == leaf { by } else { terms.add(term) })
    }

    /// Rewrites a term from its leaves up. Positions over axes are replaced as by [`Terms::at`]; then
    /// `with` is given the name of each old term and what it is over its new operands, and gives the
    /// term that takes its place.
    pub fn rewrite(
        &mut self,
        root: TermId,
        to: &dyn Fn(u32) -> Index,
        with: &mut dyn FnMut(&mut Self, TermId, Term) -> TermId,
    ) -> TermId {
        let mut moved: BTreeMap<TermId, TermId> = BTreeMap::new();
        // Operands have smaller names than their users.
        for id in self.reachable(&[root]) {
            let term = self.over(id, to, &moved);
            let new = with(self, id, term);
            moved.insert(id, new);
        }
        moved.get(&root).copied().unwrap_or(root)
    }

    /// A term over other axes and other operands; what became a position is added up in positions.
    fn over(&self, id: TermId, to: &dyn Fn(u32) -> Index, moved: &BTreeMap<TermId, TermId>) -> Term {
        let new = |old: TermId| moved.get(&old).copied().unwrap_or(old);
        let place = |index: &Index| {
            index.opaque_parts().fold(index.linear().substitute(to), |sum, (term, factor)| {
                sum.add(&self.as_index(new(term)).scale(factor))
            })
        };
        match self.get(id) {
            Term::Position(index) => Term::Position(place(index)),
            Term::Load(source, dtype, index) => Term::Load(*source, *dtype, place(index)),
            Term::Call(dtype, function, args) => {
                Term::Call(*dtype, *function, args.iter().map(|arg| new(*arg)).collect())
            }
            same => same.clone(),
        }
    }

    /// Every position that occurs in the terms `roots` are made of.
    pub fn positions(&self, roots: &[TermId]) -> Vec<Index> {
        let all = self.reachable(roots);
        let positions = all.iter().filter_map(|id| match self.get(*id) {
            Term::Load(_, _, index) | Term::Position(index) => Some(index.clone()),
            _ => None,
        });
        positions.collect()
    }
}
