//! Masks and rotations on a decoder of two layers whose heads share keys, run by the interpreter.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
mod calibrated;

use calibrated::{Calibrated, Data};
use std::sync::Arc;
use weft_interp::Interpreter;
use weft_ir::text::NoWeights;
use weft_ir::{Module, OpSet, Tensor, Value};
use weft_passes::{
    Budget, Manager, Measure, Outcome, PassContext, Pipeline, Registry, Silent, Tapped, VerifyEach,
};

/// One layer: 16 channels, two heads of 8 that share one pair of keys and values.
const LAYER: &str = "
%h = RMSNormalization(%r, %n1) : f32[B, S, 16]
%qs = MatMul(%h, %q) : f32[B, S, 16]
%ks = MatMul(%h, %k) : f32[B, S, 8]
%vs = MatMul(%h, %v) : f32[B, S, 8]
%kt = Transpose(%ks) {perm = [0, 2, 1]} : f32[B, 8, S]
%q1, %q2 = Split(%qs, %halves) {axis = 2} : f32[B, S, 8], f32[B, S, 8]
%s1 = MatMul(%q1, %kt) : f32[B, S, S]
%s2 = MatMul(%q2, %kt) : f32[B, S, S]
%p1 = Softmax(%s1) : f32[B, S, S]
%p2 = Softmax(%s2) : f32[B, S, S]
%c1 = MatMul(%p1, %vs) : f32[B, S, 8]
%c2 = MatMul(%p2, %vs) : f32[B, S, 8]
%c = Concat(%c1, %c2) {axis = 2} : f32[B, S, 16]
%a = MatMul(%c, %o) : f32[B, S, 16]
%ra = Add(%r, %a) : f32[B, S, 16]
%hm = RMSNormalization(%ra, %n2) : f32[B, S, 16]
%g0 = MatMul(%hm, %gate) : f32[B, S, 24]
%g1 = Swish(%g0) : f32[B, S, 24]
%u = MatMul(%hm, %up) : f32[B, S, 24]
%m = Mul(%g1, %u) : f32[B, S, 24]
%d = MatMul(%m, %down) : f32[B, S, 16]
%out = Add(%ra, %d) : f32[B, S, 16]
";
const WEIGHTS: &[(&str, &str)] = &[
    ("q", "f32[16, 16]"),
    ("k", "f32[16, 8]"),
    ("v", "f32[16, 8]"),
    ("o", "f32[16, 16]"),
    ("gate", "f32[16, 24]"),
    ("up", "f32[16, 24]"),
    ("down", "f32[24, 16]"),
    ("n1", "f32[16]"),
    ("n2", "f32[16]"),
];

fn decoder() -> Module {
    let (mut weights, mut nodes) = ("weight @e : f32[19, 16] = seeded(1)\n".to_string(), String::new());
    nodes += "    %e = Const() {value = @e} : f32[19, 16]\n";
    nodes += "    %halves = Const() {value = i64[2]{8, 8}} : i64[2]\n";
    nodes += "    %out.0 = Gather(%e, %ids) : f32[B, S, 16]\n";
    for layer in 1..=2 {
        for (number, (name, ty)) in WEIGHTS.iter().enumerate() {
            weights += &format!("weight @{name}.{layer} : {ty} = seeded({})\n", layer * 20 + number);
            nodes += &format!("    %{name}.{layer} = Const() {{value = @{name}.{layer}}} : {ty}\n");
        }
        for line in LAYER.trim().lines() {
            nodes += &format!("    {}\n", named(line, layer));
        }
    }
    weights += "weight @n3 : f32[16] = seeded(99)\n";
    nodes += "    %n3 = Const() {value = @n3} : f32[16]\n";
    nodes += "    %last = RMSNormalization(%out.2, %n3) : f32[B, S, 16]\n";
    nodes += "    %et = Transpose(%e) {perm = [1, 0]} : f32[16, 19]\n";
    nodes += "    %y = MatMul(%last, %et) : f32[B, S, 19]\n";
    let head = "graph @main(%ids: i64[B, S]) -> (f32[B, S, 19]) {";
    let text = format!("weft 1 canonical\n{weights}{head}\n{nodes}    return %y\n}}\n");
    Module::parse(&text, OpSet::builtin(), &NoWeights).unwrap()
}

