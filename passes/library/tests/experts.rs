//! Routed experts merged by their shares, on calibration data that a test makes up.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
use std::sync::Arc;
use weft_interp::Interpreter;
use weft_ir::text::{NoWeights, Style, print};
use weft_ir::{Module, OpSet, Tensor, Value};
use weft_passes::{
    Budget, Manager, Measure, PassContext, PassError, Pipeline, Ready, Registry, Silent, Store, Tapped,
    TextPorts, VerifyEach, Visit,
};

const MODULE: &str = "weft 1 canonical
graph @main(%x: f32[4, 1]) -> (f32[4, 1]) {
    %wr = Const() {value = f32[1, 2]{1.0, -1.0}} : f32[1, 2]
    %scores = MatMul(%x, %wr) : f32[4, 2]
    %gates = Softmax(%scores) : f32[4, 2]
    %front = Const() {value = i64[1]{0}} : i64[1]
    %one = Unsqueeze(%x, %front) : f32[1, 4, 1]
    %w = Const() {value = f32[2, 1, 1]{1.0, 5.0}} : f32[2, 1, 1]
    %v = MatMul(%one, %w) : f32[2, 4, 1]
    %y = Einsum(%gates, %v) {equation = \"te,etd->td\"} : f32[4, 1]
    return %y
}
";

/// Calibration data on which the gates are these, row by row and input by input.
struct Gates(usize, &'static [&'static [f32]]);

impl Measure for Gates {
    fn describe(&self) -> String {
        format!("{} inputs", self.1.len())
    }

    fn stream(&self, module: &Module, groups: &[Vec<Value>], visit: &mut Visit<'_>) -> Result<(), PassError> {
        let names: Vec<&str> = groups.iter().flatten().map(|tap| module.graph.name_of(*tap)).collect();
        assert_eq!(names, ["gates"]);
        for (input, gates) in self.1.iter().enumerate() {
            let rows = gates.len() / self.0;
            let tapped = Tapped { group: 0, input, last: input + 1 == self.1.len() };
            visit(tapped, &[Tensor::from_slice(&[rows as u64, self.0 as u64], gates).unwrap()])?;
        }
        Ok(())
    }

    fn open(&self, _: &Module) -> Result<Arc<dyn Ready>, PassError> {
        Err(PassError::Failed("these data are gates alone".to_string()))
    }

    fn store(&self) -> Result<Box<dyn Store>, PassError> {
        Err(PassError::Failed("these data are gates alone".to_string()))
    }

    fn text(&self) -> Option<TextPorts> {
        None
    }
}

fn run(text: &str, routed: &str, measure: Option<&dyn Measure>) -> Result<Module, String> {
    let mut registry = Registry::new(weft_rules::read);
    registry.install(&weft_library::Library).unwrap();
    let pipeline: Pipeline = format!("merge-experts{{routed={routed}}}").parse().unwrap();
    let plan = pipeline.resolve(&registry).map_err(|errors| format!("{errors:?}"))?;
    let mut module = Module::parse(text, OpSet::builtin(), &NoWeights).unwrap();
    let context = PassContext { measure, ..PassContext::of(OpSet::builtin()) };
    let (observer, budget) = (&mut Silent, Budget::default());
    let mut manager = Manager { context, observer, budget, verify_each: VerifyEach::Yes };
    manager.run(&mut module, &plan).map_err(|error| error.to_string())?;
    Ok(module)
}

fn written(module: &Module) -> String {
    print(module, OpSet::builtin(), Style::default())
}

/// The same with three experts of which two are alike, and where the weights of the second are.
fn three(second: &str) -> String {
    let text = MODULE.replace("f32[1, 2]{1.0, -1.0}", "f32[1, 3]{1.0, -1.0, 0.5}");
    let text = text.replace("f32[1, 2]", "f32[1, 3]").replace("f32[4, 2]", "f32[4, 3]");
    let text = text.replace("{1.0, 5.0}", &format!("{{1.0, {second}, 5.0}}"));
    text.replace("f32[2, 1, 1]", "f32[3, 1, 1]").replace("f32[2, 4, 1]", "f32[3, 4, 1]")
}

fn computed(module: &Module) -> Vec<f64> {
    let x = Tensor::from_slice(&[4, 1], &[0.5f32, -1.0, 2.0, 0.25]).unwrap();
    let results = Interpreter::with_ops(OpSet::builtin()).run(module, &[Arc::new(x)]).unwrap();
    results[0].to_f64s().unwrap()
}

#[test]
fn experts_count_by_what_the_router_gave_them() {
    // Three quarters of 1 and a quarter of 5.
    let gates = Gates(2, &[&[0.5, 0.5, 1.0, 0.0], &[1.0, 0.0, 0.5, 0.5]]);
    let text = written(&run(MODULE, "frequency", Some(&gates)).unwrap());
    assert!(text.contains("f32[1, 1]{2.0}"), "{text}");
    assert!(!text.contains("Softmax"), "{text}");
}

#[test]
fn groups_are_of_experts_close_to_each_other() {
    let gates = Gates(3, &[&[0.25, 0.75, 0.0, 0.25, 0.75, 0.0]]);
    let text = written(&run(&three("2.0"), "cluster:2", Some(&gates)).unwrap());
    assert!(text.contains("f32[2, 1, 1]{1.75, 5.0}"), "{text}");
    assert!(text.contains("f32[2, 3]{1.0, 1.0, 0.0, 0.0, 0.0, 1.0}"), "{text}");
}

#[test]
fn groups_of_equal_experts_are_exact() {
    let gates = Gates(3, &[&[0.25, 0.75, 0.0]]);
    let text = three("1.0");
    let before = Module::parse(&text, OpSet::builtin(), &NoWeights).unwrap();
    let after = run(&text, "cluster:2", Some(&gates)).unwrap();
    assert!(written(&after).contains("f32[2, 4, 1]"), "{}", written(&after));
    for (found, expected) in computed(&after).into_iter().zip(computed(&before)) {
        assert!((found - expected).abs() < 1e-5, "{found} {expected}");
    }
}

#[test]
fn shares_without_calibration_data_are_an_error() {
    for routed in ["frequency", "cluster:2"] {
        let error = run(MODULE, routed, None).unwrap_err();
        assert_eq!(error, "pass `merge-experts`: no calibration data was lent to the pass");
    }
}
