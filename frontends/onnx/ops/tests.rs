//! What older opsets meant, written in canonical operators.
use crate::proto::{GraphProto, NodeProto};
use crate::testing::*;

/// The program of one node that takes `x : f32[2, 3]` and weights `w : f32[3]` and `s : f32[4]`.
fn converted(version: i64, node: NodeProto) -> Vec<String> {
    lines(&model(version, one_node(node)))
}

fn refused(version: i64, node: NodeProto) -> String {
    refusal(&model(version, one_node(node)))
}

fn one_node(node: NodeProto) -> GraphProto {
    let outputs: Vec<String> = node.output.iter().filter(|name| !name.is_empty()).cloned().collect();
    let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
    let initializer = vec![weight("w", &[3], &[1.0, 2.0, 3.0]), weight("s", &[4], &[1.0, 1.0, 2.0, 2.0])];
    GraphProto { initializer, ..graph(&["x", "image:f32[1, 4, 5, 5]"], vec![node], &outputs) }
}

#[test]
fn axes_become_operands() {
    let squeeze = with(node("Unsqueeze", &["x"], &["y"]), ints("axes", &[0]));
    assert_eq!(
        converted(11, squeeze.clone()),
        ["Const() {value = [0.0]} -> y/axes : i64[1]", "Unsqueeze(x, y/axes) -> y : f32[1, 2, 3]"]
    );
    assert!(refused(13, squeeze).contains("operand 1 `axes` is missing"));
    let sum = with(with(node("ReduceSum", &["x"], &["y"]), ints("axes", &[1])), int("keepdims", 0));
    assert_eq!(converted(12, sum)[1], "ReduceSum(x, y/axes) {keepdims = 0} -> y : f32[2]");
    assert_eq!(converted(12, node("ReduceSum", &["x"], &["y"])), ["ReduceSum(x) -> y : f32[1, 1]"]);
}

#[test]
fn attributes_become_operands() {
    let slice = with(with(node("Slice", &["x"], &["y"]), ints("starts", &[1])), ints("ends", &[2]));
    assert_eq!(converted(9, slice)[2], "Slice(x, y/starts, y/ends) -> y : f32[1, 3]");
    let pad = with(with(node("Pad", &["x"], &["y"]), ints("pads", &[0, 1, 0, 1])), text("mode", "reflect"));
    assert_eq!(converted(2, pad)[2], "Pad(x, y/pads, y/value) {mode = reflect} -> y : f32[2, 5]");
    let top = with(node("TopK", &["x"], &["y", "i"]), int("k", 2));
    assert_eq!(converted(1, top)[1], "TopK(x, y/k) -> y : f32[2, 2], i : i64[2, 2]");
    let split = with(with(node("Split", &["x"], &["a", "b"]), ints("split", &[1, 2])), int("axis", 1));
    assert_eq!(converted(2, split)[1], "Split(x, a/lengths) {axis = 1} -> a : f32[2, 1], b : f32[2, 2]");
    let split = node("Split", &["x"], &["a", ""]);
    assert_eq!(converted(13, split)[0], "Split(x) {num_outputs = 2} -> a : f32[1, 3], a.1 : f32[1, 3]");
}

#[test]
fn limits_of_clip_take_the_type_of_the_data() {
    let clip = with(with(node("Clip", &["x"], &["y"]), float("min", 0.0)), float("max", f32::MAX));
    assert_eq!(
        converted(6, clip),
        ["Const() {value = [0.0]} -> y/min : f32[]", "Clip(x, y/min) -> y : f32[2, 3]"]
    );
}

#[test]
fn group_normalisations_of_before_opset_21_repeat_their_scales() {
    let norm = with(node("GroupNormalization", &["z", "g", "g"], &["y"]), int("num_groups", 2));
    let initializer = vec![weight("g", &[2], &[1.0, 2.0])];
    let graph = GraphProto { initializer, ..graph(&["z:f32[1, 6, 5]"], vec![norm], &["y"]) };
    let found = lines(&model(18, graph));
    let spread = "Expand(y/scale/groups, y/scale/table) -> y/scale/spread : f32[2, 3]";
    assert!(found.iter().any(|line| line == spread), "{found:?}");
    let channels = "Reshape(y/scale/spread, y/scale/flat) -> y/scale/channels : f32[6]";
    assert!(found.iter().any(|line| line == channels), "{found:?}");
}

