//! Finding every way in which the patterns of a rule fit a graph.
//!
//! The search keeps its choices on a stack of its own: operands of commutative operators either way
//! round, the place of a list within operands, the nodes that a further pattern may begin at.
use crate::binding::Binding;
use crate::nodes::{Pair, attributes, is_number, pairings};
use weft_ir::Value;
use weft_passes::Rewriter;
use weft_passes::rule::{Made, Pattern, Var};

/// The users of one value that are looked at for a further pattern, and the choices at one node.
const WIDEST: usize = 64;
const CHOICES: usize = 4096;

/// The ways in which the patterns of a rule fit a graph, one by one.
pub struct Search<'p> {
    patterns: &'p [Pattern],
    open: Vec<State<'p>>,
    /// How many choices may still be looked at.
    left: usize,
}

/// One way, as far as it was followed.
struct State<'p> {
    binding: Binding,
    todo: Vec<Pair<'p>>,
}

impl<'p> Search<'p> {
    /// The ways in which the first pattern is `root`.
    pub fn at(patterns: &'p [Pattern], root: Value) -> Self {
        let binding = Binding { roots: vec![root], ..Binding::default() };
        let first = patterns.first().map(|pattern| State { binding, todo: vec![(pattern, Some(root))] });
        Self { patterns, open: first.into_iter().collect(), left: CHOICES }
    }

    /// The next way, if there is one more.
    pub fn next(&mut self, g: &Rewriter<'_>) -> Option<Binding> {
        while let Some(mut state) = self.open.pop() {
            self.left = self.left.checked_sub(1)?;
            if let Some((pattern, value)) = state.todo.pop() {
                self.follow(g, state, pattern, value);
            } else if let Some(pattern) = self.patterns.get(state.binding.roots.len()) {
                self.begin(g, &state.binding, pattern);
            } else {
                return Some(state.binding);
            }
        }
        None
    }

    /// Goes on where one pattern meets one operand.
    fn follow(&mut self, g: &Rewriter<'_>, mut state: State<'p>, pattern: &'p Pattern, value: Option<Value>) {
        let fits = match (pattern, value) {
            (Pattern::Absent, value) => value.is_none(),
            (_, None) => false,
            (Pattern::Any(var), Some(value)) => state.binding.value(g, var, value),
            (Pattern::Number(number), Some(value)) => is_number(g, value, *number),
            (Pattern::Ints(wanted), Some(value)) => g.ints(value).is_some_and(|found| found == *wanted),
            (Pattern::Made(made), Some(value)) => return self.descend(g, state, made, value),
        };
        if fits {
            self.open.push(state);
        }
    }

    /// Goes on with the operands of a node.
    fn descend(&mut self, g: &Rewriter<'_>, mut state: State<'p>, made: &'p Made, value: Value) {
        let node = g.node(value.node);
        let named = |var: &Var, binding: &mut Binding| binding.value(g, var, value);
        if node.op != made.op
            || value.slot != made.result
            || !node.regions.is_empty()
            || !made.name.as_ref().is_none_or(|var| named(var, &mut state.binding))
            || !attributes(g, value, made, &mut state.binding)
        {
            return;
        }
        // The last one pushed is looked at first: the operands as they stand.
        for (binding, pairs) in pairings(g, value, made, &state.binding).into_iter().rev() {
            let todo = state.todo.iter().copied().chain(pairs.into_iter().rev()).collect();
            self.open.push(State { binding, todo });
        }
    }

    /// Goes on at every node at which a further pattern may begin: those that are computed from
    /// what a variable they have in common stands for.
    fn begin(&mut self, g: &Rewriter<'_>, binding: &Binding, pattern: &'p Pattern) {
        let Some((start, path)) = pattern.made().and_then(|made| anchor(made, binding)) else { return };
        let mut reached = vec![start];
        for made in path {
            let users = reached.iter().flat_map(|value| g.uses(*value).into_iter().take(WIDEST));
            let makes = |node: &weft_ir::NodeId| {
                let node = g.node(*node);
                node.op == made.op && (made.result as usize) < node.results.len()
            };
            let mut next: Vec<Value> = users
                .map(|(user, _)| user)
                .filter(makes)
                .map(|node| Value { node, slot: made.result })
                .collect();
            next.sort_unstable();
            next.dedup();
            reached = next;
        }
        for root in reached.into_iter().rev().filter(|root| !binding.roots.contains(root)) {
            let mut binding = binding.clone();
            binding.roots.push(root);
            self.open.push(State { binding, todo: vec![(pattern, Some(root))] });
        }
    }
}

/// A value that the pattern shares with what was found, nearest to its root, and the operators from
/// there up to the root.
fn anchor<'p>(root: &'p Made, binding: &Binding) -> Option<(Value, Vec<&'p Made>)> {
    let mut paths = vec![vec![root]];
    let mut next = 0;
    while let Some(path) = paths.get(next).cloned() {
        next += 1;
        let made = *path.last()?;
        let listed = [&made.front, &made.back].into_iter().flatten();
        let lists = listed.filter_map(|var| binding.lists.get(var)?.first());
        let values = made.operands.iter().filter_map(|operand| match operand {
            Pattern::Any(var) => binding.values.get(var),
            Pattern::Made(inner) => binding.values.get(inner.name.as_ref()?),
            _ => None,
        });
        if let Some(value) = values.chain(lists).next() {
            return Some((*value, path.into_iter().rev().collect()));
        }
        let inner = made.operands.iter().filter_map(Pattern::made);
        paths.extend(inner.map(|made| path.iter().copied().chain([made]).collect::<Vec<_>>()));
    }
    None
}
