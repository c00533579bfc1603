//! The same weight of all experts, as numbers.
use super::groups::Groups;
use weft_ir::{DType, Tensor};
use weft_passes::{ErrorSum, floats};

/// One weight of every expert; of one, if all share it.
#[derive(Debug, Clone)]
pub(super) struct Weights {
    /// Element type.
    pub(super) dtype: DType,
    /// The shape of one expert's.
    pub(super) dims: Vec<u64>,
    /// The elements, expert by expert.
    pub(super) each: Vec<Vec<f64>>,
    /// How many axes from the end of the tokens' shape the experts' axis is, if they are stacked.
    pub(super) place: Option<usize>,
}

impl Weights {
    /// Weights of the experts from tensors of one shape.
    pub(super) fn listed(tensors: &[&Tensor]) -> Option<Self> {
        let first = tensors.first()?;
        let same = tensors.iter().all(|t| t.dims() == first.dims() && t.dtype() == first.dtype());
        let each = tensors.iter().map(|t| t.to_f64s()).collect::<Option<Vec<_>>>()?;
        same.then(|| Self { dtype: first.dtype(), dims: first.dims().to_vec(), each, place: None })
    }

    /// Weights of the experts that are stacked along an axis of one tensor, or shared.
    pub(super) fn stacked(tensor: &Tensor, axis: Option<usize>) -> Option<Self> {
        let mut all = Self::listed(&[tensor])?;
        let Some(axis) = axis else { return Some(all) };
        let count = all.dims.remove(axis) as usize;
        let inner = tensor.dims()[axis + 1..].iter().product::<u64>() as usize;
        let whole = all.each.pop()?;
        let picked = |expert: usize| {
            let blocks = whole.chunks(inner.max(1)).skip(expert).step_by(count.max(1));
            blocks.flatten().copied().collect::<Vec<_>>()
        };
        all.each = (0..count).map(picked).collect();
        Some(all)
    }

    /// Whether every expert has its own.
    pub(super) fn differ(&self) -> bool {
        self.each.len() > 1
    }

    /// A matrix with its axes exchanged.
    pub(super) fn turned(&self) -> Self {
        let [rows, columns] = self.dims[..] else { return self.clone() };
        let (rows, columns) = (rows as usize, columns as usize);
        let turn = |one: &Vec<f64>| {
            (0..rows * columns).map(|at| one[at % rows * columns + at / rows]).collect::<Vec<_>>()
        };
        let dims = vec![columns as u64, rows as u64];
        Self { dims, each: self.each.iter().map(turn).collect(), ..self.clone() }
    }

    /// All of them times a number.
    pub(super) fn times(mut self, factor: f64) -> Self {
        self.each.iter_mut().flatten().for_each(|number| *number *= factor);
        self
    }

    /// The weighted sum over the experts; `shares` add up to 1.
    pub(super) fn average(&self, shares: &[f64]) -> Vec<f64> {
        let mut sum = vec![0.0; self.each.first().map_or(0, Vec::len)];
        let even = [1.0];
        let shares = if self.differ() { shares } else { &even };
        for (one, share) in self.each.iter().zip(shares) {
            sum.iter_mut().zip(one).for_each(|(sum, number)| *sum += number * share);
        }
        sum
    }

    /// The largest distance of an expert from the average, relative to the average, in the Frobenius norm.
    pub(super) fn spread(&self, average: &[f64]) -> f64 {
        let norm = |numbers: &mut dyn Iterator<Item = f64>| numbers.map(|x| x * x).sum::<f64>().sqrt();
        let whole = norm(&mut average.iter().copied());
        let far = self.each.iter().map(|one| norm(&mut one.iter().zip(average).map(|(a, b)| a - b)));
        let far = far.fold(0.0, f64::max);
        if far == 0.0 { 0.0 } else { far / whole }
    }

    /// Adds up how far the experts are from their average, or each from that of its group.
    pub(super) fn apart(&self, average: &[f64], groups: &Groups, sum: &mut ErrorSum) {
        let mut add = |expert: &Vec<f64>, average: &[f64]| {
            sum.add_numbers(expert.iter().copied().zip(average.iter().copied()));
        };
        if groups.is_empty() {
            self.each.iter().for_each(|expert| add(expert, average));
        }
        for (members, shares) in groups.members.iter().zip(&groups.shares) {
            let average = self.average(shares);
            members.iter().for_each(|expert| add(&self.each[*expert], &average));
        }
    }

    /// The average as a tensor.
    pub(super) fn averaged(&self, shares: &[f64]) -> Option<Tensor> {
        floats(self.dtype, &self.dims, &self.average(shares))
    }

    /// The average of each group as a tensor, stacked; one number or one row each has an axis for tokens.
    pub(super) fn grouped(&self, groups: &[Vec<f64>]) -> Option<Tensor> {
        let numbers: Vec<f64> = groups.iter().flat_map(|shares| self.average(shares)).collect();
        let one = match self.dims[..] {
            [] => vec![1, 1],
            [features] => vec![1, features],
            _ => self.dims.clone(),
        };
        let dims: Vec<u64> = std::iter::once(groups.len() as u64).chain(one).collect();
        floats(self.dtype, &dims, &numbers)
    }

    /// The experts side by side along the last axis, each as often as `experts` says if they share it.
    pub(super) fn beside(&self, experts: usize) -> Option<Tensor> {
        let last = *self.dims.last()? as usize;
        let rows = self.each.first()?.len() / last.max(1);
        let of = |expert: usize| &self.each[expert % self.each.len()];
        let lines = (0..rows).flat_map(|row| (0..experts).map(move |expert| (row, expert)));
        let numbers = lines.flat_map(|(row, expert)| of(expert)[row * last..][..last].iter().copied());
        let mut dims = self.dims.clone();
        *dims.last_mut()? *= experts as u64;
        floats(self.dtype, &dims, &numbers.collect::<Vec<_>>())
    }

    /// The experts below each other, each times its share.
    pub(super) fn below(&self, shares: &[f64]) -> Option<Tensor> {
        let of = |expert: usize| &self.each[expert % self.each.len()];
        let numbers =
            shares.iter().enumerate().flat_map(|(expert, share)| of(expert).iter().map(move |x| x * share));
        let mut dims = self.dims.clone();
        *dims.first_mut()? *= shares.len() as u64;
        floats(self.dtype, &dims, &numbers.collect::<Vec<_>>())
    }
}
