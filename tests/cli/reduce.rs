//! `weft reduce`, and what a failing pipeline leaves behind.
use crate::weft::Folder;

/// An extent that is not said, which `canonicalize` refuses.
const OPEN: &str = "weft 1 imported
graph @main(%x: f32[N, 8]) -> (f32[N, 8]) {
    %h = Abs(%x) : f32[N, 8]
    %s = Neg(%h) : f32[?, 8]
    %t = Exp(%h) : f32[N, 8]
    %y = Add(%s, %t) : f32[N, 8]
    return %y
}
";

fn broken() -> Folder {
    let folder = Folder::empty();
    folder.write("m.weft", OPEN.as_bytes());
    folder
}

#[test]
fn a_failing_pipeline_leaves_a_reproducer() {
    let folder = broken();
    let ended = folder.weft("opt m.weft --pipeline dead-code,canonicalize,identities");
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    let file = ended.err.split('`').find(|word| word.ends_with(".weft")).unwrap().to_string();
    assert!(file.contains("/weft-failed-"), "{}", ended.err);
    assert!(ended.err.contains("--pipeline 'canonicalize' --verify-each"), "{}", ended.err);
    folder
        .weft(&format!("opt {file} --pipeline canonicalize"))
        .refused(1, &["pass `canonicalize`", "f32[?, 8]"]);
    std::fs::remove_dir_all(std::path::Path::new(&file).parent().unwrap()).unwrap();
    // A step in the wrong place is no fault of a pass.
    let ended = folder.weft("opt m.weft --pipeline identities");
    assert!(ended.err.contains("begins with `O0`") && !ended.err.contains("weft-failed"), "{}", ended.err);
}

#[test]
fn a_model_is_reduced() {
    let folder = broken();
    let said = folder.weft("reduce m.weft --pipeline canonicalize -o small.weft -q").done();
    assert!(said.starts_with("4 nodes became 1, after "), "{said}");
    assert!(String::from_utf8(folder.read("small.weft")).unwrap().contains("f32[?, "));
    let json =
        folder.weft("reduce m.weft --pipeline canonicalize --check error -o small.onnx --json -q").json();
    assert_eq!(json["after"], 1);
    let fine = folder.weft("reduce m.weft --pipeline dead-code -o small.weft");
    assert_eq!(fine.code, Some(1));
    assert!(fine.err.contains("`m.weft` does not fail"), "{}", fine.err);
    folder.weft("reduce m.weft --pipeline nothing-such -o small.weft").refused(2, &["nothing-such"]);
}
