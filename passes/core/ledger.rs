//! What lossy passes cost: errors, layer by layer and of the whole model, and bounds on them.
use std::fmt;
use std::str::FromStr;
use weft_ir::{DType, Element, Tensor};

/// How far values are from what they should be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ValueError {
    /// The sum of squared differences over the sum of squares; 0 where all are equal.
    pub relative_mse: f64,
    /// The largest difference.
    pub max: f64,
}

/// How far the distribution of next tokens is from what it should be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TextError {
    /// The mean over all tokens of the Kullback-Leibler divergence from the exact model, in nats.
    pub kl: f64,
    /// The exact model's perplexity.
    pub exact_perplexity: f64,
    /// The changed model's.
    pub perplexity: f64,
}

/// How far the outputs of a whole model are from those of the exact one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ModelError {
    /// All its outputs of floats together.
    pub outputs: ValueError,
    /// Of a language model on a text.
    pub text: Option<TextError>,
}

impl ModelError {
    /// One number to compare by: the divergence of the next tokens if there is a text, or else the relative error of
    /// the outputs; infinite for what makes no numbers any more.
    pub fn off(&self) -> f64 {
        let off = self.text.map_or(self.outputs.relative_mse, |text| text.kl);
        if off.is_nan() { f64::INFINITY } else { off.max(0.0) }
    }
}

/// One layer that a lossy pass changed, or gave back.
#[derive(Debug, Clone, PartialEq)]
pub struct LedgerLine {
    /// The name of the value that the layer makes.
    pub layer: String,
    /// What was done to it: `u4 in blocks of 128 along the inputs, by rtn`.
    pub what: String,
    /// How far its output is from that of the exact layer on the same inputs; without calibration
    /// data, how far its weights are from the exact ones.
    pub error: ValueError,
    /// Whether it was left exact after all, as the model's error was out of bounds with it.
    pub backed_off: bool,
    /// What it takes at one token by the cost model, where the pass weighed that.
    pub picoseconds: Option<u64>,
}

/// A choice for all layers that a pass tried before it settled on one.
#[derive(Debug, Clone, PartialEq)]
pub struct LedgerTrial {
    /// What the layers were: `int8 in every layer`.
    pub what: String,
    /// What all of them take together by the cost model.
    pub picoseconds: u64,
    /// The whole model.
    pub model: ModelError,
    /// Whether that is within the bound.
    pub within: bool,
}

/// What one run of a lossy pass did.
#[derive(Debug, Clone, PartialEq)]
pub struct LedgerEntry {
    /// The pass.
    pub pass: String,
    /// What errors are measured on, and fitted to; without, the errors of layers are those of weights.
    pub data: Option<String>,
    /// The layers.
    pub layers: Vec<LedgerLine>,
    /// The whole model, against the one before the first lossy pass.
    pub model: Option<ModelError>,
    /// What else was tried, for passes that choose.
    pub tried: Vec<LedgerTrial>,
}

/// The most error that a model may have.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ErrorBound {
    /// The relative mean squared error of the outputs.
    Mse(f64),
    /// The divergence of the next tokens' distribution.
    Kl(f64),
    /// The perplexity, as a factor of the exact model's.
    Ppl(f64),
}

impl ErrorBound {
    /// How much of the bound an error takes up, 1 for all of it; `None` if the bound is about text and there
    /// was none.
    pub fn share(self, error: &ModelError) -> Option<f64> {
        let (found, most) = match self {
            ErrorBound::Mse(most) => (error.outputs.relative_mse, most),
            ErrorBound::Kl(most) => (error.text?.kl, most),
            ErrorBound::Ppl(most) => {
                (error.text.map(|t| t.perplexity / t.exact_perplexity - 1.0)?, most - 1.0)
            }
        };
        Some(if found <= 0.0 { 0.0 } else { found / most })
    }

    /// Whether it says something of the next token of a text.
    pub fn is_about_text(self) -> bool {
        !matches!(self, ErrorBound::Mse(_))
    }

    /// Whether an error is within the bound; `None` if the bound is about text and there was none.
    pub fn holds(self, error: &ModelError) -> Option<bool> {
        match self {
            ErrorBound::Mse(most) => Some(error.outputs.relative_mse <= most),
            ErrorBound::Kl(most) => Some(error.text?.kl <= most),
            ErrorBound::Ppl(most) => error.text.map(|text| text.perplexity <= most * text.exact_perplexity),
        }
    }
}

impl FromStr for ErrorBound {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no bound: expected `mse:X`, `kl:X` or `ppl:X`");
        let (measure, number) = text.split_once(':').ok_or_else(wrong)?;
        let number: f64 = number.trim().parse().map_err(|_| wrong())?;
        if !(number.is_finite() && number >= 0.0) {
            return Err(format!("`{text}`: the bound must be a number that is not negative"));
        }
        match measure.trim() {
            "mse" => Ok(ErrorBound::Mse(number)),
            "kl" => Ok(ErrorBound::Kl(number)),
            "ppl" if number >= 1.0 => Ok(ErrorBound::Ppl(number)),
            "ppl" => Err(format!("`{text}`: a factor of the exact model's perplexity is 1 or more")),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for ErrorBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ErrorBound::Mse(most) => write!(f, "mse:{most}"),
            ErrorBound::Kl(most) => write!(f, "kl:{most}"),
            ErrorBound::Ppl(most) => write!(f, "ppl:{most}"),
        }
    }
}

/// Numbers whose errors are summed up side by side.
const LANES: usize = 16;

/// Sums up a [`ValueError`], tensor by tensor.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ErrorSum {
    off: f64,
    all: f64,
    max: f64,
}

