//! Whatever happened to the bytes of a model, reading it ends in a module or in an error.
use crate::proto::{FunctionProto, GraphProto, ModelProto};
use crate::read;
use crate::testing::*;
use prost::Message;
use weft_frontend::Source;

/// A model with something of everything: weights, a branch, a loop, a function, shapes.
fn varied() -> Vec<u8> {
    let leaf = |op: &str| graph(&[], vec![node(op, &["a", "w"], &["t"])], &["t"]);
    let choice = with_graph(
        with_graph(node("If", &["c"], &["b"]), "then_branch", leaf("Add")),
        "else_branch",
        leaf("Mul"),
    );
    let body = graph(
        &["i:i64[]", "go:bool[]", "acc:f32[2, 3]"],
        vec![node("Add", &["acc", "a"], &["next"]), node("Identity", &["go"], &["still"])],
        &["still", "next"],
    );
    let run = with_graph(node("Loop", &["n", "", "b"], &["last"]), "body", body);
    let mut call = node("Own", &["last"], &["d"]);
    call.domain = Some("own".to_string());
    let function = FunctionProto {
        name: Some("Own".to_string()),
        domain: Some("own".to_string()),
        input: vec!["p".to_string()],
        output: vec!["q".to_string()],
        node: vec![with(node("LeakyRelu", &["p"], &["q"]), float("alpha", 0.5))],
        opset_import: vec![opset("", 13)],
        ..Default::default()
    };
    let shape = with(node("Constant", &[], &["s"]), ints("value_ints", &[3, -1]));
    let nodes =
        vec![node("Relu", &["x"], &["a"]), choice, run, call, shape, node("Reshape", &["d", "s"], &["y"])];
    let initializer = vec![weight("w", &[3], &[1.0, 2.0, 3.0])];
    let graph = GraphProto { initializer, ..graph(&["x:f32[2, 3]", "c:bool[]", "n:i64[]"], nodes, &["y"]) };
    let mut model = model(13, graph);
    model.opset_import.push(opset("own", 1));
    ModelProto { functions: vec![function], ..model }.encode_to_vec()
}

#[test]
fn no_byte_can_break_the_reader() {
    let good = varied();
    assert!(read(&Source::memory("good", good.clone().into())).is_ok());
    for i in 0..good.len() {
        for change in [0x00, 0x01, 0x7f, 0x80, 0xff, good[i] ^ 0x08, good[i].wrapping_add(1)] {
            let mut bytes = good.clone();
            bytes[i] = change;
            let _ = read(&Source::memory("changed", bytes.into()));
        }
        let _ = read(&Source::memory("cut", good[..i].to_vec().into()));
    }
}
