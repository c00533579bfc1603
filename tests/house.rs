//! The rules of the rooms: who may depend on whom, where `unsafe` lives, how long files are, and that nothing is
//! registered without its papers. A rule about a room holds from the day the room exists.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// What each crate may depend on, of ours. `weft`, the root, is the composition root and may see all but the runtime.
const ARROWS: &[(&str, &[&str])] = &[
    ("weft-ir", &[]),
    ("weft-passes", &["weft-ir"]),
    ("weft-rewrite", &["weft-ir", "weft-passes"]),
    ("weft-rules", &["weft-ir", "weft-passes"]),
    ("weft-egraph", &["weft-ir", "weft-passes", "weft-rewrite"]),
    (
        "weft-library",
        &["weft-egraph", "weft-ir", "weft-numerics", "weft-passes", "weft-rewrite", "weft-rules"],
    ),
    ("weft-numerics", &[]),
    ("weft-abi", &["weft-ir", "weft-passes"]),
    ("weft-host", &["weft-abi", "weft-ir", "weft-passes"]),
    ("stable-log", &["weft-abi", "weft-ir", "weft-passes"]),
    ("unruly", &["weft-abi", "weft-ir", "weft-passes"]),
    ("weft-backend", &["weft-ir"]),
    ("weft-interp", &["weft-backend", "weft-ir"]),
    ("weft-kernel", &["weft-backend", "weft-ir"]),
    ("weft-llvm", &["weft-backend", "weft-ir", "weft-kernel"]),
    ("weft-load", &["weft-backend", "weft-ir"]),
    ("weft-runtime", &[]),
    ("weft-frontend", &["weft-ir"]),
    ("weft-onnx", &["weft-frontend", "weft-ir"]),
];

/// Crates of others that only one room may use.
const FENCED_CRATES: &[(&str, &[&str])] = &[
    ("inkwell", &["weft-llvm"]),
    ("llvm-sys", &["weft-llvm"]),
    ("libloading", &["weft-load", "weft-host"]),
    ("prost", &["weft-onnx"]),
    ("onnx-protobuf", &["weft-onnx"]),
    ("protobuf", &["weft-onnx"]),
    ("clap", &["weft"]),
    ("petgraph", &["weft-ir", "weft-egraph"]),
    ("egg", &["weft-egraph"]),
    ("microlp", &["weft-egraph"]),
];

/// Crates that hold `unsafe` code, file by file, each with its reason.
const UNSAFE_CRATES: &[&str] = &["weft-abi", "weft-host", "weft-llvm", "weft-load", "weft-runtime"];

/// Plugins, whose one unsafe line is in the macro that exports them.
const PLUGINS: &[&str] = &["stable-log", "unruly"];

/// The only files with `unsafe` code in crates that are otherwise safe.
const UNSAFE_FILES: &[&str] = &["frontends/core/source.rs"];

/// Rooms that read no file, start no process and know no environment.
const ROOMS_WITHOUT_IO: &[&str] =
    &["ir", "passes", "backends/core", "backends/interp", "backends/kernel", "frontends/onnx"];

/// The longest a source file may be, and the files that may be longer, with the reason.
const LONGEST: usize = 500;
const LONGER: &[(&str, &str)] = &[("frontends/onnx/proto/onnx.rs", "generated from onnx.proto")];

/// The files of the library of passes that hold no pass.
const NO_PASS: &[&str] = &["families.rs", "lib.rs", "pipelines.rs"];

#[test]
fn arrows_point_down() {
    let allowed: BTreeMap<_, _> = ARROWS.iter().copied().collect();
    let mut wrong = Vec::new();
    for package in packages() {
        for dependency in package.dependencies.iter().filter(|dependency| dependency.starts_with("weft")) {
            let fine = match allowed.get(package.name.as_str()) {
                Some(targets) => targets.contains(&dependency.as_str()),
                None => package.name == "weft" && dependency != "weft-runtime",
            };
            if !fine {
                wrong.push(format!("{} depends on {dependency}", package.name));
            }
        }
    }
    assert_eq!(wrong, [""; 0], "arrows that house.rs does not allow");
}

