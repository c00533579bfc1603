//! `weft inspect`, `passes`, `ops` and `targets`.
use crate::weft::Folder;

#[test]
fn a_model_is_summarised() {
    let folder = Folder::linear();
    let text = folder.weft("inspect linear.weft --dim N=10").done();
    for line in
        ["  x: f32[N, 8]", "1 MatMul", "parameters: 2 tensors, 180 bytes: 45 f32", "at N = 10", "compiled: "]
    {
        assert!(text.contains(line), "`{line}` is not in:\n{text}");
    }
    let json = folder.weft("inspect linear.weft --dim N=10 --json").json();
    // A product of 10 x 8 by 8 x 5, a bias and an activation.
    assert_eq!(json["flops"], 2 * 10 * 8 * 5 + 2 * 50);
    assert_eq!(json["operators"]["Relu"], 1);
    assert_eq!(json["inputs"][0]["type"], "f32[N, 8]");
    assert!(json["memory"]["kernels"].as_u64().is_some_and(|kernels| kernels > 0), "{json}");
    let dot = folder.weft("inspect linear.weft --dot").done();
    assert!(dot.starts_with("digraph") && dot.contains("\"s\" -> \"y\""), "{dot}");
}

#[test]
fn a_page_says_what_the_passes_did() {
    let folder = Folder::linear();
    let page = folder.weft("inspect linear.weft --html").done();
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"), "{page}");
    for name in ["h", "s", "y"] {
        assert!(page.contains(&format!("<g class=\"node\" data-name=\"{name}\"")), "{name}");
        assert!(page.contains(&format!("<tr data-name=\"{name}\"")), "{name}");
    }
    assert!(page.contains("runs without effect") && page.contains(">O2</code>"), "{page}");
    let picture = folder.weft("inspect linear.weft --svg").done();
    assert!(picture.starts_with("<svg ") && picture.contains(">MatMul</text>"), "{picture}");
    folder.weft("inspect linear.weft --svg --html").refused(2, &["--svg", "--html"]);
    folder.weft("inspect linear.weft -o page.html").refused(2, &["--html"]);
    folder.weft("inspect linear.weft --html --pipeline simplify -o page.html").done();
    assert_eq!(folder.files(), ["linear.weft", "page.html"]);
}

#[test]
fn lists_are_complete_and_explained() {
    let folder = Folder::empty();
    let passes = folder.weft("passes --json").json();
    for pass in passes["passes"].as_array().unwrap() {
        let name = pass["name"].as_str().unwrap();
        assert!(folder.weft(&format!("passes {name}")).done().contains("kind: "), "{name}");
        let explained = pass["explanation"].as_str().unwrap();
        assert!(explained.len() > 40 && !explained.contains("use weft"), "{name}: {explained}");
    }
    assert!(folder.weft("passes").done().contains("fold-constants"));
    assert!(folder.weft("passes O2").done().contains("recognise"));
    assert!(folder.weft("ops").done().contains("Conv "));
    assert!(folder.weft("ops Conv").done().contains("attribute group: an integer, default 1"));
    assert!(folder.weft("ops --json").json().as_array().is_some_and(|ops| ops.len() > 100));
    assert!(folder.weft("targets").done().contains("x86-64-v3"));
    assert_eq!(folder.weft("targets --json").json()["cpu"][0]["name"], "native");
}