impl ErrorSum {
    /// Takes in values, and what they should be. Tensors of other types than floats count nothing.
    pub fn add(&mut self, exact: &Tensor, found: &Tensor) {
        if exact.dtype() == DType::F32 && found.dtype() == DType::F32 {
            self.add_floats(exact.data(), found.data());
        } else if let (true, Some(exact), Some(found)) =
            (exact.dtype().is_float(), exact.to_f64s(), found.to_f64s())
        {
            self.add_numbers(exact.into_iter().zip(found));
        }
    }

    /// Takes in the bytes of `f32`, in lanes whose sums do not wait for each other.
    fn add_floats(&mut self, exact: &[u8], found: &[u8]) {
        let same = exact.len().min(found.len());
        let (exact, exact_rest) = exact[..same].as_chunks::<{ 4 * LANES }>();
        let (found, found_rest) = found[..same].as_chunks::<{ 4 * LANES }>();
        let (mut off, mut all, mut max) = ([0.0; LANES], [0.0; LANES], [0.0f64; LANES]);
        for (exact, found) in exact.iter().zip(found) {
            for lane in 0..LANES {
                let [exact, found] = [exact, found].map(|numbers| number(&numbers[4 * lane..4 * lane + 4]));
                off[lane] += (found - exact) * (found - exact);
                all[lane] += exact * exact;
                max[lane] = max[lane].max((found - exact).abs());
            }
        }
        self.off += off.iter().sum::<f64>();
        self.all += all.iter().sum::<f64>();
        self.max = max.into_iter().fold(self.max, f64::max);
        let rest = exact_rest.chunks_exact(4).zip(found_rest.chunks_exact(4));
        self.add_numbers(rest.map(|(exact, found)| (number(exact), number(found))));
    }

    /// Takes in that there is nothing to compare with: no error is larger.
    pub(crate) fn lost(&mut self) {
        (self.off, self.max) = (f64::INFINITY, f64::INFINITY);
    }

    /// Takes in pairs of what numbers should be and what they are.
    pub fn add_numbers(&mut self, pairs: impl Iterator<Item = (f64, f64)>) {
        for (exact, found) in pairs {
            let off = found - exact;
            self.off += off * off;
            self.all += exact * exact;
            self.max = self.max.max(off.abs());
        }
    }

    /// The sums as a tensor, to be kept.
    pub fn to_tensor(&self) -> Tensor {
        Tensor::vector(&[self.off, self.all, self.max])
    }

    /// The sums of [`ErrorSum::to_tensor`].
    pub fn of_tensor(kept: &Tensor) -> Option<Self> {
        let [off, all, max] = kept.to_vec::<f64>()?[..] else { return None };
        Some(Self { off, all, max })
    }

    /// The sum of squared differences.
    pub fn squared(&self) -> f64 {
        self.off
    }

    /// The error so far.
    pub fn error(&self) -> ValueError {
        let relative_mse = if self.off == 0.0 { 0.0 } else { self.off / self.all };
        ValueError { relative_mse, max: self.max }
    }
}

/// The number that some bytes are.
fn number(bytes: &[u8]) -> f64 {
    f64::from(f32::read(bytes))
}

#[cfg(test)]
mod tests {
    use super::{ErrorBound, ErrorSum, ModelError, TextError};
    use weft_ir::Tensor;

    #[test]
    fn errors_add_up() {
        let mut sum = ErrorSum::default();
        sum.add(&Tensor::vector(&[3f32, 0.0]), &Tensor::vector(&[3f32, 1.0]));
        sum.add(&Tensor::vector(&[4f64]), &Tensor::vector(&[2f64]));
        sum.add(&Tensor::vector(&[4i64]), &Tensor::vector(&[2i64]));
        let error = sum.error();
        assert_eq!((error.relative_mse, error.max), (0.2, 2.0));
    }

    #[test]
    fn lanes_and_the_rest_count_alike() {
        let exact: Vec<f32> = (0..37).map(|i| i as f32).collect();
        for wrong in [0, 15, 16, 36] {
            let mut found = exact.clone();
            found[wrong] += 2.0;
            let mut sum = ErrorSum::default();
            sum.add(&Tensor::vector(&exact), &Tensor::vector(&found));
            assert_eq!((sum.squared(), sum.error().max), (4.0, 2.0), "{wrong}");
            assert_eq!(sum.error().relative_mse, 4.0 / f64::from(36 * 37 * 73 / 6));
        }
    }

    #[test]
    fn bounds_read_and_hold() {
        let text = TextError { kl: 0.01, exact_perplexity: 10.0, perplexity: 10.2 };
        let error = ModelError { outputs: ErrorSum::default().error(), text: Some(text) };
        let holds = |text: &str| text.parse::<ErrorBound>().unwrap().holds(&error);
        assert_eq!(
            ["mse:0", "kl:0.01", "kl:0.009", "ppl:1.02", "ppl:1.01"].map(holds),
            [Some(true), Some(true), Some(false), Some(true), Some(false)]
        );
        assert_eq!(ErrorBound::Kl(1.0).holds(&ModelError { text: None, ..error }), None);
        let share = |bound: ErrorBound| bound.share(&error).unwrap();
        assert_eq!([share(ErrorBound::Mse(0.0)), share(ErrorBound::Kl(0.02))], [0.0, 0.5]);
        assert!((share(ErrorBound::Ppl(1.04)) - 0.5).abs() < 1e-9);
        assert_eq!(share(ErrorBound::Ppl(1.0)), f64::INFINITY);
        for wrong in ["1.02", "ppl:0.9", "mse:-1", "kl:nan", "acc:1"] {
            assert!(wrong.parse::<ErrorBound>().is_err(), "{wrong}");
        }
    }
}
