//! A crate, a library in Rust and a library in C with the same pass pass the same filetests, each
//! with the same diffs; a rule, from a file or from a library, makes the same of the same graphs.
use crate::built;
use weft::Driver;
use weft::testing::assert_filetests;

fn check(driver: &Driver) {
    assert_filetests(driver, &built::root().join("examples/plugins/filetests"));
}

#[test]
fn a_crate() {
    let mut driver = Driver::new().unwrap();
    driver.add(&stable_log::StableLog).unwrap();
    check(&driver);
}

#[test]
fn a_library_in_rust() {
    let mut driver = Driver::new().unwrap();
    driver.load(&built::cargo("stable-log")).unwrap();
    check(&driver);
}

#[test]
fn a_library_in_c() {
    let (_folder, library) = built::c("examples/plugins/c/stable_log.c", &[]);
    let mut driver = Driver::new().unwrap();
    driver.load(&library).unwrap();
    check(&driver);
}

/// Graphs and what becomes of them, by the pass in Rust.
fn changed() -> Vec<(String, String)> {
    let mut driver = Driver::new().unwrap();
    driver.add(&stable_log::StableLog).unwrap();
    let texts = ["along-an-axis", "in-a-branch", "other-logarithms"].map(|name| {
        let file = format!("examples/plugins/filetests/log-of-softmax/{name}.weft");
        std::fs::read_to_string(built::root().join(file)).unwrap()
    });
    let after = |text: String| {
        let after = built::optimised(&driver, &text, "log-of-softmax").unwrap();
        (text, after)
    };
    texts.into_iter().map(after).collect()
}

#[test]
fn a_rule_file() {
    let mut driver = Driver::new().unwrap();
    driver.add_rules(&built::root().join("examples/plugins/stable_log.rules")).unwrap();
    for (before, after) in changed() {
        let found = built::optimised(&driver, &before, "rewrite{rules=stable_log}").unwrap();
        assert_eq!(found, after);
    }
    let rule = driver.registry().plugins().last().unwrap();
    assert_eq!((rule.added.len(), &*rule.added[0].name), (1, "stable-log-of-softmax"));
}

#[test]
fn a_library_with_rules() {
    let (_folder, library) = built::c("tests/plugins/faulty.c", &["-DRULES"]);
    let mut driver = Driver::new().unwrap();
    driver.load(&library).unwrap();
    for (before, after) in changed() {
        let found = built::optimised(&driver, &before, "rewrite{rules=logs}").unwrap();
        assert_eq!(found, after);
    }
}
