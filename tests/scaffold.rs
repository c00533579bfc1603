//! What `weft new` makes builds and tests green, and what the README says of it works word for word.
#![cfg(feature = "cli")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]
use std::path::{Path, PathBuf};
use std::process::Command;

/// A graph for the pass that a new plugin begins with.
const MODULE: &str = "weft 1 canonical
graph @main(%x: f32[N, 4]) -> (f32[N, 4]) {
    %a = Relu(%x) : f32[N, 4]
    %y = Relu(%a) : f32[N, 4]
    return %y
}
";

/// Where the builds of these tests are kept, as are all others.
fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("scaffold")
}

/// What a program that succeeds prints.
fn run(program: &str, arguments: &str, folder: &Path) -> String {
    let mut command = Command::new(program);
    command.args(arguments.split(' ')).current_dir(folder).env("CARGO_TARGET_DIR", target());
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert!(output.status.success(), "{program} {arguments}\n{out}\n{err}");
    out
}

#[test]
fn a_new_plugin_is_green() {
    let (weft, cargo) = (env!("CARGO_BIN_EXE_weft"), env!("CARGO"));
    let folder = tempfile::tempdir().unwrap();
    // As within weft's own folder, which is a workspace.
    std::fs::write(folder.path().join("Cargo.toml"), "[workspace]\nresolver = \"3\"\n").unwrap();
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
    assert!(explained.contains("from plugin: first-steps\n"), "{explained}");
    assert!(explained.contains("Before: `%a = Relu(%x)`"), "{explained}");
    let listed = run(weft, &format!("plugins --plugin {library}"), &project);
    assert!(listed.contains("first-steps 0.1.0 ("), "{listed}");
    run(weft, &format!("compile m.weft --plugin {library} --pass first-steps -o m"), &project);
    run(&project.join("m").display().to_string(), "--random 1 --dim N=2", &project);
}

/// The blocks of shell code under a heading of the README.
fn commands(heading: &str) -> String {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let (_, section) = text.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let blocks = section.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap());
    blocks.collect()
}

#[test]
fn the_readme_works_word_for_word() {
    let folder = tempfile::tempdir().unwrap();
    // Nothing but the place of the build is another than a user's.
    let script = commands("Write a pass in five minutes")
        .replace("cd demo\n", &format!("cd demo\nmkdir -p {0}\nln -s {0} target\n", target().display()));
    let programs = Path::new(env!("CARGO_BIN_EXE_weft")).parent().unwrap().display().to_string();
    let mut shell = Command::new("bash");
    shell.args(["-euo", "pipefail", "-c", &script]).current_dir(folder.path());
    shell.env("PATH", format!("{programs}:{}", std::env::var("PATH").unwrap()));
    shell.env("CARGO_NET_OFFLINE", "true").env_remove("CARGO_TARGET_DIR");
    let output = shell.output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    assert!(out.contains("+    %y = Neg(%x) : f32[N, 4]"), "the diff is shown\n{out}");
    assert!(out.contains("demo: takes the logarithm of an exponential"), "the pass is explained\n{out}");
    assert!(!err.contains("warning"), "{err}");
}
