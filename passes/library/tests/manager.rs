//! The manager seen from outside: pipelines as text, stopping after so many rewrites, stages.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
use weft_ir::text::NoWeights;
use weft_ir::{Module, OpSet};
use weft_passes::{
    Budget, Manager, Outcome, PassContext, PassInfo, Pipeline, PipelineInfo, Plugin, PluginInfo,
    RegisterError, Registrar, Registry, RunError, Silent, VerifyEach,
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
    let mut registry = Registry::new(weft_rules::read);
    registry.install(&weft_library::Library).unwrap();
    registry
}

fn run(pipeline: &str, budget: Budget) -> Result<(Outcome, usize, u64), RunError> {
    let plan =
        pipeline.parse::<Pipeline>().unwrap().resolve(&registry()).map_err(|e| format!("{e:?}")).unwrap();
    let mut module = Module::parse(MODULE, OpSet::builtin(), &NoWeights).unwrap();
    let context = PassContext::of(OpSet::builtin());
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

/// Adds one pass and one pipeline.
struct Guest(PluginInfo, PassInfo, PipelineInfo);

impl Plugin for Guest {
    fn info(&self) -> PluginInfo {
        self.0
    }

    fn register(&self, registrar: &mut Registrar) -> Result<(), RegisterError> {
        registrar.pass(self.1, "A guest.");
        registrar.pipeline(self.2);
        Ok(())
    }
}

/// A guest of these names; its pipeline consists of `step`.
fn guest(plugin: &'static str, pass: &'static str, step: &'static [&'static str]) -> Guest {
    let info = PluginInfo { name: plugin, version: "1.0", summary: "a guest." };
    let (mut renamed, _) = weft_library::PASSES[0];
    renamed.name = pass;
    Guest(info, renamed, PipelineInfo { name: "own", summary: "its own.", steps: step })
}

#[test]
fn plugins_add_names_and_take_none() {
    let mut registry = registry();
    let before: Vec<_> = registry.passes().map(|pass| pass.name).collect();
    let mut refuse = |guest: Guest| registry.install(&guest).unwrap_err().to_string();
    assert_eq!(
        [
            refuse(guest("guest", "dead-code", &[])),
            refuse(guest("guest", "own", &[])),
            refuse(guest("guest", "fixpoint", &[])),
            refuse(guest("guest", "two words", &[])),
            refuse(guest("guest", "mine", &["own"])),
            refuse(guest("weft", "mine", &[])),
        ],
        [
            "plugin `guest` adds the pass or pipeline `dead-code`, a name that `weft` has taken",
            "plugin `guest` adds two things of the name `own`, the second as pass or pipeline",
            "plugin `guest` adds the pass or pipeline `fixpoint`, a name that `weft` has taken",
            "plugin `guest` adds `two words`, expected a name of letters, digits, `-`, `_` and `.`",
            "pipeline `own`: column 1: no pass or pipeline `own`",
            "two plugins are named `weft`, version 0.1.0 and 1.0; one of them has to go",
        ]
    );
    assert_eq!(
        registry.passes().map(|pass| pass.name).collect::<Vec<_>>(),
        before,
        "nothing was left behind"
    );
    registry.install(&guest("guest", "mine", &["mine", "O1"])).unwrap();
    let added: Vec<_> = registry.plugins()[1].added.iter().map(|added| added.name.to_string()).collect();
    assert_eq!((registry.plugins().len(), added), (2, vec!["mine".to_string(), "own".to_string()]));
}

#[test]
fn passes_are_listed_by_name_and_named_like_their_files() {
    let names: Vec<&str> = weft_library::PASSES.iter().map(|(pass, _)| pass.name).collect();
    assert!(names.is_sorted(), "{names:?}");
    for name in names {
        let file = format!("{}/{}.rs", env!("CARGO_MANIFEST_DIR"), name.replace('-', "_"));
        assert!(std::path::Path::new(&file).exists(), "{file}");
    }
}
