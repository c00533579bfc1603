//! Runs every `.weft` file under `tests/filetests`: a graph goes in, a diff comes out, and much is
//! checked unasked. Head of a file: `// pipeline:`, `// why:`, then `// expect: Conv 1, Exp 0` or
//! `// declines: the reason`, and where needed `// tolerance: 1e-3` or `// symbols: N=2, S=5`.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
mod filetest;

use filetest::FileTest;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/filetests").canonicalize().unwrap()
}

fn files() -> Vec<PathBuf> {
    let folders = std::fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path());
    let entries = folders.filter(|path| path.is_dir()).flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = paths.filter(|path| path.extension().is_some_and(|e| e == "weft")).collect();
    files.sort();
    files
}

#[test]
fn every_file() {
    let only = std::env::var("FILETEST").unwrap_or_default();
    let mut failures = Vec::new();
    for path in files().into_iter().filter(|path| path.to_string_lossy().contains(&only)) {
        if let Err(message) = run(&path) {
            failures.push(format!("{}:\n{message}", path.strip_prefix(root()).unwrap().display()));
        }
    }
    assert!(failures.is_empty(), "{} files fail\n\n{}", failures.len(), failures.join("\n\n"));
}

fn run(path: &Path) -> Result<(), String> {
    let test = FileTest::read(&std::fs::read_to_string(path).unwrap())?;
    let diff = test.run()?;
    let name = path.file_stem().unwrap().to_string_lossy().into_owned();
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(path.parent().unwrap());
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let check = || settings.bind(|| insta::assert_snapshot!(name, diff));
    catch_unwind(std::panic::AssertUnwindSafe(check)).map_err(|_| "the snapshot differs".to_string())
}

#[test]
fn every_pass_has_its_papers() {
    for pass in weft_library::PASSES {
        let files: Vec<_> = files()
            .into_iter()
            .filter(|path| path.parent().is_some_and(|folder| folder.ends_with(pass.name)))
            .map(|path| FileTest::read(&std::fs::read_to_string(path).unwrap()).unwrap())
            .collect();
        assert!(
            files.iter().any(|file| !file.expect.is_empty()),
            "`{}` has no file where it fires",
            pass.name
        );
        assert!(
            files.iter().any(|file| file.declines.is_some() || file.unchanged()),
            "`{}` has no file where it declines",
            pass.name
        );
    }
}
