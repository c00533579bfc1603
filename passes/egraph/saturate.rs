//! Running rules over an e-graph until they find nothing new, or a limit is met.
//!
//! The loop is ours and not egg's runner: its limits count e-nodes, rounds and matches, never
//! seconds, so that the same graph gives the same bytes on every machine.
use crate::again::{Changed, Pace, depth};
use crate::apply::apply;
use crate::facts::Classes;
use crate::lang::ENode;
use crate::scene::View;
use crate::symmetry::interchangeable;
use egg::Id;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use weft_ir::Dim;
use weft_passes::Declined;
use weft_passes::rule::{Made, Pattern, Replacement, RewriteRule};
use weft_rewrite::{Binding, Search};

/// How far a search goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// E-nodes.
    pub nodes: usize,
    /// Rounds in which every rule is looked for everywhere.
    pub iterations: usize,
    /// Matches of one rule in one round.
    pub matches: usize,
}

/// What a search did.
#[derive(Default)]
pub(crate) struct Story {
    /// The names of the rules.
    pub(crate) rules: Vec<Arc<str>>,
    /// Each time a rule made two classes one.
    pub(crate) fired: Vec<Fired>,
    /// Why rules that found their places declined, by rule and class; the first reason counts.
    pub(crate) declined: BTreeMap<(usize, Id), Declined>,
    /// The limits that were met, as they are written in a pipeline.
    pub(crate) limits: BTreeSet<String>,
}

/// One time a rule made two classes one.
pub(crate) struct Fired {
    /// Its place among the rules.
    pub(crate) rule: usize,
    /// What it replaced.
    pub(crate) root: Id,
    /// What it put in; `None` if that was there.
    pub(crate) node: Option<ENode>,
}

/// Rules as the search runs them.
pub(crate) struct Engine<'r> {
    rules: Vec<Ready<'r>>,
    paces: Vec<Pace>,
    limits: Limits,
    /// What was put in already, so that it is not built again in every round.
    done: BTreeSet<(usize, Binding<Id>)>,
    story: Story,
}

struct Ready<'r> {
    rule: &'r dyn RewriteRule,
    first: &'r Made,
    /// Pairs of patterns that find the same in either order.
    interchangeable: Vec<(usize, usize)>,
    /// How many operators deep its pattern is; `None` if it has several.
    reach: Option<usize>,
}

/// What is to be put in for a match.
type Find = (usize, Binding<Id>, Replacement);

impl<'r> Engine<'r> {
    pub(crate) fn new(rules: &'r [Arc<dyn RewriteRule>], limits: Limits) -> Self {
        let ready = |rule: &'r Arc<dyn RewriteRule>| {
            let patterns = rule.patterns();
            let first = patterns.first().and_then(Pattern::made)?;
            let reach = (patterns.len() == 1).then(|| depth(&patterns[0]));
            Some(Ready { rule: &**rule, first, interchangeable: interchangeable(patterns), reach })
        };
        let rules: Vec<Ready<'_>> = rules.iter().filter_map(ready).collect();
        let names = rules.iter().map(|ready| ready.rule.info().name.as_str().into()).collect();
        let story = Story { rules: names, ..Story::default() };
        let paces = rules.iter().map(|_| Pace::default()).collect();
        Self { rules, paces, limits, done: BTreeSet::new(), story }
    }

    /// Runs every rule wherever it may find something new, again and again.
    pub(crate) fn run(mut self, classes: &mut Classes<'_>, bound: &dyn Fn(&Dim) -> bool) -> Story {
        let levels = self.rules.iter().filter_map(|rule| rule.reach).max().unwrap_or(0);
        for round in 0.. {
            if round == self.limits.iterations {
                self.limit("iterations", self.limits.iterations);
                break;
            }
            let changed = Changed::take(classes, levels);
            let finds = self.search(classes, &changed, bound);
            let before = (classes.total_size(), self.story.fired.len());
            let full = !self.put(classes, finds);
            classes.rebuild();
            let settled = before == (classes.total_size(), self.story.fired.len());
            let settled = settled && !self.wake();
            if full || settled || classes.analysis.contradiction.is_some() {
                break;
            }
        }
        self.story
    }

    fn limit(&mut self, name: &str, limit: usize) {
        self.story.limits.insert(format!("{name}={limit}"));
    }

    /// Lets every rule take part in the next round; says whether one has something left to look at.
    fn wake(&mut self) -> bool {
        self.paces.iter_mut().map(Pace::wake).filter(|left| *left).count() > 0
    }

    /// Every match of every rule that was not put in yet, with what is to be put in for it.
    fn search(
        &mut self,
        classes: &Classes<'_>,
        changed: &Changed,
        bound: &dyn Fn(&Dim) -> bool,
    ) -> Vec<Find> {
        let view = View(classes);
        let index = view.index();
        let mut finds = Vec::new();
        for number in 0..self.rules.len() {
            let Some(everywhere) = self.paces[number].begin() else { continue };
            let Ready { first, reach, .. } = &self.rules[number];
            let reach = reach.filter(|_| !everywhere);
            let roots = index.get(&(first.op.clone(), first.result)).into_iter().flatten();
            let roots = roots.filter(|root| reach.is_none_or(|reach| changed.within(**root, reach)));
            let mut left = self.limits.matches;
            for root in roots {
                if !self.search_at(&view, (number, *root), bound, (&mut finds, &mut left)) {
                    self.limit("matches", self.limits.matches);
                    self.paces[number].stumble();
                    break;
                }
            }
        }
        finds
    }

    /// Looks for one rule at one class; false if there are too many matches.
    fn search_at(
        &mut self,
        view: &View<'_, '_>,
        (number, root): (usize, Id),
        bound: &dyn Fn(&Dim) -> bool,
        (finds, left): (&mut Vec<Find>, &mut usize),
    ) -> bool {
        let Ready { rule, interchangeable, .. } = &self.rules[number];
        let mut search = Search::at(rule.patterns(), root);
        while let Some(found) = search.next(view) {
            let key = (number, found);
            let turned = |(a, b): &(usize, usize)| key.1.roots.get(*a) > key.1.roots.get(*b);
            if interchangeable.iter().any(turned) || self.done.contains(&key) {
                continue;
            }
            let Some(shown) = key.1.shown(view, bound) else { continue };
            match rule.rewrite(&shown) {
                Ok(new) if *left > 0 => {
                    *left -= 1;
                    finds.push((key.0, key.1, new));
                }
                Ok(_) => return false,
                Err(why) => drop(self.story.declined.entry((number, root)).or_insert(why)),
            }
        }
        true
    }

    /// Puts in what was found; false if the e-graph became too large.
    fn put(&mut self, classes: &mut Classes<'_>, finds: Vec<Find>) -> bool {
        for (rule, found, new) in finds {
            if classes.total_size() >= self.limits.nodes {
                self.limit("nodes", self.limits.nodes);
                return false;
            }
            match apply(classes, &found, &new) {
                Ok(put) => {
                    let fired = put.into_iter().map(|put| Fired { rule, root: put.root, node: put.node });
                    self.story.fired.extend(fired);
                }
                Err(why) => drop(self.story.declined.entry((rule, found.roots[0])).or_insert(why)),
            }
            self.done.insert((rule, found));
        }
        true
    }
}
