//! One rule on one instance.
use super::instance::Instance;
use super::{Counterexample, Run, compare};
use crate::Greedy;
use std::sync::Arc;
use weft_ir::text::{Style, print};
use weft_ir::{Module, OpSet, Value, verify};
use weft_passes::rule::RewriteRule;
use weft_passes::{
    Budget, Declined, Manager, Observer, Outcome, PassContext, PassInfo, PassKind, Plan, VerifyEach,
};

/// What became of one instance.
pub(crate) enum Trial {
    /// The rule did not fire, for the reason it gave.
    Declined(Option<String>),
    /// Both sides computed the same; the graph that the rule made.
    Agreed(Module),
    /// They did not.
    Wrong(Counterexample),
}

/// Remembers why a rule declined.
#[derive(Default)]
struct Reasons(Option<String>);

impl Observer for Reasons {
    fn declined(&mut self, _: &str, _: &str, why: &Declined) {
        self.0.get_or_insert_with(|| why.to_string());
    }
}

const INFO: PassInfo = PassInfo {
    name: "check",
    summary: "one rule, once",
    options: &[],
    kind: PassKind::Exact,
    accepts: (weft_ir::Stage::Canonical, weft_ir::Stage::Canonical),
    build: &|_| Ok(Box::new(Greedy::new(Vec::new()))),
};

pub(crate) fn run(rule: &Arc<dyn RewriteRule>, instance: &Instance, ops: &OpSet, run: Run<'_>) -> Trial {
    let mut reasons = Reasons::default();
    let after = match rewritten(rule, instance, ops, &mut reasons) {
        Ok(None) => return Trial::Declined(reasons.0),
        // What was made up must be a graph before it can prove anything.
        _ if verify::verify(&instance.module, ops).is_err() => return Trial::Declined(None),
        Ok(Some(after)) => after,
        Err(message) => return Trial::Wrong(counterexample(instance, &instance.module, ops, message)),
    };
    let Ok(expected) = run(&instance.module, &instance.inputs) else {
        // Numbers that the operators do not take, such as an index that is too large.
        return Trial::Declined(None);
    };
    let difference = match run(&after, &instance.inputs) {
        Ok(found) => compare::differ(&expected, &found),
        Err(message) => Some(message),
    };
    match difference {
        Some(difference) => Trial::Wrong(counterexample(instance, &after, ops, difference)),
        None => Trial::Agreed(after),
    }
}

/// What the rule makes of the instance when it fires once.
fn rewritten(
    rule: &Arc<dyn RewriteRule>,
    instance: &Instance,
    ops: &OpSet,
    observer: &mut dyn Observer,
) -> Result<Option<Module>, String> {
    let mut module = instance.module.clone();
    let context = PassContext::of(ops);
    let plan = Plan::of(INFO, Box::new(Greedy::new(vec![rule.clone()])));
    let mut manager = Manager { context, observer, budget: Budget::at_most(1), verify_each: VerifyEach::No };
    let outcome = manager.run(&mut module, &plan).map_err(|error| error.to_string())?;
    if outcome == Outcome::Unchanged {
        return Ok(None);
    }
    verify::verify(&module, ops).map_err(|breaches| {
        let breaches: Vec<String> = breaches.iter().map(ToString::to_string).collect();
        format!("the new graph breaks the rules: {}", breaches.join("; "))
    })?;
    Ok(Some(module))
}

pub(crate) fn text(module: &Module, ops: &OpSet) -> String {
    print(module, ops, Style::default())
}

fn counterexample(instance: &Instance, after: &Module, ops: &OpSet, difference: String) -> Counterexample {
    let graph = &instance.module.graph;
    let names = graph.inputs().iter().map(|id| graph.name_of(Value { node: *id, slot: 0 }).to_string());
    let inputs = names.zip(instance.inputs.iter().map(|tensor| (**tensor).clone())).collect();
    Counterexample { before: text(&instance.module, ops), after: text(after, ops), inputs, difference }
}
