//! Long chains: every pass takes time in proportion to the nodes, and no stack by the depth.
use std::sync::Arc;
use weft_ir::{Attr, DType, Def, Dim, Graph, Module, Node, OpSet, Stage, Tensor, TensorType, Value};
use weft_passes::{
    Budget, Manager, Observer, Outcome, PassContext, PassInfo, Pipeline, Registry, VerifyEach,
};

const LENGTH: usize = 20_000;

struct Chain {
    graph: Graph,
    last: Value,
}

impl Chain {
    fn add(&mut self, node: Node, more: &[Value]) {
        let operands: Vec<_> = [self.last].iter().chain(more).map(|v| Some(*v)).collect();
        let ty = TensorType::new(DType::F32, vec![Dim::symbol("N"), Dim::fixed(4)]);
        let mut node = node;
        node.results = vec![Def { name: format!("v{}", self.graph.len()), ty }];
        self.last = Value { node: self.graph.add(node, &operands), slot: 0 };
    }
}

fn scalar(graph: &mut Graph, name: &str, value: f32) -> Value {
    let ty = TensorType::new(DType::F32, Vec::new());
    let tensor = Arc::new(Tensor::scalar(value));
    let def = Def { name: name.to_string(), ty };
    let id = graph.add(Node::new("Const", vec![def]).with("value", Attr::Tensor(tensor)), &[]);
    Value { node: id, slot: 0 }
}

fn chain() -> Module {
    let mut graph = Graph::new("main");
    let ty = TensorType::new(DType::F32, vec![Dim::symbol("N"), Dim::fixed(4)]);
    let x = graph.add_input("x", ty);
    let (zero, two) = (scalar(&mut graph, "zero", 0.0), scalar(&mut graph, "two", 2.0));
    let mut chain = Chain { graph, last: x };
    for i in 0..LENGTH {
        match i % 5 {
            0 => chain.add(Node::new("Add", Vec::new()), &[zero]),
            1 => chain.add(Node::new("Mul", Vec::new()), &[two]),
            2 => chain.add(Node::new("Sigmoid", Vec::new()), &[]),
            3 => chain.add(Node::new("Identity", Vec::new()), &[]),
            _ => {
                let other = chain.last;
                chain.add(Node::new("Mul", Vec::new()), &[other]);
            }
        }
    }
    chain.graph.set_outputs(vec![chain.last]);
    Module::new(Stage::Canonical, chain.graph)
}

struct Times(std::time::Instant);

impl Observer for Times {
    fn before(&mut self, _: &PassInfo, _: &Module) {
        self.0 = std::time::Instant::now();
    }
    fn after(&mut self, pass: &PassInfo, module: &Module, _: Outcome) {
        eprintln!(
            "{:>8} ms, {:>6} nodes after {}",
            self.0.elapsed().as_millis(),
            module.graph.len(),
            pass.name
        );
    }
}

struct NoEvaluator;

impl weft_passes::Evaluate for NoEvaluator {
    fn evaluate(&self, _: &Node, _: &[Option<Arc<Tensor>>]) -> Result<Vec<Tensor>, String> {
        Err("nothing is evaluated here".to_string())
    }
}

#[test]
fn a_long_chain_takes_seconds() {
    let mut registry = Registry::new(weft_rules::read);
    registry.install(&weft_library::Library).expect("names are unique");
    let plan = "O3".parse::<Pipeline>().expect("it parses").resolve(&registry).map_err(|e| format!("{e:?}"));
    let mut module = chain();
    let mut times = Times(std::time::Instant::now());
    let context = PassContext { evaluate: Some(&NoEvaluator), ..PassContext::of(OpSet::builtin()) };
    let mut manager =
        Manager { context, observer: &mut times, budget: Budget::default(), verify_each: VerifyEach::No };
    let begin = std::time::Instant::now();
    manager.run(&mut module, &plan.expect("it resolves")).expect("it runs");
    assert!(begin.elapsed().as_secs() < 120, "it took {:?}", begin.elapsed());
    assert_eq!(module.graph.len(), 1 + LENGTH / 5 * 3, "identities and sums with zero are gone");
}
