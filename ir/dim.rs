//! Symbolic extents: polynomials over named dimensions.
//!
//! `N`, `N+1`, `2*S`, `(H-1)/2+1` and numbers are all one type, kept in a normal form, so that two
//! extents that are always equal usually compare equal. Division rounds towards minus infinity.
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
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
    Min(Arc<Dim>, Arc<Dim>),
    /// The larger one.
    Max(Arc<Dim>, Arc<Dim>),
}

/// An extent: a sum of products of [`Atom`]s with integer factors. Arithmetic saturates.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dim {
    /// Sorted atoms of each product with its factor, none of them zero; the empty product is 1.
    terms: BTreeMap<Vec<Atom>, i64>,
}

impl Dim {
    /// A number.
    pub fn fixed(value: i64) -> Self {
        let terms = if value == 0 { BTreeMap::new() } else { BTreeMap::from([(Vec::new(), value)]) };
        Self { terms }
    }

    /// A named extent.
    pub fn symbol(name: &str) -> Self {
        Self::atom(Atom::Symbol(name.into()))
    }

    /// The extent nobody knows.
    pub fn unknown() -> Self {
        Self::symbol("?")
    }

    fn atom(atom: Atom) -> Self {
        Self { terms: BTreeMap::from([(vec![atom], 1)]) }
    }

    /// The products with their factors, in the order of the normal form.
    pub fn terms(&self) -> impl Iterator<Item = (&[Atom], i64)> {
        self.terms.iter().map(|(atoms, factor)| (atoms.as_slice(), *factor))
    }

    /// The number, if it is one.
    pub fn as_fixed(&self) -> Option<i64> {
        match self.terms.len() {
            0 => Some(0),
            1 => self.terms.get(&Vec::new()).copied(),
            _ => None,
        }
    }