#[test]
fn softmax_of_before_opset_13_has_flat_rows() {
    let softmax = |axis| with(node("Softmax", &["image"], &["y"]), int("axis", axis));
    assert_eq!(converted(12, softmax(3)), ["Softmax(image) -> y : f32[1, 4, 5, 5]"]);
    assert_eq!(converted(12, node("Softmax", &["image"], &["y"])), converted(12, softmax(1)));
    assert_eq!(
        converted(12, softmax(1)),
        [
            "Flatten(image) -> y/rows : f32[1, 100]",
            "Softmax(y/rows) -> y/done : f32[1, 100]",
            "Shape(image) -> y/shape : i64[4]",
            "Reshape(y/done, y/shape) -> y : f32[1, 4, 5, 5]",
        ]
    );
    assert_eq!(converted(13, softmax(1)), ["Softmax(image) {axis = 1} -> y : f32[1, 4, 5, 5]"]);
}

#[test]
fn operands_were_laid_along_an_axis() {
    let add = with(with(node("Add", &["image", "s"], &["y"]), int("broadcast", 1)), int("axis", 1));
    assert_eq!(
        converted(6, add)[1..],
        [
            "Const() {value = [1.0, 2.0]} -> y/axes : i64[2]",
            "Unsqueeze(s, y/axes) -> y/aligned : f32[4, 1, 1]",
            "Add(image, y/aligned) -> y : f32[1, 4, 5, 5]",
        ]
    );
    let add = with(node("Add", &["x", "w"], &["y"]), int("broadcast", 1));
    assert!(refused(7, add).contains("not supported: attributes `broadcast`"));
}

#[test]
fn dropout_does_nothing() {
    let dropout = with(node("Dropout", &["x"], &["y", ""]), float("ratio", 0.3));
    assert_eq!(converted(7, dropout), ["Identity(x) -> y : f32[2, 3]"]);
    let masked = converted(13, node("Dropout", &["x"], &["y", "mask"]));
    assert_eq!(masked[2], "ConstantOfShape(y/shape) {value = [1.0]} -> mask : bool[2, 3]");
}

#[test]
fn resizes_of_every_age_are_one() {
    let upsample = with(
        with(node("Upsample", &["image"], &["y"]), floats("scales", &[1.0, 1.0, 2.0, 2.0])),
        text("mode", "linear"),
    );
    assert_eq!(
        converted(7, upsample)[1],
        "Resize(image, _, y/scales) {coordinate_transformation_mode = asymmetric, mode = linear} -> y : f32[1, 4, 10, 10]"
    );
    let resize = node("Resize", &["image", "s"], &["y"]);
    assert_eq!(
        converted(10, resize)[1],
        "Resize(image, _, s) {coordinate_transformation_mode = asymmetric, nearest_mode = floor} -> y : f32[1, 4, 10, 10]"
    );
    let empty = GraphProto {
        initializer: vec![weight("none", &[0], &[]), weight("s", &[4], &[1.0, 1.0, 2.0, 2.0])],
        ..one_node(node("Resize", &["image", "none", "s", ""], &["y"]))
    };
    let found = lines(&model(11, empty));
    assert_eq!(found[2], "Resize(image, _, s) -> y : f32[1, 4, 10, 10]");
}

#[test]
fn casts_name_types_and_constants_have_many_forms() {
    let cast = with(node("Cast", &["x"], &["y"]), text("to", "FLOAT16"));
    assert_eq!(converted(1, cast), ["Cast(x) {to = f16} -> y : f16[2, 3]"]);
    let like = node("CastLike", &["x", "s"], &["y"]);
    assert_eq!(converted(15, like)[1], "Cast(x) {to = f32} -> y : f32[2, 3]");
    for (attribute, made) in [
        (int("value_int", 3), "Const() {value = [3.0]} -> y : i64[]"),
        (ints("value_ints", &[1, 2]), "Const() {value = [1.0, 2.0]} -> y : i64[2]"),
        (float("value_float", 0.5), "Const() {value = [0.5]} -> y : f32[]"),
        (floats("value_floats", &[0.5]), "Const() {value = [0.5]} -> y : f32[1]"),
        (text("value_string", "a"), "Const() {value = ..} -> y : string[]"),
    ] {
        assert_eq!(converted(13, with(node("Constant", &[], &["y"]), attribute)), [made]);
    }
}

