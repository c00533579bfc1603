//! What is printed reads back, and nothing that is read makes the reader fail.
use proptest::prelude::*;
use std::sync::Arc;
use weft_ir::{DType, OpSet, Tensor};
use weft_passes::rule::{Aim, Rules};
use weft_rules::ast::{Call, Comparison, ConditionText, Expr, Name, RuleFile, RuleText, Span, Ways, What};
use weft_rules::{add_functions, load, parse, print};

/// A rule file with a bit of everything, to break.
const SAMPLE: &str = "//! Turning axes.

/// Two turned tensors, joined.
explore rule concat-of-turned {
    match   ?r = Concat(..?f, Transpose(?x) {perm = ?p}, ..?b) {axis = ?a}, Conv(?x, _, 1) {..?c, group = -2}
    let     ?n = fixed(extent(?x, ?a))
    where   ?n != 0, dtype(?x) = f32, number(?x) >= -0.5, f32[2]{1.0, nan} = ?t, shape(?x) = [?n, 2, inf], float(?x)
    rewrite Split(?x, [1, 2]) {mode = \"a\\\\\\\"b\"}[1], ?x
}

/// There and back.
rule ways { match Relu(?x) <=> Abs(?x) }
";

fn word() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9_]{0,5}"
        .prop_filter("words of the language", |word| DType::parse(word).is_none() && word != "inf")
}

fn name() -> impl Strategy<Value = Name> {
    word().prop_map(|text| Name { text, span: Span::default() })
}

fn expr() -> impl Strategy<Value = Expr> {
    let leaf = prop_oneof![
        word().prop_map(What::Var),
        word().prop_map(What::Rest),
        Just(What::Absent),
        any::<i64>().prop_map(What::Int),
        any::<f64>().prop_filter("not a number", |x| !x.is_nan()).prop_map(What::Float),
        "[ -~]{0,8}".prop_map(What::Text),
        prop::sample::select(DType::ALL).prop_map(What::Type),
        prop::collection::vec(any::<i32>(), 0..3).prop_map(|x| What::Tensor(Arc::new(Tensor::vector(&x)))),
        prop::collection::vec("[ -~]{0,4}", 0..3).prop_map(|texts| {
            let tensor = Tensor::strings(vec![texts.len() as u64], texts);
            What::Tensor(Arc::new(tensor.expect("as many texts as there are")))
        }),
    ];
    let leaf = leaf.prop_map(|what| Expr { what, span: Span::default() });
    leaf.prop_recursive(4, 24, 4, |inner| {
        let list = prop::collection::vec(inner.clone(), 0..4).prop_map(What::List);
        let named = (name(), inner.clone()).prop_map(|(name, expr)| What::Named(name, Box::new(expr)));
        let attrs = prop::collection::btree_map(word(), inner.clone(), 0..3).prop_map(|attrs| {
            attrs.into_iter().map(|(text, expr)| (Name { text, span: Span::default() }, expr)).collect()
        });
        let operands = prop::collection::vec(inner, 0..4);
        let op = "[A-Za-z][a-z0-9]{0,4}(\\.[A-Z][a-z]{0,3})?";
        let call = (op, operands, attrs, prop::option::of(name()), 0u32..3).prop_map(
            |(name, operands, attrs, others, result)| {
                What::Call(Call { name, operands, attrs, others, result })
            },
        );
        prop_oneof![list, named, call].prop_map(|what| Expr { what, span: Span::default() })
    })
}

fn condition() -> impl Strategy<Value = ConditionText> {
    // A name for a value stands among operands, not in front of a condition.
    let plain = || expr().prop_filter("named", |expr| !matches!(expr.what, What::Named(..)));
    let right = prop::option::of((prop::sample::select(Comparison::ALL.to_vec()), plain()));
    (plain(), right).prop_map(|(left, right)| ConditionText { left, right })
}

fn doc() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("[ -~]{0,12}".prop_map(|line| line.trim().to_string()), 0..3)
}

fn rule() -> impl Strategy<Value = RuleText> {
    let exprs = || prop::collection::vec(expr(), 1..3);
    let lets = prop::collection::vec((name(), expr()), 0..2);
    let conditions = prop::collection::vec(condition(), 0..3);
    let kinds = (any::<bool>(), any::<bool>());
    (doc(), kinds, "[a-z]{1,4}(-[a-z0-9]{1,3})?", exprs(), lets, conditions, exprs()).prop_map(
        |(doc, (explore, back), text, find, lets, conditions, put)| RuleText {
            doc,
            aim: if explore { Aim::Explore } else { Aim::Improve },
            name: Name { text, span: Span::default() },
            find,
            lets,
            conditions,
            ways: if back { Ways::ThereAndBack } else { Ways::There },
            put,
            span: Span::default(),
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn what_is_printed_reads_back(doc in doc(), rules in prop::collection::vec(rule(), 0..3)) {
        let file = RuleFile { doc, rules };
        let text = print(&file);
        let (read, slips) = parse(&text);
        prop_assert!(slips.is_empty(), "{slips:?}\n{text}");
        prop_assert_eq!(&read, &file, "{}", text);
        prop_assert_eq!(print(&read), text);
    }

    #[test]
    fn nothing_makes_the_reader_fail(text in "(?s).{0,200}") {
        drop(parse(&text));
    }

    #[test]
    fn broken_files_are_refused_or_read(
        cuts in prop::collection::vec((0usize..SAMPLE.len(), 0usize..12, "[-?.(){}\\[\\],=<>!\"/ a-zA-Z0-9]{0,6}"), 1..6)
    ) {
        let mut text = SAMPLE.to_string();
        for (at, length, new) in cuts {
            let (from, to) = (at.min(text.len()), (at + length).min(text.len()));
            text.replace_range(from..to, &new);
        }
        let mut rules = Rules::default();
        add_functions(&mut rules).expect("no function is there twice");
        drop(load(("a.rules", "a"), &text, OpSet::builtin(), &rules));
    }
}

#[test]
fn the_sample_is_read() {
    let (file, slips) = parse(SAMPLE);
    assert_eq!((file.rules.len(), slips), (2, Vec::new()));
    assert_eq!(parse(&print(&file)).0, file);
}
