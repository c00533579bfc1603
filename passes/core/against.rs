//! A changed model against the exact one, on calibration data.
use crate::ends::End;
use crate::ledger::{ErrorSum, ModelError, TextError};
use crate::measure::{AsTheyStand, Constants, Measure, Store, Tapped, TextPorts, Visit};
use crate::pass::PassError;
use crate::trials::Look;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use weft_ir::{Element, Module, Tensor, Value};

/// What the exact module makes of the calibration data, put aside to be compared with.
pub(crate) struct Exact<'m> {
    measure: &'m dyn Measure,
    ends: Vec<End>,
    store: Box<dyn Store>,
    /// Where the values are, by output and input.
    at: BTreeMap<(usize, usize), usize>,
    /// How many numbers are compared, by input.
    numbers: BTreeMap<usize, usize>,
}

/// A module that is compared with the exact one: its outputs, and what must be streamed to know them.
pub(crate) struct Changed {
    ends: Vec<End>,
    /// Where the token ids go in.
    ids: Option<Value>,
    pub(crate) groups: Vec<Vec<Value>>,
}

/// Streams the groups of a changed module.
type Stream<'s> = dyn FnMut(&mut Visit<'_>) -> Result<(), PassError> + 's;

impl Changed {
    pub(crate) fn new(measure: &dyn Measure, module: &Module) -> Result<Self, PassError> {
        let ends = ends(measure, module)?;
        let ids = measure.text().map(|ports| text_at(module, ports));
        let groups = groups(&ends, ids);
        Ok(Self { ends, ids: ids.map(|(_, ids)| ids), groups })
    }
}

impl<'m> Exact<'m> {
    pub(crate) fn new(measure: &'m dyn Measure, module: &Module) -> Result<Self, PassError> {
        let (ends, store) = (ends(measure, module)?, measure.store()?);
        let mut exact = Self { measure, ends, store, at: BTreeMap::new(), numbers: BTreeMap::new() };
        measure.stream(module, &groups(&exact.ends, None), &mut |Tapped { group, input, .. }, values| {
            let end = &exact.ends[group];
            *exact.numbers.entry(input).or_default() += end.count(&values[0]) * end.width(&values[0]);
            exact.at.insert((group, input), exact.store.put(&values[0])?);
            Ok(())
        })?;
        Ok(exact)
    }

    /// How many inputs it takes, the first ones, for so many numbers to be compared.
    pub(crate) fn inputs_for(&self, numbers: usize) -> usize {
        let mut seen = 0;
        let enough = self.numbers.values().position(|own| {
            seen += own;
            seen >= numbers
        });
        enough.map_or(self.numbers.len(), |last| last + 1)
    }

    /// How far the outputs of a module with the same inputs and outputs are off.
    pub(crate) fn against(&mut self, module: &Module) -> Result<ModelError, PassError> {
        let (changed, measure) = (Changed::new(self.measure, module)?, self.measure);
        let stream = &mut |visit: &mut Visit<'_>| measure.stream(module, &changed.groups, visit);
        self.compare(&changed, (&AsTheyStand, Look::Whole), stream)
    }