#[test]
fn sequences_with_the_batch_first_are_turned() {
    let initializer = vec![weight("w", &[1, 4, 3], &[0.0; 12]), weight("r", &[1, 4, 1], &[0.0; 4])];
    let lstm = with(node("LSTM", &["seq", "w", "r"], &["y", "", "c"]), int("layout", 1));
    let graph = GraphProto { initializer, ..graph(&["seq:f32[B, T, 3]"], vec![lstm], &["y", "c"]) };
    assert_eq!(
        lines(&model(14, graph))[2..],
        [
            "Transpose(seq) {perm = Ints([1, 0, 2])} -> y/operand0 : f32[T, B, 3]",
            "LSTM(y/operand0, w, r) -> y/inner : f32[T, 1, B, 1], y.1/inner : f32[1, B, 1], c/inner : f32[1, B, 1]",
            "Transpose(y/inner) {perm = Ints([2, 0, 1, 3])} -> y : f32[B, T, 1, 1]",
            "Transpose(y.1/inner) {perm = Ints([1, 0, 2])} -> y.1 : f32[B, 1, 1]",
            "Transpose(c/inner) {perm = Ints([1, 0, 2])} -> c : f32[B, 1, 1]",
        ]
    );
}

#[test]
fn training_is_refused() {
    let batch = node("BatchNormalization", &["image", "s", "s", "s", "s"], &["y", "m", "v", "sm", "sv"]);
    assert!(refused(9, batch).contains("statistics of training"));
    let spatial = with(node("BatchNormalization", &["image", "s", "s", "s", "s"], &["y"]), int("spatial", 0));
    assert!(refused(7, spatial).contains("`spatial` = 0, only 1"));
}

#[test]
fn every_row_is_reachable_and_sorted() {
    for family in super::FAMILIES {
        for rows in family.windows(2) {
            assert!(
                (rows[0].op, rows[0].since) < (rows[1].op, rows[1].since),
                "{} {}",
                rows[1].op,
                rows[1].since
            );
        }
    }
}

#[test]
fn sequences_leave_no_trace() {
    let nodes = vec![
        with(node("SplitToSequence", &["x"], &["pieces"]), int("axis", 1)),
        node("SequenceLength", &["pieces"], &["count"]),
        with(node("Constant", &[], &["last"]), int("value_int", -1)),
        node("SequenceAt", &["pieces", "last"], &["piece"]),
        node("SequenceInsert", &["pieces", "piece"], &["more"]),
        with(node("ConcatFromSequence", &["more"], &["y"]), int("axis", 1)),
    ];
    let found = lines(&model(13, graph(&["x"], nodes, &["y", "count"])));
    assert!(found[1].starts_with("Split(x, pieces/lengths) {axis = 1} -> pieces/0 : f32[2, 1]"), "{found:?}");
    assert_eq!(found[2], "Const() {value = [3.0]} -> count : i64[]");
    assert_eq!(found[4], "Concat(pieces/0, pieces/1, pieces/2, pieces/2) {axis = 1} -> y : f32[2, 4]");
    let taken = vec![node("SequenceConstruct", &["x", "x"], &["both"]), node("Relu", &["both"], &["y"])];
    assert!(
        refusal(&model(13, graph(&["x"], taken, &["y"]))).contains("not supported: operand 0, a sequence")
    );
    let given = graph(&["x"], vec![node("SequenceConstruct", &["x"], &["y"])], &["y"]);
    assert!(refusal(&model(13, given)).contains("`y`, a sequence, in this place"));
}

#[test]
fn experts_run_on_the_rows_that_chose_them() {
    let experts = |op: &str, k| {
        let inputs = ["tokens", "router", "w1", "", "w2"];
        let node = with(node(op, &inputs, &["y"]), int("k", k));
        let node = with(
            NodeProto { domain: Some("com.microsoft".to_string()), ..node },
            text("activation_type", "silu"),
        );
        let initializer = vec![weight("w1", &[2, 1, 3], &[0.5; 6]), weight("w2", &[2, 3, 1], &[0.5; 6])];
        let inputs = ["tokens:f32[N, 3]", "router:f32[N, 2]"];
        let mut model = model(18, GraphProto { initializer, ..graph(&inputs, vec![node], &["y"]) });
        model.opset_import.push(opset("com.microsoft", 1));
        model
    };
    let found = lines(&experts("MoE", 1));
    for line in [
        "Softmax(router) -> y/chances : f32[N, 2]",
        "NonZero(y/1/chose) -> y/1/at : i64[2, \"?y/1/at.1\"]",
        "Gather(tokens, y/1/row) -> y/1/given : f32[\"?y/1/at.1\", 3]",
        "Gemm(y/1/given, y/1/fc1/weights) {transB = 1} -> y/1/fc1 : f32[\"?y/1/at.1\", 1]",
        "ScatterND(y/0/sum, y/1/rows, y/1/weighed) {reduction = add} -> y/1/sum : f32[N, 3]",
    ] {
        assert!(found.iter().any(|found| found == line), "{line}: {found:#?}");
    }
    assert!(refusal(&experts("MoE", 3)).contains("`k` = 3 of 2 experts"));
    assert!(refusal(&experts("QMoE", 1)).contains("codes that are no constant bytes"));
}