/// A line of a layer with the number of the layer behind each name; `%r` is what the last one made.
fn named(line: &str, layer: usize) -> String {
    let mut parts = line.split('%');
    let mut text = parts.next().unwrap_or_default().to_string();
    for part in parts {
        let end = part.find(|c: char| !c.is_alphanumeric()).unwrap_or(part.len());
        text += &match &part[..end] {
            "r" => format!("%out.{}{}", layer - 1, &part[end..]),
            "halves" => format!("%halves{}", &part[end..]),
            name => format!("%{name}.{layer}{}", &part[end..]),
        };
    }
    text
}

fn ids() -> Arc<Tensor> {
    let ids: Vec<i64> = (0..34).map(|i| i * 7 % 19).collect();
    Arc::new(Tensor::from_slice(&[2, 17], &ids).unwrap())
}

/// Calibration data of one run.
struct Once;

impl Data for Once {
    fn inputs(&self) -> Vec<Vec<Tensor>> {
        vec![vec![(*ids()).clone()]]
    }
}

const ONCE: Calibrated<Once> = Calibrated(Once);

fn run(module: &mut Module, pipeline: &str) -> Outcome {
    let mut registry = Registry::new(weft_rules::read);
    registry.install(&weft_library::Library).unwrap();
    let plan =
        pipeline.parse::<Pipeline>().unwrap().resolve(&registry).map_err(|e| format!("{e:?}")).unwrap();
    let context = PassContext { measure: Some(&ONCE), ..PassContext::of(OpSet::builtin()) };
    let (mut observer, budget) = (Silent, Budget::default());
    let mut manager = Manager { context, observer: &mut observer, budget, verify_each: VerifyEach::Yes };
    manager.run(module, &plan).unwrap()
}

fn logits(module: &Module) -> Vec<f64> {
    Interpreter::default().run(module, &[ids()]).unwrap()[0].to_f64s().unwrap()
}

/// The root of the mean square of the difference beside that of the first.
fn apart(exact: &[f64], found: &[f64]) -> f64 {
    let square = |x: f64| x * x;
    let (mut off, mut all) = (0.0, 0.0);
    exact.iter().zip(found).for_each(|(a, b)| (off, all) = (off + square(a - b), all + square(*a)));
    (off / all).sqrt()
}

fn count(module: &Module, op: &str) -> usize {
    module.graph.nodes().filter(|id| module.graph.node(*id).op == op).count()
}

#[test]
fn rotations_are_exact() {
    let exact = decoder();
    // The second turn of the last layer is none; keys read half of the channels.
    let all = [
        ("per-layer", 3, 2),
        ("gate", 1, 0),
        ("global", 0, 0),
        ("per-layer,axes=all", 3, 0),
        ("gate,axes=all", 1, 0),
        ("global,axes=all", 0, 0),
    ];
    for (rotations, turns, slices) in all {
        let mut module = decoder();
        let pipeline = format!("orthogonalize{{rotations={rotations}}}");
        assert_eq!(run(&mut module, &pipeline), Outcome::Changed, "{rotations}");
        assert_eq!(count(&module, "MatMul"), count(&exact, "MatMul") + turns, "{rotations}");
        assert_eq!(count(&module, "Slice"), slices, "{rotations}");
        let error = apart(&logits(&exact), &logits(&module));
        assert!(error < 2e-6, "{rotations}: {error}");
        assert_eq!(run(&mut module, &pipeline), Outcome::Unchanged, "{rotations}");
    }
}

