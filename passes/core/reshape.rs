//! How two shapes of as many elements relate, and shapes as operands.
use crate::pass::Declined;
use crate::rewriter::{Rewriter, node};
use std::ops::Range;
use weft_ir::{Attr, Dim, Tensor, Value};

/// Neighbouring axes of one shape that hold the same elements as neighbouring axes of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Axes of the first shape.
    pub from: Range<usize>,
    /// Axes of the second shape.
    pub to: Range<usize>,
}

/// The finest groups in which two shapes correspond, if the normal form of extents shows them.
/// Extents of 1 without a partner join the group before them or make one with an empty side.
pub fn groups(from: &[Dim], to: &[Dim]) -> Option<Vec<Group>> {
    let (mut groups, mut i, mut j) = (Vec::new(), 0, 0);
    while i < from.len() || j < to.len() {
        let (start_i, start_j) = (i, j);
        let mut a = take(from, &mut i);
        let mut b = take(to, &mut j);
        while !a.same(&b) {
            // The side that is behind takes the next axis; a side that divides the other is behind.
            if i < from.len() && (j >= to.len() || divides(&a, &b)) {
                a = a.mul(&take(from, &mut i));
            } else if j < to.len() {
                b = b.mul(&take(to, &mut j));
            } else {
                return None;
            }
        }
        groups.push(Group { from: start_i..i, to: start_j..j });
    }
    Some(groups)
}

fn take(dims: &[Dim], next: &mut usize) -> Dim {
    let dim = dims.get(*next).cloned();
    *next += usize::from(dim.is_some());
    dim.unwrap_or_else(|| Dim::fixed(1))
}

fn divides(a: &Dim, b: &Dim) -> bool {
    match (a.as_fixed(), b.as_fixed()) {
        (Some(a), Some(b)) => a < b,
        (Some(1), _) => true,
        (_, Some(1)) => false,
        _ => b.modulo(a).as_fixed() == Some(0),
    }
}

/// Extents as data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShapeData {
    /// Numbers, of which one may be -1.
    Numbers(Vec<i64>),
    /// Extents that are computed from the shapes of the inputs.
    Extents(Vec<Dim>),
}

/// Extents as data: numbers where all are, `-1` for a single unknown one where `elided`, else
/// computed from the inputs' shapes, which must bind them.
pub fn shape_data(dims: &[Dim], elided: Elided, bound: &dyn Fn(&Dim) -> bool) -> Result<ShapeData, Declined> {
    let fixed: Vec<Option<i64>> = dims.iter().map(Dim::as_fixed).collect();
    let open = fixed.iter().filter(|d| d.is_none()).count();
    let unclear = fixed.contains(&Some(0));
    if open == 0 || (open == 1 && !unclear && elided == Elided::Allowed) {
        return Ok(ShapeData::Numbers(fixed.into_iter().map(|d| d.unwrap_or(-1)).collect()));
    }
    match dims.iter().all(bound) {
        true => Ok(ShapeData::Extents(dims.to_vec())),
        false => Err("the shape is decided at run time".into()),
    }
}

impl ShapeData {
    /// Whether a `Reshape` to these extents must say `allowzero`: a 0 among the numbers, and an
    /// extent with a name that is 0 in a run, stand for no elements, not for an extent that is
    /// copied from the operand.
    pub fn allows_zero(&self) -> bool {
        match self {
            ShapeData::Numbers(numbers) => numbers.contains(&0),
            ShapeData::Extents(_) => true,
        }
    }
}

/// The elements of `x` in these extents: a `Reshape` for every run, those without elements included.
/// Declines if the extents need one that is decided at run time; see [`shape_data`].
pub fn reshaped(g: &mut Rewriter<'_>, x: Value, dims: &[Dim]) -> Result<Value, Declined> {
    let data = shape_data(dims, Elided::Allowed, &|dim| g.is_bound(dim))?;
    let allowzero = data.allows_zero().then_some(("allowzero", Attr::Int(1)));
    let shape = match data {
        ShapeData::Numbers(numbers) => g.constant(Tensor::vector(&numbers))?,
        ShapeData::Extents(dims) => g.add(node("weft.Extents", [("value", Attr::Dims(dims))]), &[])?,
    };
    g.add(node("Reshape", allowzero), &[Some(x), Some(shape)])
}

/// Whether one extent may be written as `-1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Elided {
    /// As in `Reshape`.
    Allowed,
    /// As in `Expand`.
    Forbidden,
}

#[cfg(test)]
mod tests {
    use super::{Group, groups};
    use weft_ir::Dim;

    fn dims(text: &str) -> Vec<Dim> {
        text.split_whitespace().map(|d| weft_ir::text::parse_dim(d).unwrap()).collect()
    }

    fn pairs(a: &str, b: &str) -> Option<Vec<(usize, usize)>> {
        let groups = groups(&dims(a), &dims(b))?;
        Some(groups.iter().map(|Group { from, to }| (from.len(), to.len())).collect())
    }

    #[test]
    fn shapes_correspond_in_groups() {
        assert_eq!(pairs("N 4 H W", "N 4 H*W"), Some(vec![(1, 1), (1, 1), (2, 1)]));
        assert_eq!(pairs("N 12 8", "N 3 4 8"), Some(vec![(1, 1), (1, 2), (1, 1)]));
        assert_eq!(pairs("N*S 8", "N S 8"), Some(vec![(1, 2), (1, 1)]));
        assert_eq!(pairs("N 6 4", "N 4 6"), Some(vec![(1, 1), (2, 2)]));
        assert_eq!(pairs("N 1 C", "N C 1"), Some(vec![(1, 1), (2, 1), (0, 1)]));
        assert_eq!(pairs("N 6", "M 6"), None);
    }
}
