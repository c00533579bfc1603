//! `weft compile`: each kind of artifact.
use crate::weft::Folder;

#[test]
fn a_program() {
    let folder = Folder::linear();
    folder.weft("compile linear.weft -q").done();
    assert_eq!(folder.files(), ["linear", "linear.weft"]);
    let program = folder.path("linear");
    let expected = folder.weft("run linear.weft --random 7 --dim N=3 --backend interp -q").done();
    assert!(expected.starts_with("y: f32[3, 5]  min "), "{expected}");
    let own = folder.run(&program, "--random 7 --dim N=3").done();
    assert_eq!(numbers(&own), numbers(&expected));
    assert_eq!(folder.weft("run linear --random 7 --dim N=3").done(), own);
    folder.weft("run linear --random 7 --dim M=3").refused(2, &["M=3"]);
}

#[test]
fn a_library_with_its_header() {
    let folder = Folder::linear();
    let made = folder.weft("compile linear.weft --emit lib -o my-model.v2.so -q --json").json();
    assert_eq!(folder.files(), ["linear.weft", "my-model.v2.h", "my-model.v2.so"]);
    assert_eq!(made["stem"], "my_model_v2");
    assert_eq!(made["bytes"], folder.read("my-model.v2.so").len());
    let header = String::from_utf8(folder.read("my-model.v2.h")).unwrap();
    for name in ["abi_version", "open", "inputs", "outputs", "run", "error", "close"] {
        assert!(header.contains(&format!("my_model_v2_{name}")), "{name}");
    }
    let expected = folder.weft("run linear.weft --random 7 --dim N=3 --backend interp -q").done();
    for threads in [1, 2] {
        let found = folder.weft(&format!("run my-model.v2.so --random 7 --dim N=3 --threads {threads} -q"));
        assert_eq!(numbers(&found.done()), numbers(&expected));
    }
    assert!(folder.weft("inspect my-model.v2.so").done().contains("x: f32[N, 8]"));
}

#[test]
fn a_fixed_extent() {
    let folder = Folder::linear();
    folder.weft("compile linear.weft --emit lib -o a.so --dim N=2 -q").done();
    assert!(folder.weft("inspect a.so").done().contains("x: f32[2, 8]"));
}

#[test]
fn texts_and_objects() {
    let folder = Folder::linear();
    for (emit, file, holds) in
        [("llvm-ir", "a.ll", "define"), ("asm", "a.s", ".text"), ("weft", "a.weft", "weft 1 canonical")]
    {
        folder.weft(&format!("compile linear.weft --emit {emit} -o {file} -q")).done();
        assert!(String::from_utf8(folder.read(file)).unwrap().contains(holds), "{emit}");
    }
    folder.weft("compile linear.weft --emit obj -o a.o -q").done();
    assert!(folder.read("a.o").starts_with(b"\x7fELF"));
    assert_eq!(
        folder.files(),
        ["a.h", "a.ll", "a.o", "a.s", "a.weft", "a.weights.safetensors", "linear.weft"]
    );
}

#[test]
fn the_same_bytes_again() {
    let folder = Folder::linear();
    for emit in ["exe", "lib", "weft"] {
        for place in ["a", "b"] {
            folder.write(&format!("{place}/keep"), b"");
            folder.weft(&format!("compile linear.weft --emit {emit} -o {place}/out.{emit} -q")).done();
        }
        let file = |place: &str| folder.read(&format!("{place}/out.{emit}"));
        assert!(file("a") == file("b"), "{emit}");
    }
}

#[test]
fn plain_lines_say_how_it_goes() {
    let folder = Folder::linear();
    let ended = folder.weft("compile linear.weft --emit asm -o a.s -v");
    for word in ["reading: linear.weft: 5 nodes", "propagate-shapes", "lowering: ", "generating code: a.s"] {
        assert!(ended.err.contains(word), "`{word}` is not in:\n{}", ended.err);
    }
    assert!(!ended.err.contains('\x1b'), "{}", ended.err);
    let quiet = folder.weft("compile linear.weft --emit asm -o a.s -q");
    assert_eq!((quiet.code, quiet.out.as_str(), quiet.err.as_str()), (Some(0), "", ""));
}

/// A summary's numbers without the last digits, which rounding decides.
fn numbers(summary: &str) -> Vec<String> {
    let short = |word: &str| {
        let word = word.trim_matches(|c| "[],".contains(c));
        word.parse::<f64>().map_or_else(|_| word.to_string(), |number| format!("{:.4}", number + 0.0))
    };
    summary.split_whitespace().map(short).collect()
}
