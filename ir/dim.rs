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
    Min(Arc<Dim>, Arc<Dim>),
    /// The larger one.
    Max(Arc<Dim>, Arc<Dim>),
}

/// The most atoms a polynomial may have; what would be larger is unknown.
const MAX_ATOMS: u32 = 1024;
/// The deepest nesting of atoms in atoms; what would be deeper is unknown.
const MAX_DEPTH: u32 = 32;
/// How many alternatives of a largest or smallest number are compared one by one.
const MAX_COMPARED: usize = 16;
/// The most products that a multiplication may go through.
const MAX_PRODUCTS: usize = 4096;

/// An extent: a sum of products of [`Atom`]s with integer factors. Arithmetic saturates, and what
/// holds an unknown extent, or grows beyond all measure, is unknown as a whole.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dim {
    /// Sorted atoms of each product with its factor, none of them zero; the empty product is 1.
    terms: BTreeMap<Vec<Atom>, i64>,
    size: Size,
}

/// How large a polynomial is when written out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Size {
    atoms: u32,
    depth: u32,
}

impl Size {
    fn beside(self, other: Self) -> Self {
        Self { atoms: self.atoms.saturating_add(other.atoms), depth: self.depth.max(other.depth) }
    }
}

impl Dim {
    /// A number.
    pub fn fixed(value: i64) -> Self {
        let terms = if value == 0 { BTreeMap::new() } else { BTreeMap::from([(Vec::new(), value)]) };
        Self { terms, size: Size::default() }
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
        Self::of(BTreeMap::from([(vec![atom], 1)]))
    }

