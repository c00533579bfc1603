//! Operators of plugins: defined by graphs, interpreted, compiled, imported, and what is refused.
use crate::built;
use std::sync::Arc;
use weft::testing::seeded_inputs;
use weft::{Dims, Driver, OnnxForm, PassOptions, Quiet, Tolerance};
use weft_ir::text::{NoWeights, Style, print};
use weft_ir::{Module, Tensor};
use weft_passes::{Plugin, PluginInfo, RegisterError, Registrar};

const OPERATORS: &str = r#"
// A comment.

/// `(x + sqrt(x * x + b)) / 2`: a smooth
/// ramp.
operator acme.Squareplus(x) {b: float = 4.0}
graph @body(%x: f32[*]) -> (f32[*]) {
    // Texts like "$b" stay as they are.
    %b = Const() {value = $b.tensor} : f32[]
    %half = Const() {value = f32[]{0.5}} : f32[]
    %square = Mul(%x, %x) : f32[*]
    %sum = Add(%square, %b) : f32[*]
    %root = Sqrt(%sum) : f32[*]
    %both = Add(%x, %root) : f32[*]
    %y = Mul(%both, %half) : f32[*]
    return %y
}

/// The logarithm of the mean of exponentials along an axis, and the mean; moved if it is said by how much.
operator acme.LogMeanExp(x, by?) {axis: int, keep: int = 1}
graph @plain(%x: f32[*]) -> (f32[*], f32[*]) {
    %axes = Const() {value = $axis.tensor} : i64[]
    %one = Const() {value = i64[1]{1}} : i64[1]
    %list = Reshape(%axes, %one) : i64[1]
    %e = Exp(%x) : f32[*]
    %mean = ReduceMean(%e, %list) {keepdims = $keep} : f32[*]
    %y = Log(%mean) : f32[*]
    return %y, %mean
}
graph @moved(%x: f32[A, B], %by: f32[]) -> (f32[*], f32[*]) {
    %axes = Const() {value = $axis.tensor} : i64[]
    %one = Const() {value = i64[1]{1}} : i64[1]
    %list = Reshape(%axes, %one) : i64[1]
    %z = Add(%x, %by) : f32[A, B]
    %e = Exp(%z) : f32[A, B]
    %mean = ReduceMean(%e, %list) {keepdims = $keep} : f32[*]
    %y = Log(%mean) : f32[*]
    return %y, %mean
}
"#;

const MODULE: &str = "weft 1 canonical
graph @main(%x: f32[N, 3]) -> (f32[N, 3], f32[N], f32[N, 1]) {
    %a = acme.Squareplus(%x) : f32[N, 3]
    %b = acme.Squareplus(%a) {b = 1.5} : f32[N, 3]
    %c, %d = acme.LogMeanExp(%b) {axis = 1, keep = 0} : f32[N], f32[N]
    %k = Const() {value = f32[]{0.25}} : f32[]
    %e, %f = acme.LogMeanExp(%a, %k) {axis = 1} : f32[N, 1], f32[N, 1]
    return %b, %d, %e
}
";

