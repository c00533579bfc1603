//! What is refused, with which exit code and in which words.
use crate::weft::{Folder, LINEAR};

#[test]
fn usage_is_explained() {
    let folder = Folder::empty();
    assert!(folder.weft("--help").done().contains("compile"));
    assert!(folder.weft("--version").done().starts_with("weft "));
    assert!(folder.weft("compile --help").done().contains("--emit"));
    for wrong in
        ["", "bake x.onnx", "compile", "compile x.onnx --emit soup", "run x --threads 0", "compile -O7 x"]
    {
        assert_eq!(folder.weft(wrong).code, Some(2), "{wrong}");
    }
}

#[test]
fn files_that_are_no_models() {
    let folder = Folder::empty();
    folder.write("text.onnxtxt", b"ir_version: 7");
    folder.write("cat.jpg", b"\xff\xd8");
    folder.write("broken.onnx", b"\x07\x07\x07");
    folder.write("empty.onnx", b"");
    folder.write("bytes.weft", b"\xff\xfe");
    folder.weft("compile gone.onnx").refused(1, &["gone.onnx"]);
    folder.weft("compile text.onnxtxt").refused(1, &["text.onnxtxt", "line 1, column 1: expected `<`"]);
    folder.weft("compile cat.jpg").refused(1, &["cat.jpg", ".jpg"]);
    folder.weft("compile broken.onnx").refused(1, &["broken.onnx"]);
    folder.weft("compile empty.onnx").refused(1, &["empty.onnx"]);
    folder.weft("compile bytes.weft").refused(1, &["bytes.weft", "UTF-8"]);
    folder.weft("compile .").refused(1, &["no extension"]);
    folder.weft("run .").refused(1, &["not a regular file"]);
}

#[test]
fn texts_are_pointed_into() {
    let folder = Folder::empty();
    folder.write("typo.weft", LINEAR.replace("Relu(%s)", "Relu(%q)").as_bytes());
    folder.weft("opt typo.weft --pipeline O0").refused(1, &["typo.weft:9:", "%q"]);
    let two = LINEAR.replace("MatMul(%x, %w) : f32[N, 5]", "MatMul(%x, %w) : f32[N, 6]");
    folder.write("types.weft", two.replace("Add(%h, %b)", "Add(%h)").as_bytes());
    folder.weft("opt types.weft --pipeline O0").refused(1, &["types.weft", "%h", "`Add` at `%s`"]);
}

#[test]
fn what_is_asked_for_must_be_there() {
    let folder = Folder::linear();
    folder
        .weft("compile linear.weft --pipeline O2,fold-constant")
        .refused(2, &["column 4", "did you mean `fold-constants`"]);
    folder.weft("compile linear.weft --pass dead-code{now=1}").refused(2, &["dead-code", "now"]);
    folder.weft("compile linear.weft --dim M=3").refused(2, &["`M`", "`N`"]);
    folder.weft("inspect linear.weft --dim M=3").refused(2, &["`M`", "`N`"]);
    folder.weft("compile linear.weft --dim N").refused(2, &["NAME=VALUE"]);
    folder.weft("compile linear.weft --dim N=1 --dim N=2").refused(2, &["twice"]);
    folder.weft("compile linear.weft --cpu 6502").refused(2, &["`6502`", "x86-64-v3"]);
    folder.weft("opt linear.weft --pipeline O1 --cpu 6502").refused(2, &["`6502`", "x86-64-v3"]);
    folder.weft("opt linear.weft --pipeline O0 --print-after nothing").refused(2, &["nothing"]);
    folder.weft("passes fold-constant").refused(2, &["did you mean `fold-constants`"]);
    folder.weft("ops Covn").refused(2, &["did you mean `Conv`"]);
    folder.weft("test linear.weft").refused(2, &["test_data_set_*"]);
    assert_eq!(folder.files(), ["linear.weft"]);
}

#[test]
fn inputs_must_fit() {
    let folder = Folder::linear();
    folder.write("x.npy", b"no array");
    let run = |rest: &str| folder.weft(&format!("run linear.weft --backend interp -q {rest}"));
    run("").refused(2, &["`x: f32[N, 8]`", "--random"]);
    run("--input y=x.npy").refused(2, &["`y`", "`x`"]);
    run("--input x=x.npy").refused(1, &["x.npy", "not a NumPy array"]);
    run("--input x=x.txt").refused(1, &["x.txt", ".npy"]);
    run("--input x=gone.npy").refused(1, &["gone.npy"]);
    run("--random 1 --dim K=2").refused(2, &["`K`"]);
    folder.write("x.npy", &npy("<f8", "(2, 8)", 128));
    run("--input x=x.npy").refused(1, &["expected f32[N, 8], found f64[2, 8]"]);
    folder.write("x.npy", &npy("<f4", "(2, 7)", 56));
    run("--input x=x.npy").refused(1, &["7"]);
}

#[test]
fn nothing_is_left_of_what_failed() {
    let folder = Folder::linear();
    folder.write("out", b"precious");
    folder.write("wrong.weft", b"weft 1 canonical\ngraph @main(");
    folder.weft("compile wrong.weft -o out").refused(1, &["wrong.weft:2:"]);
    folder.weft("compile linear.weft --emit weft").refused(2, &["over the model"]);
    folder.weft("compile linear.weft -o no/such/folder").refused(1, &["no/such"]);
    std::fs::create_dir(folder.path("folder")).unwrap();
    folder.weft("compile linear.weft -o folder").refused(2, &["is a folder"]);
    assert_eq!(folder.read("out"), b"precious");
    assert_eq!(folder.files(), ["folder", "linear.weft", "out", "wrong.weft"]);
}

/// The head of a NumPy file, and so many zeros.
fn npy(descr: &str, shape: &str, bytes: usize) -> Vec<u8> {
    let mut head = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    head.push_str(&" ".repeat(117 - head.len()));
    head.push('\n');
    let mut file = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    file.extend_from_slice(head.as_bytes());
    file.resize(file.len() + bytes, 0);
    file
}

/// Every node that code cannot compute, wherever it lies, is in one refusal.
const ODD: &str = "weft 1 canonical
graph @main(%x: i4[N], %c: bool[], %s: string[N]) -> (f32[N], string[N]) {
    %a = Cast(%x) {to = f32} : f32[N]
    %y = If(%c, %a, %x) : f32[N]
        region @then_branch(%a: f32[N], %x: i4[N]) -> (f32[N]) {
            %y/b = Cast(%a) {to = f8e5m2} : f8e5m2[N]
            %y/d = Cast(%y/b) {to = f32} : f32[N]
            return %y/d as \"d\"
        }
        region @else_branch(%a: f32[N], %x: i4[N]) -> (f32[N]) {
            %y/e = Relu(%a) : f32[N]
            return %y/e as \"e\"
        }
    return %y, %s
}
";

#[test]
fn all_that_cannot_be_compiled_is_named() {
    let folder = Folder::empty();
    folder.write("odd.weft", ODD.as_bytes());
    let places = ["`Cast` at `%a`", "i4 (`%x`)", "`Cast` at `%y/b`", "`Cast` at `%y/d`", "`output` at `%s`"];
    folder.weft("compile odd.weft").refused(1, &places);
}
