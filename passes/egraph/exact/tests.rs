//! The program against all choices there are, on small e-graphs.
use super::extract;
use crate::choices::{Choice, Choices, Class, Taken};
use crate::extract::extract as greedy;
use crate::improve::improve;
use crate::lang::ENode;
use egg::Id;
use proptest::prelude::*;

/// Of each class its options, each a cost and the classes it is made of; the first class is the root.
type Options = Vec<Vec<(u64, Vec<usize>)>>;

fn choices(options: &Options) -> Choices {
    let classes = options.iter().enumerate().map(|(at, options)| {
        let option = |(head, (cost, children)): (usize, &(u64, Vec<usize>))| {
            let ids = children.iter().map(|child| Id::from(*child)).collect();
            Choice {
                node: ENode { head: head as u32, children: ids },
                children: children.clone(),
                cost: *cost,
            }
        };
        Class { id: Id::from(at), options: options.iter().enumerate().map(option).collect() }
    });
    let places = (0..options.len()).map(|at| (Id::from(at), at)).collect();
    Choices { classes: classes.collect(), roots: vec![0], places }
}

/// The least that any choice costs.
fn least(choices: &Choices) -> Option<u64> {
    let mut all: Vec<Taken> = vec![Vec::new()];
    for class in &choices.classes {
        let longer = |taken: &Taken, at: Option<usize>| [taken.clone(), vec![at]].concat();
        let options = || (0..class.options.len()).map(Some).chain(class.options.is_empty().then_some(None));
        all = all.iter().flat_map(|taken| options().map(|at| longer(taken, at))).collect();
    }
    all.iter().filter_map(|taken| choices.total(taken)).min()
}

#[test]
fn the_greedy_choice_does_not_see_what_pays_only_together() {
    // Each half costs 10, or 6 with a part for 5 that both can share.
    let shared = vec![
        vec![(1, vec![1, 2])],
        vec![(10, vec![]), (6, vec![3])],
        vec![(10, vec![]), (6, vec![3])],
        vec![(5, vec![])],
    ];
    let choices = choices(&shared);
    assert_eq!(choices.total(&greedy(&choices)), Some(21));
    assert_eq!(choices.total(&extract(&choices).unwrap()), Some(18));
}

#[test]
fn moves_one_after_the_other_do_not_see_it_either() {
    // The shared part pays only where the halves and a part of it change at once.
    let deeper = vec![
        vec![(1, vec![1, 2, 3])],
        vec![(10, vec![]), (1, vec![4])],
        vec![(10, vec![]), (1, vec![5])],
        vec![(10, vec![]), (1, vec![6])],
        vec![(1, vec![7])],
        vec![(1, vec![7])],
        vec![(1, vec![7])],
        vec![(20, vec![])],
    ];
    let choices = choices(&deeper);
    let mut taken = greedy(&choices);
    assert_eq!(improve(&choices, &mut taken), Some(31));
    assert_eq!(choices.total(&extract(&choices).unwrap()), Some(27));
}

#[test]
fn nothing_is_made_of_itself() {
    // The cheap options are made of each other.
    let circle = vec![vec![(1, vec![1]), (9, vec![])], vec![(1, vec![2]), (7, vec![])], vec![(1, vec![1])]];
    let choices = choices(&circle);
    let taken = extract(&choices).unwrap();
    assert_eq!(choices.total(&taken), Some(8));
    assert!(choices.order(&taken).is_some());
}

fn options() -> impl Strategy<Value = Options> {
    (2..7_usize).prop_flat_map(|count| {
        let option = (1..20_u64, prop::collection::vec(0..count, 0..3));
        prop::collection::vec(prop::collection::vec(option, 1..4), count)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_cheaper(options in options()) {
        let choices = choices(&options);
        if let Some(least) = least(&choices) {
            let taken = extract(&choices).unwrap();
            prop_assert_eq!(choices.total(&taken), Some(least));
            prop_assert_eq!(extract(&choices).unwrap(), taken);
        }
    }
}
