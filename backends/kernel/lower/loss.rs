//! Losses of classifiers.
use super::formula::wide;
use super::{Call, Handle, Lowering, Result, identity};
use crate::math::Function as F;
use crate::schedule::Combine;
use crate::term::{Index, TermId};
use weft_ir::DType;

impl Lowering<'_> {
    /// Lowers losses.
    pub(crate) fn losses(&mut self, call: &Call<'_>) -> Option<Result<Vec<Handle>>> {
        Some(match call.op() {
            "NegativeLogLikelihoodLoss" => self.likelihood(call),
            "SoftmaxCrossEntropyLoss" => self.cross_entropy(call),
            _ => return None,
        })
    }

    fn likelihood(&mut self, call: &Call<'_>) -> Result<Vec<Handle>> {
        let scores = call.operand(0)?;
        self.force(scores);
        Ok(vec![self.loss(call, scores)?])
    }

    fn cross_entropy(&mut self, call: &Call<'_>) -> Result<Vec<Handle>> {
        let scores = call.operand(0)?;
        self.force(scores);
        let (max, sum) = self.max_and_sum(scores, &[1])?;
        self.force(sum);
        let dims = self.dims_of(scores);
        let mut at = identity(dims.len());
        at[1] = Index::fixed(0);
        let (difference, total) = (self.difference(scores, max, &[1]), self.read(sum, &at));
        let log = self.apply(F::Log, &[total]);
        let term = self.minus(difference, log);
        let term = self.cast_term(term, call.dtype(0));
        let logs = self.lazy(dims, term);
        self.force(logs);
        Ok(vec![self.loss(call, logs)?, logs])
    }

    /// Minus the score of the right class of every sample, weighted, then taken together.
    fn loss(&mut self, call: &Call<'_>, scores: Handle) -> Result<Handle> {
        let labels = call.operand(1)?;
        let (dims, all) = (self.dims_of(labels), self.dims_of(scores));
        self.force(labels);
        let label = self.here(labels);
        let label = self.cast_term(label, DType::I64);
        let class = self.bounded(label, &all[1]);
        let mut at = identity(dims.len());
        at.insert(1, class.clone());
        let score = self.read(scores, &at);
        let score = self.cast_term(score, wide(call.dtype(0)));
        let dtype = self.terms.dtype(score);
        let weight = self.class_weight(call, (label, class), dtype);
        let product = self.times(score, weight);
        let zero = self.zero(dtype);
        // A score of minus infinity that does not count is no number.
        let counts = self.test(F::Eq, weight, zero);
        let loss = self.apply(F::Neg, &[product]);
        let loss =
            if call.attrs.int_opt("ignore_index").is_some() { self.choose(counts, zero, loss) } else { loss };
        if call.attrs.str("reduction") == "none" {
            let term = self.cast_term(loss, call.dtype(0));
            return Ok(self.lazy(dims, term));
        }
        let axes: Vec<usize> = (0..dims.len()).collect();
        let total = self.combined(labels, loss, &axes, Combine::Sum)?;
        let total = self.settled(total);
        let mut term = self.single(total);
        if call.attrs.str("reduction") == "mean" {
            let weights = self.combined(labels, weight, &axes, Combine::Sum)?;
            let weights = self.single(weights);
            term = self.over(term, weights);
        }
        let term = self.cast_term(term, call.dtype(0));
        Ok(self.lazy(Vec::new(), term))
    }

    /// The weight of a class, zero where its label is ignored.
    fn class_weight(&mut self, call: &Call<'_>, (label, class): (TermId, Index), dtype: DType) -> TermId {
        let weight = match call.optional(2) {
            Some(weights) => {
                self.force(weights);
                let weight = self.read(weights, &[class]);
                self.cast_term(weight, dtype)
            }
            None => self.value(dtype, 1.0),
        };
        let Some(ignored) = call.attrs.int_opt("ignore_index") else { return weight };
        let (ignored, zero) = (self.integer(ignored), self.zero(dtype));
        let skipped = self.test(F::Eq, label, ignored);
        self.choose(skipped, zero, weight)
    }
}
