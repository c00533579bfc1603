//! Functions are gone after the import, and cannot keep it busy for ever.
use crate::proto::attribute_proto::AttributeType;
use crate::proto::{FunctionProto, ModelProto, NodeProto};
use crate::testing::*;

fn function(name: &str, inputs: &[&str], nodes: Vec<NodeProto>, outputs: &[&str]) -> FunctionProto {
    let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    FunctionProto {
        name: Some(name.to_string()),
        domain: Some("own".to_string()),
        input: owned(inputs),
        output: owned(outputs),
        node: nodes,
        opset_import: vec![opset("", 18), opset("own", 1)],
        ..Default::default()
    }
}

fn call(name: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    NodeProto { domain: Some("own".to_string()), ..node(name, inputs, outputs) }
}

fn program(functions: Vec<FunctionProto>, nodes: Vec<NodeProto>) -> ModelProto {
    let mut model = model(13, graph(&["x"], nodes, &["y"]));
    model.opset_import.push(opset("own", 1));
    ModelProto { functions, ..model }
}

#[test]
fn bodies_stand_where_they_are_called() {
    let inner =
        function("Inner", &["a"], vec![node("Relu", &["a"], &["t"]), node("Neg", &["t"], &["r"])], &["r"]);
    let outer = function(
        "Outer",
        &["a", "b"],
        vec![call("Inner", &["a"], &["t"]), call("Inner", &["t"], &["r"])],
        &["r"],
    );
    let found = lines(&program(vec![inner, outer], vec![call("Outer", &["x", ""], &["y"])]));
    assert_eq!(
        found,
        [
            "Relu(x) -> y/t/t : f32[2, 3]",
            "Neg(y/t/t) -> y/t : f32[2, 3]",
            "Relu(y/t) -> y/r/t : f32[2, 3]",
            "Neg(y/r/t) -> y : f32[2, 3]",
        ]
    );
}

#[test]
fn attributes_are_handed_in() {
    let body =
        vec![with(node("LeakyRelu", &["a"], &["r"]), reference("alpha", "slope", AttributeType::Float))];
    let mut leaky = function("Leaky", &["a"], body, &["r"]);
    leaky.attribute = vec!["slope".to_string()];
    let given = with(call("Leaky", &["x"], &["y"]), float("slope", 0.5));
    assert_eq!(
        lines(&program(vec![leaky.clone()], vec![given])),
        ["LeakyRelu(x) {alpha = 0.5} -> y : f32[2, 3]"]
    );
    let absent = call("Leaky", &["x"], &["y"]);
    assert_eq!(lines(&program(vec![leaky.clone()], vec![absent.clone()])), ["LeakyRelu(x) -> y : f32[2, 3]"]);
    leaky.attribute_proto = vec![float("slope", 0.25)];
    assert_eq!(
        lines(&program(vec![leaky.clone()], vec![absent])),
        ["LeakyRelu(x) {alpha = 0.25} -> y : f32[2, 3]"]
    );
    let odd = with(call("Leaky", &["x"], &["y"]), float("other", 0.5));
    assert!(refusal(&program(vec![leaky], vec![odd])).contains("no attribute `other`"));
}

#[test]
fn functions_mean_their_own_opset() {
    // By opset 18 the axes are an operand, by that of the model an attribute.
    let body = vec![node("ReduceMax", &["a", "axes"], &["r"])];
    let most = function("Most", &["a", "axes"], body, &["r"]);
    let axes = with(node("Constant", &[], &["axes"]), ints("value_ints", &[0]));
    let found = lines(&program(vec![most], vec![axes, call("Most", &["x", "axes"], &["y"])]));
    assert_eq!(found[1], "ReduceMax(x, axes) -> y : f32[1, 3]");
}

#[test]
fn recursion_is_refused() {
    let one = function("One", &["a"], vec![call("Two", &["a"], &["r"])], &["r"]);
    let two = function("Two", &["a"], vec![call("One", &["a"], &["r"])], &["r"]);
    let found = refusal(&program(vec![one, two], vec![call("One", &["x"], &["y"])]));
    assert!(found.contains("`own.One` at `y/r/r`: invalid: function `own.One` calls itself"), "{found}");
}

#[test]
fn recursion_through_a_branch_is_refused() {
    let branch = graph(&[], vec![call("Self", &["a", "c"], &["t"])], &["t"]);
    let choice = with_graph(
        with_graph(node("If", &["c"], &["r"]), "then_branch", branch.clone()),
        "else_branch",
        branch,
    );
    let own = function("Self", &["a", "c"], vec![choice], &["r"]);
    let mut model = program(vec![own], vec![call("Self", &["x", "c"], &["y"])]);
    model.graph.as_mut().unwrap().input.push(port("c:bool[]"));
    assert!(refusal(&model).contains("calls itself"));
}

#[test]
fn doubling_functions_run_out_of_budget() {
    let name = |i: usize| format!("F{i}");
    let double = |i: usize| {
        let body = vec![call(&name(i + 1), &["a"], &["t"]), call(&name(i + 1), &["t"], &["r"])];
        function(&name(i), &["a"], body, &["r"])
    };
    let mut functions: Vec<_> = (0..40).map(double).collect();
    functions.push(function("F40", &["a"], vec![node("Relu", &["a"], &["r"])], &["r"]));
    assert!(refusal(&program(functions, vec![call("F0", &["x"], &["y"])])).contains("more than 40000 nodes"));
}
