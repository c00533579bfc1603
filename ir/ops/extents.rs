//! Reasoning about extents that inference of several families shares.
use super::rules::{axis, fail};
use crate::dim::{Atom, Dim};
use crate::infer::Fact;
use crate::op::{InferCx, InferError};
use crate::types::DType;

/// No tensor has more axes than this.
pub(crate) const MAX_RANK: usize = 64;

/// So many extents that are decided at run time.
pub(crate) fn unknown(rank: usize) -> Vec<Dim> {
    vec![Dim::unknown(); rank]
}

/// A rank given by the length of a vector.
pub(crate) fn rank_of_length(length: i64) -> Result<usize, InferError> {
    match usize::try_from(length) {
        Ok(rank) if rank <= MAX_RANK => Ok(rank),
        _ => fail(format!("a rank of {length} was found, expected at most {MAX_RANK}")),
    }
}

/// Refuses a negative number as an extent.
pub(crate) fn extent(dim: Dim, what: &str) -> Result<Dim, InferError> {
    match dim.at_most() {
        Some(most) if most < 0 => fail(format!("{what} would have the extent {dim}, expected at least 0")),
        _ => Ok(dim),
    }
}

/// The extents of operand `i`, which must have one of these ranks if its rank is known.
pub(crate) fn ranked<'a>(
    cx: &InferCx<'a>,
    i: usize,
    ranks: std::ops::RangeInclusive<usize>,
) -> Result<Option<&'a [Dim]>, InferError> {
    let Some(dims) = cx.need(i)?.dims() else { return Ok(None) };
    if ranks.contains(&dims.len()) {
        return Ok(Some(dims));
    }
    let name = cx.def.operands.get(i).map_or("", |o| o.name);
    let expected = match (*ranks.start(), *ranks.end()) {
        (low, high) if low == high => low.to_string(),
        (low, MAX_RANK) => format!("at least {low}"),
        (low, high) => format!("{low} to {high}"),
    };
    fail(format!("operand {i} `{name}` has rank {}, expected {expected}", dims.len()))
}

/// Operand `i`, if present, which must hold integers of 32 or 64 bits.
pub(crate) fn integers<'a>(cx: &InferCx<'a>, i: usize) -> Result<Option<&'a Fact>, InferError> {
    match cx.get(i) {
        Some(fact) if !matches!(fact.dtype(), DType::I32 | DType::I64) => {
            let name = cx.def.operands.get(i).map_or("", |o| o.name);
            fail(format!("operand {i} `{name}` has type {}, expected i64 or i32", fact.dtype()))
        }
        found => Ok(found),
    }
}

/// The vector in an operand: its elements if known, and its length if that is known.
#[derive(Default)]
pub(crate) struct Vector {
    /// The elements.
    pub(crate) value: Option<Vec<Dim>>,
    /// How many there are.
    pub(crate) length: Option<usize>,
}

impl Vector {
    /// The length as a rank.
    pub(crate) fn rank(&self) -> Result<Option<usize>, InferError> {
        self.length.map(|n| rank_of_length(i64::try_from(n).unwrap_or(i64::MAX))).transpose()
    }

    /// The elements, if all are numbers.
    pub(crate) fn numbers(&self) -> Option<Vec<i64>> {
        numbers(self.value.as_ref()?)
    }
}

/// Operand `i`, which must be a vector of integers (or a scalar), if present.
pub(crate) fn vector(cx: &InferCx<'_>, i: usize) -> Result<Option<Vector>, InferError> {
    const LONGEST: u64 = 1 << 16;
    let Some(fact) = integers(cx, i)? else { return Ok(None) };
    let length = match ranked(cx, i, 0..=1)? {
        None => None,
        Some([]) => Some(1),
        Some([length, ..]) => length.as_fixed().and_then(|n| usize::try_from(n).ok()),
    };
    let constant = fact.constant.as_ref().filter(|t| t.len() <= LONGEST).and_then(|t| t.to_i64s());
    let value = fact.value.clone().or_else(|| Some(constant?.into_iter().map(Dim::fixed).collect()));
    Ok(Some(Vector { length: value.as_ref().map(Vec::len).or(length), value }))
}

/// As [`vector`], but the operand must be present.
pub(crate) fn need_vector(cx: &InferCx<'_>, i: usize) -> Result<Vector, InferError> {
    cx.need(i)?;
    Ok(vector(cx, i)?.unwrap_or_default())
}

/// The single integer in operand `i`, if it is present and known.
pub(crate) fn single(cx: &InferCx<'_>, i: usize) -> Result<Option<Dim>, InferError> {
    match integers(cx, i)?.and_then(|fact| fact.value.as_deref()) {
        None => Ok(None),
        Some([one]) => Ok(Some(one.clone())),
        Some(many) => fail(format!("operand {i} has {} elements, expected 1", many.len())),
    }
}

