//! Finding every way in which the patterns of a rule fit a scene.
//!
//! The search keeps its choices on a stack of its own: operands of commutative operators either way
//! round, the place of a list within operands, the nodes that a further pattern may begin at.
use crate::binding::Binding;
use crate::nodes::{Pair, attributes, is_number, pairings};
use crate::scene::{Maker, Scene};
use weft_ir::Fact;
use weft_passes::rule::{Made, Pattern, Var};

/// The choices at one node.
const CHOICES: usize = 4096;

/// The ways in which the patterns of a rule fit a scene, one by one.
pub struct Search<'p, S: Scene> {
    patterns: &'p [Pattern],
    open: Vec<State<'p, S::Value>>,
    /// How many choices may still be looked at.
    left: usize,
}

/// One way, as far as it was followed.
struct State<'p, V> {
    binding: Binding<V>,
    todo: Vec<Pair<'p, V>>,
}

impl<'p, S: Scene> Search<'p, S> {
    /// The ways in which the first pattern is `root`.
    pub fn at(patterns: &'p [Pattern], root: S::Value) -> Self {
        let binding = Binding::at(root);
        let first = patterns.first().map(|pattern| State { binding, todo: vec![(pattern, Some(root))] });
        Self { patterns, open: first.into_iter().collect(), left: CHOICES }
    }

    /// The next way, if there is one more.
    pub fn next(&mut self, scene: &S) -> Option<Binding<S::Value>> {
        while let Some(mut state) = self.open.pop() {
            self.left = self.left.checked_sub(1)?;
            if let Some((pattern, value)) = state.todo.pop() {
                self.follow(scene, state, pattern, value);
            } else if let Some(pattern) = self.patterns.get(state.binding.roots.len()) {
                self.begin(scene, &state.binding, pattern);
            } else {
                return Some(state.binding);
            }
        }
        None
    }

    /// Goes on where one pattern meets one operand.
    fn follow(
        &mut self,
        scene: &S,
        mut state: State<'p, S::Value>,
        pattern: &'p Pattern,
        value: Option<S::Value>,
    ) {
        let fits = match (pattern, value) {
            (Pattern::Absent, value) => value.is_none(),
            (_, None) => false,
            (Pattern::Any(var), Some(value)) => state.binding.value(scene, var, value),
            (Pattern::Number(number), Some(value)) => {
                scene.fact(value).is_some_and(|fact| is_number(fact, *number))
            }
            (Pattern::Ints(wanted), Some(value)) => {
                scene.fact(value).and_then(integers).is_some_and(|found| found == *wanted)
            }
            (Pattern::Made(made), Some(value)) => {
                for maker in scene.makers(value, made).into_iter().rev() {
                    self.descend(scene, &state, made, (value, maker));
                }
                return;
            }
        };
        if fits {
            self.open.push(state);
        }
    }

    /// Goes on with the operands of what makes a value.
    fn descend(
        &mut self,
        scene: &S,
        state: &State<'p, S::Value>,
        made: &'p Made,
        (value, maker): (S::Value, Maker<'_, S::Value>),
    ) {
        let mut binding = state.binding.clone();
        let mut named = |var: &Var| binding.value(scene, var, value);
        if !made.name.as_ref().is_none_or(&mut named) || !attributes(scene, &maker, made, &mut binding) {
            return;
        }
        // The last one pushed is looked at first: the operands as they stand.
        for (binding, pairs) in pairings(scene, maker.operands, made, &binding).into_iter().rev() {
            let todo = state.todo.iter().copied().chain(pairs.into_iter().rev()).collect();
            self.open.push(State { binding, todo });
        }
    }

    /// Goes on at every value at which a further pattern may begin: those that are computed from
    /// what a variable they have in common stands for.
    fn begin(&mut self, scene: &S, binding: &Binding<S::Value>, pattern: &'p Pattern) {
        let Some((start, path)) = pattern.made().and_then(|made| anchor(made, binding)) else { return };
        let mut reached = vec![start];
        for made in path {
            reached = reached.iter().flat_map(|value| scene.made_of(*value, made)).collect();
            reached.sort_unstable();
            reached.dedup();
        }
        for root in reached.into_iter().rev().filter(|root| !binding.roots.contains(root)) {
            let mut binding = binding.clone();
            binding.roots.push(root);
            self.open.push(State { binding, todo: vec![(pattern, Some(root))] });
        }
    }
}

/// The elements of an integer vector or of any constant of integers, where all are known.
fn integers(fact: &Fact) -> Option<Vec<i64>> {
    fact.ints().or_else(|| fact.constant.as_ref()?.to_i64s())
}

/// A value that the pattern shares with what was found, nearest to its root, and the operators from
/// there up to the root.
fn anchor<'p, V: Copy>(root: &'p Made, binding: &Binding<V>) -> Option<(V, Vec<&'p Made>)> {
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
