//! Windows, layouts, resizing and control flow, with numbers from the ONNX reference.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;
use weft_interp::Interpreter;
use weft_ir::infer::infer;
use weft_ir::{Attr, DType, Def, Dim, Graph, Module, Node, OpSet, Stage, Tensor, TensorType, Value};

fn ramp(dims: &[u64]) -> Tensor {
    let n = dims.iter().product::<u64>();
    Tensor::from_slice(dims, &(0..n).map(|i| ((i * 7 % 13) as f32) - 5.0).collect::<Vec<_>>()).unwrap()
}

/// The results of one node on constants.
fn run(node: Node, operands: &[Option<&Tensor>]) -> Vec<Tensor> {
    let mut graph = Graph::new("main");
    let (mut values, mut feed) = (Vec::new(), Vec::new());
    for (i, tensor) in operands.iter().enumerate() {
        values.push(tensor.map(|t| {
            feed.push(Arc::new(t.clone()));
            graph.add_input(&format!("x{i}"), TensorType::fixed(t.dtype(), t.dims()))
        }));
    }
    let results = node.results.len() as u32;
    let node = graph.add(node, &values);
    graph.set_outputs((0..results).map(|slot| Value { node, slot }).collect());
    infer(&mut graph, OpSet::builtin()).unwrap();
    Interpreter::default().run(&Module::new(Stage::Canonical, graph), &feed).unwrap()
}

fn node(op: &str, attrs: &[(&str, Attr)], results: usize) -> Node {
    let def = |i| Def { name: format!("y{i}"), ty: TensorType::unranked(DType::F32) };
    let mut node = Node::new(op, (0..results).map(def).collect());
    node.attrs.extend(attrs.iter().map(|(name, attr)| (name.to_string(), attr.clone())));
    node
}

fn one(op: &str, attrs: &[(&str, Attr)], operands: &[&Tensor]) -> Tensor {
    run(node(op, attrs, 1), &operands.iter().copied().map(Some).collect::<Vec<_>>()).remove(0)
}

fn ints(list: &[i64]) -> Attr {
    Attr::Ints(list.to_vec())
}

fn floats(tensor: &Tensor) -> Vec<f32> {
    tensor.to_vec().unwrap()
}

/// The operator on channels last is the operator on channels first between two transposes.
fn same_in_both_layouts(op: &str, attrs: &[(&str, Attr)], rest: &[&Tensor]) {
    let x = ramp(&[2, 4, 5, 6]);
    let first = one(op, attrs, &[&[&x], rest].concat());
    let turned = one("Transpose", &[("perm", ints(&[0, 2, 3, 1]))], &[&x]);
    let attrs = [attrs, &[("layout", Attr::Str("nhwc".into()))]].concat();
    let last = one(op, &attrs, &[&[&turned], rest].concat());
    assert_eq!(one("Transpose", &[("perm", ints(&[0, 3, 1, 2]))], &[&last]), first, "{op}");
}

#[test]
fn channels_may_come_last() {
    let (w, wt, bias) = (ramp(&[6, 2, 3, 2]), ramp(&[4, 3, 3, 2]), ramp(&[6]));
    let attrs = [("group", Attr::Int(2)), ("pads", ints(&[1, 0, 1, 1])), ("strides", ints(&[2, 1]))];
    same_in_both_layouts("Conv", &attrs, &[&w, &bias]);
    same_in_both_layouts("ConvTranspose", &attrs, &[&wt, &bias]);
    let pool = [("kernel_shape", ints(&[2, 3])), ("strides", ints(&[2, 1])), ("ceil_mode", Attr::Int(1))];
    same_in_both_layouts("MaxPool", &pool, &[]);
    same_in_both_layouts("AveragePool", &pool, &[]);
    same_in_both_layouts("GlobalAveragePool", &[], &[]);
    same_in_both_layouts("GlobalMaxPool", &[], &[]);
    let (roi, scales) = (Tensor::vector::<f32>(&[]), Tensor::vector(&[1f32, 1.0, 2.0, 1.5]));
    same_in_both_layouts("Resize", &[("mode", Attr::Str("linear".into()))], &[&roi, &scales]);
}

