//! A changed model against the exact one, on calibration data.
use crate::ledger::{ErrorSum, ModelError, TextError};
use crate::measure::{Measure, TextPorts};
use crate::pass::PassError;
use weft_ir::{Element, Module, Tensor, Value};

/// How far the outputs of `changed` are from those of `exact`. Both have the same inputs and outputs.
pub(crate) fn against(
    measure: &dyn Measure,
    exact: &Module,
    changed: &Module,
) -> Result<ModelError, PassError> {
    let graph = &exact.graph;
    let inputs = graph.inputs().iter().map(|id| Value { node: *id, slot: 0 });
    let taps: Vec<Value> = inputs.chain(graph.outputs().iter().copied()).collect();
    let (count, ready) = (graph.inputs().len(), measure.open(changed)?);
    let mut difference = Difference::new(measure);
    measure.stream(exact, &taps, &mut |values| {
        let (inputs, expected) = values.split_at(count);
        difference.add(inputs, expected, &ready.run(inputs)?)
    })?;
    Ok(difference.error())
}

/// How far outputs are from what they should be, summed up input by input.
pub(crate) struct Difference {
    ports: Option<TextPorts>,
    outputs: ErrorSum,
    text: TextSum,
}

impl Difference {
    pub(crate) fn new(measure: &dyn Measure) -> Self {
        Self { ports: measure.text(), outputs: ErrorSum::default(), text: TextSum::default() }
    }

    /// Takes in what came out of one input, and what should have.
    pub(crate) fn add(
        &mut self,
        inputs: &[Tensor],
        expected: &[Tensor],
        found: &[Tensor],
    ) -> Result<(), PassError> {
        expected.iter().zip(found).for_each(|(expected, found)| self.outputs.add(expected, found));
        match self.ports {
            Some(TextPorts { ids, logits }) => {
                self.text.add(&inputs[ids], (&expected[logits], &found[logits]))
            }
            None => Ok(()),
        }
    }

    pub(crate) fn error(&self) -> ModelError {
        ModelError { outputs: self.outputs.error(), text: self.ports.and_then(|_| self.text.error()) }
    }
}

/// Sums up a [`TextError`], input by input.
#[derive(Debug, Default)]
struct TextSum {
    positions: f64,
    kl: f64,
    guesses: f64,
    /// Negative log-likelihoods of the tokens that came: of the exact model and of the changed one.
    losses: [f64; 2],
}

impl TextSum {
    fn add(&mut self, ids: &Tensor, (exact, found): (&Tensor, &Tensor)) -> Result<(), PassError> {
        let wrong = || PassError::Failed("logits are not [batch, tokens, vocabulary]".to_string());
        let ([_, tokens], [_, _, vocabulary]) = (ids.dims(), exact.dims()) else { return Err(wrong()) };
        let (tokens, vocabulary) = (*tokens as usize, *vocabulary as usize);
        let ids = ids.to_i64s().filter(|_| exact.dims() == found.dims()).ok_or_else(wrong)?;
        let row = |tensor: &Tensor, at: usize| -> Option<Vec<f64>> {
            let bytes = tensor.data().get(at * vocabulary * 4..(at + 1) * vocabulary * 4)?;
            Some(bytes.chunks_exact(4).map(|b| f32::read(b).into()).collect())
        };
        for at in 0..ids.len() {
            let (exact, found) = (row(exact, at).ok_or_else(wrong)?, row(found, at).ok_or_else(wrong)?);
            let next = (at % tokens + 1 < tokens).then(|| usize::try_from(ids[at + 1]).unwrap_or(usize::MAX));
            self.position(&log_chances(exact), &log_chances(found), next);
        }
        Ok(())
    }

    fn position(&mut self, exact: &[f64], found: &[f64], next: Option<usize>) {
        self.positions += 1.0;
        self.kl += exact.iter().zip(found).map(|(p, q)| p.exp() * (p - q)).sum::<f64>();
        let chances = next.and_then(|next| Some([*exact.get(next)?, *found.get(next)?]));
        if let Some([exact, found]) = chances {
            self.guesses += 1.0;
            self.losses = [self.losses[0] - exact, self.losses[1] - found];
        }
    }

    fn error(&self) -> Option<TextError> {
        let [exact_perplexity, perplexity] = self.losses.map(|loss| (loss / self.guesses).exp());
        let kl = (self.kl / self.positions).max(0.0);
        (self.guesses > 0.0).then_some(TextError { kl, exact_perplexity, perplexity })
    }
}

/// The logarithms of the softmax.
fn log_chances(mut logits: Vec<f64>) -> Vec<f64> {
    let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logits.iter().map(|x| (x - most).exp()).sum();
    let shift = most + sum.ln();
    logits.iter_mut().for_each(|x| *x -= shift);
    logits
}

#[cfg(test)]
mod tests {
    use super::TextSum;
    use weft_ir::Tensor;

    #[test]
    fn a_text_by_hand() {
        let ids = Tensor::from_slice(&[1, 3], &[0i64, 1, 0]).unwrap();
        let logits = |x: f32| Tensor::from_slice(&[1, 3, 2], &[0.0, x, 0.0, x, 0.0, x]).unwrap();
        let mut sum = TextSum::default();
        // One half each against 1/4 and 3/4.
        sum.add(&ids, (&logits(0.0), &logits(3f32.ln()))).unwrap();
        let error = sum.error().unwrap();
        assert!((error.exact_perplexity - 2.0).abs() < 1e-6);
        assert!((error.perplexity - (16.0f64 / 3.0).sqrt()).abs() < 1e-6);
        assert!((error.kl - 0.5 * (4.0f64 / 3.0).ln()).abs() < 1e-6, "{}", error.kl);
    }
}
