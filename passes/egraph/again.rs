//! Where a rule has to be looked for again, and when.
//!
//! A match depends on the classes that a pattern reaches from its root, and on no others. So a rule
//! with one pattern is looked for only where something changed within its reach since the last
//! round. A rule with several patterns may find its second root anywhere, and is looked for
//! everywhere.
use crate::facts::Classes;
use crate::scene::View;
use egg::Id;
use std::collections::BTreeSet;
use std::mem::take;
use weft_passes::rule::Pattern;

/// The classes that changed, and those above them: place `n` has those that are at most `n` operators
/// above one that changed.
pub(crate) struct Changed(Vec<BTreeSet<Id>>);

impl Changed {
    /// What changed since this was last asked, and what is at most so many operators above it.
    pub(crate) fn take(classes: &mut Classes<'_>, levels: usize) -> Self {
        let changed = take(&mut classes.analysis.changed);
        let changed: BTreeSet<Id> = changed.into_iter().map(|id| classes.find(id)).collect();
        let view = View(classes);
        let (mut edge, mut all) = (changed.clone(), vec![changed]);
        for level in 0..levels {
            edge =
                edge.iter().flat_map(|id| above(&view, *id)).filter(|id| !all[level].contains(id)).collect();
            all.push(all[level].union(&edge).copied().collect());
        }
        Self(all)
    }

    /// Whether something changed that a pattern can reach from a class.
    pub(crate) fn within(&self, root: Id, reach: usize) -> bool {
        self.0.get(reach).is_some_and(|classes| classes.contains(&root))
    }
}

/// What is computed from a class by one operator: of an operator with several results also each.
fn above(view: &View<'_, '_>, id: Id) -> Vec<Id> {
    let mut found = view.users(id);
    let results: Vec<Id> = found.iter().flat_map(|user| view.users(*user)).collect();
    found.extend(results.into_iter().filter(|id| view.is_any_result(*id)));
    found
}

/// How many operators deep a pattern is.
pub(crate) fn depth(pattern: &Pattern) -> usize {
    let (mut deepest, mut open) = (0, vec![(pattern, 1)]);
    while let Some((pattern, level)) = open.pop() {
        if let Some(made) = pattern.made() {
            deepest = deepest.max(level);
            open.extend(made.operands.iter().map(|operand| (operand, level + 1)));
        }
    }
    deepest
}

/// When a rule is looked for.
///
/// A rule that has more matches in a round than it may have sits out a round, the next time two, and
/// so on, so that it leaves room for the others; then it is looked for everywhere.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// Rounds to sit out.
    wait: u32,
    /// How often it had too many matches.
    times: u32,
    /// Whether it has to be looked for where nothing changed, too.
    everywhere: bool,
}

impl Pace {
    /// Whether the rule is looked for in the round that begins; and if it is, whether everywhere.
    pub(crate) fn begin(&mut self) -> Option<bool> {
        match self.wait.checked_sub(1) {
            Some(wait) => {
                self.wait = wait;
                self.everywhere = true;
                None
            }
            None => Some(take(&mut self.everywhere)),
        }
    }

    /// The rule had too many matches.
    pub(crate) fn stumble(&mut self) {
        self.wait = 1 << self.times.min(8);
        self.times += 1;
        self.everywhere = true;
    }

    /// Lets the rule take part again at once; says whether it did not.
    pub(crate) fn wake(&mut self) -> bool {
        take(&mut self.wait) > 0 || self.everywhere
    }
}
