//! Corners of the operators' meaning that are easy to get wrong, and the messages of a run.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::slice;
use std::sync::Arc;
use weft_interp::{EvalError, Interpreter};
use weft_ir::infer::infer;
use weft_ir::{Attr, DType, Def, Dim, Element, Graph, Module, Node, OpSet, Stage, Tensor, TensorType, Value};

/// A graph of one node over inputs of these types, with all results as outputs.
fn single(op: &str, attrs: &[(&str, Attr)], types: &[TensorType], results: usize) -> Result<Module, String> {
    let mut graph = Graph::new("main");
    let inputs: Vec<_> =
        types.iter().enumerate().map(|(i, ty)| Some(graph.add_input(&format!("x{i}"), ty.clone()))).collect();
    let def = |i| Def { name: format!("y{i}"), ty: TensorType::unranked(DType::F32) };
    let mut node = Node::new(op, (0..results).map(def).collect());
    node.attrs.extend(attrs.iter().map(|(name, attr)| (name.to_string(), attr.clone())));
    let node = graph.add(node, &inputs);
    graph.set_outputs((0..results as u32).map(|slot| Value { node, slot }).collect());
    infer(&mut graph, OpSet::builtin()).map_err(|problems| problems[0].message.clone())?;
    Ok(Module::new(Stage::Canonical, graph))
}

fn eval(op: &str, attrs: &[(&str, Attr)], inputs: &[Tensor]) -> Tensor {
    let types: Vec<_> = inputs.iter().map(|t| TensorType::fixed(t.dtype(), t.dims())).collect();
    let module = single(op, attrs, &types, 1).unwrap();
    let inputs: Vec<_> = inputs.iter().cloned().map(Arc::new).collect();
    Interpreter::default().run(&module, &inputs).unwrap().remove(0)
}

fn elements<T: Element>(op: &str, attrs: &[(&str, Attr)], inputs: &[Tensor]) -> Vec<T> {
    eval(op, attrs, inputs).to_vec().unwrap()
}

#[test]
fn integer_division_cuts_towards_zero_and_never_fails() {
    let a = Tensor::vector(&[-7i32, 7, 5, i32::MIN]);
    let b = Tensor::vector(&[2i32, -2, 0, -1]);
    assert_eq!(elements::<i32>("Div", &[], &[a.clone(), b.clone()]), [-3, -3, 0, i32::MIN]);
    assert_eq!(elements::<i32>("Mod", &[], &[a.clone(), b.clone()]), [1, -1, 0, 0]);
    assert_eq!(elements::<i32>("Mod", &[("fmod", Attr::Int(1))], &[a, b]), [-1, 1, 0, 0]);
}

#[test]
fn integers_wrap() {
    let a = Tensor::vector(&[250u8, 1]);
    assert_eq!(elements::<u8>("Add", &[], &[a.clone(), Tensor::vector(&[10u8, 1])]), [4, 2]);
    assert_eq!(elements::<u8>("Sub", &[], &[Tensor::vector(&[0u8, 1]), a]), [6, 0]);
    let big = Tensor::vector(&[u64::MAX]);
    assert_eq!(elements::<u64>("Mul", &[], &[big.clone(), big]), [1]);
    assert_eq!(elements::<i8>("Neg", &[], &[Tensor::vector(&[i8::MIN])]), [i8::MIN]);
    assert_eq!(elements::<i8>("Abs", &[], &[Tensor::vector(&[i8::MIN])]), [i8::MIN]);
}

#[test]
fn shifts_beyond_the_width_leave_the_sign() {
    let x = Tensor::vector(&[-8i8, 7, -8, 1]);
    let by = Tensor::vector(&[1i8, 1, 100, -1]);
    let shift = |way: &str| [("direction", Attr::Str(way.to_string()))];
    assert_eq!(elements::<i8>("BitShift", &shift("RIGHT"), &[x.clone(), by.clone()]), [-4, 3, -1, 0]);
    assert_eq!(elements::<i8>("BitShift", &shift("LEFT"), &[x, by]), [-16, 14, 0, 0]);
}

#[test]
fn extremes_keep_what_is_no_number() {
    let a = Tensor::vector(&[f32::NAN, 1.0, 2.0]);
    let b = Tensor::vector(&[0.0f32, f32::NAN, 3.0]);
    let found = elements::<f32>("Max", &[], &[a.clone(), b.clone()]);
    assert!(found[0].is_nan() && found[1].is_nan() && found[2] == 3.0);
    let found = elements::<f32>("Min", &[], &[a, b]);
    assert!(found[0].is_nan() && found[1].is_nan() && found[2] == 2.0);
}

