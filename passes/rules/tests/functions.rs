//! Functions and conditions answer or decline, whatever they are given.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
use proptest::prelude::*;
use std::sync::Arc;
use weft_ir::{DType, Dim, Fact, Tensor, TensorType};
use weft_passes::rule::{Bound, Datum, Kind, Rules};
use weft_rules::add_functions;

fn facts() -> Vec<Fact> {
    let dims = |dims: &[i64]| dims.iter().map(|d| Dim::fixed(*d)).collect();
    let constant = |tensor: Tensor| Fact::constant(&Arc::new(tensor));
    vec![
        Fact::of(TensorType::unranked(DType::F32)),
        Fact::of(TensorType::new(DType::U8, dims(&[]))),
        Fact::of(TensorType::new(DType::F16, dims(&[2, 0, i64::MAX]))),
        Fact::of(TensorType::new(DType::I64, vec![Dim::symbol("N"), Dim::symbol("?x.0")])),
        constant(Tensor::vector(&[1i64, -1, i64::MAX])),
        constant(Tensor::vector::<f32>(&[])),
        constant(Tensor::scalar(f32::NAN)),
        constant(Tensor::scalar(true)),
        constant(Tensor::strings(vec![1], vec!["a".to_string()]).unwrap()),
    ]
}

fn int() -> impl Strategy<Value = i64> {
    prop_oneof![-3i64..6, any::<i64>(), Just(i64::MIN), Just(i64::MAX)]
}

fn dim() -> impl Strategy<Value = Dim> {
    prop_oneof![int().prop_map(Dim::fixed), Just(Dim::symbol("N")), Just(Dim::unknown())]
}

fn datum(kind: Kind, facts: &'static [Fact]) -> BoxedStrategy<Datum<'static>> {
    let bound = |at: usize| Bound { fact: &facts[at % facts.len()], uses: at };
    let float = prop_oneof![any::<f64>(), -2.0..2.0f64];
    match kind {
        Kind::Value => (0usize..16).prop_map(move |at| Datum::Value(bound(at))).boxed(),
        Kind::Values => prop::collection::vec(0usize..16, 0..4)
            .prop_map(move |all| Datum::Values(all.into_iter().map(bound).collect()))
            .boxed(),
        Kind::Int => int().prop_map(Datum::Int).boxed(),
        Kind::Float => float.prop_map(Datum::Float).boxed(),
        Kind::Text => "[a-z]{0,3}".prop_map(Datum::Text).boxed(),
        Kind::Ints => prop_oneof![
            prop::collection::vec(int(), 0..5),
            Just(vec![1, 0]),
            Just(vec![2, 0, 1]),
            Just(vec![0, 0, 1, 1, 0, 0, 1, 1])
        ]
        .prop_map(Datum::Ints)
        .boxed(),
        Kind::Floats => prop::collection::vec(any::<f32>(), 0..3).prop_map(Datum::Floats).boxed(),
        Kind::Texts => prop::collection::vec("[a-z]{0,3}", 0..3).prop_map(Datum::Texts).boxed(),
        Kind::Type => prop::sample::select(DType::ALL).prop_map(Datum::Type).boxed(),
        Kind::Extent => dim().prop_map(Datum::Extent).boxed(),
        Kind::Shape => prop::collection::vec(dim(), 0..5).prop_map(Datum::Shape).boxed(),
        Kind::Tensor => Just(Datum::Tensor(Arc::new(Tensor::scalar(1.0f32)))).boxed(),
        Kind::Truth => any::<bool>().prop_map(Datum::Truth).boxed(),
    }
}

fn kind_of(datum: &Datum<'_>) -> Kind {
    match datum {
        Datum::Value(_) => Kind::Value,
        Datum::Values(_) => Kind::Values,
        Datum::Int(_) => Kind::Int,
        Datum::Float(_) => Kind::Float,
        Datum::Text(_) => Kind::Text,
        Datum::Ints(_) => Kind::Ints,
        Datum::Floats(_) => Kind::Floats,
        Datum::Texts(_) => Kind::Texts,
        Datum::Type(_) => Kind::Type,
        Datum::Extent(_) => Kind::Extent,
        Datum::Shape(_) => Kind::Shape,
        Datum::Tensor(_) => Kind::Tensor,
        Datum::Truth(_) => Kind::Truth,
    }
}

#[test]
fn every_function_answers_in_its_kind_or_declines() {
    let mut rules = Rules::default();
    add_functions(&mut rules).unwrap();
    // Strategies in boxes own all they need.
    let facts: &'static [Fact] = facts().leak();
    for function in rules.functions() {
        assert!(function.doc.ends_with('.') && function.doc.len() > 8, "{}", function.name);
        let arguments: Vec<_> = function.params.iter().map(|kind| datum(*kind, facts)).collect();
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let mut answers = 0;
        for _ in 0..400 {
            let given: Vec<Datum<'_>> =
                arguments.iter().map(|a| a.new_tree(&mut runner).unwrap().current()).collect();
            if let Ok(answer) = function.call(&given) {
                answers += 1;
                assert_eq!(kind_of(&answer), function.result, "{}", function.name);
            }
            assert!(function.call(&given[..given.len() - 1]).is_err(), "{} of too little", function.name);
        }
        assert!(answers > 0, "`{}` never answers", function.name);
    }
    assert!(rules.clone().add_function(rules.function("rank").unwrap().clone()).is_err());
}
