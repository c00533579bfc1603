//! Routed experts merged by their shares, on calibration data that a test makes up.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
use weft_ir::text::{NoWeights, Style, print};
use weft_ir::{Module, OpSet, Tensor, Value};
use weft_passes::{Budget, Manager, Measure, PassContext, PassError, Pipeline, Registry, Silent, VerifyEach};

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

/// Two inputs whose gates are always the same.
struct Gates;

impl Measure for Gates {
    fn describe(&self) -> String {
        "2 inputs".to_string()
    }

    fn stream(
        &self,
        module: &Module,
        taps: &[Value],
        visit: &mut dyn FnMut(&[Tensor]) -> Result<(), PassError>,
    ) -> Result<(), PassError> {
        let names: Vec<&str> = taps.iter().map(|tap| module.graph.name_of(*tap)).collect();
        assert_eq!(names, ["gates"]);
        for gates in [[0.5f32, 0.5, 1.0, 0.0], [1.0, 0.0, 0.5, 0.5]] {
            visit(&[Tensor::from_slice(&[2, 2], &gates).unwrap()])?;
        }
        Ok(())
    }
}

fn run(measure: Option<&dyn Measure>) -> Result<String, String> {
    let mut registry = Registry::new(weft_rules::read);
    registry.install(&weft_library::Library).unwrap();
    let pipeline: Pipeline = "merge-experts{routed=frequency}".parse().unwrap();
    let plan = pipeline.resolve(&registry).map_err(|errors| format!("{errors:?}"))?;
    let mut module = Module::parse(MODULE, OpSet::builtin(), &NoWeights).unwrap();
    let context = PassContext { measure, ..PassContext::of(OpSet::builtin()) };
    let (observer, budget) = (&mut Silent, Budget::default());
    let mut manager = Manager { context, observer, budget, verify_each: VerifyEach::Yes };
    manager.run(&mut module, &plan).map_err(|error| error.to_string())?;
    Ok(print(&module, OpSet::builtin(), Style::default()))
}

#[test]
fn experts_count_by_what_the_router_gave_them() {
    // Three quarters of 1 and a quarter of 5.
    let text = run(Some(&Gates)).unwrap();
    assert!(text.contains("f32[1, 1]{2.0}"), "{text}");
    assert!(!text.contains("Softmax"), "{text}");
}

#[test]
fn shares_without_calibration_data_are_an_error() {
    let error = run(None).unwrap_err();
    assert_eq!(error, "pass `merge-experts`: no calibration data was lent to the pass");
}