#[test]
fn clip_obeys_the_upper_bound_last() {
    let x = Tensor::vector(&[1i32, 5, 9]);
    let bounds = [Tensor::scalar(6i32), Tensor::scalar(4i32)];
    assert_eq!(elements::<i32>("Clip", &[], &[x, bounds[0].clone(), bounds[1].clone()]), [4, 4, 4]);
}

#[test]
fn rounding_prefers_even_numbers() {
    let x = Tensor::vector(&[0.5f32, 1.5, 2.5, -0.5, -1.5]);
    assert_eq!(elements::<f32>("Round", &[], &[x]), [0.0, 2.0, 2.0, -0.0, -2.0]);
}

#[test]
fn floats_become_integers_without_undefined_results() {
    let x = Tensor::vector(&[3e9f32, -3e9, f32::NAN, -1.7, 300.0]);
    let to = |dtype| [("to", Attr::Type(dtype))];
    assert_eq!(
        elements::<i32>("Cast", &to(DType::I32), slice::from_ref(&x)),
        [i32::MAX, i32::MIN, 0, -1, 300]
    );
    assert_eq!(elements::<u8>("Cast", &to(DType::U8), slice::from_ref(&x)), [255, 0, 0, 255, 44]);
    assert_eq!(elements::<bool>("Cast", &to(DType::Bool), &[x]), [true; 5]);
}

#[test]
fn an_empty_set_reduces_to_the_neutral_element() {
    let x = Tensor::from_slice::<f32>(&[2, 0], &[]).unwrap();
    let axes = Tensor::vector(&[1i64]);
    for (op, expected) in [
        ("ReduceSum", 0.0),
        ("ReduceProd", 1.0),
        ("ReduceMax", f32::NEG_INFINITY),
        ("ReduceMin", f32::INFINITY),
        ("ReduceLogSumExp", f32::NEG_INFINITY),
    ] {
        assert_eq!(elements::<f32>(op, &[], &[x.clone(), axes.clone()]), [expected; 2], "{op}");
    }
}

#[test]
fn no_axes_mean_all_or_none() {
    let x = Tensor::from_slice(&[1, 2], &[3.0f32, 4.0]).unwrap();
    assert_eq!(elements::<f32>("ReduceSumSquare", &[], slice::from_ref(&x)), [25.0]);
    let none = [("noop_with_empty_axes", Attr::Int(1))];
    assert_eq!(elements::<f32>("ReduceSumSquare", &none, &[x]), [9.0, 16.0]);
}

#[test]
fn vectors_are_rows_on_the_left_and_columns_on_the_right() {
    let (a, b) = (Tensor::vector(&[1i32, 2]), Tensor::vector(&[3i32, 4]));
    let product = eval("MatMul", &[], &[a.clone(), b]);
    assert_eq!((product.dims(), product.to_vec::<i32>().unwrap()), (&[][..], vec![11]));
    let m = Tensor::from_slice(&[2, 2], &[1i32, 2, 3, 4]).unwrap();
    assert_eq!(elements::<i32>("MatMul", &[], &[a.clone(), m.clone()]), [7, 10]);
    assert_eq!(elements::<i32>("MatMul", &[], &[m, a]), [5, 11]);
    let empty = Tensor::from_slice::<f32>(&[2, 0], &[]).unwrap();
    let other = Tensor::from_slice::<f32>(&[0, 2], &[]).unwrap();
    assert_eq!(elements::<f32>("MatMul", &[], &[empty, other]), [0.0; 4]);
}

#[test]
fn einsum_takes_diagonals_and_broadcasts_ellipses() {
    let m = Tensor::from_slice(&[2, 2], &[1i32, 2, 3, 4]).unwrap();
    let by = |text: &str| [("equation", Attr::Str(text.to_string()))];
    assert_eq!(elements::<i32>("Einsum", &by("ii->i"), slice::from_ref(&m)), [1, 4]);
    assert_eq!(elements::<i32>("Einsum", &by("ii"), slice::from_ref(&m)), [5]);
    let three = Tensor::from_slice(&[3, 1, 2], &[1i32, 1, 2, 0, 0, 2]).unwrap();
    assert_eq!(
        elements::<i32>("Einsum", &by("...ij,jk->...k"), &[three.clone(), m.clone()]),
        [4, 6, 2, 4, 6, 8]
    );
    assert_eq!(elements::<i32>("Einsum", &by("ij,jk,kl->il"), &[m.clone(), m.clone(), m]), [37, 54, 81, 118]);
}

