//! The inside of a row: where positions along the lanes are within the bounds that terms test.
//!
//! A padded image is read at clamped positions, or not at all, near its border; everywhere else it
//! is read in a row. The border keeps its terms and gathers, the inside gets plainer ones.
use super::domain::Domain;
use crate::math::Function;
use crate::nest::{Builder, Compare, Hint, Reg};
use crate::term::{Index, Term, TermId, Terms};
use weft_ir::{DType, Dim};

/// A domain whose terms hold inside a range of its lane axis.
#[derive(Debug)]
pub(super) struct Inside {
    /// The terms there.
    pub(super) domain: Domain,
    axis: usize,
    /// What is not negative there, by its position on all axes.
    facts: Vec<Index>,
}

impl Inside {
    /// The inside along an axis, if lanes read and write rows there and not everywhere.
    pub(super) fn of(domain: &Domain, axis: usize) -> Option<Self> {
        if domain.in_row(axis) {
            return None;
        }
        let mut inside = Self { domain: domain.clone(), axis, facts: Vec::new() };
        while let Some(fact) = inside.next_fact() {
            inside.facts.push(fact);
            inside.simplify();
        }
        inside.domain.in_row(axis).then_some(inside)
    }

    /// Something a term tests that is not known yet.
    fn next_fact(&self) -> Option<Index> {
        let terms = &self.domain.terms;
        let all = terms.reachable(&self.domain.roots);
        let tested = all.iter().filter_map(|id| tested(terms, terms.get(*id), self.axis));
        tested.into_iter().find(|fact| !self.facts.contains(fact))
    }

    /// Takes what is known for granted.
    fn simplify(&mut self) {
        let facts = self.facts.clone();
        let Domain { terms, roots, .. } = &mut self.domain;
        let mut plainer = |terms: &mut Terms, _: TermId, term: Term| match plainer(terms, &facts, &term) {
            Some(same) => same,
            None => terms.add(term),
        };
        for root in roots {
            *root = terms.rewrite(*root, &Index::axis, &mut plainer);
        }
    }

    /// The part of a range of the axis that is inside, at a position on the other axes.
    pub(super) fn range(&self, b: &mut Builder, axes: &[Reg], (start, end): (Reg, Reg)) -> (Reg, Reg) {
        let (mut low, mut high) = (start, end);
        for fact in &self.facts {
            let factor = fact.factor(self.axis as u32).as_fixed().unwrap_or(1);
            let rest = fact.add(&Index::axis(self.axis as u32).scale(&Dim::fixed(-factor)));
            let rest = position(b, &rest, axes);
            let (zero, one, step) = (b.index(0), b.index(1), b.index(factor.abs()));
            if factor > 0 {
                // rest + factor i >= 0 from i = ceil(-rest / factor) on, which is -floor(rest / factor).
                let first = b.floor_div(rest, step);
                let first = b.sub(zero, first);
                low = b.max(low, first);
            } else {
                let last = b.floor_div(rest, step);
                let behind = b.add(last, one);
                high = b.min(high, behind);
            }
        }
        let low = b.min(low, end);
        (low, b.max(low, high))
    }

    /// The parts of a range before and behind what is inside.
    pub(super) fn border(
        &self,
        b: &mut Builder,
        (whole, inside): ((Reg, Reg), (Reg, Reg)),
        body: impl FnOnce(&mut Builder, (Reg, Reg)),
    ) {
        let (zero, two) = (b.index(0), b.index(2));
        b.for_each(zero, two, 1, Hint::AsWritten, |b, side| {
            let before = b.compare(Compare::Eq, side, zero);
            let start = b.select(before, whole.0, inside.1);
            let end = b.select(before, inside.0, whole.1);
            body(b, (start, end));
        });
    }
}

/// A position that is linear in the axes.
fn position(b: &mut Builder, index: &Index, axes: &[Reg]) -> Reg {
    let mut sum = b.extent(index.base());
    for (axis, factor) in index.axes() {
        let factor = b.extent(factor);
        let product = b.mul(axes[axis as usize], factor);
        sum = b.add(sum, product);
    }
    sum
}

/// What is not negative where a comparison holds, or where a bound leaves a position as it is; only
/// what changes along the axis.
fn tested(terms: &Terms, term: &Term, axis: usize) -> Option<Index> {
    let Term::Call(dtype, function, args) = term else { return None };
    let [x, y] = args.as_slice() else { return None };
    let (x, y) = (linear(terms, *x)?, linear(terms, *y)?);
    let along = |index: &Index| index.factor(axis as u32).as_fixed() != Some(0);
    let fact = match (dtype, function) {
        (DType::Bool, Function::Le) => less(&y, &x),
        (DType::Bool, Function::Lt) => less(&y, &x).plus(&Dim::fixed(-1)),
        (DType::I64, Function::Max) if along(&x) => less(&x, &y),
        (DType::I64, Function::Max) => less(&y, &x),
        (DType::I64, Function::Min) if along(&x) => less(&y, &x),
        (DType::I64, Function::Min) => less(&x, &y),
        _ => return None,
    };
    fact.factor(axis as u32).as_fixed().filter(|factor| *factor != 0)?;
    Some(fact)
}

/// A term that is worth the same where the facts hold.
fn plainer(terms: &mut Terms, facts: &[Index], term: &Term) -> Option<TermId> {
    let Term::Call(dtype, function, args) = term else { return None };
    let truth = |terms: &Terms, id: TermId| matches!(terms.get(id), Term::Const(DType::Bool, 1));
    let known = |fact: Index| facts.contains(&fact);
    match (dtype, function, args.as_slice()) {
        (DType::Bool, Function::And, [x, y]) if truth(terms, *x) => Some(*y),
        (DType::Bool, Function::And, [x, y]) if truth(terms, *y) => Some(*x),
        (_, Function::Select, [condition, x, _]) if truth(terms, *condition) => Some(*x),
        (DType::Bool, Function::Le | Function::Lt, [x, y]) => {
            let (x, y) = (linear(terms, *x)?, linear(terms, *y)?);
            let apart = Dim::fixed(if *function == Function::Lt { -1 } else { 0 });
            known(less(&y, &x).plus(&apart)).then(|| terms.add(Term::Const(DType::Bool, 1)))
        }
        (DType::I64, Function::Max | Function::Min, [x, y]) => {
            let (a, b) = (linear(terms, *x)?, linear(terms, *y)?);
            let (greater, smaller) = if known(less(&a, &b)) {
                (*x, *y)
            } else if known(less(&b, &a)) {
                (*y, *x)
            } else {
                return None;
            };
            Some(if *function == Function::Max { greater } else { smaller })
        }
        _ => None,
    }
}

/// The first less the second.
fn less(x: &Index, y: &Index) -> Index {
    x.add(&y.scale(&Dim::fixed(-1)))
}

/// A position that depends on the axes alone.
fn linear(terms: &Terms, id: TermId) -> Option<Index> {
    let index = match terms.get(id) {
        Term::Position(index) => index.clone(),
        Term::Const(DType::I64, bits) => Index::fixed(*bits as i64),
        _ => return None,
    };
    Some(index).filter(|index| index.opaques().next().is_none())
}
