//! What is written can be read, and says the same.
use super::{WriteOptions, Written, write};
use crate::proto::{GraphProto, ModelProto, NodeProto, TensorProto};
use crate::testing::*;
use crate::{Onnx, read};
use prost::Message;
use weft_frontend::{Frontend, Import, Source};
use weft_ir::text::NoWeights;
use weft_ir::{Module, OpSet};

fn files(module: &Module, options: &WriteOptions) -> Written {
    write(module, OpSet::builtin(), options).unwrap_or_else(|error| panic!("{error}"))
}

fn written(module: &Module) -> ModelProto {
    ModelProto::decode(&files(module, &usual()).model.concat()[..]).unwrap()
}

fn usual() -> WriteOptions {
    WriteOptions::beside("m.data".to_string())
}

/// In that opset, the operators it is written with.
fn ops_in(opset: i64, module: &Module) -> Vec<String> {
    let bytes = files(module, &WriteOptions { opset: Some(opset), ..usual() }).model.concat();
    let model = ModelProto::decode(&bytes[..]).unwrap();
    assert_eq!(model.opset_import[0].version(), opset);
    model.graph.iter().flat_map(|g| &g.node).map(|n| n.op_type().to_string()).collect()
}

fn read_again(module: &Module) -> Import {
    let bytes = files(module, &usual()).model.concat();
    Onnx::default()
        .read(&Source::memory("again.onnx", bytes.into()))
        .unwrap_or_else(|error| panic!("{error}"))
}

fn ints_of(weight: &TensorProto) -> Vec<i64> {
    let bytes = weight.raw_data.clone().unwrap_or_default();
    bytes.chunks(8).map(|chunk| i64::from_le_bytes(chunk.try_into().unwrap())).collect()
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
    assert_eq!(ops, ["Shape", "Mul", "Add", "Mod", "Sub", "Div", "Concat"]);
    let again = read(&Source::memory("m", model.encode_to_vec().into())).unwrap().module;
    let value = again.graph.outputs()[0];
    assert_eq!((again.graph.name_of(value), again.graph.ty(value).to_string().as_str()), ("e", "i64[4]"));
}

