//! What `weft new` makes builds and tests green, as a new user would do it.
#![cfg(feature = "cli")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]
use std::path::Path;
use std::process::Command;

/// A graph for the pass that a new plugin begins with.
const MODULE: &str = "weft 1 canonical
graph @main(%x: f32[N, 4]) -> (f32[N, 4]) {
    %a = Relu(%x) : f32[N, 4]
    %y = Relu(%a) : f32[N, 4]
    return %y
}
";

/// What a program that succeeds prints.
fn run(program: &str, arguments: &str, folder: &Path) -> String {
    let mut command = Command::new(program);
    // The builds of these tests are kept, as are all others.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("scaffold");
    command.args(arguments.split(' ')).current_dir(folder).env("CARGO_TARGET_DIR", target);
    // A snapshot that differs is an error here, and not a question.
    let output = command.env("INSTA_UPDATE", "no").output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert!(output.status.success(), "{program} {arguments}\n{out}\n{err}");
    out
}

#[test]
fn a_new_plugin_is_green() {
    let (weft, cargo) = (env!("CARGO_BIN_EXE_weft"), env!("CARGO"));
    let folder = tempfile::tempdir().unwrap();
    run(weft, "new plugin first-steps", folder.path());
    let project = folder.path().join("first-steps");
    let tested = run(cargo, "test --offline", &project);
    assert!(tested.contains("test result: ok. 2 passed"), "{tested}");

    run(weft, "new pass second-steps", &project);
    let list = std::fs::read_to_string(project.join("src/lib.rs")).unwrap();
    assert!(list.contains("mod first_steps;\nmod second_steps;\n"), "{list}");
    assert!(list.contains("{\n    first_steps\n    second_steps\n}"), "{list}");
    run(cargo, "test --offline", &project);

    let built = run(cargo, "build --offline --message-format=json", &project);
    let library = built.split('"').find(|part| part.ends_with("/libfirst_steps.so")).unwrap();
    std::fs::write(project.join("m.weft"), MODULE).unwrap();
    let opt = format!("opt m.weft --plugin {library} --pipeline second-steps");
    assert!(run(weft, &opt, &project).contains("%y = Relu(%x)"));
    let explained = run(weft, &format!("passes first-steps --plugin {library}"), &project);
    assert!(explained.contains("Before: `%a = Relu(%x)`"), "{explained}");
    let listed = run(weft, &format!("plugins --plugin {library}"), &project);
    assert!(listed.contains("first-steps 0.1.0 ("), "{listed}");
    run(weft, &format!("compile m.weft --plugin {library} --pass first-steps -o m"), &project);
    run(&project.join("m").display().to_string(), "--random 1 --dim N=2", &project);
}
