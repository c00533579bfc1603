//! Positions: linear in the axes of a domain, with symbolic factors.
use super::TermId;
use std::collections::BTreeMap;
use weft_ir::Dim;

/// A position: a constant part, a factor for each axis, and parts that are terms of their own
/// (gathered indices, quotients).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Index {
    base: Dim,
    axes: BTreeMap<u32, Dim>,
    opaque: BTreeMap<TermId, Dim>,
}

impl Index {
    /// The same everywhere.
    pub fn constant(base: Dim) -> Self {
        Self { base, axes: BTreeMap::new(), opaque: BTreeMap::new() }
    }

    /// A number.
    pub fn fixed(base: i64) -> Self {
        Self::constant(Dim::fixed(base))
    }

    /// The position on one axis.
    pub fn axis(axis: u32) -> Self {
        Self { axes: BTreeMap::from([(axis, Dim::fixed(1))]), ..Self::fixed(0) }
    }

    /// The value of an integer term.
    pub fn opaque(term: TermId) -> Self {
        Self { opaque: BTreeMap::from([(term, Dim::fixed(1))]), ..Self::fixed(0) }
    }

    /// The sum.
    pub fn add(&self, other: &Self) -> Self {
        let mut sum = self.clone();
        sum.base = sum.base.add(&other.base);
        for (axis, factor) in &other.axes {
            merge(&mut sum.axes, *axis, factor);
        }
        for (term, factor) in &other.opaque {
            merge(&mut sum.opaque, *term, factor);
        }
        sum
    }

    /// The product with an extent.
    pub fn scale(&self, by: &Dim) -> Self {
        let mut product = Self::constant(self.base.mul(by));
        for (axis, factor) in &self.axes {
            merge(&mut product.axes, *axis, &factor.mul(by));
        }
        for (term, factor) in &self.opaque {
            merge(&mut product.opaque, *term, &factor.mul(by));
        }
        product
    }

    /// The sum with an extent.
    pub fn plus(&self, by: &Dim) -> Self {
        self.add(&Self::constant(by.clone()))
    }

    /// The part that is the same everywhere.
    pub fn base(&self) -> &Dim {
        &self.base
    }

    /// How the position grows along an axis, opaque parts aside.
    pub fn factor(&self, axis: u32) -> Dim {
        self.axes.get(&axis).cloned().unwrap_or_else(|| Dim::fixed(0))
    }

    /// The axes with their factors.
    pub fn axes(&self) -> impl Iterator<Item = (u32, &Dim)> {
        self.axes.iter().map(|(axis, factor)| (*axis, factor))
    }

    /// The terms it is computed from.
    pub fn opaques(&self) -> impl Iterator<Item = TermId> {
        self.opaque.keys().copied()
    }

    /// The terms with their factors.
    pub fn opaque_parts(&self) -> impl Iterator<Item = (TermId, &Dim)> {
        self.opaque.iter().map(|(term, factor)| (*term, factor))
    }

    /// The position without the terms it is computed from.
    pub fn linear(&self) -> Self {
        Self { opaque: BTreeMap::new(), ..self.clone() }
    }

    /// The number, if it is the same number everywhere.
    pub fn as_fixed(&self) -> Option<i64> {
        if self.axes.is_empty() && self.opaque.is_empty() { self.base.as_fixed() } else { None }
    }

    /// The axis, if the position is just the position on one axis.
    pub fn as_axis(&self) -> Option<u32> {
        let plain = self.base.as_fixed() == Some(0) && self.opaque.is_empty() && self.axes.len() == 1;
        self.axes.iter().next().filter(|(_, f)| plain && f.as_fixed() == Some(1)).map(|(axis, _)| *axis)
    }

    /// The same position over axes renamed by `to`, each the position `to` gives for it.
    pub fn substitute(&self, to: &dyn Fn(u32) -> Index) -> Self {
        let mut result = Self { base: self.base.clone(), axes: BTreeMap::new(), opaque: self.opaque.clone() };
        for (axis, factor) in &self.axes {
            result = result.add(&to(*axis).scale(factor));
        }
        result
    }
}

fn merge<K: Ord>(sum: &mut BTreeMap<K, Dim>, key: K, by: &Dim) {
    let total = sum.get(&key).map_or_else(|| by.clone(), |old| old.add(by));
    if total.as_fixed() == Some(0) {
        sum.remove(&key);
    } else {
        sum.insert(key, total);
    }
}
