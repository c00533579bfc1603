//! Every rule of a graph: a text that breaks it, and the message.
mod toys;

use toys::{module, ops};
use weft_ir::verify::verify;
use weft_ir::{Attr, DType, Def, Dim, Graph, Module, Node, Stage, TensorType, Value};

/// What the verifier says, one breach a line.
fn breaches(module: &Module) -> String {
    let found = verify(module, &ops()).err().unwrap_or_default();
    found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// What it says of a graph with inputs `%x: f32[N]` and `%c: bool[]`.
fn check(stage: &str, body: &str) -> String {
    let first = body.lines().next().unwrap_or_default();
    let out = first.rsplit(" : ").next().unwrap_or_default();
    breaches(&module(&format!(
        "weft 1 {stage} graph @main(%x: f32[N], %c: bool[]) -> ({out}) {{{body}\nreturn %y}}"
    )))
}

#[test]
fn correct_graphs_pass() {
    assert_eq!(check("canonical", "%y = Relu(%x) : f32[N]"), "");
    assert_eq!(check("canonical", "%y = toy.All() : f32[N]"), "");
    assert_eq!(check("imported", "%y = Relu(%x) : f32[*]"), "");
    assert_eq!(check("imported", "%y = Relu(%x) : f32[7]"), "");
    assert_eq!(check("canonical", "%y = Relu(%x) : f32[?x.0]"), "");
    assert_eq!(
        check(
            "canonical",
            "%y = toy.If(%c, %x) : f32[N]
                region(%a: f32[N]) -> (f32[N]) { return %a }
                region(%a: f32[N]) -> (f32[N]) { %b = Relu(%a) : f32[N] return %b }"
        ),
        ""
    );
}

#[test]
fn each_rule_has_its_message() {
    for (stage, body, message) in RULES {
        assert_eq!(check(stage, body), *message, "{body}");
    }
}

const RULES: &[(&str, &str, &str)] = &[
    ("canonical", "%y = Add(%x) : f32[N]", "`Add` at `%y` in `main`, operand `B`: it is missing"),
    ("canonical", "%y = Add(_, %x) : f32[N]", "`Add` at `%y` in `main`, operand `A`: it is missing"),
    (
        "canonical",
        "%y = Relu(%x, %x) : f32[N]",
        "`Relu` at `%y` in `main`: expected at most 1 operand, found 2",
    ),
    (
        "canonical",
        "%y = Const() : f32[N]",
        "`Const` at `%y` in `main`, attribute `value`: expected a tensor, it is missing",
    ),
    (
        "canonical",
        "%y = Const() {value = f32[2]{1, 2}} : f32[3]",
        "`Const` at `%y` in `main`, value `%y`: it is declared as f32[3], but is f32[2]",
    ),
    (
        "imported",
        "%y = Const() {value = f32[2]{1, 2}} : i32[2]",
        "`Const` at `%y` in `main`, value `%y`: it is declared as i32[2], but is f32[2]",
    ),
    (
        "canonical",
        "%y = Relu(%x) : f32[N+1]",
        "`Relu` at `%y` in `main`, value `%y`: it is declared as f32[N+1], but is f32[N]",
    ),
    (
        "imported",
        "%y = Relu(%x) : f32[N, 1]",
        "`Relu` at `%y` in `main`, value `%y`: it is declared as f32[N, 1], but is f32[N]",
    ),
    (
        "canonical",
        "%y = Relu(%x) : f32[?]",
        "`Relu` at `%y` in `main`, value `%y`: stage canonical needs a name for every extent, found f32[?]",
    ),
    (
        "lowered",
        "%y = Relu(%x) : f32[*]",
        "`Relu` at `%y` in `main`, value `%y`: stage lowered needs the rank, found f32[*]",
    ),
    (
        "canonical",
        "%y = weft.Extents() {value = [N]} : i64[-1]",
        "`weft.Extents` at `%y` in `main`, value `%y`: an extent is negative in i64[-1]\n\
         `weft.Extents` at `%y` in `main`, value `%y`: it is declared as i64[-1], but is i64[1]",
    ),
    (
        "imported",
        "%y = toy.All() {tensor = f32[0, 3]{}} : f32[16777216, 8388608]",
        "`toy.All` at `%y` in `main`, value `%y`: expected fewer than 2^47 elements, \
         found f32[16777216, 8388608]\n\
         `toy.All` at `%y` in `main`, value `%y`: it is declared as f32[16777216, 8388608], but is f32[N]",
    ),
    (
        "canonical",
        "%y = toy.If(%c, %x) : f32[N]
            region(%a: f32[N]) -> (f32[N]) { return %a }",
        "`toy.If` at `%y` in `main`: expected 2 regions, found 1",
    ),
    (
        "canonical",
        "%y = toy.If(%c) : f32[N]
            region(%a: f32[N]) -> (f32[N]) { return %a }
            region(%a: f32[N]) -> (f32[N]) { return %a }",
        "`toy.If` at `%y` in `main`: region 0 takes 0 inputs, found 1",
    ),
    (
        "canonical",
        "%y = toy.If(%c, %x) : f32[N]
            region(%a: f32[N]) -> (f32[M]) { %b = Relu(%a) : f32[M] return %b }
            region(%a: f16[N]) -> (f16[N]) { return %a }",
        "`Relu` at `%b` in `main/y.0`, value `%b`: it is declared as f32[M], but is f32[N]\n\
         graph `main/y.1`, value `%a`: it is declared as f16[N], but is f32[N]",
    ),
    (
        "canonical",
        "%y = toy.If(%c, %x) : f32[N]
            region(%a: f32[N]) -> () { return }
            region(%a: f32[N]) -> (f32[N]) { return %a }",
        "`toy.If` at `%y` in `main`: the regions have different counts of outputs",
    ),
    (
        "canonical",
        "%y = toy.If(%c, %x) : f32[N]
            region(%a: f32[N]) -> (f32[N]) { return %a as \"out\" }
            region(%a: f32[N]) -> (f32[N], f32[N]) { return %a as \"out\", %a as \"out\" }",
        "graph `main/y.1`, output `out`: another output has this name\n\
         `toy.If` at `%y` in `main`: the regions have different counts of outputs",
    ),
];

fn floats() -> TensorType {
    TensorType::new(DType::F32, vec![Dim::symbol("N")])
}

fn node(op: &str, result: &str) -> Node {
    Node::new(op, vec![Def { name: result.to_string(), ty: floats() }])
}

#[test]
fn what_no_text_can_say() {
    let mut graph = Graph::new("main");
    let x = graph.add_input("x", floats());
    let a = graph.add(node("Relu", "a"), &[Some(x)]);
    let b = graph.add(node("Add", "b"), &[Some(x), Some(Value { node: a, slot: 3 })]);
    let c = graph.add(node("Relu", "x"), &[Some(Value { node: b, slot: 0 })]);
    let gone = graph.add(node("Relu", "gone"), &[Some(x)]);
    graph.add(node("Nonsense", "d"), &[Some(x)]);
    graph.add(node("Relu", "e").with("alpha", Attr::Float(1.0)), &[Some(x)]);
    graph.add(node("toy.All", "f").with("int", Attr::Ints(vec![1])), &[Some(x)]);
    graph.add(Node::new("Relu", Vec::new()), &[Some(x)]);
    graph.set_outputs(vec![Value { node: c, slot: 0 }, Value { node: gone, slot: 0 }]);
    graph.remove(gone);
    assert_eq!(
        breaches(&Module::new(Stage::Canonical, graph)),
        "`Relu` at `%x` in `main`, value `%x`: another value has this name\n\
         graph `main`, output `gone`: its value is not there\n\
         `Add` at `%b` in `main`, operand `B`: its value is not there\n\
         `Nonsense` at `%d` in `main`: no such operator\n\
         `Relu` at `%e` in `main`, attribute `alpha`: it is not known\n\
         `toy.All` at `%f` in `main`, attribute `int`: expected an integer, found integers\n\
         `Relu` at `%` in `main`: expected 1 result, found 0"
    );
}

#[test]
fn cycles_are_named_without_what_follows_them() {
    let mut graph = Graph::new("main");
    let x = graph.add_input("x", floats());
    let a = graph.add(node("Add", "a"), &[Some(x), Some(x)]);
    let b = graph.add(node("Relu", "b"), &[Some(Value { node: a, slot: 0 })]);
    let c = graph.add(node("Relu", "c"), &[Some(Value { node: b, slot: 0 })]);
    graph.set_operands(a, &[Some(x), Some(Value { node: b, slot: 0 })]);
    graph.set_outputs(vec![Value { node: c, slot: 0 }]);
    assert_eq!(
        breaches(&Module::new(Stage::Canonical, graph)),
        "graph `main`: these nodes wait for each other: `%a`, `%b`"
    );
}

#[test]
fn regions_nest_only_so_deep() {
    let mut graph = Graph::new("inner");
    for _ in 0..100 {
        let mut outer = Graph::new("main");
        let mut holder = node("toy.If", "y");
        holder.regions = vec![graph, Graph::new("")];
        let c = outer.add_input("c", TensorType::fixed(DType::Bool, &[]));
        outer.add(holder, &[Some(c)]);
        graph = outer;
    }
    let found = breaches(&Module::new(Stage::Canonical, graph));
    assert!(found.contains("regions nest deeper than 64"), "{found}");
}
