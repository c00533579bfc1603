//! Subgraphs see nothing but their inputs once they are regions.
use crate::proto::{GraphProto, ModelProto, NodeProto};
use crate::testing::*;
use weft_ir::Graph;

fn choice(then: GraphProto, otherwise: GraphProto) -> NodeProto {
    with_graph(with_graph(node("If", &["c"], &["y"]), "then_branch", then), "else_branch", otherwise)
}

fn imported(model: &ModelProto) -> Graph {
    import(model).unwrap_or_else(|error| panic!("{error}")).module.graph
}

/// The names of the inputs and the nodes of region `i` of the only node that has some.
fn region(graph: &Graph, i: usize) -> (Vec<String>, Vec<String>) {
    let node = graph.nodes().find(|id| !graph.node(*id).regions.is_empty()).unwrap();
    let region = &graph.node(node).regions[i];
    let inputs = region.inputs().iter().map(|id| region.node(*id).results[0].name.clone());
    (inputs.collect(), summary(region))
}

#[test]
fn both_branches_take_all_captures_and_repeat_constants() {
    let then = graph(&[], vec![node("Add", &["x", "w"], &["t"])], &["t"]);
    let otherwise = graph(&[], vec![node("Mul", &["a", "x"], &["t"])], &["t"]);
    let nodes = vec![node("Relu", &["x"], &["a"]), choice(then, otherwise)];
    let mut graph = graph(&["x", "c:bool[]"], nodes, &["y"]);
    graph.initializer.push(weight("w", &[3], &[1.0; 3]));
    let found = imported(&model(13, graph));
    assert_eq!(summary(&found), ["Relu(x) -> a : f32[2, 3]", "If(c, x, a) -> y : f32[2, 3]"]);
    let (inputs, nodes) = region(&found, 0);
    assert_eq!(inputs, ["x", "a"]);
    assert_eq!(
        nodes,
        ["Const() {value = [1.0, 1.0, 1.0]} -> y/w : f32[3]", "Add(x, y/w) -> y/t : f32[2, 3]"]
    );
    assert_eq!(region(&found, 1).1, ["Mul(a, x) -> y/t~1 : f32[2, 3]"]);
}

#[test]
fn nested_branches_capture_through_each_other() {
    let leaf = || graph(&[], vec![node("Relu", &["x"], &["r"])], &["r"]);
    let inner = NodeProto { output: vec!["t".to_string()], ..choice(leaf(), leaf()) };
    let then = graph(&[], vec![inner], &["t"]);
    let otherwise = graph(&[], vec![node("Neg", &["x"], &["t"])], &["t"]);
    let found = imported(&model(13, graph(&["x", "c:bool[]"], vec![choice(then, otherwise)], &["y"])));
    assert_eq!(summary(&found), ["If(c, c, x) -> y : f32[2, 3]"]);
    let (inputs, nodes) = region(&found, 0);
    assert_eq!(
        (inputs, nodes),
        (vec!["c".to_string(), "x".to_string()], vec!["If(c, x) -> y/t : f32[2, 3]".to_string()])
    );
}

#[test]
fn a_known_condition_takes_its_branch() {
    let then = graph(&[], vec![node("Neg", &["x"], &["t"])], &["t"]);
    let broken = graph(&[], vec![node("MatMul", &["x", "x"], &["e"])], &["e"]);
    let sizes = vec![
        node("Size", &["x"], &["n"]),
        node("Equal", &["n", "n"], &["c"]),
        choice(then, broken),
        node("Relu", &["y"], &["z"]),
    ];
    let found = lines(&model(13, graph(&["x"], sizes, &["z"])));
    assert_eq!(found[2..], ["Neg(x) -> y : f32[2, 3]", "Relu(y) -> z : f32[2, 3]"]);
}

#[test]
fn loops_carry_and_capture() {
    let body = graph(
        &["i:i64[]", "go:bool[]", "acc:f32[]"],
        vec![node("Add", &["acc", "x"], &["next"]), node("Identity", &["go"], &["still"])],
        &["still", "next", "next"],
    );
    let run = with_graph(node("Loop", &["n", "", "zero"], &["last", "all"]), "body", body);
    let mut graph = graph(&["n:i64[]", "x"], vec![run], &["last", "all"]);
    graph.initializer.push(weight("zero", &[2, 1], &[0.0; 2]));
    let found = imported(&model(13, graph));
    let (inputs, nodes) = region(&found, 0);
    assert_eq!(inputs, ["last/i", "last/go", "last/acc", "x"]);
    assert_eq!(nodes[0], "Add(last/acc, x) -> last/next : f32[2, 3]");
    assert!(summary(&found)[1].starts_with("Loop(n, _, zero, x) {carried = 1} -> last : f32["));
}

#[test]
fn scans_count_their_states() {
    let body = graph(&["s:f32[3]", "e:f32[3]"], vec![node("Add", &["s", "e"], &["t"])], &["t", "t"]);
    let run = with(
        with_graph(node("Scan", &["zero", "x"], &["last", "all"]), "body", body),
        int("num_scan_inputs", 1),
    );
    let mut graph = graph(&["x"], vec![run], &["last", "all"]);
    graph.initializer.push(weight("zero", &[3], &[0.0; 3]));
    let found = lines(&model(13, graph));
    assert!(found[1].starts_with("Scan(zero, x) {scanned = 1, states = 1} -> last : f32["), "{found:?}");
}

#[test]
fn what_is_wrong_inside_is_reported_with_its_path() {
    let then = graph(&[], vec![node("Odd", &["x"], &["t"])], &["t"]);
    let otherwise = graph(&[], vec![node("Relu", &["nowhere"], &["t"])], &["t"]);
    let call = |then: &GraphProto, otherwise: &GraphProto| {
        refusal(&model(13, graph(&["x", "c:bool[]"], vec![choice(then.clone(), otherwise.clone())], &["y"])))
    };
    assert!(call(&then, &otherwise).contains("`nowhere`, used in a subgraph, is not defined"));
    assert!(call(&then, &then).contains("`Odd` at `y/t`: not supported"));
    let short = graph(&[], vec![], &[]);
    assert!(call(&then, &short).contains("`else_branch` has 0 outputs, expected 1"));
    let taking = graph(&["more"], vec![node("Relu", &["x"], &["t"])], &["t"]);
    assert!(call(&taking, &taking).contains("region 0 takes 2 inputs, expected 1"));
}
