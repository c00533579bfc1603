//! Models as a whole: names, inputs, order, and everything that can be wrong with them.
use crate::proto::tensor_proto::DataType;
use crate::proto::{GraphProto, ModelProto, OperatorSetIdProto, TensorProto};
use crate::testing::*;
use weft_frontend::{ImportError, Source};

#[test]
fn names_and_symbols_are_kept() {
    let nodes = vec![node("Relu", &["x"], &["a"]), node("Add", &["a", "w"], &["y"])];
    let graph = GraphProto {
        initializer: vec![weight("w", &[3], &[1.0, 2.0, 3.0])],
        ..graph(&["x:f32[N, 3]", "unused:f32[?, M]"], nodes, &["y", "x"])
    };
    let import = import(&model(13, graph)).unwrap();
    let found = &import.module.graph;
    assert_eq!(
        summary(found),
        [
            "Relu(x) -> a : f32[N, 3]",
            "Const() {value = [1.0, 2.0, 3.0]} -> w : f32[3]",
            "Add(a, w) -> y : f32[N, 3]"
        ]
    );
    assert_eq!(found.output_names(), ["y", "x"]);
    let inputs: Vec<_> = found.inputs().iter().map(|id| &found.node(*id).results[0]).collect();
    assert_eq!((inputs[1].name.as_str(), inputs[1].ty.to_string().as_str()), ("unused", "f32[?unused.0, M]"));
}

#[test]
fn an_input_with_a_default_takes_it() {
    let initializer = vec![weight("w", &[3], &[1.0, 2.0, 3.0])];
    let graph = GraphProto {
        initializer,
        ..graph(&["x", "w:f32[3]"], vec![node("Add", &["x", "w"], &["y"])], &["y"])
    };
    assert_eq!(import(&model(13, graph)).unwrap().module.graph.inputs().len(), 1);
}

#[test]
fn outputs_may_repeat_and_nodes_may_be_unsorted() {
    let nodes = vec![node("Relu", &["a"], &["y"]), node("Relu", &["x"], &["a"])];
    let import = import(&model(13, graph(&["x"], nodes, &["y", "y"]))).unwrap();
    assert_eq!(import.module.graph.output_names(), ["y", "y~1"]);
    assert_eq!(import.report.warnings.len(), 1);
}

#[test]
fn all_problems_are_listed() {
    let nodes = vec![
        node("Nothing", &["x"], &["a"]),
        node("Relu", &["a"], &["b"]),
        with(node("Relu", &["x"], &["c"]), float("alpha", 0.5)),
        node("Gelu", &["x"], &["d"]),
        node("Add", &["x", "nowhere"], &["e"]),
        node("MatMul", &["x", "x"], &["f"]),
        node("Relu", &["x"], &["x"]),
        node("Relu", &["h"], &["g"]),
        node("Relu", &["g"], &["h"]),
        with(node("Relu", &["x"], &["i"]), int("", 0)),
    ];
    let found = refusal(&model(13, graph(&["x", "odd:f32[-7]"], nodes, &["b", "none"])));
    let expected = [
        "`%odd`: invalid: the shape has an extent of -7",
        "`Relu` at `g`: invalid: it is part of a cycle and needs its own result (also at `h`)",
        "`Nothing` at `a`: not supported: this operator",
        "`Relu` at `c`: not supported: attributes `alpha`",
        "`Gelu` at `d`: not supported: the operator of opset 13, only from opset 20 on",
        "`Add` at `e`: invalid: operand 1 `nowhere` is not defined",
        "`MatMul` at `f`: invalid: ",
        "`Relu` at `x`: invalid: `x` is defined twice",
        "`%none`: invalid: `none` is not defined",
    ];
    for line in expected {
        assert!(found.contains(line), "`{line}` is not in: {found}");
    }
}

#[test]
fn what_is_newer_is_refused() {
    let ok = || model(13, graph(&["x"], vec![node("Relu", &["x"], &["y"])], &["y"]));
    let imports = |opset_import: Vec<OperatorSetIdProto>| ModelProto { opset_import, ..ok() };
    assert!(refusal(&imports(vec![opset("", 29)])).contains("opset 29, the newest understood is 28"));
    assert!(refusal(&imports(vec![])).contains("does not say which opset"));
    assert!(refusal(&imports(vec![opset("ai.onnx", 0)])).contains("opset 0"));
    assert!(refusal(&ModelProto { ir_version: Some(99), ..ok() }).contains("IR version 99"));
    assert!(import(&imports(vec![opset("ai.onnx", 28), opset("somewhere", 1)])).is_ok());
}

#[test]
fn broken_weights_and_types_are_named() {
    let mut graph = graph(&["x"], vec![node("Add", &["x", "w"], &["y"])], &["y"]);
    graph.initializer = vec![TensorProto { dims: vec![2], ..weight("w", &[3], &[1.0; 3]) }];
    assert!(refusal(&model(13, graph.clone())).contains("`%w`: invalid: a f32 tensor of shape [2]"));
    graph.initializer =
        vec![TensorProto { data_type: Some(DataType::Complex64 as i32), ..weight("w", &[3], &[]) }];
    assert!(refusal(&model(13, graph.clone())).contains("`%w`: not supported: element type complex64"));
    graph.initializer = vec![weight("w", &[3], &[1.0; 3]), weight("w", &[3], &[1.0; 3])];
    assert!(refusal(&model(13, graph.clone())).contains("`w` is defined twice"));
    graph.input[0].r#type = None;
    assert!(refusal(&model(13, graph)).contains("`%x`: invalid: the type is not given"));
}

#[test]
fn what_is_no_model_is_refused() {
    let read = |bytes: &'static [u8]| crate::read(&Source::memory("m", bytes.into()));
    for bytes in [&b""[..], b"not a model", &[0x08, 0x0a]] {
        assert!(matches!(read(bytes), Err(ImportError::Format { .. })));
    }
}

#[test]
fn long_chains_need_no_stack() {
    let name = |i: usize| format!("v{i}");
    let nodes = (0..20_000).map(|i| node("Relu", &[&name(i)], &[&name(i + 1)])).collect();
    let import = import(&model(13, graph(&["v0"], nodes, &["v20000"]))).unwrap();
    assert_eq!(import.module.graph.len(), 20_000);
}