struct Acme(&'static str);

impl Plugin for Acme {
    fn info(&self) -> PluginInfo {
        PluginInfo { name: "acme", version: "1.0", summary: "smooth ramps" }
    }

    fn register(&self, registrar: &mut Registrar) -> Result<(), RegisterError> {
        registrar.operators(self.0)
    }
}

fn driver() -> Driver {
    let mut driver = Driver::new().unwrap();
    driver.add(&Acme(OPERATORS)).unwrap();
    driver
}

fn module(driver: &Driver) -> Module {
    let module = Module::parse(MODULE, driver.ops(), &NoWeights).unwrap();
    weft_ir::verify::verify(&module, driver.ops()).unwrap();
    module
}

fn inputs(module: &Module) -> Vec<Arc<Tensor>> {
    seeded_inputs(module, &[("N".to_string(), 5)].into()).unwrap()
}

#[track_caller]
fn agree(expected: &[Tensor], found: &[Tensor]) {
    let tolerance = Tolerance { rtol: 1e-5, atol: 1e-5 };
    assert_eq!(expected.len(), found.len());
    expected.iter().zip(found).for_each(|(a, b)| tolerance.compare(a, b).unwrap());
}

fn optimised(driver: &Driver, module: &Module, pipeline: &str) -> Module {
    let mut module = module.clone();
    let plan = driver.plan(pipeline).unwrap();
    driver.optimise(&mut module, &plan, PassOptions::default(), &mut Quiet).unwrap();
    weft_ir::verify::verify(&module, driver.ops()).unwrap();
    module
}

#[test]
fn they_print_and_read_back() {
    let driver = driver();
    assert_eq!(print(&module(&driver), driver.ops(), Style::default()), MODULE);
}

#[test]
fn they_compute_what_they_stand_for() {
    let driver = driver();
    let module = module(&driver);
    let outputs = driver.interpret(module.clone()).run(&inputs(&module)).unwrap();
    let x = inputs(&module)[0].to_f64s().unwrap();
    let ramp = |x: f64, b: f64| (x + (x * x + b).sqrt()) / 2.0;
    let twice: Vec<f64> = x.iter().map(|x| ramp(ramp(*x, 4.0), 1.5)).collect();
    let mean: Vec<f64> = twice.chunks(3).map(|row| row.iter().map(|x| x.exp()).sum::<f64>() / 3.0).collect();
    let once = |x: f64| (ramp(x, 4.0) + 0.25).exp();
    let moved: Vec<f64> =
        x.chunks(3).map(|row| (row.iter().map(|x| once(*x)).sum::<f64>() / 3.0).ln()).collect();
    for (expected, found) in [twice, mean, moved].iter().zip(&outputs) {
        let found = found.to_f64s().unwrap();
        assert!(
            expected.iter().zip(&found).all(|(a, b)| (a - b).abs() < 1e-4 * a.abs().max(1.0)),
            "{found:?}"
        );
    }
}

#[test]
fn passes_take_them_apart() {
    let driver = driver();
    let before = module(&driver);
    let expected = driver.interpret(before.clone()).run(&inputs(&before)).unwrap();
    for pipeline in ["canonicalize", "O0", "O2"] {
        let after = optimised(&driver, &before, pipeline);
        let text = print(&after, driver.ops(), Style::default());
        assert!(!text.contains("acme"), "{text}");
        assert!(text.contains("return %b, %d, %e"), "the names stay\n{text}");
        agree(&expected, &driver.interpret(after).run(&inputs(&before)).unwrap());
    }
    // Until then they stay whole, for passes that know them.
    let cleaned = print(&optimised(&driver, &before, "clean"), driver.ops(), Style::default());
    assert!(cleaned.contains("acme.Squareplus(%a) {b = 1.5}"), "{cleaned}");
}

#[cfg(feature = "llvm")]
#[test]
fn they_compile() {
    let driver = driver();
    let before = module(&driver);
    let expected = driver.interpret(before.clone()).run(&inputs(&before)).unwrap();
    // Whatever the passes leave of them.
    for pipeline in ["O2", "clean"] {
        let model =
            weft::Model { path: "acme.weft".into(), module: before.clone(), report: Default::default() };
        let (cpu, pipeline) = ("x86-64-v3".to_string(), pipeline.to_string());
        let options = weft::CompileOptions { cpu, pipeline, ..Default::default() };
        let compiled = driver.prepare(model, &options, weft_load::Options::default(), &mut Quiet).unwrap();
        agree(&expected, &compiled.run(&inputs(&before)).unwrap());
    }
}

#[test]
fn they_are_read_from_onnx_by_their_domain() {
    let driver = driver();
    let before = module(&driver);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("acme.onnx");
    driver.write_onnx((&before, &Default::default()), &file, OnnxForm::default()).unwrap();
    let again = driver.read(&file, &Dims::new(), &mut Quiet).unwrap().module;
    let text = print(&again, driver.ops(), Style::default());
    assert!(text.contains("acme.Squareplus(%a) {b = 1.5}"), "{text}");
    let expected = driver.interpret(before.clone()).run(&inputs(&before)).unwrap();
    agree(&expected, &driver.interpret(again).run(&inputs(&before)).unwrap());
    let stranger = Driver::new().unwrap().read(&file, &Dims::new(), &mut Quiet).unwrap_err().to_string();
    assert!(stranger.contains("acme.Squareplus") || stranger.contains("Squareplus"), "{stranger}");
}

#[test]
fn libraries_see_those_of_others_and_bring_their_own() {
    let (_folder, library) =
        built::c("tests/plugins/faulty.c", &["-DOPERATORS=1", "-DFROM=\"Relu\"", "-DTO=\"Tanh\""]);
    let mut driver = driver();
    driver.load(&library).unwrap();
    driver.load(&built::cargo("unruly")).unwrap();
    let text = "weft 1 canonical
graph @main(%x: f32[N, 3]) -> (f32[N, 3]) {
    %two = Const() {value = f32[]{2.0}} : f32[]
    %a = acme.Squareplus(%x) : f32[N, 3]
    %b = faulty.Double(%a) : f32[N, 3]
    %c = Relu(%b) : f32[N, 3]
    %y = Mul(%c, %two) : f32[N, 3]
    return %y
}
";
    let module = Module::parse(text, driver.ops(), &NoWeights).unwrap();
    let after = print(&optimised(&driver, &module, "times,faulty"), driver.ops(), Style::default());
    assert!(after.contains("%b = faulty.Double(%a)") && after.contains("%c = Tanh(%b)"), "{after}");
    assert!(after.contains("f32[]{4.0}"), "{after}");
    let plain = print(&optimised(&driver, &module, "canonicalize"), driver.ops(), Style::default());
    assert!(plain.contains("%b = Add(%a, %a)"), "{plain}");
}

/// A definition is refused and the error says these.
#[track_caller]
fn refused(operators: &str, words: &[&str]) {
    let mut driver = Driver::new().unwrap();
    let text: &'static str = operators.to_string().leak();
    let message = driver.add(&Acme(text)).unwrap_err().to_string();
    for word in words {
        assert!(message.contains(word), "`{word}` is not in: {message}");
    }
    assert_eq!(driver.registry().operators().count(), 0);
}

#[test]
fn definitions_that_mean_nothing_are_refused_by_line() {
    let body = "graph @b(%x: f32[*]) -> (f32[*]) {\n    %y = Relu(%x) : f32[*]\n    return %y\n}\n";
    let with = |head: &str, body: &str| format!("/// A sentence.\n{head}\n{body}");
    refused(&with("operator Ramp(x)", body), &["line 2:10", "`Ramp` has no domain"]);
    refused(&with("operator a.B(x", body), &["line 2:15", "expected `,` or `)`"]);
    refused(&with("operator a.B(x) {b: number}", body), &["line 2:21", "expected `int`"]);
    refused(&with("operator a.B(x, x)", body), &["line 2:10", "`x` is there twice"]);
    refused(&with("operator a.B(z)", body), &["line 3:1", "input `%x` is no operand of `a.B`"]);
    refused(&with("operator a.B(x, z)", body), &["line 3:1", "operand `z` is no input"]);
    refused(&with("operator a.B(x)", ""), &["line 3:1", "expected `graph @body(`"]);
    refused(&with("operator a.B(x)", &body.replace("Relu", "Rulu")), &["line 4:10", "`Rulu`"]);
    refused(&with("operator a.B(x)", &body.replace("Relu", "Not")), &["line 3:1", "`Not`"]);
    refused(
        &with("operator a.B(x)", &body.replace("(%x)", "(%x) {q = $q}")),
        &["line 3:1", "`q` has no value"],
    );
    refused(&with("operator a.B(x)", &body.replace("\n}", "")), &["line 3:1", "no line `}`"]);
    refused("operator a.B(x)\n", &["line 1:1", "expected a sentence"]);
    refused(
        &with("operator com.microsoft.Gelu(X)", &body.replace("%x", "%X")),
        &["adds the operator `com.microsoft.Gelu`, a name that `weft` has taken"],
    );
}

#[test]
fn operands_that_no_body_fits_are_told() {
    let driver = driver();
    let wrong = |from: &str, to: &str| {
        let module = Module::parse(&MODULE.replace(from, to), driver.ops(), &NoWeights).unwrap();
        let breaches = weft_ir::verify::verify(&module, driver.ops()).unwrap_err();
        breaches.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let message = wrong("%x: f32[N, 3]", "%x: f64[N, 3]");
    assert!(message.contains("operand `x`: found f64[N, 3], expected f32[*]"), "{message}");
    let message = wrong("f32[]{0.25}} : f32[]", "f32[1]{0.25}} : f32[1]");
    assert!(message.contains("operand `by`: found f32[1], expected f32[]"), "{message}");
}
