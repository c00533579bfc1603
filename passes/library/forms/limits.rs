//! The limits that inputs of a layer must pass.
use super::{Prompt, Seen};
use std::sync::Arc;
use weft_ir::{Tensor, Value};
use weft_passes::{Linear, PassError};

/// What each input channel counts for: the norm of its weights. Without, all count the same.
pub(crate) type Channel = Option<Arc<Vec<f64>>>;

/// What distinguishes distributions: the input and, where it counts by weights, the layer.
pub(super) type Key = (Value, Option<Value>);

/// A layer, and how its inputs are to be masked.
#[derive(Debug, Clone)]
pub(crate) struct Masked {
    pub(crate) layer: Linear,
    /// What a channel counts for, if not all count the same.
    pub(crate) channel: Channel,
    /// The share of its inputs that become zero.
    pub(crate) sparsity: f64,
    /// What must be passed, once it is known from calibration data.
    pub(crate) limit: Option<f32>,
    /// Which tokens stay as they are.
    pub(crate) prompt: Prompt,
}

impl Masked {
    /// The same, with the limit that its share of what was seen does not pass.
    pub(crate) fn limited(self, seen: &Seen) -> Self {
        Self { limit: Some(self.limit_at(seen, self.sparsity)), ..self }
    }

    /// The limit that a share of what was seen does not pass.
    pub(crate) fn limit_at(&self, seen: &Seen, sparsity: f64) -> f32 {
        seen.get(&self.key()).map_or(0.0, |all| all.at(sparsity))
    }

    /// What it is, by content.
    pub(super) fn described(&self) -> String {
        let Self { layer: _, channel, sparsity, limit, prompt } = self;
        let norms = channel.as_ref().map(|norms| *Tensor::vector(norms).digest());
        format!("limit {limit:?} of {sparsity} by norms {norms:?}, prompts {prompt:?}")
    }

    pub(super) fn key(&self) -> Key {
        (self.layer.input, self.channel.is_some().then(|| self.layer.output()))
    }

    /// The limit of each channel, if they differ; weights of norm 0 make no difference.
    pub(crate) fn limits(&self, limit: f32) -> Option<Vec<f32>> {
        let each = |norm: &f64| if *norm == 0.0 { f32::MAX } else { (f64::from(limit) / norm) as f32 };
        Some(self.channel.as_ref()?.iter().map(each).collect())
    }

    /// Inputs with zeros where they do not pass the limit or, without one, are not among those of
    /// their token that count most.
    pub(super) fn applied(&self, input: &Tensor) -> Result<Tensor, PassError> {
        let (mut numbers, limits) = (numbers(input)?, self.limit.and_then(|limit| self.limits(limit)));
        let tokens = numbers.chunks_exact_mut(self.layer.dims[0]).enumerate();
        for (_, token) in tokens.filter(|(row, _)| !self.prompt.spares(*row, input.dims())) {
            match self.limit {
                None => self.keep_largest(token),
                Some(limit) => {
                    for (channel, x) in token.iter_mut().enumerate() {
                        let passes = x.abs() > limits.as_ref().map_or(limit, |limits| limits[channel]);
                        *x = if passes { *x } else { 0.0 };
                    }
                }
            }
        }
        Tensor::from_slice(input.dims(), &numbers).map_err(|e| PassError::Failed(e.to_string()))
    }

    fn keep_largest(&self, token: &mut [f32]) {
        let counts = |channel: usize, x: f32| {
            x.abs() * self.channel.as_ref().map_or(1.0, |norms| norms[channel] as f32)
        };
        let mut all: Vec<f32> = token.iter().enumerate().map(|(channel, x)| counts(channel, *x)).collect();
        all.sort_unstable_by(|a, b| b.total_cmp(a));
        let least = all[self.kept() - 1];
        for (channel, x) in token.iter_mut().enumerate() {
            *x = if counts(channel, *x) >= least { *x } else { 0.0 };
        }
    }

    /// How many inputs of a token are kept where so many are.
    pub(super) fn kept(&self) -> usize {
        ((self.layer.dims[0] as f64 * (1.0 - self.sparsity)) as usize).max(1)
    }
}

/// The norm of the weights of each input.
pub(crate) fn norms(matrix: &[f32], dims: [usize; 2]) -> Vec<f64> {
    let square = |x: &f32| f64::from(*x) * f64::from(*x);
    matrix.chunks_exact(dims[1].max(1)).map(|row| row.iter().map(square).sum::<f64>().sqrt()).collect()
}

pub(super) fn numbers(values: &Tensor) -> Result<Vec<f32>, PassError> {
    let found = values.dtype();
    values.to_vec::<f32>().ok_or_else(|| PassError::Failed(format!("activations of {found}, expected f32")))
}
