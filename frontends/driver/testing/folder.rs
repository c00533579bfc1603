//! All filetests under a folder.
use super::filetest::FileTest;
use crate::driver::Driver;
use std::fmt;
use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// A filetest that failed.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The file.
    pub file: PathBuf,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:\n{}", self.file.display(), self.message)
    }
}

/// Runs every `.weft` file under `folder` whose path holds `only`; gives those that fail. The diff
/// of each is compared with the `insta` snapshot beside it.
pub fn filetests(driver: &Driver, folder: &Path, only: &str) -> io::Result<Vec<Failure>> {
    let mut failures = Vec::new();
    for file in files(folder)?.into_iter().filter(|file| file.to_string_lossy().contains(only)) {
        if let Err(message) = run(driver, &file, &fs::read_to_string(&file)?) {
            failures.push(Failure { file, message });
        }
    }
    Ok(failures)
}

/// Panics with everything that fails among the filetests under `folder`.
#[track_caller]
pub fn assert_filetests(driver: &Driver, folder: &Path) {
    let failures = filetests(driver, folder, "");
    let failures = failures.unwrap_or_else(|error| panic!("`{}`: {error}", folder.display()));
    let shown: Vec<_> = failures.iter().map(ToString::to_string).collect();
    assert!(failures.is_empty(), "{} files fail\n\n{}", failures.len(), shown.join("\n\n"));
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let (mut found, mut open) = (Vec::new(), vec![folder.to_path_buf()]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "weft") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn run(driver: &Driver, file: &Path, text: &str) -> Result<(), String> {
    let diff = FileTest::read(text, driver.ops())?.run(driver)?;
    let (Some(folder), Some(name)) = (file.parent(), file.file_stem()) else { return Ok(()) };
    let name = name.to_string_lossy().into_owned();
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(folder);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let check = || settings.bind(|| insta::assert_snapshot!(name, diff));
    catch_unwind(AssertUnwindSafe(check)).map_err(|_| "the snapshot differs".to_string())
}
