//! The pass that runs rules one after another wherever they fit.
use crate::replace::replace;
use crate::search::Search;
use std::collections::BTreeMap;
use std::sync::Arc;
use weft_ir::{Dim, NodeId, OpName, Value};
use weft_passes::rule::{Made, Pattern, RewriteRule};
use weft_passes::{Declined, Editor, Outcome, Pass, PassContext, PassError, Rewriter};

/// Runs rules wherever they fit, in the order of their names, until none fits any more or nodes
/// were visited too often.
pub struct Greedy {
    /// By the operator that the first pattern begins with.
    rules: BTreeMap<OpName, Vec<Named>>,
}

/// A rule and its name, as logs want it.
type Named = (Arc<str>, Arc<dyn RewriteRule>);

impl Greedy {
    /// The pass that runs these rules.
    pub fn new(rules: Vec<Arc<dyn RewriteRule>>) -> Self {
        let mut by_op: BTreeMap<OpName, Vec<Named>> = BTreeMap::new();
        for rule in rules {
            let Some(op) = rule.patterns().first().and_then(Pattern::made).map(|made| made.op.clone()) else {
                continue;
            };
            by_op.entry(op).or_default().push((rule.info().name.as_str().into(), rule));
        }
        Self { rules: by_op }
    }

    fn visit(&self, g: &mut Rewriter<'_>, id: NodeId) -> Result<(), Declined> {
        for (name, rule) in self.rules.get(&g.node(id).op).into_iter().flatten() {
            g.under(name);
            if attempt(g, id, &**rule) {
                break;
            }
        }
        Ok(())
    }
}

impl Pass for Greedy {
    fn run(&self, edit: &mut Editor<'_>, _: &PassContext<'_>) -> Result<Outcome, PassError> {
        edit.each_node(|g, id| self.visit(g, id))
    }
}

/// Tries one rule at one node; says whether it fired. Of several reasons why it did not, the first
/// is told.
fn attempt(g: &mut Rewriter<'_>, id: NodeId, rule: &dyn RewriteRule) -> bool {
    let slot = rule.patterns().first().and_then(Pattern::made).map_or(0, |made: &Made| made.result);
    if slot as usize >= g.node(id).results.len() {
        return false;
    }
    let mut search = Search::<Rewriter<'_>>::at(rule.patterns(), Value { node: id, slot });
    let mut first: Option<Declined> = None;
    while let Some(found) = search.next(g) {
        let answer = {
            let view: &Rewriter<'_> = g;
            let bound = |dim: &Dim| view.is_bound(dim);
            let Some(shown) = found.shown(view, &bound) else { continue };
            rule.rewrite(&shown)
        };
        match answer.and_then(|new| replace(g, &found, &new)) {
            Ok(true) => return true,
            Ok(false) => g.undo(),
            Err(why) => {
                g.undo();
                first.get_or_insert(why);
            }
        }
    }
    if let Some(why) = first {
        g.decline(&why);
    }
    false
}
