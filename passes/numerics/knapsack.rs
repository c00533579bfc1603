//! One choice of several in each of many places, at the least cost within a budget.
//!
//! The multiple-choice knapsack, solved by going through the places one after the other with the least cost
//! for each share of the budget. Shares are counted in whole units, errors rounded up, so that the budget
//! holds; what rounding left of it is then spent by single exchanges. With `n` places the cost is never more
//! than the least one within `1 - n / units` of the budget.
//!
//! Kellerer, Pferschy, Pisinger, "Knapsack Problems" (2004), chapter 11.
use std::cmp::Ordering;

/// Units of a budget, at least.
const UNITS: usize = 1 << 14;
/// Units of a budget for each place, at least.
const UNITS_EACH: usize = 64;
/// More than floats are off by when errors are counted in units and added up, as a share.
const SLACK: f64 = 1e-9;

/// One way of doing something.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// What it takes.
    pub cost: u64,
    /// What it spends of the budget: 0 or more. One that is not finite is never taken.
    pub error: f64,
}

/// Which choice to take in each place, so that all errors together are within the budget and all costs
/// together the least; `None` if the least errors are more than the budget. Of choices that cost the same
/// the one with the smaller error is taken, and of equal ones the first.
pub fn knapsack(places: &[Vec<Choice>], budget: f64) -> Option<Vec<usize>> {
    let useful: Vec<Vec<usize>> = places.iter().map(|choices| useful(choices)).collect();
    let least: Vec<usize> = useful.iter().map(|kept| kept.first().copied()).collect::<Option<_>>()?;
    let left = budget - total(places, &least);
    if left.is_nan() || left < 0.0 {
        return None;
    }
    // What just fits may not when floats are added up in another order.
    let mut tries = [left, left * (1.0 - 2.0 * SLACK)].into_iter().filter_map(|left| {
        let taken = Table::new(places, &useful, left)?.best(&useful);
        (total(places, &taken) <= budget).then_some(taken)
    });
    let mut taken = tries.next().unwrap_or(least);
    exchange(places, &useful, &mut taken, budget);
    Some(taken)
}

/// All errors of some choices together.
pub fn total(places: &[Vec<Choice>], taken: &[usize]) -> f64 {
    places.iter().zip(taken).map(|(choices, at)| choices[*at].error).sum()
}

/// The choices that no other one is better than, by rising error and falling cost.
fn useful(choices: &[Choice]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..choices.len()).filter(|at| choices[*at].error.is_finite()).collect();
    let before = |a: &Choice, b: &Choice| a.error.total_cmp(&b.error).then(a.cost.cmp(&b.cost));
    order.sort_by(|a, b| before(&choices[*a], &choices[*b]));
    let mut kept: Vec<usize> = Vec::new();
    for at in order {
        if kept.last().is_none_or(|last| choices[at].cost < choices[*last].cost) {
            kept.push(at);
        }
    }
    kept
}

/// What the places up to each one cost at least, for each share of the budget.
struct Table {
    /// By place and share, which of the useful choices is the last one.
    last: Vec<Vec<u8>>,
    /// By place and useful choice, the units it spends beyond the least error of the place.
    units: Vec<Vec<usize>>,
    /// What all places cost.
    costs: Vec<u64>,
}

impl Table {
    /// The table for what is left of a budget beyond the least errors; `None` if nothing is.
    fn new(places: &[Vec<Choice>], useful: &[Vec<usize>], left: f64) -> Option<Self> {
        if left <= 0.0 {
            return None;
        }
        let capacity = UNITS.max(places.len() * UNITS_EACH);
        let unit = left / capacity as f64;
        let mut table = Self { last: Vec::new(), units: Vec::new(), costs: vec![0; capacity + 1] };
        for (choices, kept) in places.iter().zip(useful) {
            let beyond = |at: &usize| choices[*at].error - choices[kept[0]].error;
            let units: Vec<usize> =
                kept.iter().map(|at| (beyond(at) / unit * (1.0 - SLACK)).ceil() as usize).collect();
            table.add(&units, &kept.iter().map(|at| choices[*at].cost).collect::<Vec<_>>());
            table.units.push(units);
        }
        Some(table)
    }

    /// Goes on to the next place.
    fn add(&mut self, units: &[usize], costs: &[u64]) {
        let count = units.len().min(usize::from(u8::MAX));
        let (mut last, mut next) = (vec![0; self.costs.len()], vec![u64::MAX; self.costs.len()]);
        for choice in 0..count {
            for share in units[choice].min(next.len())..next.len() {
                let cost = self.costs[share - units[choice]].saturating_add(costs[choice]);
                if cost < next[share] {
                    (next[share], last[share]) = (cost, choice as u8);
                }
            }
        }
        self.costs = next;
        self.last.push(last);
    }

    /// The choices of the least cost, and of these those of the least error in units.
    fn best(&self, useful: &[Vec<usize>]) -> Vec<usize> {
        let least = self.costs.last().copied().unwrap_or_default();
        let mut share = self.costs.partition_point(|cost| *cost > least);
        let mut taken = vec![0; useful.len()];
        for place in (0..useful.len()).rev() {
            let choice = usize::from(self.last[place][share]);
            taken[place] = useful[place][choice];
            share -= self.units[place][choice];
        }
        taken
    }
}

/// Takes the single exchange that saves most, as long as one saves anything within the budget.
fn exchange(places: &[Vec<Choice>], useful: &[Vec<usize>], taken: &mut [usize], budget: f64) {
    loop {
        let spent = total(places, taken);
        let mut best: Option<(u64, f64, usize, usize)> = None;
        for (place, kept) in useful.iter().enumerate() {
            let now = places[place][taken[place]];
            for at in kept {
                let other = places[place][*at];
                let (saved, more) = (now.cost.saturating_sub(other.cost), other.error - now.error);
                if saved == 0 || spent + more > budget {
                    continue;
                }
                let better = best.is_none_or(|(most, least, ..)| {
                    saved.cmp(&most).then(least.total_cmp(&more)) == Ordering::Greater
                });
                best = if better { Some((saved, more, place, *at)) } else { best };
            }
        }
        let Some((_, _, place, at)) = best else { return };
        let before = std::mem::replace(&mut taken[place], at);
        // Adding up in another order may round to more.
        if total(places, taken) > budget {
            taken[place] = before;
            return;
        }
    }
}
