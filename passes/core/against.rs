//! A changed model against the exact one, on calibration data.
use crate::ends::End;
use crate::ledger::{ErrorSum, ModelError, TextError};
use crate::measure::{Measure, Store, Tapped, TextPorts};
use crate::pass::PassError;
use std::collections::BTreeMap;
use weft_ir::{Element, Module, Tensor, Value};

/// What the exact module makes of the calibration data, put aside to be compared with.
pub(crate) struct Exact<'m> {
    measure: &'m dyn Measure,
    ends: Vec<End>,
    store: Box<dyn Store>,
    /// Where the values are, by output and input.
    at: BTreeMap<(usize, usize), usize>,
}

impl<'m> Exact<'m> {
    pub(crate) fn new(measure: &'m dyn Measure, module: &Module) -> Result<Self, PassError> {
        let (ends, mut store, mut at) = (ends(measure, module)?, measure.store()?, BTreeMap::new());
        measure.stream(module, &groups(&ends, None), &mut |Tapped { group, input, .. }, values| {
            at.insert((group, input), store.put(&values[0])?);
            Ok(())
        })?;
        Ok(Self { measure, ends, store, at })
    }

    /// How far the outputs of a module with the same inputs and outputs are off.
    pub(crate) fn against(&mut self, changed: &Module) -> Result<ModelError, PassError> {
        let ends = ends(self.measure, changed)?;
        let ids = self.measure.text().map(|ports| text_at(changed, ports));
        let (mut outputs, mut text) = (ErrorSum::default(), TextSum::default());
        self.measure.stream(changed, &groups(&ends, ids), &mut |Tapped { group, input, .. }, found| {
            let exact = self.store.get(self.at[&(group, input)])?;
            let (count, step) = self.ends[group].rows(&exact);
            for first in (0..count).step_by(step) {
                let rows = first..(first + step).min(count);
                let expected = self.ends[group].some(&exact, rows.clone())?;
                let found_rows = ends[group].some(&found[0], rows)?;
                outputs.add(&expected, &found_rows);
                if let Some(ids) = found.get(1) {
                    text.add((ids, first), (&expected, &found_rows))?;
                }
            }
            Ok(())
        })?;
        Ok(ModelError { outputs: outputs.error(), text: ids.and_then(|_| text.error()) })
    }
}

/// The outputs that are compared.
fn ends(measure: &dyn Measure, module: &Module) -> Result<Vec<End>, PassError> {
    let outputs = module.graph.outputs().iter().filter(|output| counts(module, **output));
    outputs.map(|output| End::new(measure, module, *output)).collect()
}

/// Whether a value is of floats of whole bytes.
fn counts(module: &Module, value: Value) -> bool {
    let dtype = module.graph.ty(value).dtype;
    dtype.is_float() && dtype.bits() >= 8
}

/// Which of the outputs that are compared the logits are, and the token ids.
fn text_at(module: &Module, ports: TextPorts) -> (usize, Value) {
    let before = &module.graph.outputs()[..ports.logits];
    let before = before.iter().filter(|output| counts(module, **output)).count();
    (before, Value { node: module.graph.inputs()[ports.ids], slot: 0 })
}

/// What each output is made of; logits together with the token ids.
fn groups(ends: &[End], text: Option<(usize, Value)>) -> Vec<Vec<Value>> {
    let ids = |place: usize| text.filter(|(logits, _)| *logits == place).map(|(_, ids)| ids);
    let groups = ends.iter().enumerate();
    groups.map(|(place, end)| std::iter::once(end.value).chain(ids(place)).collect()).collect()
}

/// How far outputs are from what they should be, summed up input by input, all outputs at once.
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
                self.text.add((&inputs[ids], 0), (&rows(&expected[logits])?, &rows(&found[logits])?))
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
    /// Takes in the logits of some tokens, from the one of that number on.
    fn add(
        &mut self,
        (ids, first): (&Tensor, usize),
        (exact, found): (&Tensor, &Tensor),
    ) -> Result<(), PassError> {
        let ([_, tokens], [rows, vocabulary]) = (ids.dims(), exact.dims()) else { return Err(not_logits()) };
        let (tokens, vocabulary) = (*tokens as usize, *vocabulary as usize);
        let ids = ids.to_i64s().filter(|_| exact.dims() == found.dims()).ok_or_else(not_logits)?;
        let row = |tensor: &Tensor, at: usize| -> Option<Vec<f64>> {
            let bytes = tensor.data().get(at * vocabulary * 4..(at + 1) * vocabulary * 4)?;
            Some(bytes.chunks_exact(4).map(|b| f32::read(b).into()).collect())
        };
        for at in 0..*rows as usize {
            let (exact, found) =
                (row(exact, at).ok_or_else(not_logits)?, row(found, at).ok_or_else(not_logits)?);
            let next = first + at + 1;
            let next = ids.get(next).filter(|_| next % tokens > 0);
            let next = next.map(|next| usize::try_from(*next).unwrap_or(usize::MAX));
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

/// Logits `[batch, tokens, vocabulary]` as a matrix, a row for each token.
fn rows(logits: &Tensor) -> Result<Tensor, PassError> {
    let [batch, tokens, vocabulary] = logits.dims() else { return Err(not_logits()) };
    let data = logits.data().slice(0..logits.data().len());
    Tensor::new(logits.dtype(), vec![batch * tokens, *vocabulary], data).map_err(|_| not_logits())
}

fn not_logits() -> PassError {
    PassError::Failed("logits are not [batch, tokens, vocabulary]".to_string())
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
        let logits = |x: f32| Tensor::from_slice(&[3, 2], &[0.0, x, 0.0, x, 0.0, x]).unwrap();
        let mut sum = TextSum::default();
        // One half each against 1/4 and 3/4.
        sum.add((&ids, 0), (&logits(0.0), &logits(3f32.ln()))).unwrap();
        let error = sum.error().unwrap();
        assert!((error.exact_perplexity - 2.0).abs() < 1e-6);
        assert!((error.perplexity - (16.0f64 / 3.0).sqrt()).abs() < 1e-6);
        assert!((error.kl - 0.5 * (4.0f64 / 3.0).ln()).abs() < 1e-6, "{}", error.kl);
    }
}
