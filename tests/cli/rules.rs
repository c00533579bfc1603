//! `weft rules`, and rule files on the command line.
use crate::weft::Folder;

const MINE: &str = "//! Mine.

/// A rectifier behind a sum is a maximum.
rule relu-of-sum {
    match   Relu(?s = Add(?x, ?y))
    where   uses(?s) = 1
    rewrite Max(?s, 0)
}
";

const WRONG: &str = "/// Not for what is negative.
rule relu-is-nothing { match Relu(?x) rewrite ?x }

/// Never.
rule never { match Abs(?x) where rank(?x) = 1, rank(?x) = 2 rewrite ?x }

/// True.
rule neg-neg { match Neg(Neg(?x)) rewrite ?x }
";

#[test]
fn rules_are_listed_and_explained() {
    let folder = Folder::empty();
    let text = folder.weft("rules").done();
    assert!(text.contains("transpose\n") && text.contains("  transpose-twice "), "{text}");
    assert!(text.contains("compose(integers, integers)"), "{text}");
    let family = folder.weft("rules matmul").done();
    assert!(family.contains("matmul-associates") && !family.contains("transpose-twice"), "{family}");
    let one = folder.weft("rules transpose-twice").done();
    assert!(one.starts_with("transpose-twice: Two transposes in a row are one.\n"), "{one}");
    assert!(one.contains("passes/library/rules/transpose.rules:4:1\nrule transpose-twice {\n"), "{one}");
    assert!(folder.weft("rules invert").done().contains("The permutation that undoes this one."));
    folder.weft("rules transpose-twise").refused(2, &["did you mean `transpose-twice`?"]);
    let json = folder.weft("rules --json").json();
    assert!(json["rules"].as_array().is_some_and(|rules| rules.len() > 100));
    assert!(json["functions"].as_array().is_some_and(|functions| functions.len() > 40));
}

#[test]
fn rules_are_checked() {
    let folder = Folder::empty();
    folder.write("wrong.rules", WRONG.as_bytes());
    let said = folder.weft("rules --check wrong.rules --instances 8");
    assert_eq!(said.code, Some(1), "{said:?}");
    for words in [
        "wrong.rules:2:1: relu-is-nothing is wrong: output 0: element ",
        "// %x = ",
        "weft 1 canonical\ngraph @main(%x: ",
        "// and what the rule makes of it\n",
        "wrong.rules:5:1: never never fired on 512 graphs\n",
        "`rank(?x) = 2` does not hold, found 1",
        "neg-neg: holds on 8 graphs of ",
        "3 rules checked, 2 bad",
    ] {
        assert!(said.out.contains(words), "`{words}` is not in:\n{}", said.out);
    }
    let one = folder.weft("rules transpose-twice --check --instances 4").done();
    assert!(one.contains("1 rules checked, 0 bad"), "{one}");
}

#[test]
fn rule_files_run() {
    let folder = Folder::linear();
    folder.write("mine.rules", MINE.as_bytes());
    let diff = folder.weft("opt linear.weft --rules mine.rules --diff -q").done();
    assert!(diff.contains("+    %y = Max(%s, "), "{diff}");
    let named =
        "opt linear.weft --rules mine.rules --pipeline rewrite{rules=relu-of-sum} --explain -o a.weft";
    assert!(folder.weft(named).err.contains("1: relu-of-sum at `%y`"));
    let compiled = folder.weft("compile linear.weft --rules mine.rules --emit weft -o out.weft -q");
    compiled.done();
    assert!(String::from_utf8(folder.read("out.weft")).unwrap().contains("Max("));
    folder.weft("opt linear.weft").refused(2, &["--pipeline <TEXT>"]);
}

#[test]
fn wrong_files_are_refused() {
    let folder = Folder::linear();
    folder.write("bad.rules", b"/// It.\nrule a { match Rellu(?x) rewrite ?x }\n");
    folder
        .weft("opt linear.weft --rules bad.rules")
        .refused(2, &["bad.rules:2:16: no operator is called `Rellu`, did you mean `Relu`?"]);
    folder.weft("opt linear.weft --rules none.rules").refused(1, &["none.rules"]);
    folder.write("again.rules", b"/// It.\nrule add-zero { match Add(?x, 0) rewrite ?x }\n");
    folder
        .weft("opt linear.weft --rules again.rules")
        .refused(1, &["adds the rule or family of rules `add-zero`"]);
    folder.write("loop.rules", b"/// It.\nrule grow { match Relu(?x) rewrite Relu(Relu(?x)) }\n");
    let told = folder.weft("opt linear.weft --rules loop.rules -o out.weft").err;
    assert!(told.contains("still changed something"), "{told}");
}
