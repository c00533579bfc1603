//! Arithmetic on integers known symbolically, true to what the operators compute.
use crate::dim::{Atom, Dim};

/// A binary operator on symbolic integers; `None` where the result cannot be told.
pub(crate) type OnDims = fn(&Dim, &Dim) -> Option<Dim>;

/// `f` on the elements of two vectors or single numbers, broadcast together.
pub(crate) fn zip(a: &[Dim], b: &[Dim], f: impl Fn(&Dim, &Dim) -> Option<Dim>) -> Option<Vec<Dim>> {
    let n = if a.len() == 1 { b.len() } else { a.len() };
    if !(a.len() == n || a.len() == 1) || !(b.len() == n || b.len() == 1) {
        return None;
    }
    (0..n).map(|i| f(&a[i % a.len()], &b[i % b.len()])).collect()
}

/// A number that `dim` is never below, if one is plain to see. Every name stands for an extent,
/// which is never negative.
pub(crate) fn lower_bound(dim: &Dim) -> Option<i64> {
    let mut sum = 0i64;
    for (atoms, factor) in dim.terms() {
        let bounds: Vec<i64> = atoms.iter().map(atom_bound).collect::<Option<_>>()?;
        let provable = match bounds.as_slice() {
            [] => true,
            [_] => factor > 0,
            many => factor > 0 && many.iter().all(|b| *b >= 0),
        };
        if !provable {
            return None;
        }
        let product = bounds.iter().try_fold(factor, |p, b| p.checked_mul(*b))?;
        sum = sum.checked_add(product)?;
    }
    Some(sum)
}

fn atom_bound(atom: &Atom) -> Option<i64> {
    match atom {
        Atom::Symbol(_) => Some(0),
        Atom::Div(a, b) => match (lower_bound(a)?, b.as_fixed()) {
            (low, Some(b)) if b > 0 => Some(low.div_euclid(b)),
            (low, None) if low >= 0 && lower_bound(b)? >= 0 => Some(0),
            _ => None,
        },
        Atom::Mod(_, b) => lower_bound(b).filter(|b| *b >= 0).map(|_| 0),
        Atom::Min(a, b) => Some(lower_bound(a)?.min(lower_bound(b)?)),
        Atom::Max(a, b) => lower_bound(a).max(lower_bound(b)),
    }
}

fn never_negative(dim: &Dim) -> bool {
    lower_bound(dim).is_some_and(|b| b >= 0)
}

/// The quotient cut towards zero. Symbolically only where that is the same as rounding down.
pub(crate) fn div(a: &Dim, b: &Dim) -> Option<Dim> {
    match (a.as_fixed(), b.as_fixed()) {
        (_, Some(0)) => None,
        (Some(a), Some(b)) => Some(Dim::fixed(a.wrapping_div(b))),
        _ => (never_negative(a) && never_negative(b)).then(|| a.div_floor(b)),
    }
}

/// What is left by the quotient rounded down.
pub(crate) fn floor_mod(a: &Dim, b: &Dim) -> Option<Dim> {
    (b.as_fixed() != Some(0)).then(|| a.modulo(b))
}

/// What is left by the quotient cut towards zero.
pub(crate) fn trunc_mod(a: &Dim, b: &Dim) -> Option<Dim> {
    match (a.as_fixed(), b.as_fixed()) {
        (_, Some(0)) => None,
        (Some(a), Some(b)) => Some(Dim::fixed(a.wrapping_rem(b))),
        _ => (never_negative(a) && never_negative(b)).then(|| a.modulo(b)),
    }
}

/// The magnitude.
pub(crate) fn abs(a: &Dim) -> Option<Dim> {
    match a.as_fixed() {
        Some(a) => Some(Dim::fixed(a.wrapping_abs())),
        None => never_negative(a).then(|| a.clone()),
    }
}

fn truth(x: bool) -> Dim {
    Dim::fixed(i64::from(x))
}

/// Whether `a` is above `b`, if that can be told.
pub(crate) fn greater(a: &Dim, b: &Dim) -> Option<Dim> {
    if lower_bound(&a.sub(b)).is_some_and(|d| d > 0) {
        return Some(truth(true));
    }
    lower_bound(&b.sub(a)).filter(|d| *d >= 0).map(|_| truth(false))
}

/// Whether `a` is at least `b`, if that can be told.
pub(crate) fn at_least(a: &Dim, b: &Dim) -> Option<Dim> {
    greater(b, a).map(|x| truth(x.as_fixed() == Some(0)))
}

/// Whether both are the same, if that can be told.
pub(crate) fn equal(a: &Dim, b: &Dim) -> Option<Dim> {
    if a.same(b) {
        return Some(truth(true));
    }
    let apart = |d: Dim| lower_bound(&d).is_some_and(|d| d > 0);
    (apart(a.sub(b)) || apart(b.sub(a))).then(|| truth(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn division_is_followed_only_where_rounding_agrees() {
        let n = Dim::symbol("N");
        assert_eq!(div(&Dim::fixed(-7), &Dim::fixed(2)), Some(Dim::fixed(-3)));
        assert_eq!(trunc_mod(&Dim::fixed(-7), &Dim::fixed(2)), Some(Dim::fixed(-1)));
        assert_eq!(floor_mod(&Dim::fixed(-7), &Dim::fixed(2)), Some(Dim::fixed(1)));
        assert_eq!(div(&n, &Dim::fixed(0)), None);
        assert_eq!(div(&n.plus(-5), &Dim::fixed(2)), None);
        let conv = n.plus(-1).div_floor(&Dim::fixed(2)).plus(1);
        assert_eq!(lower_bound(&conv), Some(0));
        assert_eq!(div(&conv, &Dim::fixed(2)), Some(conv.div_floor(&Dim::fixed(2))));
    }

    #[test]
    fn an_extent_is_never_minus_one() {
        let n = Dim::symbol("N");
        assert_eq!(equal(&n, &Dim::fixed(-1)), Some(Dim::fixed(0)));
        assert_eq!(equal(&n, &Dim::fixed(0)), None);
        assert_eq!(equal(&n, &n), Some(Dim::fixed(1)));
        assert_eq!(equal(&Dim::unknown(), &Dim::unknown()), None);
        assert_eq!(greater(&n, &Dim::fixed(-1)), Some(Dim::fixed(1)));
        assert_eq!(at_least(&n, &Dim::fixed(0)), Some(Dim::fixed(1)));
        assert_eq!(greater(&n, &Dim::fixed(3)), None);
    }
}
