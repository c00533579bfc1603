//! A library in Rust whose passes panic, give up, take options and bring weights.
use crate::built::{self, optimised, stopped};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use weft::{Driver, PassOptions};
use weft_passes::Budget;

const MODULE: &str = "weft 1 canonical
weight @w : f32[4, 8] = seeded(1)
graph @main(%x: f32[N, 4]) -> (f32[N, 8]) {
    %w = Const() {value = @w} : f32[4, 8]
    %h = MatMul(%x, %w) : f32[N, 8]
    %two = Const() {value = f32[]{2.0}} : f32[]
    %y = Mul(%h, %two) : f32[N, 8]
    return %y
}
";

fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| built::cargo("unruly"))
}

fn driver() -> Driver {
    let mut driver = Driver::new().unwrap();
    driver.load(library()).unwrap();
    driver
}

#[test]
fn a_panic_is_an_error_and_the_compiler_lives_on() {
    let driver = driver();
    let message = optimised(&driver, MODULE, "panics").unwrap_err();
    assert!(message.starts_with("pass `panics`: it panicked at tests/plugins/rust/lib.rs:"), "{message}");
    assert!(message.ends_with(": 4 nodes are too many"), "{message}");
    assert!(optimised(&driver, MODULE, "O2").is_ok());
}

#[test]
fn what_a_plugin_fails_on_is_kept_and_can_be_reduced() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("m.weft"), MODULE).unwrap();
    let plugin = format!("--plugin '{}'", library().display());
    let weft = |arguments: &[&str]| -> Output {
        let mut weft = Command::new(env!("CARGO_BIN_EXE_weft"));
        weft.env("TMPDIR", folder.path()).current_dir(folder.path()).args(arguments);
        weft.arg("--plugin").arg(library()).output().unwrap()
    };
    let failed = weft(&["opt", "m.weft", "--pipeline", "panics"]);
    let told = String::from_utf8_lossy(&failed.stderr);
    assert_eq!(failed.status.code(), Some(1), "{told}");
    assert!(
        told.contains(&format!("--pipeline 'panics' {plugin} -o small.weft` makes it smaller")),
        "{told}"
    );
    let reduced = weft(&["reduce", "m.weft", "--pipeline", "panics", "-o", "small.weft"]);
    let told = String::from_utf8_lossy(&reduced.stdout);
    assert!(reduced.status.success() && told.starts_with("4 nodes became "), "{told}");
    assert!(std::fs::read_to_string(folder.path().join("small.weft")).unwrap().len() < MODULE.len());
}

#[test]
fn a_pass_that_gives_up_says_why() {
    let message = optimised(&driver(), MODULE, "gives-up").unwrap_err();
    assert_eq!(message, "pass `gives-up`: the moon is not full");
}

#[test]
fn weights_go_over_and_come_back() {
    let driver = driver();
    let before = optimised(&driver, MODULE, "").unwrap();
    let doubled = optimised(&driver, MODULE, "times").unwrap();
    let digest = |text: &str| text.lines().find(|line| line.contains("blake3:")).unwrap().to_string();
    assert_ne!(digest(&before), digest(&doubled));
    assert!(doubled.contains("f32[]{4.0}"), "{doubled}");
    // Half of the double is what it was, in a pipeline that the plugin names.
    assert_eq!(optimised(&driver, MODULE, "times,times{factor=0.5}").unwrap(), before);
    assert!(optimised(&driver, MODULE, "twice").unwrap().contains("f32[]{4.0}"));
}

#[test]
fn options_are_checked_before_anything_runs() {
    let driver = driver();
    let wrong = |pipeline: &str| driver.plan(pipeline).err().unwrap().to_string();
    assert!(wrong("times{factor=many}").contains("column 1: pass `times`: option `factor` cannot be `many`"));
    assert!(wrong("times{factor=0}").contains("nothing would be left"));
    assert!(wrong("times{faktor=2}").contains("did you mean `factor`?"));
}

#[test]
fn rewrites_stop_after_so_many() {
    let options = |limit| PassOptions { budget: Budget::at_most(limit), ..PassOptions::default() };
    let run = |limit| stopped(&driver(), MODULE, "times", options(limit)).unwrap();
    assert_eq!(run(0), optimised(&driver(), MODULE, "").unwrap());
    assert_ne!(run(1), run(0));
    assert!(run(1).contains("f32[]{2.0}"), "{}", run(1));
    assert_eq!(run(2), optimised(&driver(), MODULE, "times").unwrap());
}
