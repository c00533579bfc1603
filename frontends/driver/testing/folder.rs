//! All filetests under a folder.
use super::filetest::FileTest;
use super::snapshot::{self, Snapshots};
use crate::driver::Driver;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A filetest, or a snapshot, that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// How the filetests of a folder went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many files are as they should be.
    pub passed: usize,
    /// The others, and snapshots that belong to no file.
    pub failures: Vec<Failure>,
}

/// Runs every `.weft` file under `folder` whose path holds `only`, and compares the diff of each with the
/// snapshot beside it. A snapshot that belongs to no file fails, too.
pub fn filetests(driver: &Driver, folder: &Path, only: &str, how: Snapshots) -> io::Result<Tally> {
    let mut tally = Tally::default();
    for file in files(folder)?.into_iter().filter(|file| file.to_string_lossy().contains(only)) {
        let outcome = match kind(&file) {
            Kind::Test => run(driver, &file, &fs::read_to_string(&file)?, how),
            Kind::Snapshot if file.with_extension("weft").exists() => continue,
            Kind::Snapshot => snapshot::unused(&file, how),
            Kind::Other => continue,
        };
        match (outcome, kind(&file)) {
            (Ok(()), Kind::Test) => tally.passed += 1,
            (Ok(()), _) => {}
            (Err(message), _) => tally.failures.push(Failure { file, message }),
        }
    }
    Ok(tally)
}

/// Panics with everything that fails among the filetests under `folder`; what a snapshot should be is
/// then beside it, for `cargo insta review`.
#[track_caller]
pub fn assert_filetests(driver: &Driver, folder: &Path) {
    let tally = filetests(driver, folder, "", Snapshots::Propose);
    let failures = tally.unwrap_or_else(|error| panic!("`{}`: {error}", folder.display())).failures;
    let shown: Vec<_> = failures.iter().map(ToString::to_string).collect();
    assert!(failures.is_empty(), "{} files fail\n\n{}", failures.len(), shown.join("\n\n"));
}

/// What a file in the folder is.
enum Kind {
    Test,
    Snapshot,
    Other,
}

fn kind(file: &Path) -> Kind {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("weft") => Kind::Test,
        Some("snap") => Kind::Snapshot,
        _ => Kind::Other,
    }
}

/// All files, in order.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let (mut found, mut open) = (Vec::new(), vec![folder.to_path_buf()]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() { open.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    Ok(found)
}

fn run(driver: &Driver, file: &Path, text: &str, how: Snapshots) -> Result<(), String> {
    let diff = FileTest::read(text, driver.ops())?.run(driver)?;
    snapshot::settle(file, &diff, how)
}
