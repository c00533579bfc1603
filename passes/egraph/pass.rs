//! The pass that saturates every graph of a module.
use crate::choices::{Choices, Taken};
use crate::extract::extract;
use crate::extraction::Extraction;
use crate::improve::improve;
use crate::lift::{Lifted, lift};
use crate::lower::Form;
use crate::originals::{Originals, canonical};
use crate::saturate::{Engine, Limits, Story};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use weft_passes::rule::RewriteRule;
use weft_passes::{Cost, Declined, Editor, Outcome, Pass, PassContext, PassError, PlainCost, Rewriter};

/// Gives every graph the cheapest form that rules can give it.
pub struct Saturate {
    rules: Vec<Arc<dyn RewriteRule>>,
    limits: Limits,
    extraction: Extraction,
}

impl Saturate {
    /// The pass that runs these rules within these limits, and then takes what it finds this way.
    pub fn new(rules: Vec<Arc<dyn RewriteRule>>, limits: Limits, extraction: Extraction) -> Self {
        Self { rules, limits, extraction }
    }

    fn graph(&self, g: &mut Rewriter<'_>, cost: &dyn Cost) -> Result<(), PassError> {
        let Some(last) = g.order().last().copied() else { return Ok(()) };
        let mut lifted = lift(g);
        let story = Engine::new(&self.rules, self.limits).run(&mut lifted.classes, &|dim| g.is_bound(dim));
        story.limits.iter().for_each(|limit| g.limited(limit));
        let choices = Choices::new(&lifted.classes, &lifted.roots, cost);
        let originals = Originals::of(g, &lifted, &choices);
        tell_declined(g, &lifted, &choices, &originals, &story);
        let mut starts = vec![extract(&choices), originals.taken.clone()];
        starts.extend(self.exact(g, &choices));
        g.attempt(last, &mut |g, _| {
            if let Some(why) = &lifted.classes.analysis.contradiction {
                return Err(format!("a rule is wrong: {why}; look for it with `weft rules --check`").into());
            }
            let (cost, taken, order) = cheapest(&choices, &originals, &starts)?;
            let form =
                Form { lifted: &lifted, choices: &choices, originals: &originals, taken: &taken, order };
            form.lower(g)?;
            g.weighed(originals.cost, cost);
            tell_used(g, &form, &story);
            Ok(())
        })?;
        Ok(())
    }

    /// The form that is the cheapest for certain, if it is asked for; tells of the limit that was met.
    fn exact(&self, g: &mut Rewriter<'_>, choices: &Choices) -> Option<Taken> {
        let found = self.extraction.exact(choices)?;
        found.map_err(|limit| g.limited(&limit)).ok()
    }
}

impl Pass for Saturate {
    fn run(&self, edit: &mut Editor<'_>, cx: &PassContext<'_>) -> Result<Outcome, PassError> {
        let cost = cx.cost.unwrap_or(&PlainCost);
        edit.each_graph(|g| self.graph(g, cost))
    }
}

/// The cheapest form that was found and what it costs, if it is cheaper than the graph is.
///
/// Where the greedy choice went wrong, the form that the graph has may be the better start.
fn cheapest(
    choices: &Choices,
    originals: &Originals,
    starts: &[Taken],
) -> Result<(u64, Taken, Vec<usize>), Declined> {
    let mut best: Option<(u64, Taken)> = None;
    for mut taken in starts.iter().cloned() {
        let Some(cost) = improve(choices, &mut taken) else { continue };
        if cost < originals.cost && best.as_ref().is_none_or(|(least, _)| cost < *least) {
            best = Some((cost, taken));
        }
    }
    let (cost, taken) = best.ok_or("nothing cheaper was found")?;
    let order = choices.order(&taken).ok_or("the form would be computed from itself")?;
    Ok((cost, taken, order))
}

/// Tells of the rules that made what was chosen, and where.
fn tell_used(g: &mut Rewriter<'_>, form: &Form<'_, '_>, story: &Story) {
    let needed: BTreeSet<usize> = form.order.iter().copied().collect();
    let mut told = BTreeSet::new();
    for fired in &story.fired {
        let class = form.lifted.classes.find(fired.root);
        let Some(place) = form.choices.places.get(&class).filter(|place| needed.contains(place)) else {
            continue;
        };
        let node = fired.node.as_ref().map(|node| canonical(&form.lifted.classes, node));
        let chosen = form.choices.taken(form.taken, *place).map(|choice| &choice.node);
        let was_there = |node| form.originals.nodes.contains_key(&(*place, node));
        let used = match node {
            Some(node) => Some(&node) == chosen && !was_there(node),
            None => form.originals.values.get(place).is_some_and(|values| values.len() > 1),
        };
        let name = form.originals.values.get(place).and_then(|values| values.first());
        if let Some(value) = name.filter(|_| used && told.insert(*place)) {
            let name = g.name_of(*value).to_string();
            g.because(&story.rules[fired.rule], &name);
        }
    }
}

/// Tells why rules that found their places at values of the graph declined.
fn tell_declined(
    g: &mut Rewriter<'_>,
    lifted: &Lifted<'_>,
    choices: &Choices,
    originals: &Originals,
    story: &Story,
) {
    let mut reasons = BTreeMap::new();
    for ((rule, class), why) in &story.declined {
        let place = choices.places.get(&lifted.classes.find(*class));
        let value = place.and_then(|place| originals.values.get(place)?.first());
        if let Some(value) = value {
            reasons.entry((*value, *rule)).or_insert(why);
        }
    }
    for ((value, rule), why) in reasons {
        let name = g.name_of(value).to_string();
        g.declined(&story.rules[rule], &name, why);
    }
}
