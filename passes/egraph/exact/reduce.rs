//! What is left to be decided when all is left out that the cheapest form certainly takes or does not.
use crate::choices::{Choice, Choices};
use crate::extract::{ranks, users};
use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use std::collections::BTreeSet;

/// The choice that is left.
pub(crate) struct Open {
    /// The options of each class that may be taken; none of a class that no form needs.
    pub(crate) options: Vec<Vec<usize>>,
    /// The classes that every form needs.
    pub(crate) needed: Vec<bool>,
    /// A number for each class; those with the same one may be made of each other.
    pub(crate) knots: Vec<usize>,
}

impl Open {
    /// What is left of all choices.
    pub(crate) fn of(choices: &Choices) -> Self {
        let count = choices.classes.len();
        let mut open = Self { options: possible(choices), needed: vec![false; count], knots: vec![0; count] };
        loop {
            open.keep_reachable(choices);
            open.find_needed(choices);
            open.find_knots(choices);
            if !open.drop_dominated(choices) {
                return open;
            }
        }
    }

    /// Whether a class is decided: it is needed, and there is one way to make it.
    pub(crate) fn settled(&self, class: usize) -> bool {
        self.needed[class] && self.options[class].len() == 1
    }

    fn keep_reachable(&mut self, choices: &Choices) {
        let (mut reached, mut open) = (vec![false; self.options.len()], choices.roots.clone());
        while let Some(class) = open.pop() {
            if !std::mem::replace(&mut reached[class], true) {
                open.extend(self.children(choices, class));
            }
        }
        for (options, _) in self.options.iter_mut().zip(reached).filter(|(_, reached)| !reached) {
            options.clear();
        }
    }

    fn children(&self, choices: &Choices, class: usize) -> BTreeSet<usize> {
        let options = self.options[class].iter().map(|option| &choices.classes[class].options[*option]);
        options.flat_map(|option| option.children.iter().copied()).collect()
    }

    fn find_needed(&mut self, choices: &Choices) {
        let mut open = choices.roots.clone();
        while let Some(class) = open.pop() {
            if std::mem::replace(&mut self.needed[class], true) {
                continue;
            }
            let options = &choices.classes[class].options;
            let everywhere = |child: &usize| {
                self.options[class].iter().all(|option| options[*option].children.contains(child))
            };
            open.extend(self.children(choices, class).into_iter().filter(everywhere));
        }
    }

    fn find_knots(&mut self, choices: &Choices) {
        let mut graph = DiGraph::<(), ()>::new();
        let nodes: Vec<NodeIndex> = self.options.iter().map(|_| graph.add_node(())).collect();
        for class in 0..self.options.len() {
            for child in self.children(choices, class) {
                graph.add_edge(nodes[class], nodes[child], ());
            }
        }
        for (number, knot) in tarjan_scc(&graph).into_iter().enumerate() {
            knot.into_iter().for_each(|node| self.knots[node.index()] = number);
        }
    }

    /// Leaves out options for which another one of their class costs no more and needs nothing else;
    /// says whether there were any.
    fn drop_dominated(&mut self, choices: &Choices) -> bool {
        let mut dropped = false;
        for class in 0..self.options.len() {
            let options = &choices.classes[class].options;
            let left = self.options[class].clone();
            let better = |a: usize, b: usize| {
                let (needs_a, needs_b) = (self.needs(class, &options[a]), self.needs(class, &options[b]));
                let as_good = options[a].cost <= options[b].cost && needs_a.is_subset(&needs_b);
                as_good && (options[a].cost < options[b].cost || needs_a != needs_b || a < b)
            };
            let keep = |b: &usize| !left.iter().any(|a| a != b && better(*a, *b));
            let kept: Vec<usize> = left.iter().copied().filter(keep).collect();
            dropped |= kept.len() < left.len();
            self.options[class] = kept;
        }
        dropped
    }

    /// What an option needs that is not there anyway. In a knot nothing counts as there: it might be
    /// made of this class.
    fn needs(&self, class: usize, option: &Choice) -> BTreeSet<usize> {
        let there = |child: &usize| self.needed[*child] && self.knots[*child] != self.knots[class];
        option.children.iter().copied().filter(|child| !there(child)).collect()
    }
}

/// The options of each class of which all operands can be computed, none from the class itself.
fn possible(choices: &Choices) -> Vec<Vec<usize>> {
    let ranks = ranks(choices, &users(choices));
    let possible = |class: usize, option: &Choice| {
        option.children.iter().all(|child| *child != class && ranks[*child] < usize::MAX)
    };
    let of = |class: usize| {
        let options = choices.classes[class].options.iter().enumerate();
        options.filter(|(_, option)| possible(class, option)).map(|(at, _)| at).collect()
    };
    (0..choices.classes.len()).map(of).collect()
}
