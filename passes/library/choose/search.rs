//! Looking for the fastest choice whose measured error is within the bounds.
use super::candidates::{Candidate, Layers};
use crate::forms::{exact, spread};
use std::collections::BTreeMap;
use weft_ir::infer::Facts;
use weft_numerics::{Choice, knapsack, total};
use weft_passes::{
    ErrorBound, Exchange, LedgerTrial, Look, Masks, Measure, ModelError, PassError, Trials, within,
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
    facts: &'s Facts,
    layers: &'s Layers,
    bounds: &'s [ErrorBound],
    trials: Trials<'s>,
    is_text: bool,
    /// The candidate of each layer that the last trial had.
    now: Vec<usize>,
    exchanged: Vec<Exchange>,
    pub(super) tried: Vec<Tried>,
}

impl<'s> Search<'s> {
    pub(super) fn new(
        (measure, bounds): (&'s dyn Measure, &'s [ErrorBound]),
        (facts, layers): (&'s Facts, &'s Layers),
        open: &dyn Fn(Masks) -> Result<Trials<'s>, PassError>,
    ) -> Result<Self, PassError> {
        let mut all = layers.candidates.iter().flatten();
        let masks = if all.any(|candidate| candidate.masked.is_some()) { Masks::Some } else { Masks::None };
        let now = vec![0; layers.linears.len()];
        let is_text = measure.text().is_some();
        let (trials, exchanged, tried) = (open(masks)?, Vec::new(), Vec::new());
        let mut search = Self { facts, layers, bounds, trials, is_text, now, exchanged, tried };
        let places: Vec<usize> = (0..search.now.len()).collect();
        search.exchanged = spread(&places, &|place| search.exchange(place, 0))?;
        Ok(search)
    }

    /// What a layer is tried with as a candidate.
    fn exchange(&self, place: usize, pick: usize) -> Result<Exchange, PassError> {
        let candidate = &self.layers.candidates[place][pick];
        let broken = || PassError::Failed("the codes of a matrix do not read back".to_string());
        let matrix = match &candidate.coded {
            Some(coded) => coded.matrix().ok_or_else(broken)?,
            None => exact(self.facts, &self.layers.linears, &[place])?.swap_remove(0),
        };
        let limits = candidate.masked.as_ref().and_then(|masked| masked.limits(masked.limit?));
        Ok(Exchange { matrix, limits })
    }

    fn error(&mut self, picks: &[usize], look: Look) -> Result<ModelError, PassError> {
        let changed: Vec<usize> =
            (0..picks.len()).filter(|place| self.now[*place] != picks[*place]).collect();
        let exchanges = spread(&changed, &|place| self.exchange(place, picks[place]))?;
        for (place, exchange) in changed.into_iter().zip(exchanges) {
            self.exchanged[place] = exchange;
        }
        self.now = picks.to_vec();
        self.trials.error(&self.exchanged, look)
    }

    /// Measures a choice, unless it was; says where it is among those that were tried.
    fn try_out(&mut self, what: &str, picks: Vec<usize>) -> Result<usize, PassError> {
        if let Some(known) = self.tried.iter().position(|tried| tried.picks == picks) {
            return Ok(known);
        }
        let model = self.error(&picks, Look::Whole)?;
        let trial = LedgerTrial {
            what: what.to_string(),
            picoseconds: self.layers.picoseconds(&picks),
            model,
            within: within(self.bounds, &model)?,
        };
        self.tried.push(Tried { picks, trial });
        Ok(self.tried.len() - 1)
    }

    /// Measures the same item of the menu in every layer.
    pub(super) fn uniform(&mut self, what: &str, item: [usize; 2]) -> Result<(), PassError> {
        let picks = self.layers.everywhere(item);
        let nothing = picks.iter().all(|pick| *pick == 0);
        if !nothing {
            self.try_out(&format!("{what} in every layer"), picks)?;
        }
        Ok(())
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
        for group in alike.values().flat_map(|places| places.chunks(size.max(1))) {
            let (mut picks, mut own) = (vec![0; weights.len()], 0.0);
            for place in group {
                picks[*place] = fastest(&self.layers.candidates[*place]);
                own += self.layers.candidates[*place][picks[*place]].error.relative_mse;
            }
            if own > 0.0 {
                let error = self.error(&picks, Look::Glance)?;
                let whole =
                    error.text.filter(|_| self.is_text).map_or(error.outputs.relative_mse, |text| text.kl);
                // What makes no numbers any more may not be taken at all.
                let whole = if whole.is_nan() { f64::INFINITY } else { whole.max(0.0) };
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