#[test]
fn types_are_checked_with_what_was_found_and_expected() {
    let f = TensorType::fixed(DType::F32, &[2]);
    let i = TensorType::fixed(DType::I32, &[2]);
    let message = |op: &str, types: &[TensorType]| single(op, &[], types, 1).unwrap_err();
    assert_eq!(message("Add", &[f.clone(), i.clone()]), "element types differ: f32 and i32");
    assert_eq!(
        message("Sqrt", slice::from_ref(&i)),
        "operand 0 `X` has element type i32, expected a float of at least 16 bits"
    );
    let wide = TensorType::fixed(DType::F32, &[3, 4]);
    assert_eq!(message("MatMul", &[wide.clone(), wide]), "inner extents differ, found 4 and 3");
}

#[test]
fn inputs_are_checked_and_bind_names() {
    let n = TensorType::new(DType::F32, vec![Dim::symbol("N")]);
    let next = TensorType::new(DType::F32, vec![Dim::symbol("N").plus(1)]);
    let mut graph = Graph::new("main");
    let inputs = [graph.add_input("a", next), graph.add_input("b", n.clone()), graph.add_input("c", n)];
    let ty = TensorType::fixed(DType::I64, &[1]);
    let node = Node::new("weft.Extents", vec![Def { name: "e".to_string(), ty }])
        .with("value", Attr::Dims(vec![Dim::symbol("N").scale(2)]));
    let node = graph.add(node, &[]);
    graph.set_outputs(vec![Value { node, slot: 0 }, inputs[0]]);
    let module = Module::new(Stage::Canonical, graph);
    let run = |lengths: [usize; 3]| {
        let inputs = lengths.map(|n| Arc::new(Tensor::vector(&vec![0f32; n])));
        Interpreter::default().run(&module, &inputs)
    };
    assert_eq!(run([4, 3, 3]).unwrap()[0].to_vec::<i64>().unwrap(), [6]);
    let text = |result: Result<Vec<Tensor>, EvalError>| result.unwrap_err().to_string();
    assert_eq!(text(run([4, 3, 2])), "input `c` has extent 2 where `N` is 3");
    assert_eq!(text(run([3, 3, 3])), "input `a` has extent 3 on axis 0, expected 4 (`N+1`)");
}

#[test]
fn a_budget_is_kept() {
    let types = [TensorType::fixed(DType::F32, &[1000, 1]), TensorType::fixed(DType::F32, &[1, 1000])];
    let module = single("MatMul", &[], &types, 1).unwrap();
    let inputs =
        types.map(|ty| Arc::new(Tensor::from_slice(&ty.static_dims().unwrap(), &[0f32; 1000]).unwrap()));
    let error = Interpreter::with_budget(1000).run(&module, &inputs).unwrap_err();
    assert!(error.to_string().contains("larger than the 1000 elements allowed"), "{error}");
}

#[test]
fn shape_arithmetic_is_followed_through_choices() {
    let mut graph = Graph::new("main");
    let mut add = |op: &str, attr: Option<(&str, Attr)>, operands: &[Option<Value>]| {
        let name = graph.fresh_name(op);
        let mut node = Node::new(op, vec![Def { name, ty: TensorType::unranked(DType::I64) }]);
        node.attrs.extend(attr.map(|(name, attr)| (name.to_string(), attr)));
        Value { node: graph.add(node, operands), slot: 0 }
    };
    let extents = Attr::Dims(vec![Dim::symbol("N"), Dim::fixed(3)]);
    let shape = add("weft.Extents", Some(("value", extents)), &[]);
    let minus = add("Const", Some(("value", Attr::Tensor(Arc::new(Tensor::scalar(-1i64))))), &[]);
    let ones = add("Const", Some(("value", Attr::Tensor(Arc::new(Tensor::vector(&[1i64, 1]))))), &[]);
    let same = add("Equal", None, &[Some(shape), Some(minus)]);
    let chosen = add("Where", None, &[Some(same), Some(ones), Some(shape)]);
    let product = add("ReduceProd", None, &[Some(chosen)]);
    graph.set_outputs(vec![product]);
    let facts = infer(&mut graph, OpSet::builtin()).unwrap();
    assert_eq!(facts[&product].value, Some(vec![Dim::symbol("N").scale(3)]));
}
