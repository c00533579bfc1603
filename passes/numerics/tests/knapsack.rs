//! The knapsack against trying everything.
use proptest::prelude::*;
use weft_numerics::{Choice, knapsack, total};

fn costs(places: &[Vec<Choice>], taken: &[usize]) -> u64 {
    places.iter().zip(taken).map(|(choices, at)| choices[*at].cost).sum()
}

/// The least cost within a budget, by trying everything.
fn by_trying(places: &[Vec<Choice>], budget: f64) -> Option<u64> {
    let mut all: Vec<Vec<usize>> = vec![Vec::new()];
    for choices in places {
        let longer = |taken: Vec<usize>| {
            (0..choices.len()).map(move |at| taken.iter().copied().chain([at]).collect::<Vec<_>>())
        };
        all = all.into_iter().flat_map(longer).collect();
    }
    all.iter().filter(|taken| total(places, taken) <= budget).map(|taken| costs(places, taken)).min()
}

fn places(error: impl Strategy<Value = f64> + Clone + 'static) -> impl Strategy<Value = Vec<Vec<Choice>>> {
    let choice = (0u64..100, error).prop_map(|(cost, error)| Choice { cost, error });
    prop::collection::vec(prop::collection::vec(choice, 1..5), 1..6)
}

proptest! {
    #[test]
    fn whole_units_are_exact(places in places((0u32..64).prop_map(f64::from)), budget in 1u32..256) {
        // Each unit of such a budget is a whole number of the table's, up to the least errors.
        let budget = f64::from(budget);
        let taken = knapsack(&places, budget);
        let least = by_trying(&places, budget);
        prop_assert_eq!(taken.is_some(), least.is_some());
        if let (Some(taken), Some(least)) = (taken, least) {
            let within = by_trying(&places, budget * (1.0 - places.len() as f64 / 16384.0));
            prop_assert!(total(&places, &taken) <= budget);
            prop_assert!(costs(&places, &taken) >= least);
            prop_assert!(within.is_none_or(|within| costs(&places, &taken) <= within));
        }
    }

    #[test]
    fn nearly_the_least_cost(places in places(0.0..1.0), budget in 0.0..3.0) {
        let Some(taken) = knapsack(&places, budget) else {
            prop_assert_eq!(by_trying(&places, budget), None);
            return Ok(());
        };
        let least: f64 = places.iter().map(|c| c.iter().map(|c| c.error).fold(f64::INFINITY, f64::min)).sum();
        let rounded = (budget - least) * places.len() as f64 / 16384.0 * 1.001;
        prop_assert!(total(&places, &taken) <= budget);
        prop_assert!(Some(costs(&places, &taken)) >= by_trying(&places, budget));
        let within = by_trying(&places, budget - rounded);
        prop_assert!(within.is_none_or(|within| costs(&places, &taken) <= within));
    }

    #[test]
    fn more_of_a_budget_never_costs_much_more(places in places(0.0..1.0), budget in 0.0..3.0) {
        let cost = |budget: f64| knapsack(&places, budget).map(|taken| costs(&places, &taken));
        if let (Some(less), Some(more)) = (cost(budget), cost(budget * 2.0 + 1.0)) {
            prop_assert!(more <= less);
        }
    }
}

fn choice(cost: u64, error: f64) -> Choice {
    Choice { cost, error }
}

#[test]
fn by_hand() {
    // Spending all on the second place saves 9, on both a little only 8.
    let first = vec![choice(10, 0.0), choice(6, 1.0), choice(9, 2.0)];
    let second = vec![choice(10, 0.0), choice(6, 1.0), choice(1, 2.0)];
    let places = [first, second];
    assert_eq!(knapsack(&places, 2.0), Some(vec![0, 2]));
    assert_eq!(knapsack(&places, 3.0), Some(vec![1, 2]));
    assert_eq!(knapsack(&places, 0.0), Some(vec![0, 0]));
    assert_eq!(knapsack(&places, -1.0), None);
}

#[test]
fn what_cannot_be_taken() {
    assert_eq!(knapsack(&[vec![choice(1, f64::NAN), choice(2, 0.5)]], 1.0), Some(vec![1]));
    assert_eq!(knapsack(&[vec![choice(1, f64::INFINITY)]], f64::INFINITY), None);
    assert_eq!(knapsack(&[vec![choice(1, 0.5)]], f64::NAN), None);
    assert_eq!(knapsack(&[], 0.0), Some(Vec::new()));
}

#[test]
fn an_endless_budget_takes_what_is_fastest() {
    let places = [vec![choice(3, 0.0), choice(1, 1e300)], vec![choice(2, 1.0), choice(5, 0.5)]];
    assert_eq!(knapsack(&places, f64::INFINITY), Some(vec![1, 0]));
}
