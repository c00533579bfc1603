//! What inference tells of shapes before any extent is known.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;
use weft_ir::infer::infer;
use weft_ir::{Attr, DType, Def, Dim, Graph, Node, OpSet, Tensor, TensorType, Value};

/// A graph under construction.
struct Build {
    graph: Graph,
}

impl Build {
    fn new() -> Self {
        Self { graph: Graph::new("main") }
    }

    fn input(&mut self, dtype: DType, dims: &[&str]) -> Value {
        let name = format!("x{}", self.graph.inputs().len());
        self.graph.add_input(&name, TensorType::new(dtype, dims.iter().map(|d| dim(d)).collect()))
    }

    fn ints(&mut self, list: &[i64]) -> Value {
        self.tensor(Tensor::vector(list))
    }

    fn tensor(&mut self, tensor: Tensor) -> Value {
        self.many("Const", &[], &[("value", Attr::Tensor(Arc::new(tensor)))], 1)[0]
    }

    fn op(&mut self, op: &str, operands: &[Value], attrs: &[(&str, Attr)]) -> Value {
        self.many(op, operands, attrs, 1)[0]
    }

    fn many(&mut self, op: &str, operands: &[Value], attrs: &[(&str, Attr)], results: usize) -> Vec<Value> {
        let n = self.graph.len();
        let def = |i| Def { name: format!("v{n}_{i}"), ty: TensorType::unranked(DType::F32) };
        let mut node = Node::new(op, (0..results).map(def).collect());
        node.attrs.extend(attrs.iter().map(|(name, attr)| (name.to_string(), attr.clone())));
        let operands: Vec<_> = operands.iter().copied().map(Some).collect();
        let node = self.graph.add(node, &operands);
        (0..results as u32).map(|slot| Value { node, slot }).collect()
    }

    /// The types of these values, or what inference found wrong.
    fn types(mut self, values: &[Value]) -> Result<Vec<String>, String> {
        self.graph.set_outputs(values.to_vec());
        infer(&mut self.graph, OpSet::builtin()).map_err(|problems| problems[0].message.clone())?;
        Ok(values.iter().map(|v| self.graph.ty(*v).to_string()).collect())
    }

    fn ty(self, value: Value) -> String {
        self.types(&[value]).unwrap().remove(0)
    }
}

/// A number or a name.
fn dim(text: &str) -> Dim {
    text.parse().map_or_else(|_| Dim::symbol(text), Dim::fixed)
}

fn ints(list: &[i64]) -> Attr {
    Attr::Ints(list.to_vec())
}

#[test]
fn shapes_flow_through_gather_concat_and_reshape() {
    let mut b = Build::new();
    let x = b.input(DType::F32, &["N", "S", "768"]);
    let shape = b.op("Shape", &[x], &[]);
    let one = b.tensor(Tensor::scalar(1i64));
    let length = b.op("Gather", &[shape, one], &[]);
    let axes = b.ints(&[0]);
    let length = b.op("Unsqueeze", &[length, axes], &[]);
    let (batch, heads) = (b.op("Shape", &[x], &[("end", Attr::Int(1))]), b.ints(&[12, -1]));
    let target = b.op("Concat", &[batch, length, heads], &[("axis", Attr::Int(0))]);
    let y = b.op("Reshape", &[x, target], &[]);
    assert_eq!(b.ty(y), "f32[N, S, 12, 64]");
}

#[test]
fn what_is_left_cancels_before_it_divides() {
    let mut b = Build::new();
    let (x, more) =
        (b.input(DType::F32, &["N", "S", "12", "64"]), b.input(DType::F32, &["N", "1", "12", "64"]));
    let x = b.op("Concat", &[x, more], &[("axis", Attr::Int(1))]);
    let target = b.ints(&[0, 0, -1]);
    let y = b.op("Reshape", &[x, target], &[]);
    assert_eq!(b.ty(y), "f32[N, S+1, 768]");
}

#[test]
fn slices_from_both_ends_agree() {
    let mut b = Build::new();
    let x = b.input(DType::F32, &["S"]);
    let [zero, one, last, end] = [0, 1, -1, i64::MAX].map(|i| b.ints(&[i]));
    let head = b.op("Slice", &[x, zero, last], &[]);
    let tail = b.op("Slice", &[x, one, end], &[]);
    let sum = b.op("Add", &[head, tail], &[]);
    let only = b.op("Slice", &[x, last, end], &[]);
    let found = b.types(&[head, tail, sum, only]).unwrap();
    assert_eq!(found, ["f32[max(0, S-1)]", "f32[max(0, S-1)]", "f32[max(0, S-1)]", "f32[min(1, S)]"]);
}

#[test]
fn a_slice_can_run_backwards() {
    let mut b = Build::new();
    let x = b.input(DType::F32, &["S", "5"]);
    let (starts, ends) = (b.ints(&[-1, 3]), b.ints(&[i64::MIN, 0]));
    let (axes, steps) = (b.ints(&[0, 1]), b.ints(&[-1, -2]));
    let y = b.op("Slice", &[x, starts, ends, axes, steps], &[]);
    assert_eq!(b.ty(y), "f32[S, 2]");
}

