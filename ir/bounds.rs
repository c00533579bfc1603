//! What the normal form of an extent shows about its size.
use crate::dim::{Atom, Dim};
use std::cmp::Ordering;

impl Dim {
    /// A number that the value never goes below, where the normal form shows one. Symbols are
    /// extents, so none is negative.
    pub fn at_least(&self) -> Option<i64> {
        self.terms().try_fold(0i64, |sum, (atoms, factor)| {
            let bound = if factor > 0 { least(atoms)? } else { most(atoms)? };
            Some(sum.saturating_add(factor.saturating_mul(bound)))
        })
    }

    /// A number that the value never goes above, where the normal form shows one.
    pub fn at_most(&self) -> Option<i64> {
        self.scale(-1).at_least().map(i64::saturating_neg)
    }

    /// `Less` where it is never above zero, `Greater` where it is never below; zero may be either.
    pub(crate) fn sign(&self) -> Option<Ordering> {
        if self.is_unknown() {
            None
        } else if self.at_most().is_some_and(|most| most <= 0) {
            Some(Ordering::Less)
        } else if self.at_least().is_some_and(|least| least >= 0) {
            Some(Ordering::Greater)
        } else {
            None
        }
    }
}

impl Atom {
    fn at_least(&self) -> Option<i64> {
        match self {
            Atom::Symbol(_) => Some(0),
            Atom::Div(a, b) => {
                a.at_least().filter(|a| *a >= 0).and(b.at_least().filter(|b| *b > 0)).map(|_| 0)
            }
            Atom::Mod(_, b) => b.at_least().filter(|b| *b > 0).map(|_| 0),
            Atom::Min(a, b) => Some(a.at_least()?.min(b.at_least()?)),
            Atom::Max(a, b) => a.at_least().max(b.at_least()),
        }
    }

    fn at_most(&self) -> Option<i64> {
        match self {
            Atom::Symbol(_) | Atom::Div(..) => None,
            Atom::Mod(_, b) => b.at_most().filter(|_| b.at_least() > Some(0)).map(|b| b - 1),
            Atom::Min(a, b) => a.at_most().into_iter().chain(b.at_most()).min(),
            Atom::Max(a, b) => Some(a.at_most()?.max(b.at_most()?)),
        }
    }
}

/// A lower bound of a product of atoms none of which is negative.
fn least(atoms: &[Atom]) -> Option<i64> {
    let mut bounds = atoms.iter().map(|a| a.at_least().filter(|b| *b >= 0));
    bounds.try_fold(1i64, |product, bound| Some(product.saturating_mul(bound?)))
}

/// An upper bound of a product of atoms none of which is negative.
fn most(atoms: &[Atom]) -> Option<i64> {
    least(atoms)?;
    atoms.iter().try_fold(1i64, |product, atom| Some(product.saturating_mul(atom.at_most()?)))
}
