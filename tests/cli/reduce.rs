//! `weft reduce`, and what a failing pipeline leaves behind.
use crate::weft::{Folder, LINEAR};

/// A type that inference contradicts once it is asked for.
fn broken() -> Folder {
    let folder = Folder::empty();
    folder.write("m.weft", LINEAR.replace("weft 1 canonical", "weft 1 imported").as_bytes());
    folder
}

#[test]
fn a_failing_pipeline_leaves_a_reproducer() {
    let folder = broken();
    let ended = folder.weft("opt m.weft --pipeline dead-code,identities");
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    let file = ended.err.split('`').find(|word| word.ends_with(".weft")).unwrap().to_string();
    assert!(file.contains("/weft-failed-"), "{}", ended.err);
    assert!(ended.err.contains("--pipeline 'identities' --verify-each"), "{}", ended.err);
    folder
        .weft(&format!("opt {file} --pipeline identities"))
        .refused(1, &["pass `identities` takes modules in stage"]);
    std::fs::remove_dir_all(std::path::Path::new(&file).parent().unwrap()).unwrap();
}

#[test]
fn a_model_is_reduced() {
    let folder = broken();
    let said = folder.weft("reduce m.weft --pipeline identities -o small.weft -q").done();
    assert!(said.starts_with("5 nodes became 0, after "), "{said}");
    assert!(String::from_utf8(folder.read("small.weft")).unwrap().contains("graph @main"));
    let json =
        folder.weft("reduce m.weft --pipeline identities --check error -o small.onnx --json -q").json();
    assert_eq!(json["after"], 0);
    let fine = folder.weft("reduce m.weft --pipeline dead-code -o small.weft");
    assert_eq!(fine.code, Some(1));
    assert!(fine.err.contains("`m.weft` does not fail"), "{}", fine.err);
    folder.weft("reduce m.weft --pipeline nothing-such -o small.weft").refused(2, &["nothing-such"]);
}
