//! Routed experts merged by their shares, on calibration data that a test makes up.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
mod calibrated;

use calibrated::{Calibrated, Data, Opened};
use weft_ir::text::{NoWeights, Style, print};
use weft_ir::{Module, OpSet, Tensor};
use weft_passes::{
    Budget, ErrorBound, ErrorSum, LedgerEntry, Manager, Measure, Observer, PassContext, Pipeline, Ready,
    Registry, VerifyEach,
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

/// Calibration data on which the gates of so many experts are these, row by row and input by input.
struct Gates(usize, &'static [&'static [f32]]);

impl Data for Gates {
    fn inputs(&self) -> Vec<Vec<Tensor>> {
        self.1.iter().map(|_| vec![tokens()]).collect()
    }

    fn instead(&self, name: &str, input: usize) -> Option<Tensor> {
        let (experts, gates) = (self.0, self.1[input]);
        let dims = [(gates.len() / experts) as u64, experts as u64];
        (name == "gates").then(|| Tensor::from_slice(&dims, gates).unwrap())
    }
}

fn gates(experts: usize, rows: &'static [&'static [f32]]) -> Calibrated<Gates> {
    Calibrated(Gates(experts, rows))
}

fn tokens() -> Tensor {
    Tensor::from_slice(&[4, 1], &[0.5f32, -1.0, 2.0, 0.25]).unwrap()
}

/// Keeps the ledger.
#[derive(Default)]
struct Ledger(Vec<LedgerEntry>);

impl Observer for Ledger {
    fn lossy(&mut self, entry: &LedgerEntry) {
        self.0.push(entry.clone());
    }
}

fn run(text: &str, routed: &str, measure: Option<&dyn Measure>) -> Result<Module, String> {
    told(text, routed, measure, None).map(|(module, _)| module)
}

/// The module after the pass, and the ledger.
fn told(
    text: &str,
    routed: &str,
    measure: Option<&dyn Measure>,
    bound: Option<ErrorBound>,
) -> Result<(Module, Vec<LedgerEntry>), String> {
    let mut registry = Registry::new(weft_rules::read);
    registry.install(&weft_library::Library).unwrap();
    let pipeline: Pipeline = format!("merge-experts{{routed={routed}}}").parse().unwrap();
    let plan = pipeline.resolve(&registry).map_err(|errors| format!("{errors:?}"))?;
    let mut module = Module::parse(text, OpSet::builtin(), &NoWeights).unwrap();
    let context = PassContext { measure, bound, ..PassContext::of(OpSet::builtin()) };
    let (mut ledger, budget) = (Ledger::default(), Budget::default());
    let mut manager = Manager { context, observer: &mut ledger, budget, verify_each: VerifyEach::Yes };
    manager.run(&mut module, &plan).map_err(|error| error.to_string())?;
    Ok((module, ledger.0))
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
    Opened(module.clone()).run(&[tokens()]).unwrap()[0].to_f64s().unwrap()
}

#[test]
fn experts_count_by_what_the_router_gave_them() {
    // Three quarters of 1 and a quarter of 5.
    let gates = gates(2, &[&[0.5, 0.5, 1.0, 0.0], &[1.0, 0.0, 0.5, 0.5]]);
    let text = written(&run(MODULE, "frequency", Some(&gates)).unwrap());
    assert!(text.contains("f32[1, 1]{2.0}"), "{text}");
    assert!(!text.contains("Softmax"), "{text}");
}

#[test]
fn groups_are_of_experts_close_to_each_other() {
    let gates = gates(3, &[&[0.25, 0.75, 0.0, 0.25, 0.75, 0.0]]);
    let text = written(&run(&three("2.0"), "cluster:2", Some(&gates)).unwrap());
    assert!(text.contains("f32[2, 1, 1]{1.75, 5.0}"), "{text}");
    assert!(text.contains("f32[2, 3]{1.0, 1.0, 0.0, 0.0, 0.0, 1.0}"), "{text}");
}

#[test]
fn groups_of_equal_experts_are_exact() {
    let gates = gates(3, &[&[0.25, 0.75, 0.0]]);
    let text = three("1.0");
    let before = Module::parse(&text, OpSet::builtin(), &NoWeights).unwrap();
    let after = run(&text, "cluster:2", Some(&gates)).unwrap();
    assert!(written(&after).contains("f32[2, 4, 1]"), "{}", written(&after));
    for (found, expected) in computed(&after).into_iter().zip(computed(&before)) {
        assert!((found - expected).abs() < 1e-5, "{found} {expected}");
    }
}

#[test]
fn the_ledger_tells_the_error() {
    let gates = gates(2, &[&[0.5, 0.5]]);
    let of_weights = told(MODULE, "uniform", None, None).unwrap().1;
    // Weights of 1 and 5 that become 3.
    let (entry, line) = (&of_weights[0], &of_weights[0].layers[0]);
    assert_eq!((entry.pass.as_str(), line.layer.as_str(), entry.data.as_ref()), ("merge-experts", "y", None));
    assert_eq!(line.what, "2 routed experts averaged by 0.500, 0.500, at most 0.667 from the average");
    assert_eq!((line.error.relative_mse, line.error.max), (8.0 / 26.0, 2.0));
    let (module, of_outputs) = told(MODULE, "uniform", Some(&gates), None).unwrap();
    let expected = computed(&Module::parse(MODULE, OpSet::builtin(), &NoWeights).unwrap());
    let found = computed(&module);
    let mut sum = ErrorSum::default();
    sum.add_numbers(expected.into_iter().zip(found));
    let (layer, model) = (of_outputs[0].layers[0].error, of_outputs[0].model.unwrap().outputs);
    assert_eq!((layer, model), (sum.error(), sum.error()));
    assert!(layer.relative_mse > 0.01, "{layer:?}");
}

#[test]
fn a_bound_gives_experts_back() {
    let gates = gates(2, &[&[0.5, 0.5]]);
    for (bound, kept) in [("mse:0.001", true), ("mse:10", false)] {
        let (module, ledger) = told(MODULE, "uniform", Some(&gates), bound.parse().ok()).unwrap();
        assert_eq!(written(&module).contains("Softmax"), kept);
        assert_eq!(ledger[0].layers[0].backed_off, kept);
    }
}

#[test]
fn shares_without_calibration_data_are_an_error() {
    for routed in ["frequency", "cluster:2"] {
        let error = run(MODULE, routed, None).unwrap_err();
        assert!(error.contains("needs calibration data: give `--calibrate DATA`"), "{error}");
    }
}
