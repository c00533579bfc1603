//! Symbolic extents: polynomials over named dimensions.
//!
//! `N`, `N+1`, `2*S`, `(H-1)/2+1` and numbers are all one type, kept in a normal form, so that two
//! extents that are always equal usually compare equal. Division rounds towards minus infinity.
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a polynomial is built from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Atom {
    /// A named extent. Names beginning with `?` are decided at run time by the node that makes the
    /// value; `?` alone is an extent nobody knows.
    Symbol(Arc<str>),
    /// `floor(a / b)`.
    Div(Arc<Dim>, Arc<Dim>),
    /// `a - b * floor(a / b)`.
    Mod(Arc<Dim>, Arc<Dim>),
    /// The smaller one.
    pub fn smaller(&self, other: &Self) -> Self {
        self.chosen(other, Ordering::Less, Atom::Min)
    }

    /// The larger one.
    pub fn larger(&self, other: &Self) -> Self {
        self.chosen(other, Ordering::Greater, Atom::Max)
    }

    /// The one that compares as `wanted`, if the difference is a number; else an atom of both.
    fn chosen(&self, other: &Self, wanted: Ordering, atom: fn(Arc<Dim>, Arc<Dim>) -> Atom) -> Self {
        if self.is_unknown() || other.is_unknown() {
            return Self::unknown();
        }
        match self.sub(other).as_fixed() {
            Some(difference) => if difference.cmp(&0) == wanted { self } else { other }.clone(),
            None => Self::atom(atom(Arc::new(self.min(other).clone()), Arc::new(self.max(other).clone()))),
        }
    }

    /// `self = whole * divisor + rest`, with as much in `whole` as the normal form shows.
    fn split_by(&self, divisor: &Self) -> (Self, Self) {
        let single = match divisor.terms.iter().next() {
            Some((atoms, factor)) if divisor.terms.len() == 1 && *factor > 0 => Some((atoms, *factor)),
            _ => None,
        };
        let Some((atoms, factor)) = single else {
            return if self == divisor {
                (Self::fixed(1), Self::fixed(0))
            } else {
                (Self::fixed(0), self.clone())
            };
        };
        let (mut whole, mut rest) = (Self::fixed(0), Self::fixed(0));
        for (product, f) in &self.terms {
            let left = without(product, atoms);
            match left {
                Some(left) if f % factor == 0 => {
                    whole = whole.add(&Self::of(BTreeMap::from([(left, f / factor)])))
                }
                _ => rest = rest.add(&Self::of(BTreeMap::from([(product.clone(), *f)]))),
            }
        }
        (whole, rest)
    }

    /// The value, given the value of each name; `None` when a name has none, a divisor is zero, or
    /// the number does not fit.
    pub fn eval(&self, value_of: &dyn Fn(&str) -> Option<i64>) -> Option<i64> {
        let mut sum = 0i64;
        for (atoms, factor) in &self.terms {
            let mut product = *factor;
            for atom in atoms {
                product = product.checked_mul(atom.eval(value_of)?)?;
            }
            sum = sum.checked_add(product)?;
        }
        Some(sum)
    }

    /// Every symbol replaced by what `of` gives for it, others kept.
    pub fn substitute(&self, of: &dyn Fn(&str) -> Option<Dim>) -> Self {
        let mut sum = Self::fixed(0);
        for (atoms, factor) in &self.terms {
            let product = atoms.iter().fold(Self::fixed(*factor), |p, atom| p.mul(&atom.substitute(of)));
            sum = sum.add(&product);
        }
        sum
    }
}

impl Atom {
    fn size(&self) -> Size {
        match self {
            Atom::Symbol(_) => Size { atoms: 1, depth: 0 },
            Atom::Div(a, b) | Atom::Mod(a, b) | Atom::Min(a, b) | Atom::Max(a, b) => {
                let Size { atoms, depth } = a.size.beside(b.size);
                Size { atoms: atoms.saturating_add(1), depth: depth + 1 }
            }
        }
    }

    fn eval(&self, value_of: &dyn Fn(&str) -> Option<i64>) -> Option<i64> {
        match self {
            Atom::Symbol(name) => value_of(name),
            Atom::Div(a, b) => floor_div(a.eval(value_of)?, b.eval(value_of)?),
            Atom::Mod(a, b) => floor_mod(a.eval(value_of)?, b.eval(value_of)?),
            Atom::Min(a, b) => Some(a.eval(value_of)?.min(b.eval(value_of)?)),
            Atom::Max(a, b) => Some(a.eval(value_of)?.max(b.eval(value_of)?)),
        }
    }

    fn substitute(&self, of: &dyn Fn(&str) -> Option<Dim>) -> Dim {
        match self {
            Atom::Symbol(name) => of(name).unwrap_or_else(|| Dim::symbol(name)),
            Atom::Div(a, b) => a.substitute(of).div_floor(&b.substitute(of)),
            Atom::Mod(a, b) => a.substitute(of).modulo(&b.substitute(of)),
            Atom::Min(a, b) => a.substitute(of).smaller(&b.substitute(of)),
            Atom::Max(a, b) => a.substitute(of).larger(&b.substitute(of)),
        }
    }
}

/// Adds a product to a sum.
fn accumulate(terms: &mut BTreeMap<Vec<Atom>, i64>, atoms: Vec<Atom>, factor: i64) {
    let sum = terms.get(&atoms).copied().unwrap_or(0).saturating_add(factor);
    match sum {
        0 => drop(terms.remove(&atoms)),
        _ => drop(terms.insert(atoms, sum)),
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

fn floor_mod(a: i64, b: i64) -> Option<i64> {
    a.checked_sub(floor_div(a, b)?.checked_mul(b)?)
}

fn floor_div(a: i64, b: i64) -> Option<i64> {
    let q = a.checked_div(b)?;
    Some(if a % b != 0 && (a < 0) != (b < 0) { q - 1 } else { q })
}

/// The atoms of `product` less those of `part`, if they are all there.
fn without(product: &[Atom], part: &[Atom]) -> Option<Vec<Atom>> {
    let mut left = product.to_vec();
    for atom in part {
        let at = left.iter().position(|a| a == atom)?;
        left.remove(at);
    }
    Some(left)
}

impl From<i64> for Dim {
    fn from(value: i64) -> Self {
        Self::fixed(value)
    }
}
