//! Whether the rules are true, and whether wrong ones are found.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use weft::{Driver, check_rule};
use weft_ir::OpSet;
use weft_passes::rule::RewriteRule;
use weft_rewrite::check::{Effort, Verdict};

/// On how many graphs every rule must hold.
const INSTANCES: usize = 50;

fn check(rule: &Arc<dyn RewriteRule>) -> Verdict {
    check_rule(rule, OpSet::builtin(), Effort { instances: INSTANCES, ..Effort::default() })
}

/// The rule of a file with this text.
fn rule(text: &str) -> Arc<dyn RewriteRule> {
    let driver = Driver::new().unwrap();
    let rules = weft_rules::load(("test.rules", "test"), text, driver.ops(), driver.registry().rules());
    Arc::new(rules.unwrap().remove(0))
}

#[test]
fn every_rule_is_true() {
    let driver = Driver::new().unwrap();
    let rules: Vec<_> = driver.registry().rules().iter().collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut bad = Vec::new();
        while let Some(rule) = rules.get(next.fetch_add(1, Ordering::Relaxed)) {
            let verdict = check(rule);
            let name = &rule.info().name;
            if let Some(wrong) = verdict.wrong {
                bad.push(format!("{name} is wrong: {}\n{}{}", wrong.difference, wrong.before, wrong.after));
            } else if verdict.agreed < INSTANCES {
                bad.push(format!("{name} fired on {} graphs alone: {:?}", verdict.agreed, verdict.declined));
            }
        }
        bad
    };
    let bad: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(bad.is_empty(), "{}", bad.join("\n"));
    assert!(rules.len() > 200, "{} rules were found", rules.len());
}

#[test]
fn wrong_rules_are_found() {
    let wrong = [
        // The permutations in the wrong order, which matters from rank 3 on.
        "rule a { match Transpose(Transpose(?x) {perm = ?p}) {perm = ?q} rewrite Transpose(?x) {perm = compose(?q, ?p)} }",
        // Not for what is negative.
        "rule b { match Sqrt(Mul(?x, ?x)) rewrite ?x }",
        // The factors turned, but not changed over.
        "rule c { match MatMul(Transpose(?a), Transpose(?b)) where shape(?a) = shape(?b) rewrite Transpose(MatMul(?a, ?b)) }",
        // The bias is not in the factor.
        "rule d { match Mul(Conv(?x, ?w, ?b) {..?c}, ?s) where rank(?s) = 0 rewrite Conv(?x, Mul(?w, ?s), ?b) {..?c} }",
        // Integers round.
        "rule e { match Mul(Div(?x, ?y), ?y) rewrite ?x }",
        // The pieces changed over.
        "rule f { match Split(Concat(?x, ?y) {axis = ?a}, ?s) {axis = ?a} where at(ints(?s), 0) = extent(?x, ?a), at(ints(?s), 1) = extent(?y, ?a) rewrite ?y }",
    ];
    for text in wrong {
        let verdict = check(&rule(&format!("/// Wrong.\n{text}\n")));
        let found = verdict.wrong.unwrap_or_else(|| panic!("nothing is wrong with {text}"));
        assert!(found.before.starts_with("weft 1 canonical\n"), "{}", found.before);
        assert!(found.after.starts_with("weft 1 canonical\n"), "{}", found.after);
        assert!(!found.difference.is_empty());
    }
}

#[test]
fn rules_that_never_fire_are_found() {
    let text = "/// Never.\nrule a { match Relu(?x) where rank(?x) = 3, rank(?x) = 4 rewrite ?x }\n";
    let verdict = check(&rule(text));
    assert_eq!((verdict.agreed, verdict.wrong.is_some()), (0, false));
    assert!(verdict.declined.keys().any(|why| why.contains("`rank(?x) = 4` does not hold, found 3")));
}

#[test]
fn checks_are_the_same_each_time() {
    let text = "/// True.\nrule a { match Neg(Neg(?x)) rewrite ?x }\n";
    let [first, second] = [check(&rule(text)), check(&rule(text))];
    assert_eq!((first.tried, &first.example), (second.tried, &second.example));
}

#[test]
fn rules_come_with_the_driver_or_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.rules");
    std::fs::write(&file, "/// A square is a power.\nrule square { match Mul(?x, ?x) rewrite Pow(?x, 2) }\n")
        .unwrap();
    let mut driver = Driver::new().unwrap();
    driver.add_rules(&file).unwrap();
    assert!(driver.plan("rewrite{rules=mine|transpose-twice}").is_ok());
    let twice = driver.add_rules(&file).unwrap_err().to_string();
    assert!(twice.contains("two plugins are named `"), "{twice}");
    let other = folder.path().join("yours.rules");
    std::fs::copy(&file, &other).unwrap();
    let clash = driver.add_rules(&other).unwrap_err().to_string();
    assert!(clash.contains("yours.rules` adds the rule or family of rules `square`"), "{clash}");
    assert!(clash.contains("mine.rules` has taken"), "{clash}");
    assert!(driver.add_rules(Path::new("nowhere.rules")).is_err());
    let unknown = driver.plan("rewrite{rules=transpose-twise}").err().unwrap().to_string();
    assert!(unknown.contains("did you mean `transpose-twice`?"), "{unknown}");
}