#[test]
fn a_table_cut_to_length_broadcasts_with_that_length() {
    let mut b = Build::new();
    let (x, table) = (b.input(DType::F32, &["N", "S"]), b.input(DType::F32, &["1", "512"]));
    let (zero, axis) = (b.ints(&[0]), b.ints(&[1]));
    let length = b.op("Shape", &[x], &[("start", Attr::Int(1))]);
    let cut = b.op("Slice", &[table, zero, length, axis], &[]);
    let sum = b.op("Add", &[x, cut], &[]);
    assert_eq!(b.types(&[cut, sum]).unwrap(), ["f32[1, min(512, S)]", "f32[N, S]"]);
}

#[test]
fn windows_slide_over_symbolic_extents() {
    let mut b = Build::new();
    let x = b.input(DType::F32, &["N", "3", "H", "W"]);
    let w = b.input(DType::F32, &["8", "3", "3", "3"]);
    let attrs = [("pads", ints(&[1, 1, 1, 1])), ("strides", ints(&[2, 1]))];
    let y = b.op("Conv", &[x, w], &attrs);
    let pool = [("kernel_shape", ints(&[3, 3])), ("strides", ints(&[2, 2])), ("ceil_mode", Attr::Int(1))];
    let z = b.op("MaxPool", &[x], &pool);
    let same = [("kernel_shape", ints(&[2, 2])), ("auto_pad", Attr::Str("SAME_UPPER".into()))];
    let s = b.op("AveragePool", &[x], &same);
    let found = b.types(&[y, z, s]).unwrap();
    assert_eq!(found[0], "f32[N, 8, (H+1)/2, W]");
    assert_eq!(found[1], "f32[N, 3, H/2, W/2]");
    assert_eq!(found[2], "f32[N, 3, H, W]");
}

#[test]
fn ranges_pads_and_tiles_take_extents() {
    let mut b = Build::new();
    let x = b.input(DType::F32, &["N", "S"]);
    let (zero, one) = (b.tensor(Tensor::scalar(0i64)), b.tensor(Tensor::scalar(1i64)));
    let shape = b.op("Shape", &[x], &[]);
    let length = b.op("Gather", &[shape, one], &[]);
    let range = b.op("Range", &[zero, length, one], &[]);
    let zeros = b.op("ConstantOfShape", &[shape], &[]);
    let tiled = b.op("Tile", &[x, shape], &[]);
    let (axis, two) = (b.ints(&[0]), b.ints(&[2]));
    let length = b.op("Unsqueeze", &[length, axis], &[]);
    let pads = b.op("Concat", &[two, length], &[("axis", Attr::Int(0))]);
    let none = b.tensor(Tensor::scalar(0f32));
    let padded = b.op("Pad", &[x, pads, none, axis], &[]);
    let halves = b.many("Split", &[x], &[("axis", Attr::Int(1)), ("num_outputs", Attr::Int(2))], 2);
    let found = b.types(&[range, zeros, tiled, padded, halves[0], halves[1]]).unwrap();
    assert_eq!(found[0], "i64[S]");
    assert_eq!(found[1], "f32[N, S]");
    assert_eq!(found[2], "f32[N*N, S*S]");
    assert_eq!(found[3], "f32[N+S+2, S]");
    assert_eq!(found[4..], ["f32[N, (S+1)/2]", "f32[N, S-(S+1)/2]"]);
}

#[test]
fn negative_axes_count_from_the_end() {
    let mut b = Build::new();
    let x = b.input(DType::F32, &["2", "3", "5"]);
    let at = |axis: i64| [("axis", Attr::Int(axis))];
    let (last, first) = (b.op("Concat", &[x, x], &at(-1)), b.op("Concat", &[x, x], &at(-3)));
    let flat = b.op("Flatten", &[x], &at(-1));
    assert_eq!(b.types(&[last, first, flat]).unwrap(), ["f32[2, 3, 10]", "f32[4, 3, 5]", "f32[6, 5]"]);
    for beyond in [-4, 3] {
        let mut b = Build::new();
        let x = b.input(DType::F32, &["2", "3", "5"]);
        let y = b.op("Concat", &[x, x], &at(beyond));
        assert_eq!(b.types(&[y]).unwrap_err(), format!("axis {beyond} is outside a tensor of rank 3"));
    }
}

#[test]
fn resizing_by_fractions_stays_exact() {
    let mut b = Build::new();
    let x = b.input(DType::F32, &["N", "H", "W", "3"]);
    let (roi, scales) =
        (b.tensor(Tensor::vector::<f32>(&[])), b.tensor(Tensor::vector(&[1f32, 1.0, 2.0, 0.5])));
    let y = b.op("Resize", &[x, roi, scales], &[("layout", Attr::Str("nhwc".into()))]);
    assert_eq!(b.ty(y), "f32[N, 2*H, W/2, 3]");
}

