//! `weft opt`
use crate::weft::{Folder, LINEAR};

#[test]
fn prints_what_comes_out() {
    let folder = Folder::linear();
    let text = folder.weft("opt linear.weft --pipeline clean -q").done();
    assert!(text.starts_with("weft 1 canonical\n"), "{text}");
    assert!(text.contains("%y = Relu(%s) : f32[N, 5]"), "{text}");
    let fixed = folder.weft("opt linear.weft --pipeline clean --dim N=4 -q").done();
    assert!(fixed.contains("%y = Relu(%s) : f32[4, 5]"), "{fixed}");
}

#[test]
fn shows_what_changed() {
    let folder = Folder::empty();
    folder.write("twice.weft", LINEAR.replace("Relu(%s)", "Identity(%s)").as_bytes());
    let diff = folder.weft("opt twice.weft --pipeline identities --diff -q").done();
    assert!(diff.contains("--- before\n+++ after\n"), "{diff}");
    assert!(diff.contains("-    %y = Identity(%s) : f32[N, 5]"), "{diff}");
    let none = folder.weft("opt twice.weft --pipeline identities --stop-after 0 --diff -q").done();
    assert_eq!(none, "");
    let after = folder.weft("opt twice.weft --pipeline O2 --print-after identities -o out.weft -q").done();
    assert_eq!(after.matches("// after identities").count(), 1, "{after}");
    let said = folder.weft("opt twice.weft --pipeline identities --explain -o out.weft").err;
    assert!(said.contains("1: identities at `%y`"), "{said}");
    assert!(said.contains("     1 × identities\n"), "{said}");
}

#[test]
fn inputs_become_constants() {
    let folder = Folder::empty();
    let model = "weft 1 canonical
graph @main(%x: f32[N, 3], %scale: f32[3], %on: bool[]) -> (f32[N, 3]) {
    %z = Mul(%x, %scale) : f32[N, 3]
    %y = Where(%on, %z, %x) : f32[N, 3]
    return %y
}
";
    folder.write("m.weft", model.as_bytes());
    let opt = |flags: &str| folder.weft(&format!("opt m.weft --pipeline O1 -q {flags}"));
    let text = opt("--fix scale=2,3,4 --fix on=true").done();
    assert!(text.contains("graph @main(%x: f32[N, 3]) -> (f32[N, 3])"), "{text}");
    assert!(text.contains("%scale = Const() {value = f32[3]{2.0, 3.0, 4.0}} : f32[3]"), "{text}");
    assert!(opt("--fix scale=1 --fix on=0").done().contains("%x: f32[N, 3]"));
    opt("--fix scale=1,2").refused(2, &["`scale`", "found 2 numbers", "f32[3] has 3"]);
    opt("--fix on=0.5").refused(2, &["bool"]);
    opt("--fix nothing=1").refused(2, &["no input `nothing`", "`scale`"]);
    opt("--fix x=1").refused(2, &["f32[N, 3]", "--dim"]);
    assert!(opt("--dim N=2 --fix x=1").done().contains("graph @main(%scale: f32[3], %on: bool[])"));
}

#[test]
fn counts_for_machines() {
    let folder = Folder::empty();
    folder.write("twice.weft", LINEAR.replace("Relu(%s)", "Identity(%s)").as_bytes());
    let said = folder.weft("opt twice.weft --pipeline identities,dead-code --json -q").json();
    assert_eq!(said["passes"][0]["pass"], "identities");
    assert_eq!(said["passes"][0]["changed"], true);
    assert_eq!(said["passes"][1]["changed"], false);
    assert_eq!(said["rewrites"]["identities"], 1);
}

#[test]
fn weights_go_beside_and_come_back() {
    let folder = Folder::linear();
    folder.weft("opt linear.weft --pipeline clean -o a.weft -q").done();
    assert_eq!(folder.files(), ["a.weft", "a.weights.safetensors", "linear.weft"]);
    folder.weft("opt a.weft --pipeline clean -o b.weft -q").done();
    assert_eq!(folder.read("a.weft"), folder.read("b.weft"));
    assert_eq!(folder.read("a.weights.safetensors"), folder.read("b.weights.safetensors"));
    std::fs::remove_file(folder.path("a.weights.safetensors")).unwrap();
    folder.weft("opt a.weft --pipeline clean").refused(1, &["a.weft:2:", "`@w`"]);
}

#[test]
fn goes_out_as_onnx_and_comes_back() {
    let folder = Folder::linear();
    folder.weft("opt linear.weft --pipeline clean --emit onnx").refused(2, &["-o"]);
    folder.weft("opt linear.weft --pipeline clean --emit onnx -o a.onnx -q").done();
    let run = |model| folder.weft(&format!("run {model} --random 1 --dim N=2 --backend interp -q")).done();
    assert_eq!(run("a.onnx"), run("linear.weft"));
    folder.weft("opt a.onnx --pipeline O1 --emit onnxtxt -o a.onnxtxt -q").done();
    assert!(String::from_utf8(folder.read("a.onnxtxt")).unwrap().contains("y = Relu (s)"));
    assert_eq!(run("a.onnxtxt"), run("linear.weft"));
    folder.weft("compile linear.weft --emit onnx -o c.onnx --opset 19 --external-data -q").done();
    assert_eq!(run("c.onnx"), run("linear.weft"));
    folder
        .weft("opt linear.weft --pipeline clean --emit onnx -o b.onnx --opset 7")
        .refused(1, &["opset 7", "18"]);
    folder.write("bad.onnxtxt", b"<ir_version: 8> g (flot x) => (float y) {}");
    folder.weft("inspect bad.onnxtxt").refused(1, &["line 1, column 20", "an element type"]);
}
