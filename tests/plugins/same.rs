//! A crate, a library in Rust and a library in C with the same pass pass the same filetests, each
//! with the same diffs.
use crate::built;
use weft::Driver;
use weft::testing::filetests;

fn check(driver: &Driver) {
    let folder = built::root().join("examples/plugins/filetests");
    let failures = filetests(driver, &folder, "").unwrap();
    let shown: Vec<_> = failures.iter().map(ToString::to_string).collect();
    assert!(failures.is_empty(), "{} files fail\n\n{}", failures.len(), shown.join("\n\n"));
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