/// Axes counted from the end if negative, each in range and none twice.
pub(crate) fn axes(list: &[i64], rank: usize) -> Result<Vec<usize>, InferError> {
    let mut found = Vec::with_capacity(list.len().min(rank));
    for entry in list {
        let at = axis(*entry, rank)?;
        if found.contains(&at) {
            return fail(format!("axis {at} is given twice"));
        }
        found.push(at);
    }
    Ok(found)
}

/// Numbers, if all extents are.
pub(crate) fn numbers(dims: &[Dim]) -> Option<Vec<i64>> {
    dims.iter().map(Dim::as_fixed).collect()
}

/// Refuses operands whose element types differ.
pub(crate) fn same_dtype(cx: &InferCx<'_>, a: usize, b: usize) -> Result<(), InferError> {
    let (Some(x), Some(y)) = (cx.get(a), cx.get(b)) else { return Ok(()) };
    if x.dtype() == y.dtype() {
        return Ok(());
    }
    let names = [a, b].map(|i| cx.def.operands.get(i).map_or("", |o| o.name));
    fail(format!("`{}` has type {} and `{}` {}, expected the same", names[0], x.dtype(), names[1], y.dtype()))
}

/// The extent of two that must be equal in every run that succeeds: a number if one is, else the
/// plainer one.
pub(crate) fn agree(a: &Dim, b: &Dim, what: &str) -> Result<Dim, InferError> {
    let weight =
        |d: &Dim| (d.as_fixed().is_none(), d.symbols().iter().any(|s| s.starts_with('?')), d.terms().count());
    match (a.as_fixed(), b.as_fixed()) {
        (Some(x), Some(y)) if x != y => fail(format!("{what} differ: {x} and {y}")),
        _ if weight(b) < weight(a) => Ok(b.clone()),
        _ => Ok(a.clone()),
    }
}

/// As [`agree`] for whole shapes.
pub(crate) fn agree_all(a: &[Dim], b: &[Dim], what: &str) -> Result<Vec<Dim>, InferError> {
    if a.len() != b.len() {
        return fail(format!("{what}: ranks {} and {} differ", a.len(), b.len()));
    }
    a.iter().zip(b).map(|(a, b)| agree(a, b, what)).collect()
}

/// Two symbolic extents that broadcast to one of them whenever they broadcast at all: `max(e, 0)`
/// and `e`, or `min(e, c)` and `e` with a number `c` above 0.
pub(crate) fn absorbs(a: &Dim, b: &Dim) -> Option<Dim> {
    let one_way = |a: &Dim, b: &Dim| match single_atom(a) {
        Some(Atom::Max(x, y)) => {
            let zero = Dim::fixed(0);
            (**x == zero && y.same(b)) || (**y == zero && x.same(b))
        }
        Some(Atom::Min(x, y)) => {
            let above_zero = |d: &Dim| d.as_fixed().is_some_and(|d| d > 0);
            (above_zero(x) && y.same(b)) || (above_zero(y) && x.same(b))
        }
        _ => false,
    };
    if one_way(a, b) {
        Some(b.clone())
    } else if one_way(b, a) {
        Some(a.clone())
    } else {
        None
    }
}

fn single_atom(dim: &Dim) -> Option<&Atom> {
    let mut terms = dim.terms();
    match (terms.next(), terms.next()) {
        (Some(([atom], 1)), None) => Some(atom),
        _ => None,
    }
}

/// The extent on `axis` of result `slot` that only the node itself can tell: the name it had, or
/// one made from the name of the result. Results that share an extent call this with one slot.
pub(crate) fn own(cx: &InferCx<'_>, slot: usize, axis: usize) -> Dim {
    let Some(result) = cx.node.results.get(slot) else { return Dim::unknown() };
    let kept = result.ty.dims.as_deref().and_then(|dims| dims.get(axis));
    match kept.and_then(Dim::as_symbol) {
        Some(name) if name.len() > 1 && name.starts_with('?') => Dim::symbol(name),
        _ => Dim::symbol(&format!("?{}.{axis}", result.name)),
    }
}

/// The product of extents; unknown where it would be too long to write.
pub(crate) fn product(dims: &[Dim]) -> Dim {
    const MAX_TERMS: usize = 64;
    let mut product = Dim::fixed(1);
    for dim in dims {
        if product.terms().count() * dim.terms().count() > MAX_TERMS {
            return Dim::unknown();
        }
        product = product.mul(dim);
    }
    product
}
