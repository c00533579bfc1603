//! How long saturation takes on graphs like those of transformers: `cargo bench --bench saturate`.
#[path = "../passes/library/tests/transformer/mod.rs"]
mod transformer;

use std::time::Instant;
use weft_ir::text::NoWeights;
use weft_ir::{Module, OpSet};
use weft_passes::{Budget, Manager, Observer, PassContext, VerifyEach};

/// What the search said.
#[derive(Default)]
struct Heard(Vec<String>);

impl Observer for Heard {
    fn limited(&mut self, _graph: &str, limit: &str) {
        self.0.push(limit.to_string());
    }
}

#[expect(clippy::print_stdout, reason = "the table is what the program is for")]
fn main() {
    let rules = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let pipeline = format!("saturate{{rules={}}}", rules.as_deref().unwrap_or("all"));
    println!("{pipeline}");
    for nodes in [200, 750, 1500, 3000] {
        let text = transformer::text(nodes / transformer::NODES + 1);
        let mut module = Module::parse(&text, OpSet::builtin(), &NoWeights).expect("the graph is valid");
        let before = module.graph.len();
        let start = Instant::now();
        let (rewrites, limits) = run(&mut module, &pipeline);
        let (seconds, after) = (start.elapsed().as_secs_f64(), module.graph.len());
        println!("{before} nodes: {seconds:.2} s, {after} nodes after {rewrites} rewrites; met {limits:?}");
    }
}

fn run(module: &mut Module, pipeline: &str) -> (u64, Vec<String>) {
    let driver = weft::Driver::new().expect("the library registers");
    let plan = driver.plan(pipeline).expect("the pipeline is valid");
    let context = PassContext::of(OpSet::builtin());
    let mut heard = Heard::default();
    let mut manager =
        Manager { context, observer: &mut heard, budget: Budget::default(), verify_each: VerifyEach::Yes };
    manager.run(module, &plan).expect("saturation succeeds");
    (manager.budget.done(), heard.0)
}
