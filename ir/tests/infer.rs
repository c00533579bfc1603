//! Inference over whole graphs, and the changes a graph allows: text in, text out.
mod toys;

use toys::{module, ops};
use weft_ir::infer::infer;
use weft_ir::text::{Style, print};
use weft_ir::{DType, Def, Graph, Node, NodeId, TensorType, Value};

/// The body of `main` after inference, or the problems.
fn inferred(text: &str) -> String {
    let mut module = module(text);
    match infer(&mut module.graph, &ops()) {
        Ok(_) => print(&module, &ops(), Style::default()),
        Err(problems) => problems.iter().map(|p| format!("{p}\n")).collect(),
    }
}

#[test]
fn types_are_written_and_unknown_extents_named() {
    let text = "weft 1 imported
graph @main(%x: f32[N, ?], %y: f32[M, 1], %c: bool[]) -> (f32[*], f32[?r.0]) {
    %sum = Add(%x, %y) : f32[*]
    %kept = Relu(%x) : f32[N, ?old.1]
    %r = toy.If(%c, %sum) : f32[?r.0]
        region(%a: f32[1]) -> (f32[1]) {
            return %a
        }
        region(%a: f32[1]) -> (f32[*]) {
            %b = Relu(%a) : f32[*]
            return %b
        }
    return %sum, %r
}
";
    let expected = "weft 1 imported
graph @main(%x: f32[N, ?x.1], %y: f32[M, 1], %c: bool[]) -> (f32[?sum.0, ?x.1], f32[?sum.0, ?x.1]) {
    %sum = Add(%x, %y) : f32[?sum.0, ?x.1]
    %kept = Relu(%x) : f32[N, ?x.1]
    %r = toy.If(%c, %sum) : f32[?sum.0, ?x.1]
        region(%a: f32[?sum.0, ?x.1]) -> (f32[?sum.0, ?x.1]) {
            return %a
        }
        region(%a: f32[?sum.0, ?x.1]) -> (f32[?sum.0, ?x.1]) {
            %b = Relu(%a) : f32[?sum.0, ?x.1]
            return %b
        }
    return %sum, %r
}
";
    assert_eq!(inferred(text), expected);
    assert_eq!(inferred(expected), expected);
}

#[test]
fn problems_are_told_once_and_where_they_are() {
    let text = "weft 1 imported graph @main(%x: f32[2], %y: f32[3], %c: bool[]) -> () {
        %bad = Add(%x, %y) : f32[*]
        %after = Relu(%bad) : f32[*]
        %r = toy.If(%c, %x, %y) : f32[*]
            region @then(%a: f32[2], %b: f32[3]) -> (f32[*]) { %n = Add(%a, %b) : f32[*] return %n }
            region(%a: f32[2], %b: f32[3]) -> (f32[2]) { return %a }
        %later = toy.Split() : f32[2]
        return }";
    let expected = "\
`Add` at `%bad` in `main`: extents 2 and 3 on axis 0 do not broadcast
`Add` at `%n` in `main/r.0`: extents 2 and 3 on axis 0 do not broadcast
`toy.Split` at `%later` in `main`: operand 0 `X` is missing
";
    assert_eq!(inferred(text), expected);
}

#[test]
fn loops_forget_the_extents_they_change() {
    let text = "weft 1 imported
graph @main(%n: i64[], %x: f32[2, 3]) -> (f32[?y.0, 3]) {
    %y = Loop(%n, _, %x) {carried = 1} : f32[?y.0, 3]
        region(%i: i64[], %k: bool[], %v: f32[?v.0, 3]) -> (bool[], f32[2*?v.0, 3]) {
            %w = Concat(%v, %v) {axis = 0} : f32[2*?v.0, 3]
            return %k, %w
        }
    return %y
}
";
    let unknown = text.replace("f32[?v.0, 3]", "f32[*]").replace("f32[2*?v.0, 3]", "f32[*]");
    assert_eq!(inferred(&unknown), text);
}

#[test]
fn loops_in_loops_end() {
    let mut body = "%w = Concat(%v, %v) {axis = 0} : f32[*]".to_string();
    for _ in 0..40 {
        body = format!(
            "%w = Loop(_, _, %v) {{carried = 1}} : f32[*]
            region(%i: i64[], %k: bool[], %v: f32[*]) -> (bool[], f32[*]) {{ {body} return %k, %w }}"
        );
    }
    let text = format!("weft 1 imported graph @main(%v: f32[2]) -> (f32[*]) {{ {body} return %w }}");
    inferred(&text);
}

const SMALL: &str = "weft 1 canonical graph @main(%x: f32[2]) -> (f32[2]) {
    %a = Relu(%x) : f32[2] %b = Relu(%a) : f32[2] %c = Add(%b, %a) : f32[2] return %c as \"out\" }";

fn named(graph: &Graph, name: &str) -> Value {
    let found = |id: &NodeId| graph.node(*id).label() == name;
    Value { node: graph.nodes().find(found).unwrap_or_else(|| panic!("no `{name}`")), slot: 0 }
}

fn body(graph: &Graph) -> String {
    let module = weft_ir::Module::new(weft_ir::Stage::Canonical, graph.clone());
    print(&module, &ops(), Style::default())
        .lines()
        .skip(2)
        .map(|line| format!("{}\n", line.trim()))
        .collect()
}

#[test]
fn a_replacement_takes_over_the_name() {
    let mut graph = module(SMALL).graph;
    let (a, b) = (named(&graph, "a"), named(&graph, "b"));
    let ty = TensorType::fixed(DType::F32, &[2]);
    let new = graph.add(Node::new("toy.Split", vec![Def { name: "new".to_string(), ty }]), &[Some(a)]);
    graph.replace(b, Value { node: new, slot: 0 });
    assert_eq!(graph.sweep(), 1);
    let expected = "%a = Relu(%x) : f32[2]\n%b = toy.Split(%a) : f32[2]\n%c = Add(%b, %a) : f32[2]\n\
        return %c as \"out\"\n}\n";
    assert_eq!(body(&graph), expected);
    assert_eq!(graph.fresh_name("b"), "b~1");
}

#[test]
fn identities_are_never_used_twice() {
    let mut graph = module(SMALL).graph;
    let (a, b) = (named(&graph, "a"), named(&graph, "b"));
    assert_eq!(graph.uses(a).len(), 2);
    graph.redirect(b, a);
    graph.remove(b.node);
    let ty = TensorType::fixed(DType::F32, &[2]);
    let new = graph.add(Node::new("Relu", vec![Def { name: "d".to_string(), ty }]), &[Some(a)]);
    assert!(new != b.node && !graph.contains(b.node) && graph.def(b).is_none());
    assert_eq!(graph.operands(named(&graph, "c").node), vec![Some(a), Some(a)]);
    let expected = "%a = Relu(%x) : f32[2]\n%c = Add(%a, %a) : f32[2]\n%d = Relu(%a) : f32[2]\n\
        return %c as \"out\"\n}\n";
    assert_eq!(body(&graph), expected);
}