    /// The same of a module that is streamed by someone else, with other numbers for some constants.
    pub(crate) fn compare(
        &mut self,
        changed: &Changed,
        (constants, look): (&dyn Constants, Look),
        stream: &mut Stream<'_>,
    ) -> Result<ModelError, PassError> {
        let (mut outputs, mut text) = (ErrorSum::default(), TextSum::default());
        let mut matrices: BTreeMap<usize, Option<Tensor>> = BTreeMap::new();
        stream(&mut |Tapped { group, input, last }, found| {
            let (exact, own, other) =
                (self.store.get(self.at[&(group, input)])?, &self.ends[group], &changed.ends[group]);
            if found[0].dims() != exact.dims() {
                // How much comes out depends on the numbers within, as it does of `NonZero`.
                outputs.lost();
                return Ok(());
            }
            let matrix = match matrices.remove(&group) {
                Some(matrix) => matrix,
                None => {
                    let matrix = other.matrix().filter(|matrix| constants.has(*matrix));
                    matrix.map(|matrix| constants.numbers(matrix)).transpose()?
                }
            };
            for rows in own.rows(&exact, look) {
                let expected = own.some(&exact, &rows, None)?;
                let found_rows = other.some(&found[0], &rows, matrix.as_ref())?;
                outputs.add(&expected, &found_rows);
                if let Some(ids) = found.get(1) {
                    text.add((ids, &rows), (&expected, &found_rows))?;
                }
            }
            if !last {
                matrices.insert(group, matrix);
            }
            Ok(())
        })?;
        Ok(ModelError { outputs: outputs.error(), text: changed.ids.and_then(|_| text.error()) })
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
    /// Takes in the logits of some tokens, by their numbers.
    fn add(
        &mut self,
        (ids, places): (&Tensor, &[usize]),
        (exact, found): (&Tensor, &Tensor),
    ) -> Result<(), PassError> {
        let ([_, tokens], [rows, vocabulary]) = (ids.dims(), exact.dims()) else { return Err(not_logits()) };
        let (tokens, vocabulary) = (*tokens as usize, *vocabulary as usize);
        let ids = ids.to_i64s().filter(|_| exact.dims() == found.dims()).ok_or_else(not_logits)?;
        let next = |row: usize| {
            let next = places.get(row)? + 1;
            let next = ids.get(next).filter(|_| !next.is_multiple_of(tokens));
            next.map(|next| usize::try_from(*next).unwrap_or(usize::MAX))
        };
        let position = |at: usize| {
            let row = |tensor: &Tensor| {
                tensor.data().get(at * vocabulary * 4..(at + 1) * vocabulary * 4).map(numbers)
            };
            Some(Position::new(&row(exact)?, &row(found)?, next(at)))
        };
        for found in on_threads(*rows as usize, &position) {
            self.position(found.ok_or_else(not_logits)?);
        }
        Ok(())
    }

    fn position(&mut self, Position { kl, chances }: Position) {
        self.positions += 1.0;
        self.kl += kl;
        if let Some([exact, found]) = chances {
            self.guesses += 1.0;
            self.losses = [self.losses[0] - exact, self.losses[1] - found];
        }
    }

    fn error(&self) -> Option<TextError> {
        let [exact_perplexity, perplexity] = self.losses.map(|loss| (loss / self.guesses).exp());
        let kl = self.kl / self.positions;
        // Rounding may make it negative; what is no number must stay none.
        let kl = if kl < 0.0 { 0.0 } else { kl };
        (self.guesses > 0.0).then_some(TextError { kl, exact_perplexity, perplexity })
    }
}

fn not_logits() -> PassError {
    PassError::Failed("logits are not [batch, tokens, vocabulary]".to_string())
}

/// What is known of the next token at one of them.
struct Position {
    /// The divergence of what is expected of it.
    kl: f64,
    /// The logarithms of the chances of the one that came: in the exact model and in the changed one.
    chances: Option<[f64; 2]>,
}

impl Position {
    /// Of logits, and the token that came.
    fn new(exact: &[f64], found: &[f64], next: Option<usize>) -> Self {
        let ((chances, exact_shift), (_, found_shift)) = (softmax(exact), softmax(found));
        let apart = exact_shift - found_shift;
        let off =
            chances.iter().zip(exact.iter().zip(found)).map(|(chance, (p, q))| chance * (p - q - apart));
        let chance = |next: usize| Some([exact.get(next)? - exact_shift, found.get(next)? - found_shift]);
        Self { kl: off.sum(), chances: next.and_then(chance) }
    }
}

/// The softmax, and what logits are larger by than its logarithms.
fn softmax(logits: &[f64]) -> (Vec<f64>, f64) {
    let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut chances: Vec<f64> = logits.iter().map(|x| (x - most).exp()).collect();
    let sum: f64 = chances.iter().sum();
    chances.iter_mut().for_each(|chance| *chance /= sum);
    (chances, most + sum.ln())
}

fn numbers(bytes: &[u8]) -> Vec<f64> {
    bytes.chunks_exact(4).map(|b| f32::read(b).into()).collect()
}

/// What `work` makes of each number below `count`, in their order.
fn on_threads<T: Send>(count: usize, work: &(dyn Fn(usize) -> T + Sync)) -> Vec<T> {
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let step = count.div_ceil(threads).max(1);
    let mut all: Vec<Option<T>> = (0..count).map(|_| None).collect();
    std::thread::scope(|scope| {
        for (part, places) in all.chunks_mut(step).enumerate() {
            scope.spawn(move || {
                places.iter_mut().enumerate().for_each(|(at, place)| *place = Some(work(part * step + at)));
            });
        }
    });
    all.into_iter().flatten().collect()
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
        sum.add((&ids, &[0, 1, 2]), (&logits(0.0), &logits(3f32.ln()))).unwrap();
        let error = sum.error().unwrap();
        assert!((error.exact_perplexity - 2.0).abs() < 1e-6);
        assert!((error.perplexity - (16.0f64 / 3.0).sqrt()).abs() < 1e-6);
        assert!((error.kl - 0.5 * (4.0f64 / 3.0).ln()).abs() < 1e-6, "{}", error.kl);
    }

    #[test]
    fn no_numbers_are_no_small_divergence() {
        let ids = Tensor::from_slice(&[1, 2], &[0i64, 1]).unwrap();
        let logits = |x: f32| Tensor::from_slice(&[2, 2], &[0.0, x, 0.0, x]).unwrap();
        let mut sum = TextSum::default();
        sum.add((&ids, &[0, 1]), (&logits(1.0), &logits(f32::NAN))).unwrap();
        assert!(sum.error().unwrap().kl.is_nan());
    }
}