#[test]
fn every_room_is_in_the_table() {
    let known: BTreeSet<_> = ARROWS.iter().map(|(name, _)| *name).chain(["weft"]).collect();
    let unknown: Vec<_> = packages().into_iter().map(|package| package.name).collect();
    let unknown: Vec<_> = unknown.iter().filter(|name| !known.contains(name.as_str())).collect();
    assert_eq!(unknown, [""; 0], "rooms without a row in ARROWS");
}

#[test]
fn crates_of_others_stay_in_their_room() {
    let mut wrong = Vec::new();
    for package in packages() {
        for (fenced, rooms) in FENCED_CRATES {
            if package.dependencies.contains(*fenced) && !rooms.contains(&package.name.as_str()) {
                wrong.push(format!("{} depends on {fenced}, which belongs to {rooms:?}", package.name));
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn clap_is_the_command_lines() {
    let outside = ["frontends/driver", "frontends/core", "frontends/onnx"];
    let wrong = breaches(&outside, |line| line.contains("clap::"));
    assert_eq!(wrong, [""; 0], "clap outside of frontends/cli");
}

#[test]
fn unsafe_is_fenced() {
    let mut wrong = Vec::new();
    for package in packages() {
        let lib = package.folder.join("lib.rs");
        let name = package.name.as_str();
        let fenced = name == "weft" || UNSAFE_CRATES.contains(&name) || PLUGINS.contains(&name);
        if fenced || !lib.exists() {
            continue;
        }
        let holds_a_file =
            UNSAFE_FILES.iter().any(|file| Path::new(root()).join(file).starts_with(&package.folder));
        if !holds_a_file && !read(&lib).contains("#![forbid(unsafe_code)]") {
            wrong.push(format!("{} lacks #![forbid(unsafe_code)]", shown(&lib)));
        }
    }
    for file in sources(&[""]).into_iter().filter(|file| shown(file) != "tests/house.rs") {
        let text = read(&file);
        let admits = text.contains("expect(unsafe_code") || text.contains("allow(unsafe_code");
        if admits && !may_be_unsafe(&file) {
            wrong.push(format!("{} admits unsafe code outside of the fence", shown(&file)));
        }
        if text.contains("allow(unsafe_code") {
            wrong.push(format!("{} allows unsafe code; expect it, with the reason", shown(&file)));
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn rooms_do_no_io() {
    let marks = ["std::fs", "std::env", "std::net", "std::process", "std::io::stdin"];
    let wrong = breaches(ROOMS_WITHOUT_IO, |line| marks.iter().any(|mark| line.contains(mark)));
    assert_eq!(
        wrong, [""; 0],
        "files, environment and processes reach a room through what the root gives it"
    );
}

#[test]
fn only_the_root_reads_arguments_and_environment() {
    let rooms = ["backends/llvm", "backends/load", "backends/runtime", "frontends/core"];
    let marks = ["std::env::var", "std::env::args", "env::var(", "env::args("];
    let wrong = breaches(&rooms, |line| marks.iter().any(|mark| line.contains(mark)));
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn files_are_short() {
    let mut wrong = Vec::new();
    let mut needed = BTreeSet::new();
    for file in sources(&[""]) {
        let lines = read(&file).lines().count();
        let name = shown(&file);
        if lines > LONGEST && !LONGER.iter().any(|(longer, _)| *longer == name) {
            wrong.push(format!("{name} has {lines} lines, {LONGEST} are allowed"));
        } else if lines > LONGEST {
            needed.insert(name);
        }
    }
    let gone =
        LONGER.iter().filter(|(name, _)| Path::new(root()).join(name).exists() && !needed.contains(*name));
    wrong.extend(gone.map(|(name, _)| format!("{name} is short by now: remove it from LONGER")));
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn files_open_with_what_they_are() {
    let undocumented = sources(&[""]).into_iter().filter(|file| !read(file).starts_with("//!"));
    let wrong: Vec<_> = undocumented.filter(|file| !is_generated(file)).map(|file| shown(&file)).collect();
    assert_eq!(wrong, [""; 0], "files that do not open with `//!`");
}

#[test]
fn library_holds_one_pass_per_file() {
    let mut wrong = Vec::new();
    for file in sources(&["passes/library"]) {
        let name = shown(&file).replace("passes/library/", "");
        let passes = passes_in(&file);
        let stem = name.trim_end_matches("/mod.rs").trim_end_matches(".rs").replace('_', "-");
        let inside_a_pass = name.contains('/') && passes.is_empty();
        if NO_PASS.contains(&name.as_str()) || inside_a_pass {
            continue;
        }
        if passes != [stem.clone()] {
            wrong.push(format!("passes/library/{name} holds {passes:?}, expected the pass `{stem}`"));
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn every_pass_has_its_papers() {
    let mut wrong = Vec::new();
    for pass in sources(&["passes/library"]).iter().flat_map(|file| passes_in(file)) {
        let folder = Path::new(root()).join("tests/filetests").join(&pass);
        let (firing, declining) = firing_and_declining(&folder);
        if firing == 0 || declining == 0 {
            wrong.push(format!(
                "{pass}: {firing} firing and {declining} declining tests in {}",
                shown(&folder)
            ));
        }
    }
    assert_eq!(wrong, [""; 0], "every pass has a test where it fires and one where it declines");
}

#[test]
fn every_rule_has_its_papers() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for rule in
        files(&Path::new(root()).join("passes/library/rules"), "rules").iter().flat_map(|f| rules_in(f))
    {
        count += 1;
        let folder = Path::new(root()).join("tests/filetests/rules").join(&rule);
        let (firing, declining) = firing_and_declining(&folder);
        if firing == 0 || declining == 0 {
            wrong.push(format!(
                "{rule}: {firing} firing and {declining} declining tests in {}",
                shown(&folder)
            ));
        }
    }
    assert_eq!(wrong, [""; 0], "every rule has a test where it fires and one where it declines");
    assert!(count >= 100, "{count} rules were found");
}

#[test]
fn rule_files_are_tidy() {
    let mut wrong = Vec::new();
    for file in files(&Path::new(root()).join("passes/library/rules"), "rules") {
        let text = read(&file);
        let (parsed, slips) = weft_rules::parse(&text);
        let sentence = parsed.doc.last().is_some_and(|line| line.ends_with('.'));
        if !slips.is_empty() || !sentence || weft_rules::print(&parsed) != text {
            wrong.push(shown(&file));
        }
    }
    assert_eq!(wrong, [""; 0], "rule files that have no sentence at their top, or do not print as they are");
}

#[test]
fn every_filetest_is_about_something() {
    let head =
        |text: &str| text.lines().take_while(|line| line.starts_with("//")).collect::<Vec<_>>().join("\n");
    let tests = files(&Path::new(root()).join("tests/filetests"), "weft");
    let bare = tests.iter().filter(|test| !head(&read(test)).contains("// pipeline:"));
    assert_eq!(bare.map(|test| shown(test)).collect::<Vec<_>>(), [""; 0], "filetests without `// pipeline:`");
}

#[test]
fn no_pass_imports_another() {
    let passes: Vec<_> = sources(&["passes/library"]).iter().flat_map(|file| passes_in(file)).collect();
    let modules: Vec<_> = passes.iter().map(|pass| format!("crate::{}", pass.replace('-', "_"))).collect();
    let wrong = breaches(&["passes/library"], |line| modules.iter().any(|module| names(line, module)));
    let register =
        |breach: &&String| NO_PASS.iter().any(|file| breach.starts_with(&format!("passes/library/{file}")));
    let wrong: Vec<_> = wrong.iter().filter(|breach| !register(breach)).collect();
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn every_operator_has_its_papers() {
    let ops = weft_ir::OpSet::builtin();
    let is_sentence = |doc: &str| doc.len() > 10 && doc.trim_end().ends_with('.');
    let wrong: Vec<_> = ops.iter().filter(|op| !is_sentence(op.doc)).map(|op| op.name).collect();
    assert_eq!(wrong, [""; 0], "operators without a sentence that says what they do");
}

/// A crate of the workspace.
struct Package {
    name: String,
    folder: PathBuf,
    /// What it depends on outside of its tests.
    dependencies: BTreeSet<String>,
}

fn root() -> &'static str {
    env!("CARGO_MANIFEST_DIR")
}

fn packages() -> Vec<Package> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--no-deps", "--format-version", "1", "--offline"]).current_dir(root());
    let output = cargo.output().expect("cargo runs");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo writes JSON");
    metadata["packages"].as_array().expect("a list of packages").iter().map(package).collect()
}

fn package(package: &Value) -> Package {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let all = package["dependencies"].as_array().expect("a list of dependencies");
    let shipped = all.iter().filter(|dependency| dependency["kind"] != "dev");
    Package {
        name: text(&package["name"]),
        folder: Path::new(&text(&package["manifest_path"])).parent().expect("a folder").to_owned(),
        dependencies: shipped.map(|dependency| text(&dependency["name"])).collect(),
    }
}

/// The Rust files under these folders of the repository.
fn sources(folders: &[&str]) -> Vec<PathBuf> {
    folders.iter().flat_map(|folder| files(&Path::new(root()).join(folder), "rs")).collect()
}

/// The files under a folder with that extension, in order; none if there is no such folder.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_dir() && !name.starts_with('.') && name != "target" {
                waiting.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The lines of shipped code under these folders that a rule forbids, as `FILE:LINE: TEXT`.
fn breaches(folders: &[&str], forbidden: impl Fn(&str) -> bool) -> Vec<String> {
    let mut wrong = Vec::new();
    for file in sources(folders).into_iter().filter(|file| !is_test(file)) {
        for (number, line) in shipped(&read(&file)).lines().enumerate() {
            if !line.trim_start().starts_with("//") && forbidden(line) {
                wrong.push(format!("{}:{}: {}", shown(&file), number + 1, line.trim()));
            }
        }
    }
    wrong
}

/// A file's text before its tests.
fn shipped(text: &str) -> &str {
    text.split_once("#[cfg(test)]").map_or(text, |(shipped, _)| shipped)
}

fn is_test(file: &Path) -> bool {
    let name = shown(file);
    name.starts_with("tests/")
        || name.contains("/tests/")
        || name.ends_with("tests.rs")
        || name.ends_with("build.rs")
}

fn is_generated(file: &Path) -> bool {
    LONGER.iter().any(|(name, reason)| shown(file) == *name && reason.starts_with("generated"))
}

fn may_be_unsafe(file: &Path) -> bool {
    let name = shown(file);
    let fenced =
        ["passes/abi/", "passes/host/", "backends/llvm/", "backends/load/", "backends/runtime/", "tests/"];
    fenced.iter().any(|folder| name.starts_with(folder)) || UNSAFE_FILES.contains(&name.as_str())
}

/// The names of the passes that a file describes: the first `name` of each `PassInfo`.
fn passes_in(file: &Path) -> Vec<String> {
    let text = read(file);
    let infos = shipped(&text).split("PassInfo {").skip(1);
    let names = infos.filter_map(|info| info.split_once("name: \"")?.1.split_once('"'));
    names.map(|(name, _)| name.to_owned()).collect()
}

/// The names of the rules of a file.
fn rules_in(file: &Path) -> Vec<String> {
    weft_rules::parse(&read(file)).0.rules.into_iter().map(|rule| rule.name.text).collect()
}

/// How many filetests of a folder are about firing, and how many about declining.
fn firing_and_declining(folder: &Path) -> (usize, usize) {
    let declines = |text: String| text.contains("// declines:") || text.contains("// expect: nothing\n");
    let tests = files(folder, "weft");
    let declining = tests.iter().filter(|test| declines(read(test))).count();
    (tests.len() - declining, declining)
}

/// Whether a line names a module, not merely one whose name begins alike.
fn names(line: &str, module: &str) -> bool {
    let follows = |rest: &str| !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_');
    line.match_indices(module).any(|(at, _)| follows(&line[at + module.len()..]))
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", shown(file)))
}

/// A path as seen from the repository's root.
fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}