    fn of(terms: BTreeMap<Vec<Atom>, i64>) -> Self {
        let size = terms.keys().flatten().map(Atom::size).fold(Size::default(), Size::beside);
        if size.atoms > MAX_ATOMS || size.depth > MAX_DEPTH {
            return Self::unknown();
        }
        Self { terms, size }
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

    /// Whether it is the extent nobody knows; such a one equals nothing, not even itself.
    pub fn is_unknown(&self) -> bool {
        self.as_symbol() == Some("?")
    }

    /// Whether some name in it is decided at run time or unknown.
    pub fn is_decided_at_run_time(&self) -> bool {
        self.symbols().iter().any(|name| name.starts_with('?'))
    }

    /// Whether both certainly differ: there are extents, all above zero, that tell them apart.
    pub fn differs(&self, other: &Self) -> bool {
        let probe = |round: u64| {
            move |name: &str| {
                let spread =
                    name.bytes().fold(round, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
                i64::try_from(spread >> 32).ok().map(|x| x % 997 + 1)
            }
        };
        (1..=8).any(|round| {
            let values = self.eval(&probe(round)).zip(other.eval(&probe(round)));
            values.is_some_and(|(a, b)| a != b)
        })
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
        if self.is_unknown() || other.is_unknown() {
            return Self::unknown();
        }
        let mut terms = self.terms.clone();
        for (atoms, factor) in &other.terms {
            accumulate(&mut terms, atoms.clone(), *factor);
        }
        Self::of(terms)
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
        let scaled = self.terms.iter().map(|(a, f)| (a.clone(), f.saturating_mul(number)));
        Self { terms: scaled.collect(), size: self.size }.absorbed()
    }

    /// The product.
    pub fn mul(&self, other: &Self) -> Self {
        let large = self.terms.len().saturating_mul(other.terms.len()) > MAX_PRODUCTS;
        if large || ((self.is_unknown() || other.is_unknown()) && !self.is_zero() && !other.is_zero()) {
            return Self::unknown();
        }
        let mut terms = BTreeMap::new();
        for (a, x) in &self.terms {
            for (b, y) in &other.terms {
                let mut atoms: Vec<Atom> = a.iter().chain(b).cloned().collect();
                atoms.sort();
                accumulate(&mut terms, atoms, x.saturating_mul(*y));
            }
        }
        Self::of(terms)
    }

    /// The quotient, rounded towards minus infinity. A division by the number zero stays as written
    /// and has no value.
    pub fn div_floor(&self, other: &Self) -> Self {
        if self.is_unknown() || other.is_unknown() {
            return Self::unknown();
        }
        match (self.as_fixed(), other.as_fixed()) {
            (_, Some(0)) => self.over(other),
            (Some(a), Some(b)) => floor_div(a, b).map_or_else(|| self.over(other), Self::fixed),
            (None, Some(1)) => self.clone(),
            (None, Some(b)) if b > 0 => self.div_number(b),
            (None, Some(b)) if b > i64::MIN => self.scale(-1).div_number(-b),
            _ => {
                let (whole, rest) = self.split_by(other);
                if rest.is_zero() { whole } else { whole.add(&rest.over(other)) }
            }
        }
    }

    /// `self / divisor`, as written.
    fn over(&self, divisor: &Self) -> Self {
        Self::atom(Atom::Div(Arc::new(self.clone()), Arc::new(divisor.clone())))
    }

    /// The quotient by a number above zero: every factor is brought below the divisor, common
    /// divisors are cancelled, and a quotient of a quotient becomes one.
    fn div_number(&self, divisor: i64) -> Self {
        let (whole, rest) = self.split_by_number(divisor);
        if rest.as_fixed().is_some() {
            return whole;
        }
        let common = rest.products().fold(divisor, |g, (_, f)| gcd(g, f));
        let shrunk = rest.terms.iter().map(|(atoms, f)| (atoms.clone(), f / common));
        let rest = Self::of(shrunk.filter(|(_, f)| *f != 0).collect());
        let divisor = divisor / common;
        let quotient = match rest.merged(divisor) {
            Some((numerator, divisor)) => numerator.div_number(divisor),
            None => rest.over(&Self::fixed(divisor)),
        };
        whole.add(&quotient)
    }

    /// `(a / b + k) / divisor` as `(a + k * b) / (b * divisor)`.
    fn merged(&self, divisor: i64) -> Option<(Self, i64)> {
        let mut products = self.products();
        let (only, rest) = (products.next()?, products.next());
        let (([Atom::Div(a, b)], 1), None) = (only, rest) else { return None };
        let b = b.as_fixed().filter(|b| *b > 0)?;
        let number = self.terms.get(&Vec::new()).copied().unwrap_or(0);
        Some((a.plus(number.checked_mul(b)?), divisor.checked_mul(b)?))
    }

    /// `self = whole * divisor + rest`, where every factor of the rest is in `0..divisor`.
    fn split_by_number(&self, divisor: i64) -> (Self, Self) {
        let part = |of: fn(i64, i64) -> i64| {
            let parts = self.terms.iter().map(|(atoms, f)| (atoms.clone(), of(*f, divisor)));
            Self::of(parts.filter(|(_, f)| *f != 0).collect())
        };
        (part(i64::div_euclid), part(i64::rem_euclid))
    }

    /// The terms but the number.
    fn products(&self) -> impl Iterator<Item = (&[Atom], i64)> {
        self.terms().filter(|(atoms, _)| !atoms.is_empty())
    }

    fn is_zero(&self) -> bool {
        self.terms.is_empty()
    }

    /// A multiple of the unknown is the unknown.
    fn absorbed(self) -> Self {
        let unknown = self.terms.keys().flatten().any(|a| matches!(a, Atom::Symbol(name) if &**name == "?"));
        if unknown { Self::unknown() } else { self }
    }

    /// The quotient, rounded up.
    pub fn div_ceil(&self, other: &Self) -> Self {
        self.add(other).plus(-1).div_floor(other)
    }

    /// What is left by [`Dim::div_floor`].
    pub fn modulo(&self, other: &Self) -> Self {
        if self.is_unknown() || other.is_unknown() {
            return Self::unknown();
        }
        let (_, rest) = match other.as_fixed() {
            Some(0) => (Self::fixed(0), self.clone()),
            Some(b) if b > 0 => self.split_by_number(b),
            _ => self.split_by(other),
        };
        let number = rest.as_fixed().zip(other.as_fixed()).and_then(|(a, b)| floor_mod(a, b));
        match number {
            Some(number) => Self::fixed(number),
            None if rest.is_zero() && !other.is_zero() => rest,
            None => Self::atom(Atom::Mod(Arc::new(rest), Arc::new(other.clone()))),
        }
    }

    /// The smaller one.
    pub fn smaller(&self, other: &Self) -> Self {
        self.chosen(other, Ordering::Less, Atom::Min)
    }

    /// The larger one.
    pub fn larger(&self, other: &Self) -> Self {
        self.chosen(other, Ordering::Greater, Atom::Max)
    }

    /// The one that compares as `wanted`, where the normal form shows it; else an atom of both, in
    /// which each number stands once.
    fn chosen(&self, other: &Self, wanted: Ordering, atom: fn(Arc<Dim>, Arc<Dim>) -> Atom) -> Self {
        if self.is_unknown() || other.is_unknown() {
            return Self::unknown();
        }
        if let Some(sign) = self.sub(other).sign() {
            return if sign == wanted { self } else { other }.clone();
        }
        let mut all = BTreeSet::new();
        self.alternatives(wanted, &mut all);
        other.alternatives(wanted, &mut all);
        let is_beaten = |one: &Dim, by: &Dim| one != by && by.sub(one).sign() == Some(wanted);
        let compared = if all.len() > MAX_COMPARED { BTreeSet::new() } else { all.clone() };
        let kept: Vec<&Dim> =
            all.iter().filter(|one| !compared.iter().any(|by| is_beaten(one, by))).collect();
        let mut kept = kept.into_iter().rev().cloned();
        let last = kept.next().unwrap_or_else(|| self.clone());
        let joined = |rest: Self, one| Self::atom(atom(Arc::new(one), Arc::new(rest)));
        kept.fold(last, |rest, one| if rest.is_unknown() { rest } else { joined(rest, one) })
    }

    /// What a largest or smallest number is chosen from; the number itself if it is none.
    fn alternatives(&self, wanted: Ordering, all: &mut BTreeSet<Dim>) {
        let single = self.terms.iter().next().filter(|(_, factor)| self.terms.len() == 1 && **factor == 1);
        match (single.map(|(atoms, _)| atoms.as_slice()), wanted) {
            (Some([Atom::Max(a, b)]), Ordering::Greater) | (Some([Atom::Min(a, b)]), Ordering::Less) => {
                a.alternatives(wanted, all);
                b.alternatives(wanted, all);
            }
            _ => drop(all.insert(self.clone())),
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
