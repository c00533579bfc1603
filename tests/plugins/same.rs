//! A crate, a library in Rust and a library in C with the same pass pass the same filetests, each
//! with the same diffs.
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