#[test]
fn a_window_may_hang_over_the_edge() {
    let x = Tensor::from_slice(&[1, 1, 4], &[1f32, 2.0, 3.0, 4.0]).unwrap();
    let attrs = |more: &[(&'static str, Attr)]| {
        [&[("kernel_shape", ints(&[3])), ("strides", ints(&[2])), ("ceil_mode", Attr::Int(1))], more].concat()
    };
    assert_eq!(floats(&one("AveragePool", &attrs(&[]), &[&x])), [2.0, 3.5]);
    let padded = attrs(&[("pads", ints(&[1, 0])), ("count_include_pad", Attr::Int(1))]);
    assert_eq!(floats(&one("AveragePool", &padded, &[&x])), [1.0, 3.0]);
    let found = run(node("MaxPool", &attrs(&[]), 2), &[Some(&x)]);
    assert_eq!((floats(&found[0]), found[1].to_i64s().unwrap()), (vec![3.0, 4.0], vec![2, 3]));
}

#[test]
fn resizing_finds_the_reference_numbers() {
    let x = Tensor::from_slice(&[1, 1, 1, 4], &[1f32, 2.0, 3.0, 4.0]).unwrap();
    let roi = Tensor::vector::<f32>(&[]);
    let to = |scale: f32| Tensor::vector(&[1f32, 1.0, 1.0, scale]);
    let text = |t: &str| Attr::Str(t.into());
    let linear = one("Resize", &[("mode", text("linear"))], &[&x, &roi, &to(2.0)]);
    assert_eq!(floats(&linear), [1.0, 1.25, 1.75, 2.25, 2.75, 3.25, 3.75, 4.0]);
    let half = [("mode", text("linear")), ("antialias", Attr::Int(1))];
    let found = floats(&one("Resize", &half, &[&x, &roi, &to(0.5)]));
    assert!((found[0] - 1.625).abs() < 1e-6 && (found[1] - 3.375).abs() < 1e-6, "{found:?}");
    let nearest = [("coordinate_transformation_mode", text("asymmetric")), ("nearest_mode", text("floor"))];
    assert_eq!(floats(&one("Resize", &nearest, &[&x, &roi, &to(1.5)])), [1.0, 1.0, 2.0, 3.0, 3.0, 4.0]);
}

#[test]
fn slices_run_backwards_and_clamp() {
    let x = Tensor::vector(&[0i64, 1, 2, 3, 4]);
    let cut = |start: i64, end: i64, step: i64| {
        let [s, e, a, k] = [start, end, 0, step].map(|i| Tensor::vector(&[i]));
        one("Slice", &[], &[&x, &s, &e, &a, &k]).to_i64s().unwrap()
    };
    assert_eq!(cut(-1, i64::MIN, -1), [4, 3, 2, 1, 0]);
    assert_eq!(cut(10, 0, -2), [4, 2]);
    assert_eq!(cut(-9, 9, 2), [0, 2, 4]);
    assert_eq!(cut(3, 1, 1), [0i64; 0]);
    assert_eq!(cut(i64::MIN, -4, -1), [0i64; 0]);
}

/// A body for Loop: the state and a capture are added, and the sum is also scanned out.
fn adder() -> Graph {
    let mut body = Graph::new("body");
    let scalar = |dtype| TensorType::new(dtype, Vec::new());
    body.add_input("i", scalar(DType::I64));
    let go = body.add_input("go", scalar(DType::Bool));
    let vector = || TensorType::new(DType::F32, vec![Dim::fixed(2)]);
    let (state, step) = (body.add_input("state", vector()), body.add_input("step", vector()));
    let sum = Node::new("Add", vec![Def { name: "sum".into(), ty: vector() }]);
    let sum = Value { node: body.add(sum, &[Some(state), Some(step)]), slot: 0 };
    body.set_outputs(vec![go, sum, sum]);
    body
}

#[test]
fn loops_carry_and_collect() {
    let mut turn = node("Loop", &[("carried", Attr::Int(1))], 2);
    turn.regions.push(adder());
    let (start, step) = (Tensor::vector(&[0f32, 10.0]), Tensor::vector(&[1f32, 2.0]));
    let found = run(turn.clone(), &[Some(&Tensor::scalar(3i64)), None, Some(&start), Some(&step)]);
    assert_eq!(floats(&found[0]), [3.0, 16.0]);
    assert_eq!((found[1].dims(), floats(&found[1])), (&[3u64, 2][..], vec![1.0, 12.0, 2.0, 14.0, 3.0, 16.0]));
    let none = run(turn, &[Some(&Tensor::scalar(0i64)), None, Some(&start), Some(&step)]);
    assert_eq!((floats(&none[0]), none[1].dims()), (vec![0.0, 10.0], &[0u64, 2][..]));
}

#[test]
fn scans_go_both_ways() {
    let mut body = Graph::new("body");
    let vector = || TensorType::new(DType::F32, vec![Dim::fixed(2)]);
    let (state, slice) = (body.add_input("state", vector()), body.add_input("slice", vector()));
    let sum = Node::new("Add", vec![Def { name: "sum".into(), ty: vector() }]);
    let sum = Value { node: body.add(sum, &[Some(state), Some(slice)]), slot: 0 };
    body.set_outputs(vec![sum, sum]);
    let attrs = [
        ("states", Attr::Int(1)),
        ("scanned", Attr::Int(1)),
        ("scan_input_directions", ints(&[1])),
        ("scan_output_axes", ints(&[1])),
    ];
    let mut scan = node("Scan", &attrs, 2);
    scan.regions.push(body);
    let x = Tensor::from_slice(&[3, 2], &[1f32, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
    let found = run(scan, &[Some(&Tensor::vector(&[0f32, 0.0])), Some(&x)]);
    assert_eq!(floats(&found[0]), [9.0, 12.0]);
    assert_eq!((found[1].dims(), floats(&found[1])), (&[2u64, 3][..], vec![5.0, 8.0, 9.0, 6.0, 10.0, 12.0]));
}

#[test]
fn a_branch_is_taken() {
    let branch = |name: &str, from: usize| {
        let mut region = Graph::new(name);
        let ty = || TensorType::unranked(DType::F32);
        let inputs = [region.add_input("p", ty()), region.add_input("q", ty())];
        region.set_outputs(vec![inputs[from]]);
        region
    };
    let mut choice = node("If", &[], 1);
    choice.regions.extend([branch("then", 0), branch("else", 1)]);
    let (a, b) = (Tensor::vector(&[1f32]), Tensor::vector(&[2f32, 3.0]));
    for (truth, expected) in [(true, &a), (false, &b)] {
        let found = run(choice.clone(), &[Some(&Tensor::scalar(truth)), Some(&a), Some(&b)]);
        assert_eq!(&found[0], expected);
    }
}

#[test]
fn a_short_sequence_ends_early_and_turns_early() {
    // One unit that adds its input to its state and passes it on.
    let ones = Tensor::from_slice(&[2, 1, 1], &[1f32, 1.0]).unwrap();
    let x = Tensor::from_slice(&[3, 2, 1], &[1f32, 10.0, 2.0, 20.0, 3.0, 30.0]).unwrap();
    let attrs = [
        ("direction", Attr::Str("bidirectional".into())),
        ("activations", Attr::Strs(vec!["Relu".into(), "Relu".into()])),
        ("hidden_size", Attr::Int(1)),
    ];
    let lengths = Tensor::vector(&[3i32, 2]);
    let found = run(node("RNN", &attrs, 2), &[Some(&x), Some(&ones), Some(&ones), None, Some(&lengths)]);
    // Steps, directions, batch.
    assert_eq!(floats(&found[0]), [1.0, 10.0, 6.0, 30.0, 3.0, 30.0, 5.0, 20.0, 6.0, 0.0, 3.0, 0.0]);
    assert_eq!(floats(&found[1]), [6.0, 30.0, 6.0, 30.0]);
}

#[test]
fn negative_indices_count_from_the_end() {
    let x = Tensor::vector(&[10f32, 20.0, 30.0]);
    let picked = one("Gather", &[], &[&x, &Tensor::vector(&[-1i64, 0, -3])]);
    assert_eq!(floats(&picked), [30.0, 10.0, 10.0]);
}

#[test]
fn padding_continues_what_is_there() {
    let (x, pads) = (Tensor::vector(&[1f32, 2.0, 3.0]), Tensor::vector(&[2i64, 2]));
    let padded = |mode: &str| floats(&one("Pad", &[("mode", Attr::Str(mode.into()))], &[&x, &pads]));
    assert_eq!(padded("reflect"), [3.0, 2.0, 1.0, 2.0, 3.0, 2.0, 1.0]);
    assert_eq!(padded("edge"), [1.0, 1.0, 1.0, 2.0, 3.0, 3.0, 3.0]);
    assert_eq!(padded("wrap"), [2.0, 3.0, 1.0, 2.0, 3.0, 1.0, 2.0]);
    assert_eq!(padded("constant"), [0.0, 0.0, 1.0, 2.0, 3.0, 0.0, 0.0]);
}

#[test]
fn gates_of_an_lstm_stand_in_their_order() {
    let one_by_one = |x: f32| Tensor::from_slice(&[1, 1, 1], &[x]).unwrap();
    let weights = Tensor::from_slice(&[1, 4, 1], &[0f32; 4]).unwrap();
    // Input, output, forget, cell: each gate is open or shut by its bias alone.
    let after = |gates: [f32; 4]| {
        let bias = Tensor::from_slice(&[1, 8], &[gates, [0.0; 4]].concat()).unwrap();
        let (x, h, c) = (one_by_one(1.0), one_by_one(0.0), one_by_one(0.5));
        let operands = [Some(&x), Some(&weights), Some(&weights), Some(&bias), None, Some(&h), Some(&c)];
        let results = run(node("LSTM", &[("hidden_size", Attr::Int(1))], 3), &operands);
        (floats(&results[1])[0], floats(&results[2])[0])
    };
    let (open, shut) = (1000.0, -1000.0);
    assert_eq!(after([open, open, shut, open]), (1f64.tanh() as f32, 1.0));
    assert_eq!(after([shut, open, open, open]), (0.5f64.tanh() as f32, 0.5));
    assert_eq!(after([open, shut, open, open]), (0.0, 1.5));
}
