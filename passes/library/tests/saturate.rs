//! Saturation gives the same bytes whenever it is run, whatever limit stops it.
mod transformer;

use weft_ir::text::{NoWeights, Style, print};
use weft_ir::{Module, OpSet};
use weft_passes::rule::RuleSource;
use weft_passes::{
    Budget, Manager, Outcome, PassContext, Pipeline, Plugin, PluginInfo, RegisterError, Registrar, Registry,
    Silent, VerifyEach,
};

#[test]
fn the_same_graph_gives_the_same_bytes() {
    let text = transformer::text(2);
    let runs: Vec<String> = (0..3).map(|_| saturated(&text, "saturate{nodes=2000}")).collect();
    assert_eq!(runs[0], runs[1]);
    assert_eq!(runs[0], runs[2]);
}

#[test]
fn a_search_that_ends_by_itself_gives_them_too() {
    let text = transformer::text(4);
    let runs: Vec<String> = (0..3).map(|_| saturated(&text, "saturate{rules=transpose|reshape}")).collect();
    assert_eq!(runs[0], runs[1]);
    assert_eq!(runs[0], runs[2]);
    assert!(text.lines().count() > runs[0].lines().count());
}

#[test]
fn what_is_proven_to_be_the_cheapest_is_the_same_each_time() {
    let text = transformer::text(1);
    let runs: Vec<String> = (0..2).map(|_| saturated(&text, "saturate{nodes=1000,extract=ilp}")).collect();
    assert_eq!(runs[0], runs[1]);
}

#[test]
fn a_way_to_extract_that_nobody_has_is_refused() {
    let error = refusal("saturate{extract=cplex}", registry());
    assert!(error.contains("option `extract` takes `greedy` or `ilp`"), "{error}");
}

#[test]
fn rules_that_only_explore_are_not_for_the_greedy_engine() {
    let text = "/// Back.\nexplore rule back { match Neg(Sub(?x, ?y)) rewrite Sub(?y, ?x) }\n";
    let (family, file) = ("mine".to_string(), "mine.rules".to_string());
    let mut known = registry();
    known.install(&Mine(RuleSource { file, family, text: text.to_string() })).expect("the rules are valid");
    let error = refusal("rewrite{rules=mine}", known);
    assert!(error.contains("only explore") && error.contains("`saturate{rules=mine}`"), "{error}");
}

/// A plugin that brings rules.
struct Mine(RuleSource);

impl Plugin for Mine {
    fn info(&self) -> PluginInfo {
        PluginInfo { name: "mine", version: "1", summary: "rules" }
    }

    fn register(&self, registrar: &mut Registrar) -> Result<(), RegisterError> {
        registrar.rules(self.0.clone());
        Ok(())
    }
}

/// Why a pipeline does not resolve.
fn refusal(pipeline: &str, registry: Registry) -> String {
    let pipeline = pipeline.parse::<Pipeline>().expect("the pipeline is valid");
    let errors = pipeline.resolve(&registry).err().expect("an option is wrong");
    errors.iter().map(ToString::to_string).collect()
}

fn registry() -> Registry {
    let mut registry = Registry::new(weft_rules::read);
    registry.install(&weft_library::Library).expect("the library registers");
    registry
}

fn saturated(text: &str, pipeline: &str) -> String {
    let mut module = Module::parse(text, OpSet::builtin(), &NoWeights).expect("the graph is valid");
    let registry = registry();
    let plan = pipeline
        .parse::<Pipeline>()
        .expect("the pipeline is valid")
        .resolve(&registry)
        .expect("its passes are known");
    let context = PassContext::of(OpSet::builtin());
    let mut manager =
        Manager { context, observer: &mut Silent, budget: Budget::default(), verify_each: VerifyEach::Yes };
    assert_eq!(manager.run(&mut module, &plan).expect("saturation succeeds"), Outcome::Changed);
    print(&module, OpSet::builtin(), Style::default())
}
