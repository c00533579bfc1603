//! What is said of rule files that are wrong: everything at once, each with its place.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
use weft_ir::OpSet;
use weft_passes::rule::Rules;
use weft_rules::{add_functions, load};

fn functions() -> Rules {
    let mut rules = Rules::default();
    add_functions(&mut rules).unwrap();
    rules
}

/// The errors of a file, a line each.
fn errors(text: &str) -> Vec<String> {
    let loaded = load(("a.rules", "a"), text, OpSet::builtin(), &functions());
    loaded.err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

/// The errors of one rule with this within.
fn within(text: &str) -> String {
    errors(&format!("/// It.\nrule a {{ {text} }}\n")).join("\n")
}

#[test]
fn everything_is_told_at_once() {
    let text = "/// A square is a power.
rule square {
    match   Mool(?x, ?x)
    where   dtipe(?x) = f32, rank(?x) = \"a\"
    rewrite Pow(?x, 2)
}

rule Next {
    match   Transpose(?x) {pern = ?p}
    rewrite Transpose(?x) {perm = 3}
}

/// Broken.
rule third {
    match Relu(?x
    rewrite ?x
}

/// Fine.
rule fourth { match Relu(Relu(?x)) rewrite Relu(?x) }

/// Again.
rule fourth { match Relu(Relu(?x)) rewrite Relu(?x) }
";
    assert_eq!(
        errors(text),
        [
            "a.rules:3:13: no operator is called `Mool`, did you mean `Loop`?",
            "a.rules:4:13: no function or condition is called `dtipe`, did you mean `dtype`?",
            "a.rules:8:1: rule `Next` has no sentence that says the identity, as `/// ... .`",
            "a.rules:8:6: `Next` is no name for a rule: expected lower-case words with `-` between them",
            "a.rules:9:28: `Transpose` has no attribute `pern`, did you mean `perm`?",
            "a.rules:10:35: attribute `perm` is integers, found an integer",
            "a.rules:16:5: expected `,` or `)`, found `rewrite`",
            "a.rules:23:6: two rules of this file are named `fourth`",
        ]
    );
}

/// What may stand in a rule, and what is said of it.
const SLIPS: &[(&str, &str)] = &[
    ("match ?x rewrite ?x", "2:16: `?x` is no operator"),
    ("match Relu(?x, ?y) rewrite ?x", "`Relu` takes at most 1 operands, found 2"),
    ("match Add(?x) rewrite ?x", "`Add` has no operand `B`"),
    ("match Relu(?x)[1] rewrite ?x", "`Relu` has no result 1"),
    ("match If(?x) rewrite ?x", "`If` has regions, rules leave it alone"),
    ("match RandomNormalLike(?x) rewrite ?x", "`RandomNormalLike` is not pure"),
    ("match Relu(f32) rewrite ?x", "`f32` is no value to look for"),
    ("match Reshape(?x, [?a]) rewrite ?x", "a list to look for holds integers"),
    ("match Relu(..?x) rewrite ?y", "`Relu` does not take any number of operands"),
    (
        "match Concat(?x, ..?y, ?z) {axis = 1} rewrite ?x",
        "any number of operands stand in front of all or behind all",
    ),
    ("match Softmax(?x) {axis = ?x} rewrite ?x", "`?x` is a value elsewhere and an integer here"),
    ("match Softmax(?x) {axis = 1.5} rewrite ?x", "attribute `axis` is an integer, found `1.5`"),
    ("match Softmax(?x) {axis = dtype(?x)} rewrite ?x", "dtype(?x) is an element type, expected an integer"),
    ("match Relu(?x) where rank(?x) rewrite ?x", "`rank(?x)` is an integer, expected a condition"),
    ("match Relu(?x) where rank(?x) = f32 rewrite ?x", "an integer and an element type cannot be compared"),
    ("match Relu(?x) where dtype(?x) < f32 rewrite ?x", "an element type cannot be compared by `<`"),
    ("match Relu(?x) where rank() = 1 rewrite ?x", "`rank` takes 1 arguments, found 0"),
    ("match Relu(?x) where rank(2) = 1 rewrite ?x", "`rank` takes a value here, found an integer"),
    ("match Relu(?x) where Relu(?x) = 1 rewrite ?x", "`Relu` is an operator, expected a function"),
    ("match rank(?x) rewrite ?x", "`rank` is a function, expected an operator"),
    ("match Relu(?value) rewrite ?valeu", "`?valeu` is not in what is looked for, did you mean `?value`?"),
    ("match Relu(?x) rewrite ?x, ?x", "1 values are looked for and 2 put in, expected as many"),
    (
        "match Relu(?x), Relu(?y) rewrite ?x, ?y",
        "it has no value in common with what is looked for before it",
    ),
    ("match ?r = Relu(?x) rewrite Relu(?r)", "`?r` is replaced itself, so nothing can be made of it"),
    ("match Relu(?x) let ?x = 1 rewrite ?x", "`?x` has a meaning already"),
    ("match Relu(?x) rewrite f32", "`f32` is no value to put in"),
    ("match Relu(?x) rewrite 1", "`1` is no value to put in"),
    ("match Relu(?x) rewrite Concat(?x)", "`Concat` needs the attribute `axis`"),
    ("match Conv(?x, ?w) {..?c} rewrite Relu(?x) {..?c}", "`Relu` does not take all attributes of `Conv`"),
    ("match Relu(?x) <=> Relu(Relu(?y))", "`?y` is not in what is looked for"),
    ("match Pow(?x, 2) <=> Mul(?x, rank(?x))", "on the way back: `rank` is a function, expected an operator"),
    ("match Relu(?x) rewrite", "expected an expression, found `}`"),
    ("match Relu(?x) where rewrite ?x", "expected `(` behind `rewrite`"),
    ("match Relu(?x) rewrite ?x !", "character '!' has no meaning here"),
    ("match Relu(?1) rewrite ?x", "expected a name that begins with a letter behind `?`"),
    ("match Relu(?x) {} where \"a", "the closing quote is missing"),
    ("match Add(?x, 99999999999999999999) rewrite ?x", "expected an integer of 64 bits"),
    ("match Add(?x, f32[2]{1.0}) rewrite ?x", "a tensor of shape [2] has 2 elements, found 1"),
    ("match Add(?x, f32[1]{?x}) rewrite ?x", "expected a number of type f32, found `?x`"),
    ("match Add(?x, 1e999) rewrite ?x", "expected a number, found `1e999`"),
];

#[test]
fn each_slip_is_named() {
    for (text, wanted) in SLIPS {
        let found = within(text);
        assert!(found.contains(wanted), "{text}\nexpected {wanted}\nfound {found}");
    }
}

#[test]
fn nesting_has_an_end() {
    let deep = |depth: usize| format!("match {}?x{} rewrite ?x", "Relu(".repeat(depth), ")".repeat(depth));
    assert_eq!(within(&deep(31)), "");
    assert!(within(&deep(32)).contains("expressions nest deeper than 32"));
    assert!(within(&deep(100_000)).contains("expressions nest deeper than 32"));
    for (least, twice) in [("rank(?x)", "add(?a, ?a)"), ("Relu(?x)", "Add(?a, ?a)")] {
        let doubled = (0..60).map(|i| {
            let twice = twice.replace("?a", &format!("?v{i}"));
            format!("let ?v{} = {twice} ", i + 1)
        });
        let lets = doubled.collect::<String>();
        let end = if least == "rank(?x)" { "where ?v60 = 1 rewrite ?x" } else { "rewrite ?v60" };
        let found = within(&format!("match Relu(?x) let ?v0 = {least} {lets} {end}"));
        assert!(found.contains("it is made of more than 512 parts"), "{found}");
    }
    let wide = format!("match Concat({}?x) {{axis = 1}} rewrite ?x", "?x, ".repeat(5000));
    assert!(within(&wide).contains("a rule has more than 4096 expressions"));
}
