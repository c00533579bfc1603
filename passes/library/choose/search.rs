//! Looking for the fastest choice whose measured error is within the bounds.
use super::candidates::{Candidate, Layers};
use crate::forms::Masked;
use std::collections::BTreeMap;
use weft_ir::Tensor;
use weft_numerics::{Choice, knapsack, total};
use weft_passes::{
    ErrorBound, Exchanged, LedgerTrial, Look, Masks, Measure, ModelError, PassError, Trials, within,
};

/// How many budgets are tried.
const ROUNDS: usize = 8;
/// Budgets that differ by less, as a factor, are the same.
const SAME: f64 = 1.02;

/// A choice for all layers, with what it was measured to be worth.
pub(super) struct Tried {
    /// The candidate of each layer.
    pub(super) picks: Vec<usize>,
    pub(super) trial: LedgerTrial,
}

/// The search, and all it tried.
pub(super) struct Search<'s> {
    measure: &'s dyn Measure,
    layers: &'s Layers,
    bounds: &'s [ErrorBound],
    trials: Trials<'s>,
    pub(super) tried: Vec<Tried>,
}

/// The candidate of each layer, as trials have it.
struct Picked<'p>(&'p Layers, &'p [usize]);

impl Picked<'_> {
    fn candidate(&self, layer: usize) -> &Candidate {
        &self.0.candidates[layer][self.1[layer]]
    }
}

impl Exchanged for Picked<'_> {
    fn has_matrix(&self, layer: usize) -> bool {
        self.candidate(layer).coded.is_some()
    }

    fn matrix(&self, layer: usize) -> Result<Tensor, PassError> {
        let own = || PassError::Failed("a layer has its own matrix".to_string());
        self.candidate(layer).coded.as_ref().ok_or_else(own)?.matrix()
    }

    fn has_limits(&self, layer: usize) -> bool {
        self.candidate(layer).masked.as_ref().is_some_and(|masked| masked.limit.is_some())
    }

    fn limits(&self, layer: usize) -> Vec<f32> {
        let limits = |masked: &Masked| masked.limits(masked.limit?);
        self.candidate(layer).masked.as_ref().and_then(limits).unwrap_or_default()
    }
}

impl<'s> Search<'s> {
    pub(super) fn new(
        (measure, bounds): (&'s dyn Measure, &'s [ErrorBound]),
        layers: &'s Layers,
        open: &dyn Fn(Masks) -> Result<Trials<'s>, PassError>,
    ) -> Result<Self, PassError> {
        let mut all = layers.candidates.iter().flatten();
        let masks = if all.any(|candidate| candidate.masked.is_some()) { Masks::Some } else { Masks::None };
        Ok(Self { measure, layers, bounds, trials: open(masks)?, tried: Vec::new() })
    }

    fn error(&mut self, what: &str, picks: &[usize], look: Look) -> Result<ModelError, PassError> {
        self.measure.tell(&format!("choose, {what}"));
        self.trials.error(&Picked(self.layers, picks), look)
    }

    /// Measures a choice, unless it was; says where it is among those that were tried.
    fn try_out(&mut self, what: &str, picks: Vec<usize>) -> Result<usize, PassError> {
        if let Some(known) = self.tried.iter().position(|tried| tried.picks == picks) {
            return Ok(known);
        }
        let model = self.error(what, &picks, Look::Whole)?;
        let trial = LedgerTrial {
            what: what.to_string(),
            picoseconds: self.layers.picoseconds(&picks),
            model,
            within: within(self.bounds, &model)?,
        };
        self.tried.push(Tried { picks, trial });
        Ok(self.tried.len() - 1)
    }

    /// Measures the same item of the menu in every layer; says whether it is within the bounds.
    pub(super) fn uniform(&mut self, what: &str, item: [usize; 2]) -> Result<bool, PassError> {
        let picks = self.layers.everywhere(item);
        let nothing = picks.iter().all(|pick| *pick == 0);
        if nothing {
            return Ok(true);
        }
        let at = self.try_out(&format!("{what} in every layer"), picks)?;
        Ok(self.tried[at].trial.within)
    }

