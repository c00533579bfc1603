//! Libraries that are refused, and answers that are: a clear error each, and the compiler lives on.
use crate::built::{self, optimised};
use std::path::Path;
use weft::{Driver, PassOptions, Quiet};
use weft_ir::Module;
use weft_ir::text::NoWeights;
use weft_passes::Outcome;

const MODULE: &str = "weft 1 canonical
graph @main(%x: f32[N, 4]) -> (f32[N, 4]) {
    %h = Relu(%x) : f32[N, 4]
    %y = Relu(%h) : f32[N, 4]
    return %y
}
";

/// The driver works, and has what it came with and nothing else.
fn lives_on(driver: &Driver) {
    assert_eq!(driver.registry().plugins().len(), 1);
    assert!(optimised(driver, MODULE, "O2").unwrap().contains("%y = Relu("));
}

/// Loading fails and says these.
#[track_caller]
fn refused(file: &Path, words: &[&str]) {
    let mut driver = Driver::new().unwrap();
    let message = driver.load(file).unwrap_err().to_string();
    let name = file.display().to_string();
    for word in words {
        assert!(message.contains(word), "`{word}` is not in: {message}");
    }
    assert!(message.contains(&name) || message.contains("plugin `faulty`"), "{message}");
    lives_on(&driver);
}

#[track_caller]
fn faulty(flags: &[&str], words: &[&str]) {
    let (_folder, library) = built::c("tests/plugins/faulty.c", flags);
    refused(&library, words);
}

#[test]
fn another_version_of_the_interface() {
    faulty(&["-DABI=7"], &["version 7 of the plugin interface", "expected version 1"]);
    faulty(&["-DFORMAT=2"], &["version 2 of the written form", "expected version 1"]);
}

#[test]
fn a_table_that_is_too_small_or_none() {
    let expected = format!("expected {}", size_of::<weft_abi::PluginTable>());
    faulty(&["-DSIZE=24"], &["too small", "found 24 bytes", &expected]);
    faulty(&["-DTABLE=0"], &["gives none"]);
}

#[test]
fn a_table_with_nonsense_in_it() {
    faulty(&["-DSTAGE=9"], &["pass `faulty` has stage 9, expected 0, 1 or 2"]);
    faulty(&["-DRUN=0"], &["pass `faulty` has no function `run`"]);
    faulty(&["-DPASS=\"\\xff\""], &["pass's name is not UTF-8"]);
    faulty(&["-DPASS=\"two words\""], &["`two words`", "letters, digits"]);
}

#[test]
fn rules_that_mean_nothing() {
    let (_folder, library) = built::c("tests/plugins/faulty.c", &["-DRULES", "-DFOUND=\"Lug(?x)\""]);
    let mut driver = Driver::new().unwrap();
    let message = driver.load(&library).unwrap_err().to_string();
    let place = format!("{} `logs`:3:13: ", library.display());
    assert!(message.contains(&place) && message.contains("`Lug`"), "{message}");
    lives_on(&driver);
}

#[test]
fn a_plugin_that_says_no() {
    faulty(&["-DFAULT=\"needs a licence\""], &["cannot be used: needs a licence"]);
}

#[test]
fn a_library_that_lacks_a_symbol() {
    faulty(&["-DNEEDS"], &["cannot open", "a_function_that_nobody_has"]);
}

#[test]
fn a_library_that_is_no_plugin() {
    faulty(&["-DENTRY=something_else"], &["no plugin", "`weft_plugin_table`"]);
}

#[test]
fn a_file_that_is_no_library() {
    refused(&built::root().join("README.md"), &["cannot open"]);
    refused(&built::root().join("no_such_file.so"), &["cannot open"]);
    refused(built::root(), &["cannot open"]);
}

#[test]
fn a_name_that_is_taken() {
    faulty(
        &["-DPASS=\"dead-code\""],
        &["plugin `faulty` adds the pass or pipeline `dead-code`, a name that `weft` has taken"],
    );
    let (_folder, library) = built::c("tests/plugins/faulty.c", &[]);
    let mut driver = Driver::new().unwrap();
    driver.load(&library).unwrap();
    let again = driver.load(&library).unwrap_err().to_string();
    assert!(again.contains("two plugins are named `faulty`"), "{again}");
    assert_eq!(driver.registry().plugins().len(), 2);
}

/// The pass of a faulty plugin fails and says these.
#[track_caller]
fn fails(flags: &[&str], words: &[&str]) {
    let (_folder, library) = built::c("tests/plugins/faulty.c", flags);
    let mut driver = Driver::new().unwrap();
    driver.load(&library).unwrap();
    let message = optimised(&driver, MODULE, "faulty").unwrap_err();
    for word in ["pass `faulty`"].iter().chain(words) {
        assert!(message.contains(word), "`{word}` is not in: {message}");
    }
    assert!(optimised(&driver, MODULE, "O2").unwrap().contains("%y = Relu("), "it lives on");
}

#[test]
fn an_answer_that_is_no_module() {
    fails(&["-DANSWER=\"nonsense\""], &["does not parse: line 1:1", "nonsense"]);
    fails(&["-DANSWER=\"\\xff\""], &["is not UTF-8"]);
    fails(&[], &["says it changed the module and gave none"]);
}

#[test]
fn an_answer_that_is_no_valid_graph() {
    // The types do not follow from the operators.
    fails(&["-DFROM=\"Relu\"", "-DTO=\"Size\""], &["refused: it breaks", "`Size` at `%h`"]);
    fails(&["-DFROM=\"Relu\"", "-DTO=\"Rulu\""], &["does not parse", "no operator is called `Rulu`"]);
}

#[test]
fn an_answer_with_another_interface() {
    fails(&["-DFROM=\"%x\"", "-DTO=\"%z\""], &["changes the inputs: found %z: f32[N, 4], expected %x"]);
    fails(&["-DFROM=\"return %y\"", "-DTO=\"return %h\""], &["changes the outputs"]);
    fails(&["-DFROM=\"canonical\"", "-DTO=\"imported \""], &["back to stage imported"]);
}

#[test]
fn a_status_that_there_is_not() {
    fails(&["-DSTATUS=5"], &["it gives status 5"]);
    fails(&["-DSTATUS=2"], &["does not say why"]);
}

#[test]
fn what_changed_is_found_and_not_believed() {
    // It says that it changed the module and gives it back as it was.
    let (_folder, library) = built::c("tests/plugins/faulty.c", &["-DFROM=\"?\"", "-DTO=\"?\""]);
    let mut driver = Driver::new().unwrap();
    driver.load(&library).unwrap();
    let mut module = Module::parse(MODULE, driver.ops(), &NoWeights).unwrap();
    let plan = driver.plan("faulty").unwrap();
    let outcome = driver.optimise(&mut module, &plan, PassOptions::default(), &mut Quiet).unwrap();
    assert_eq!(outcome, Outcome::Unchanged);
}
