//! What is written can be read, and says the same.
use super::write;
use crate::proto::{GraphProto, ModelProto};
use crate::testing::*;
use crate::{Onnx, read};
use prost::Message;
use weft_frontend::{Frontend, Import, Source};
use weft_ir::text::NoWeights;
use weft_ir::{Module, OpSet};

fn written(module: &Module) -> ModelProto {
    let bytes = write(module, OpSet::builtin()).unwrap_or_else(|error| panic!("{error}"));
    ModelProto::decode(&bytes[..]).unwrap()
}

fn read_again(module: &Module) -> Import {
    let bytes = write(module, OpSet::builtin()).unwrap_or_else(|error| panic!("{error}"));
    Onnx::default()
        .read(&Source::memory("again.onnx", bytes.into()))
        .unwrap_or_else(|error| panic!("{error}"))
}

/// Written and read again, the program has the same nodes and interface.
fn same_again(model: &ModelProto) {
    let before = import(model).unwrap().module;
    let after = read_again(&before).module;
    assert_eq!(summary(&after.graph), summary(&before.graph));
    assert_eq!(after.graph.output_names(), before.graph.output_names());
}

fn parsed(text: &str) -> Module {
    Module::parse(text, OpSet::builtin(), &NoWeights).unwrap_or_else(|error| panic!("{error:?}"))
}

#[test]
fn nodes_names_and_symbols_survive() {
    let nodes = vec![
        node("Add", &["x", "w"], &["a"]),
        with(node("LeakyRelu", &["a"], &["b"]), float("alpha", 0.1)),
        with(node("Transpose", &["b"], &["y"]), ints("perm", &[1, 0])),
    ];
    let initializer = vec![weight("w", &[3], &[1.0, 2.0, 3.0])];
    same_again(&model(13, GraphProto { initializer, ..graph(&["x:f32[N, 3]"], nodes, &["y", "b"]) }));
}

#[test]
fn inputs_constants_and_repeated_values_may_go_out() {
    let initializer = vec![weight("w", &[3], &[1.0, 2.0, 3.0])];
    let graph = GraphProto {
        initializer,
        ..graph(&["x"], vec![node("Relu", &["x"], &["y"])], &["x", "w", "y", "y"])
    };
    let module = import(&model(13, graph)).unwrap().module;
    let again = read_again(&module).module;
    assert_eq!(again.graph.output_names(), ["x", "w", "y", "y~1"]);
    assert_eq!(summary(&again.graph).len(), 4, "{:?}", summary(&again.graph));
}

#[test]
fn captures_become_names_again() {
    let leaf = |op: &str| graph(&[], vec![node(op, &["a", "w"], &["t"])], &["t"]);
    let choice = with_graph(
        with_graph(node("If", &["c"], &["y"]), "then_branch", leaf("Add")),
        "else_branch",
        leaf("Mul"),
    );
    let body = graph(
        &["i:i64[]", "go:bool[]", "acc:f32[2, 3]"],
        vec![node("Add", &["acc", "a"], &["next"]), node("Identity", &["go"], &["still"])],
        &["still", "next", "next"],
    );
    let run = with_graph(node("Loop", &["n", "", "y"], &["last", "all"]), "body", body);
    let scan_body = graph(&["s:f32[3]", "e:f32[3]"], vec![node("Add", &["s", "e"], &["u"])], &["u", "u"]);
    let scan = with(
        with_graph(node("Scan", &["w", "a"], &["end", "path"]), "body", scan_body),
        int("num_scan_inputs", 1),
    );
    let nodes = vec![node("Relu", &["x"], &["a"]), choice, run, scan];
    let mut graph = graph(&["x", "c:bool[]", "n:i64[]"], nodes, &["last", "all", "end", "path"]);
    graph.initializer.push(weight("w", &[3], &[1.0; 3]));
    same_again(&model(13, graph));
}

#[test]
fn extents_are_computed_from_shapes() {
    let module = parsed(
        "weft 1 canonical\n\
         graph @main(%x: f32[N, 2*N+1]) -> (i64[4]) {\n    \
             %e = weft.Extents() {value = [2, N, 3*N+1, N/2]} : i64[4]\n    \
             return %e\n}\n",
    );
    let model = written(&module);
    let ops: Vec<_> = model.graph.iter().flat_map(|g| &g.node).map(|n| n.op_type().to_string()).collect();
    assert_eq!(ops, ["Shape", "Shape", "Mul", "Add", "Shape", "Mod", "Sub", "Div", "Concat"]);
    let again = read(&Source::memory("m", model.encode_to_vec().into())).unwrap().module;
    let value = again.graph.outputs()[0];
    assert_eq!((again.graph.name_of(value), again.graph.ty(value).to_string().as_str()), ("e", "i64[4]"));
}

#[test]
fn the_oldest_sufficient_opset_is_named() {
    let version = |opset: i64, node| {
        let module = import(&model(opset, graph(&["x"], vec![node], &["y"]))).unwrap().module;
        written(&module).opset_import[0].version()
    };
    assert_eq!(version(7, node("Relu", &["x"], &["y"])), 18);
    assert_eq!(version(20, node("Gelu", &["x"], &["y"])), 20);
    assert_eq!(version(28, node("Mod", &["x", "x"], &["y"])), 28);
}

#[test]
fn what_has_no_form_in_onnx_is_refused() {
    let module = parsed(
        "weft 1 canonical\n\
         graph @main(%x: f32[1, 4, 4, 2]) -> (f32[1, 1, 1, 2]) {\n    \
             %y = GlobalAveragePool(%x) {layout = \"nhwc\"} : f32[1, 1, 1, 2]\n    \
             return %y\n}\n",
    );
    let error = write(&module, OpSet::builtin()).unwrap_err().to_string();
    assert!(error.contains("`GlobalAveragePool` at `y`: not supported: layout nhwc"), "{error}");
}