/// A region that joins its state with a slice and gives both.
fn growing(scan: bool) -> Graph {
    let mut region = Graph::new("body");
    let float = |dims: &[&str]| TensorType::new(DType::F32, dims.iter().map(|d| dim(d)).collect());
    let add = |g: &mut Graph, name: &str| g.add_input(name, float(&["?"]));
    let condition = (!scan).then(|| {
        region.add_input("i", TensorType::new(DType::I64, Vec::new()));
        region.add_input("go", TensorType::new(DType::Bool, Vec::new()))
    });
    let (state, slice) = (add(&mut region, "state"), add(&mut region, "slice"));
    let def = Def { name: "joined".into(), ty: float(&["?"]) };
    let node = Node::new("Concat", vec![def]).with("axis", Attr::Int(0));
    let node = region.add(node, &[Some(state), Some(slice)]);
    let joined = Value { node, slot: 0 };
    region.set_outputs(condition.into_iter().chain([joined, slice]).collect());
    region
}

#[test]
fn what_a_loop_grows_is_decided_at_run_time() {
    let mut b = Build::new();
    let (m, x, c) = (b.input(DType::I64, &[]), b.input(DType::F32, &["N"]), b.input(DType::F32, &["C"]));
    let results = ["a", "b"].map(|n| Def { name: n.into(), ty: TensorType::unranked(DType::F32) });
    let mut node = Node::new("Loop", results.to_vec()).with("carried", Attr::Int(1));
    node.regions.push(growing(false));
    let node = b.graph.add(node, &[Some(m), None, Some(x), Some(c)]);
    let found = b.types(&[Value { node, slot: 0 }, Value { node, slot: 1 }]).unwrap();
    assert_eq!(found, ["f32[?a.0]", "f32[?b.0, C]"]);
}

#[test]
fn a_scan_runs_as_often_as_there_are_slices() {
    let mut b = Build::new();
    let (x, c) = (b.input(DType::F32, &["N"]), b.input(DType::F32, &["C", "T"]));
    let results = ["a", "b"].map(|n| Def { name: n.into(), ty: TensorType::unranked(DType::F32) });
    let mut node =
        Node::new("Scan", results.to_vec()).with("states", Attr::Int(1)).with("scanned", Attr::Int(1));
    node.attrs.insert("scan_input_axes".into(), ints(&[1]));
    node.regions.push(growing(true));
    let node = b.graph.add(node, &[Some(x), Some(c)]);
    let found = b.types(&[Value { node, slot: 0 }, Value { node, slot: 1 }]).unwrap();
    assert_eq!(found, ["f32[?a.0]", "f32[T, C]"]);
}

#[test]
fn branches_keep_the_extents_they_share() {
    let branch = |name: &str, from: usize| {
        let mut region = Graph::new(name);
        let ty = || TensorType::unranked(DType::F32);
        let inputs = [region.add_input("p", ty()), region.add_input("q", ty())];
        region.set_outputs(vec![inputs[from]]);
        region
    };
    let mut b = Build::new();
    let (go, x, y) =
        (b.input(DType::Bool, &[]), b.input(DType::F32, &["N", "4"]), b.input(DType::F32, &["N", "M"]));
    let mut node = Node::new("If", vec![Def { name: "r".into(), ty: TensorType::unranked(DType::F32) }]);
    node.regions.extend([branch("then", 0), branch("else", 1)]);
    let node = b.graph.add(node, &[Some(go), Some(x), Some(y)]);
    assert_eq!(b.ty(Value { node, slot: 0 }), "f32[N, ?r.1]");
}

#[test]
fn messages_name_what_was_found_and_expected() {
    let fails = |op: &str, operands: &[&[&str]], attrs: &[(&str, Attr)]| {
        let mut b = Build::new();
        let operands: Vec<_> = operands.iter().map(|dims| b.input(DType::F32, dims)).collect();
        let y = b.op(op, &operands, attrs);
        b.types(&[y]).unwrap_err()
    };
    let x = &["1", "4", "8", "8"][..];
    let conv = |w: &[&str], attrs: &[(&str, Attr)]| fails("Conv", &[x, w], attrs);
    assert_eq!(
        conv(&["2", "3", "1", "1"], &[]),
        "channels of the weights (by groups) and of the operand differ: 3 and 4"
    );
    assert_eq!(
        conv(&["2", "4", "1", "1", "1"], &[]),
        "the operand has rank 4, the weights 5, expected the same"
    );
    assert_eq!(conv(&["2", "4", "0", "1"], &[]), "the kernel has the extent 0, expected at least 1");
    assert_eq!(
        conv(&["2", "4", "1", "1"], &[("strides", ints(&[0, 1]))]),
        "`strides` holds 0, expected at least 1"
    );
    assert_eq!(conv(&["2", "4", "1", "1"], &[("group", Attr::Int(0))]), "`group` is 0, expected at least 1");
    assert_eq!(
        fails("Split", &[x], &[("num_outputs", Attr::Int(0))]),
        "0 pieces are asked for and 1 used, expected 1 to 65536"
    );
    assert_eq!(
        fails("MaxPool", &[x], &[("kernel_shape", ints(&[9, 1]))]),
        "the window spans 9 elements, 1 more than the padded extent 8"
    );
}