    /// The name, if it is a single symbol.
    pub fn as_symbol(&self) -> Option<&str> {
        match self.terms.iter().next() {
            Some((atoms, 1)) if self.terms.len() == 1 => match atoms.as_slice() {
                [Atom::Symbol(name)] => Some(name),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether an extent nobody knows occurs in it; such a one equals nothing, not even itself.
    pub fn is_unknown(&self) -> bool {
        self.symbols().contains("?")
    }

    /// Whether both are certainly the same extent.
    pub fn same(&self, other: &Self) -> bool {
        self == other && !self.is_unknown()
    }

    /// All names in it.
    pub fn symbols(&self) -> BTreeSet<Arc<str>> {
        let mut names = BTreeSet::new();
        let mut open: Vec<&Dim> = vec![self];
        while let Some(dim) = open.pop() {
            for atom in dim.terms.keys().flatten() {
                match atom {
                    Atom::Symbol(name) => {
                        names.insert(name.clone());
                    }
                    Atom::Div(a, b) | Atom::Mod(a, b) | Atom::Min(a, b) | Atom::Max(a, b) => {
                        open.extend([&**a, &**b])
                    }
                }
            }
        }
        names
    }

    /// The sum.
    pub fn add(&self, other: &Self) -> Self {
        let mut terms = self.terms.clone();
        for (atoms, factor) in &other.terms {
            let sum = terms.get(atoms).copied().unwrap_or(0).saturating_add(*factor);
            match sum {
                0 => drop(terms.remove(atoms)),
                _ => drop(terms.insert(atoms.clone(), sum)),
            }
        }
        Self { terms }
    }

    /// The difference.
    pub fn sub(&self, other: &Self) -> Self {
        self.add(&other.scale(-1))
    }

    /// The sum with a number.
    pub fn plus(&self, number: i64) -> Self {
        self.add(&Self::fixed(number))
    }

    /// The product with a number.
    pub fn scale(&self, number: i64) -> Self {
        if number == 0 {
            return Self::fixed(0);
        }
        Self { terms: self.terms.iter().map(|(a, f)| (a.clone(), f.saturating_mul(number))).collect() }
    }

    /// The product.
    pub fn mul(&self, other: &Self) -> Self {
        let mut product = Self::fixed(0);
        for (a, x) in &self.terms {
            for (b, y) in &other.terms {
                let mut atoms: Vec<Atom> = a.iter().chain(b).cloned().collect();
                atoms.sort();
                product = product.add(&Self { terms: BTreeMap::from([(atoms, x.saturating_mul(*y))]) });
            }
        }
        product
    }

    /// The quotient, rounded towards minus infinity. A division by the number zero stays as written
    /// and has no value.
    pub fn div_floor(&self, other: &Self) -> Self {
        if let (Some(a), Some(b)) = (self.as_fixed(), other.as_fixed())
            && let Some(q) = floor_div(a, b)
        {
            return Self::fixed(q);
        }
        if other.as_fixed() == Some(1) {
            return self.clone();
        }
        let (whole, rest) = self.split_by(other);
        if rest.terms.is_empty() {
            return whole;
        }
        match rest.as_fixed().zip(other.as_fixed()).and_then(|(a, b)| floor_div(a, b)) {
            Some(q) => whole.plus(q),
            None => whole.add(&Self::atom(Atom::Div(Arc::new(rest), Arc::new(other.clone())))),
        }
    }

    /// The quotient, rounded up.
    pub fn div_ceil(&self, other: &Self) -> Self {
        self.add(other).plus(-1).div_floor(other)
    }

    /// What is left by [`Dim::div_floor`].
    pub fn modulo(&self, other: &Self) -> Self {
        if let (Some(a), Some(b)) = (self.as_fixed(), other.as_fixed())
            && let Some(q) = floor_div(a, b)
        {
            return Self::fixed(a.saturating_sub(q.saturating_mul(b)));
        }
        let (_, rest) = self.split_by(other);
        if rest.terms.is_empty() {
            rest
        } else {
            Self::atom(Atom::Mod(Arc::new(rest), Arc::new(other.clone())))
        }
    }

    /// The smaller one.
    pub fn smaller(&self, other: &Self) -> Self {
        match self.sub(other).as_fixed() {
            Some(difference) if !self.is_unknown() => {
                if difference <= 0 {
                    self.clone()
                } else {
                    other.clone()
                }
            }
            _ => Self::atom(Atom::Min(Arc::new(self.clone()), Arc::new(other.clone()))),
        }
    }

    /// The larger one.
    pub fn larger(&self, other: &Self) -> Self {
        match self.sub(other).as_fixed() {
            Some(difference) if !self.is_unknown() => {
                if difference >= 0 {
                    self.clone()
                } else {
                    other.clone()
                }
            }
            _ => Self::atom(Atom::Max(Arc::new(self.clone()), Arc::new(other.clone()))),
        }
    }

    /// `self = whole * divisor + rest`, with as much in `whole` as the normal form shows.
    fn split_by(&self, divisor: &Self) -> (Self, Self) {
        let single = match divisor.terms.iter().next() {
            Some((atoms, factor)) if divisor.terms.len() == 1 && *factor > 0 => Some((atoms, *factor)),
            _ => None,
        };
        let Some((atoms, factor)) = single else {
            let exact = self == divisor && !self.is_unknown();
            return if exact { (Self::fixed(1), Self::fixed(0)) } else { (Self::fixed(0), self.clone()) };
        };
        let (mut whole, mut rest) = (Self::fixed(0), Self::fixed(0));
        for (product, f) in &self.terms {
            let left = without(product, atoms);
            match left {
                Some(left) if f % factor == 0 => {
                    whole = whole.add(&Self { terms: BTreeMap::from([(left, f / factor)]) })
                }
                _ => rest = rest.add(&Self { terms: BTreeMap::from([(product.clone(), *f)]) }),
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
    fn eval(&self, value_of: &dyn Fn(&str) -> Option<i64>) -> Option<i64> {
        match self {
            Atom::Symbol(name) => value_of(name),
            Atom::Div(a, b) => floor_div(a.eval(value_of)?, b.eval(value_of)?),
            Atom::Mod(a, b) => {
                let (a, b) = (a.eval(value_of)?, b.eval(value_of)?);
                a.checked_sub(floor_div(a, b)?.checked_mul(b)?)
            }
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

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.terms.is_empty() {
            return f.write_str("0");
        }
        let (number, products): (Vec<_>, Vec<_>) = self.terms.iter().partition(|(atoms, _)| atoms.is_empty());
        for (i, (atoms, factor)) in products.into_iter().chain(number).enumerate() {
            let sign = if *factor < 0 {
                "-"
            } else if i > 0 {
                "+"
            } else {
                ""
            };
            f.write_str(sign)?;
            let magnitude = factor.unsigned_abs();
            if magnitude != 1 || atoms.is_empty() {
                write!(f, "{magnitude}{}", if atoms.is_empty() { "" } else { "*" })?;
            }
            for (j, atom) in atoms.iter().enumerate() {
                write!(f, "{}{atom}", if j == 0 { "" } else { "*" })?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Atom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Atom::Symbol(name) => f.write_str(&crate::text::quote_symbol(name)),
            Atom::Div(a, b) => write!(f, "(({a})/({b}))"),
            Atom::Mod(a, b) => write!(f, "(({a})%({b}))"),
            Atom::Min(a, b) => write!(f, "min({a}, {b})"),
            Atom::Max(a, b) => write!(f, "max({a}, {b})"),
        }
    }
}