#[test]
fn reshapes_say_what_stays_and_what_follows() {
    let shapes = |dims: &str, to: &str, flag: &str| {
        let module = parsed(&format!(
            "weft 1 canonical\ngraph @main(%x: f32[N, 4, S, 6]) -> ({to}) {{\n    \
                 %e = weft.Extents() {{value = {dims}}} : i64[3]\n    \
                 %y = Reshape(%x, %e){flag} : {to}\n    return %y\n}}\n"
        ));
        let graph = written(&module).graph.unwrap();
        let ops: Vec<_> = graph.node.iter().map(|n| n.op_type().to_string()).collect();
        let flags = graph.node.iter().flat_map(|n| &n.attribute).filter(|a| a.name() == "allowzero").count();
        (ops.join(" "), graph.initializer.first().map(ints_of), flags)
    };
    let (plain, zero) = (|dims, to| shapes(dims, to, ""), |dims, to| shapes(dims, to, " {allowzero = 1}"));
    let reshape = |shape: [i64; 3]| ("Reshape".to_string(), Some(shape.to_vec()), 0);
    assert_eq!(plain("[N, 24, S]", "f32[N, 24, S]"), reshape([0, 24, 0]));
    assert_eq!(zero("[N, 24, S]", "f32[N, 24, S]"), reshape([0, 24, 0]));
    assert_eq!(plain("[N, 4, 6*S]", "f32[N, 4, 6*S]"), reshape([0, 4, -1]));
    assert_eq!(plain("[S, 24, N]", "f32[S, 24, N]").0, "Shape Shape Concat Reshape");
    assert_eq!(zero("[N, 4, 6*S]", "f32[N, 4, 6*S]").2, 1);
    assert_eq!(zero("[N*S, 4, 6]", "f32[N*S, 4, 6]"), reshape([-1, 4, 6]));
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
fn a_model_keeps_its_opset_unless_another_is_asked_for() {
    let module =
        import(&model(19, graph(&["x"], vec![node("Relu", &["x"], &["y"])], &["y"]))).unwrap().module;
    assert_eq!(written(&module).opset_import[0].version(), 19);
    assert_eq!(ops_in(18, &module), ["Relu"]);
    let error = write(&module, OpSet::builtin(), &WriteOptions { opset: Some(17), ..usual() }).unwrap_err();
    assert_eq!(error.to_string(), "opset 17 is not written, expected one from 18 to 28");
}

#[test]
fn newer_operators_are_written_out_in_older_opsets() {
    let of = |line: &str| {
        parsed(&format!(
            "weft 1 canonical\ngraph @main(%x: f32[2, 4, 3], %s: f32[4], %t: f32[3]) -> (f32[2, 4, 3]) {{\n    \
             %y = {line} : f32[2, 4, 3]\n    return %y\n}}\n"
        ))
    };
    assert_eq!(ops_in(18, &of("Gelu(%x)")), ["Div", "Erf", "Add", "Mul", "Mul"]);
    assert_eq!(ops_in(18, &of("Gelu(%x) {approximate = \"tanh\"}")).len(), 9);
    assert_eq!(ops_in(20, &of("Gelu(%x)")), ["Gelu"]);
    assert_eq!(ops_in(18, &of("Swish(%x)")), ["Sigmoid", "Mul"]);
    assert_eq!(ops_in(18, &of("Swish(%x) {alpha = 2.0}")), ["Mul", "Sigmoid", "Mul"]);
    assert_eq!(
        ops_in(18, &of("RMSNormalization(%x, %t)")),
        ["Mul", "ReduceMean", "Add", "Sqrt", "Div", "Mul"]
    );
    assert_eq!(ops_in(18, &of("GroupNormalization(%x, %s, %s) {num_groups = 2}")).len(), 8);
    let module = of("Mod(%x, %x)");
    let error = write(&module, OpSet::builtin(), &WriteOptions { opset: Some(20), ..usual() }).unwrap_err();
    assert!(error.to_string().contains("`Mod` at `y`: not supported: it came with opset 28"), "{error}");
}

#[test]
fn what_a_file_said_of_itself_is_kept() {
    let mut model = model(18, graph(&["x"], vec![node("Relu", &["x"], &["y"])], &["y"]));
    model.producer_name = Some("somebody".to_string());
    model.producer_version = Some("7.1".to_string());
    (model.model_version, model.domain) = (Some(3), Some("org.example".to_string()));
    model.doc_string = Some("what it is for".to_string());
    if let Some(graph) = &mut model.graph {
        (graph.name, graph.doc_string) = (Some("g".to_string()), Some("about the graph".to_string()));
    }
    let again = written(&import(&model).unwrap().module);
    let said = |m: &ModelProto| {
        let docs = (
            m.doc_string().to_string(),
            m.graph.as_ref().map(|g| (g.name().to_string(), g.doc_string().to_string())),
        );
        (
            m.producer_name().to_string(),
            m.producer_version().to_string(),
            m.model_version(),
            m.domain().to_string(),
            docs,
        )
    };
    assert_eq!(said(&again), said(&model));
}

#[test]
fn nodes_keep_their_names_and_remarks() {
    let named = |name: &str, doc: Option<&str>, node: NodeProto| NodeProto {
        name: Some(name.to_string()),
        doc_string: doc.map(str::to_string),
        ..node
    };
    let nodes = vec![
        named("first", Some("why it is there"), node("Relu", &["x"], &["a"])),
        named("second", None, node("Neg", &["a"], &["b"])),
        named("second", None, node("Abs", &["b"], &["c"])),
        node("Exp", &["c"], &["y"]),
    ];
    let Import { module, report } = import(&model(18, graph(&["x"], nodes, &["y"]))).unwrap();
    let bytes = files(&module, &WriteOptions { nodes: report.nodes, ..usual() }).model.concat();
    let again = ModelProto::decode(&bytes[..]).unwrap().graph.unwrap();
    let said: Vec<_> = again.node.iter().map(|node| (node.name(), node.doc_string())).collect();
    // No two nodes share a name; one without is named after its result.
    assert_eq!(said, [("first", "why it is there"), ("second", ""), ("c", ""), ("y", "")]);
}

#[test]
fn weights_may_lie_in_a_file_of_their_own() {
    let initializer =
        vec![weight("w", &[600], &[1.5; 600]), weight("v", &[600], &[2.5; 600]), weight("s", &[1], &[3.0])];
    let nodes = vec![
        node("Mul", &["w", "v"], &["a"]),
        node("Mul", &["a", "s"], &["b"]),
        node("Add", &["b", "x"], &["y"]),
    ];
    let module = import(&model(18, GraphProto { initializer, ..graph(&["x:f32[600]"], nodes, &["y"]) }))
        .unwrap()
        .module;
    let Written { model, data } = files(&module, &WriteOptions { inline_bytes: 0, ..usual() });
    let places: Vec<_> = data.iter().map(|(offset, bytes)| (*offset, bytes.len())).collect();
    assert_eq!(places, [(0, 2400), (4096, 2400)]);
    let folder = tempfile::tempdir().unwrap();
    let mut file = vec![0; 4096 + 2400];
    data.iter().for_each(|(at, bytes)| file[*at as usize..][..bytes.len()].copy_from_slice(bytes));
    std::fs::write(folder.path().join("m.data"), file).unwrap();
    std::fs::write(folder.path().join("m.onnx"), model.concat()).unwrap();
    let again = read(&Source::open(&folder.path().join("m.onnx")).unwrap()).unwrap().module;
    assert_eq!(summary(&again.graph), summary(&module.graph));
}

#[test]
fn channels_stand_first_again() {
    let module = parsed(
        "weft 1 canonical\n\
         graph @main(%x: f32[1, 4, 4, 2]) -> (f32[1, 1, 1, 2]) {\n    \
             %y = GlobalAveragePool(%x) {layout = \"nhwc\"} : f32[1, 1, 1, 2]\n    \
             return %y\n}\n",
    );
    assert_eq!(ops_in(18, &module), ["Transpose", "GlobalAveragePool", "Transpose"]);
    let again = read_again(&module).module;
    assert_eq!(again.graph.ty(again.graph.outputs()[0]).to_string(), "f32[1, 1, 1, 2]");
}
