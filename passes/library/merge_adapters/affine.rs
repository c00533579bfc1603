//! A value as a matrix times another value, and a bias.
use super::step::{Step, step};
use std::collections::{BTreeMap, BTreeSet};
use weft_ir::{NodeId, Value};
use weft_numerics::{product, transposed};
use weft_passes::{Declined, Rewriter};

/// `source * matrix + shift`, in double precision.
#[derive(Debug, Clone)]
pub(super) struct Affine {
    /// Inputs by outputs.
    pub(super) matrix: Vec<f64>,
    pub(super) dims: [usize; 2],
    pub(super) shift: Option<Vec<f64>>,
}

impl Affine {
    /// What the last of these nodes makes of the source.
    pub(super) fn of(g: &Rewriter<'_>, nodes: &BTreeSet<NodeId>, source: Value) -> Result<Self, Declined> {
        let mut known: BTreeMap<Value, Self> = BTreeMap::new();
        let mut last = None;
        for id in g.order().into_iter().filter(|id| nodes.contains(id)) {
            let value = g.result(id);
            let made = step(g, value).ok().and_then(|step| Self::made(step, source, &known));
            known.insert(value, made.ok_or("the extents of the products do not fit")?);
            last = Some(value);
        }
        let made = last.and_then(|value| known.remove(&value));
        made.ok_or_else(|| "there is nothing to compute".into())
    }

    fn made(step: Step, source: Value, known: &BTreeMap<Value, Self>) -> Option<Self> {
        match step {
            Step::Product { input, matrix, turned, alpha, bias } => {
                let numbers: Vec<f64> = matrix.to_f64s()?.into_iter().map(|number| number * alpha).collect();
                let [first, second] = matrix.dims() else { return None };
                let dims = [*first as usize, *second as usize];
                let (numbers, dims) = match turned {
                    true => (transposed(&numbers, dims), [dims[1], dims[0]]),
                    false => (numbers, dims),
                };
                if input == source {
                    return Some(Self { matrix: numbers, dims, shift: bias });
                }
                known.get(&input)?.times(&numbers, dims)?.shifted(bias)
            }
            Step::Sum { operands: [a, b], sign } => known.get(&a)?.plus(known.get(&b)?, sign),
            Step::Shift { input, by } => known.get(&input)?.clone().shifted(Some(by)),
            Step::Scale { input, by } => known.get(&input)?.scaled(&by),
        }
    }

    fn times(&self, matrix: &[f64], [depth, cols]: [usize; 2]) -> Option<Self> {
        let [rows, found] = self.dims;
        (found == depth).then(|| Self {
            matrix: product(&self.matrix, matrix, [rows, depth, cols]),
            dims: [rows, cols],
            shift: self.shift.as_ref().map(|shift| product(shift, matrix, [1, depth, cols])),
        })
    }

    fn plus(&self, other: &Self, sign: f64) -> Option<Self> {
        let sum = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a + sign * b).collect::<Vec<_>>();
        let shift = match (&self.shift, &other.shift) {
            (Some(a), Some(b)) => Some(sum(a, b)),
            (None, Some(b)) => Some(b.iter().map(|b| sign * b).collect()),
            (a, None) => a.clone(),
        };
        let matrix = sum(&self.matrix, &other.matrix);
        (self.dims == other.dims).then_some(Self { matrix, dims: self.dims, shift })
    }

    fn shifted(mut self, by: Option<Vec<f64>>) -> Option<Self> {
        let Some(by) = by else { return Some(self) };
        let shift = self.shift.get_or_insert_with(|| vec![0.0; by.len()]);
        shift.iter_mut().zip(&by).for_each(|(shift, by)| *shift += by);
        (by.len() == self.dims[1]).then_some(self)
    }

    fn scaled(&self, by: &[f64]) -> Option<Self> {
        let scale = |numbers: &Vec<f64>| numbers.iter().zip(by.iter().cycle()).map(|(a, b)| a * b).collect();
        let (matrix, shift) = (scale(&self.matrix), self.shift.as_ref().map(scale));
        (by.len() == self.dims[1]).then_some(Self { matrix, dims: self.dims, shift })
    }
}