#[test]
fn limits_leave_the_share_that_was_asked_for() {
    let exact = logits(&decoder());
    for criterion in ["teal", "wina"] {
        let mut last = 0.0;
        for sparsity in [0.25, 0.5, 0.75] {
            let mut module = decoder();
            let pipeline = format!("sparsify-activations{{sparsity={sparsity},criterion={criterion}}}");
            assert_eq!(run(&mut module, &pipeline), Outcome::Changed);
            // All but the head, which makes an output.
            assert_eq!(count(&module, "Where"), 14);
            let masked: Vec<Value> = module
                .graph
                .nodes()
                .filter(|id| module.graph.node(*id).op == "Where")
                .map(|node| Value { node, slot: 0 })
                .collect();
            let first = masked[..3].to_vec();
            let mut zeros = 0.0;
            let mut all = 0.0;
            let visit = &mut |_: Tapped, values: &[Tensor]| {
                for value in values {
                    let numbers = value.to_vec::<f32>().unwrap();
                    zeros += numbers.iter().filter(|x| **x == 0.0).count() as f64;
                    all += numbers.len() as f64;
                }
                Ok(())
            };
            ONCE.stream(&module, &[first], visit).unwrap();
            assert!((zeros / all - sparsity).abs() < 0.02, "{criterion} {sparsity}: {}", zeros / all);
            let error = apart(&exact, &logits(&module));
            assert!(error > last && error < 1.0, "{criterion} {sparsity}: {error} after {last}");
            last = error;
            assert_eq!(run(&mut module, &pipeline), Outcome::Unchanged);
        }
    }
}

#[test]
fn a_prompt_may_stay_dense() {
    let mut module = decoder();
    assert_eq!(run(&mut module, "sparsify-activations{sparsity=0.75,prompt=dense}"), Outcome::Changed);
    assert!(apart(&logits(&decoder()), &logits(&module)) < 1e-6);
    let one = Arc::new(Tensor::from_slice(&[1, 1], &[3i64]).unwrap());
    let of = |module: &Module| {
        Interpreter::default().run(module, std::slice::from_ref(&one)).unwrap()[0].to_f64s().unwrap()
    };
    assert!(apart(&of(&decoder()), &of(&module)) > 1e-3);
}

/// How many inputs of masked layers are zero, by the place of their token in its sequence of 17.
fn zeros(module: &Module) -> Vec<usize> {
    let graph = &module.graph;
    let products = graph.nodes().filter(|id| graph.node(*id).op == "MatMul");
    let masked = products.filter_map(|id| graph.operand(id, 0)).filter(|a| graph.node(a.node).op == "Where");
    let (masked, mut zeros): (Vec<Value>, _) = (masked.collect(), vec![0; 17]);
    assert_eq!(masked.len(), 14);
    let visit = &mut |_: Tapped, values: &[Tensor]| {
        for value in values {
            let (numbers, width) = (value.to_vec::<f32>().unwrap(), *value.dims().last().unwrap() as usize);
            for (row, token) in numbers.chunks_exact(width).enumerate() {
                zeros[row % 17] += token.iter().filter(|x| **x == 0.0).count();
            }
        }
        Ok(())
    };
    ONCE.stream(module, &[masked], visit).unwrap();
    zeros
}

#[test]
fn the_first_tokens_of_a_prompt_may_stay_dense() {
    for form in ["threshold", "topk", "threshold,allocate=greedy"] {
        for first in [0, 1, 3] {
            let mut module = decoder();
            let pipeline = format!("sparsify-activations{{sparsity=0.75,prompt={first},form={form}}}");
            assert_eq!(run(&mut module, &pipeline), Outcome::Changed);
            let zeros = zeros(&module);
            assert!(zeros[..first].iter().all(|count| *count == 0), "{form} {first}: {zeros:?}");
            assert!(zeros[first..].iter().all(|count| *count > 0), "{form} {first}: {zeros:?}");
            // The share is that of the tokens that are masked.
            let inputs = 2 * 2 * (6 * 16 + 24) * (17 - first);
            let share = zeros.iter().sum::<usize>() as f64 / inputs as f64;
            assert!((share - 0.75).abs() < 0.1, "{form} {first}: {share}");
            let one = Arc::new(Tensor::from_slice(&[1, 1], &[3i64]).unwrap());
            let of = |module: &Module| {
                Interpreter::default().run(module, std::slice::from_ref(&one)).unwrap()[0].to_f64s().unwrap()
            };
            assert!(apart(&of(&decoder()), &of(&module)) > 1e-3, "{form} {first}");
        }
    }
}
