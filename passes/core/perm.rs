//! Permutations of axes.
use crate::rewriter::Rewriter;
use weft_ir::{Attr, Dim, Value};

/// A permutation as `Transpose` has it: axis `i` of the result is axis `perm[i]` of the operand.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Perm(Vec<usize>);

impl Perm {
    /// The permutation, if each axis occurs once.
    pub fn new(axes: Vec<usize>) -> Option<Self> {
        let mut sorted = axes.clone();
        sorted.sort_unstable();
        sorted.iter().enumerate().all(|(i, axis)| i == *axis).then_some(Self(axes))
    }

    /// From channels first to channels last: `[0, 2, 3, 1]`.
    pub fn channels_last(rank: usize) -> Self {
        Self([0].into_iter().chain(2..rank).chain([1]).take(rank).collect())
    }

    /// All axes the other way round: `[1, 0]`.
    pub fn reversed(rank: usize) -> Self {
        Self((0..rank).rev().collect())
    }

    /// The axes.
    pub fn axes(&self) -> &[usize] {
        &self.0
    }

    /// The number of axes.
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// The permutation that undoes this one.
    pub fn inverse(&self) -> Self {
        let mut axes = vec![0; self.0.len()];
        self.0.iter().enumerate().for_each(|(to, from)| axes[*from] = to);
        Self(axes)
    }

    /// First this one, then `next`, as one.
    pub fn then(&self, next: &Self) -> Self {
        Self(next.0.iter().map(|axis| self.0[*axis]).collect())
    }

    /// Whether nothing moves.
    pub fn is_identity(&self) -> bool {
        self.0.iter().enumerate().all(|(i, axis)| i == *axis)
    }

    /// One thing per axis, moved as the axes are.
    pub fn apply<T: Clone>(&self, things: &[T]) -> Vec<T> {
        self.0.iter().map(|axis| things[*axis].clone()).collect()
    }

    /// Whether only axes of extent 1 change places with others, so that no element moves.
    pub fn moves_nothing(&self, dims: &[Dim]) -> bool {
        let wide = self.0.iter().filter(|axis| dims[**axis].as_fixed() != Some(1));
        wide.is_sorted()
    }

    /// The attribute of a `Transpose`.
    pub fn attr(&self) -> Attr {
        Attr::Ints(self.0.iter().map(|axis| *axis as i64).collect())
    }

    /// What is left when axes of the result are dropped and those of the operand close up.
    pub fn without(&self, dropped: &[usize]) -> Self {
        let gone: Vec<usize> = dropped.iter().map(|axis| self.0[*axis]).collect();
        let kept = self.0.iter().enumerate().filter(|(to, _)| !dropped.contains(to));
        Self(kept.map(|(_, from)| from - gone.iter().filter(|g| *g < from).count()).collect())
    }
}

impl Rewriter<'_> {
    /// Operand and permutation, if the value is made by a `Transpose` of known rank.
    pub fn transposed(&self, value: Value) -> Option<(Value, Perm)> {
        let id = self.made_by(value, "Transpose")?;
        let operand = self.operand(id, 0)?;
        let rank = self.rank(operand)?;
        let axes = match self.attrs(id)?.ints_opt("perm") {
            Some(perm) => perm.iter().map(|axis| usize::try_from(*axis).ok()).collect::<Option<_>>()?,
            None => (0..rank).rev().collect(),
        };
        Some((operand, Perm::new(axes).filter(|p| p.rank() == rank)?))
    }
}

#[cfg(test)]
mod tests {
    use super::Perm;

    #[test]
    fn inverse_and_then_agree() {
        let last = Perm::channels_last(4);
        assert_eq!(last.axes(), [0, 2, 3, 1]);
        assert_eq!(last.inverse().axes(), [0, 3, 1, 2]);
        assert!(last.then(&last.inverse()).is_identity());
        assert_eq!(last.apply(&["n", "c", "h", "w"]), ["n", "h", "w", "c"]);
        assert_eq!(last.inverse().without(&[2]).axes(), [0, 2, 1]);
        assert_eq!(last.without(&[0]).axes(), [1, 2, 0]);
    }
}
