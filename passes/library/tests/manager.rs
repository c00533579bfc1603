//! The manager seen from outside: pipelines as text, stopping after so many rewrites, stages.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
use weft_ir::text::NoWeights;
use weft_ir::{Module, OpSet};
use weft_passes::{
    Budget, Manager, Outcome, PassContext, Pipeline, PipelineInfo, RegisterError, Registry, RunError, Silent,
    VerifyEach,
};

const MODULE: &str = "weft 1 imported
graph @main(%x: f32[N, 4]) -> (f32[N, 4]) {
    %a = Identity(%x) : f32[N, 4]
    %b = Identity(%a) : f32[N, 4]
    %c = Identity(%b) : f32[N, 4]
    %y = Relu(%c) : f32[N, 4]
    return %y
}
";

fn registry() -> Registry {
    let mut registry = Registry::default();
    weft_library::register(&mut registry).unwrap();
    registry
}

fn run(pipeline: &str, budget: Budget) -> Result<(Outcome, usize, u64), RunError> {
    let plan =
        pipeline.parse::<Pipeline>().unwrap().resolve(&registry()).map_err(|e| format!("{e:?}")).unwrap();
    let mut module = Module::parse(MODULE, OpSet::builtin(), &NoWeights).unwrap();
    let context = PassContext { ops: OpSet::builtin(), evaluate: None, legality: None, cost: None };
    let mut observer = Silent;
    let mut manager = Manager { context, observer: &mut observer, budget, verify_each: VerifyEach::Yes };
    let outcome = manager.run(&mut module, &plan)?;
    Ok((outcome, module.graph.len(), manager.budget.done()))
}

#[test]
fn rewrites_stop_after_so_many() {
    let all = run("canonicalize,identities", Budget::default()).unwrap();
    assert_eq!(all, (Outcome::Changed, 1, 4));
    assert_eq!(run("canonicalize", Budget::at_most(0)).unwrap(), (Outcome::Unchanged, 4, 0));
    for limit in 1..4 {
        // The first rewrite is the step to the next stage.
        let stopped = run("canonicalize,identities", Budget::at_most(limit)).unwrap();
        assert_eq!(stopped, (Outcome::Changed, 5 - limit as usize, limit));
    }
}

#[test]
fn a_pass_refuses_a_stage_it_does_not_take() {
    let error = run("identities", Budget::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "pass `identities` takes modules in stage canonical to lowered, found stage imported"
    );
}

#[test]
fn a_pass_says_what_it_was_not_lent() {
    let error = run("canonicalize,fold-constants", Budget::default()).unwrap_err();
    assert_eq!(error.to_string(), "pass `fold-constants`: no evaluator was lent to the pass");
}

#[test]
fn everything_wrong_with_a_pipeline_is_told_at_once() {
    let pipeline: Pipeline =
        "ded-code,fold-constants{byte=1},fold-constants{bytes=many},O2{x=1}".parse().unwrap();
    let errors = pipeline.resolve(&registry()).err().unwrap();
    let errors: Vec<String> = errors.iter().map(|e| e.to_string()).collect();
    assert_eq!(
        errors,
        [
            "column 1: no pass or pipeline `ded-code`, did you mean `dead-code`?",
            "column 10: pass `fold-constants`: no option `byte`, did you mean `bytes`?",
            "column 33: pass `fold-constants`: option `bytes` cannot be `many`: expected a number",
            "column 60: pass `O2`: no option `x`",
        ]
    );
}

#[test]
fn names_are_registered_once_and_pipelines_after_their_parts() {
    let mut registry = registry();
    let taken = registry.add(weft_library::PASSES[0]).unwrap_err();
    assert_eq!(taken, RegisterError::Duplicate(weft_library::PASSES[0].name.to_string()));
    let itself = PipelineInfo { name: "own", summary: "contains itself.", steps: &["own"] };
    let broken = registry.add_pipeline(itself).unwrap_err();
    assert_eq!(broken.to_string(), "pipeline `own`: column 1: no pass or pipeline `own`");
}

#[test]
fn passes_are_listed_by_name_and_named_like_their_files() {
    let names: Vec<&str> = weft_library::PASSES.iter().map(|pass| pass.name).collect();
    assert!(names.is_sorted(), "{names:?}");
    for name in names {
        let file = format!("{}/{}.rs", env!("CARGO_MANIFEST_DIR"), name.replace('-', "_"));
        assert!(std::path::Path::new(&file).exists(), "{file}");
    }
}