    /// Measures what the knapsack takes, for budgets that close in on the largest one that is within the
    /// bounds. Errors of layers count by how much they move the whole model.
    pub(super) fn mixtures(&mut self, groups: usize) -> Result<(), PassError> {
        let places = self.places(groups)?;
        let Some(fastest) = knapsack(&places, f64::INFINITY) else { return Ok(()) };
        let (mut low, mut high) = (0.0, total(&places, &fastest));
        let mut budget = high;
        for round in 0..ROUNDS {
            let Some(picks) = knapsack(&places, budget) else { break };
            let spent = total(&places, &picks);
            let at = self.try_out(&format!("mixture {}", round + 1), picks)?;
            match self.tried[at].trial.within {
                true if budget >= high => break,
                true => low = budget,
                false => high = high.min(budget),
            }
            if high <= low * SAME {
                break;
            }
            budget = self.next(&self.tried[at].trial.model, spent, (low, high));
        }
        Ok(())
    }

    /// The next budget: where the bound would be if errors grew with the budget, but within what is open.
    fn next(&self, model: &ModelError, spent: f64, (low, high): (f64, f64)) -> f64 {
        let share = self.bounds.iter().filter_map(|bound| bound.share(model)).fold(0.0, f64::max);
        let guess = spent / share;
        let middle = if low > 0.0 { (low * high).sqrt() } else { high / 8.0 };
        if guess.is_finite() && guess > low * SAME.sqrt() && guess < high / SAME.sqrt() {
            guess
        } else {
            middle
        }
    }

    /// The candidates for the knapsack.
    fn places(&mut self, groups: usize) -> Result<Vec<Vec<Choice>>, PassError> {
        let weights = self.weights(groups)?;
        let choice = |candidate: &Candidate, weight: f64| {
            let own = candidate.error.relative_mse;
            let error = if own == 0.0 { 0.0 } else { own * weight };
            Choice { cost: candidate.picoseconds, error }
        };
        let all = self.layers.candidates.iter().zip(weights);
        Ok(all.map(|(all, weight)| all.iter().map(|one| choice(one, weight)).collect()).collect())
    }

    /// How much the model's error grows with that of each layer: measured with the fastest candidates in
    /// some layers of one size that follow each other, all others exact.
    fn weights(&mut self, groups: usize) -> Result<Vec<f64>, PassError> {
        let mut alike: BTreeMap<[usize; 2], Vec<usize>> = BTreeMap::new();
        for (place, layer) in self.layers.linears.iter().enumerate() {
            alike.entry(layer.dims).or_default().push(place);
        }
        let size = self.layers.linears.len().div_ceil(groups.max(1));
        let mut weights = vec![0.0; self.layers.linears.len()];
        let alike: Vec<&[usize]> = alike.values().flat_map(|places| places.chunks(size.max(1))).collect();
        let count = alike.len();
        for (number, group) in (1..).zip(alike) {
            let (mut picks, mut own) = (vec![0; weights.len()], 0.0);
            for place in group {
                picks[*place] = fastest(&self.layers.candidates[*place]);
                own += self.layers.candidates[*place][picks[*place]].error.relative_mse;
            }
            if own > 0.0 {
                // What makes no numbers any more is infinitely far off and may not be taken at all.
                let whole = self.error(&format!("layers {number} of {count}"), &picks, Look::Glance)?.off();
                group.iter().for_each(|place| weights[*place] = whole / own);
            }
        }
        Ok(weights)
    }
}

/// The candidate that takes least time, and of those the one that is off least.
fn fastest(all: &[Candidate]) -> usize {
    let order = |a: &&usize, b: &&usize| {
        let (a, b) = (&all[**a], &all[**b]);
        let error = a.error.relative_mse.total_cmp(&b.error.relative_mse);
        a.picoseconds.cmp(&b.picoseconds).then(error)
    };
    let places: Vec<usize> = (0..all.len()).filter(|at| all[*at].error.relative_mse.is_finite()).collect();
    places.iter().min_by(order).copied().unwrap_or_default()
}
