//! The snapshot beside a filetest, in the form of `insta`: `cargo insta review` works on it, and no
//! cargo is needed to read, compare or bless it.
use crate::files;
use similar::TextDiff;
use std::fs;
use std::path::{Path, PathBuf};

/// What happens where a snapshot is not that of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Snapshots {
    /// The file fails.
    #[default]
    Check,
    /// The file fails, and a `.snap.new` beside it holds the snapshot of the run, for `cargo insta review`.
    Propose,
    /// The snapshot of the run takes its place; one that belongs to no file is removed.
    Bless,
}

/// Where the snapshot of a filetest lies.
fn place(file: &Path) -> PathBuf {
    file.with_extension("snap")
}

fn proposal(file: &Path) -> PathBuf {
    file.with_extension("snap.new")
}

/// Compares a diff with the snapshot of its file, or blesses it.
pub(super) fn settle(file: &Path, diff: &str, how: Snapshots) -> Result<(), String> {
    let known = fs::read_to_string(place(file)).ok();
    let known = known.as_deref().map(contents);
    if known == Some(trimmed(diff)) {
        return discard(&proposal(file));
    }
    match how {
        Snapshots::Check => {}
        Snapshots::Propose => write(&proposal(file), file, diff)?,
        Snapshots::Bless => {
            write(&place(file), file, diff)?;
            return discard(&proposal(file));
        }
    }
    Err(match known {
        None => {
            format!("there is no snapshot yet, expected `{}`; the run gives\n{diff}", place(file).display())
        }
        Some(known) => {
            let changes = TextDiff::from_lines(known, trimmed(diff));
            let changes = changes.unified_diff().header("the snapshot", "the run").to_string();
            format!("the snapshot differs\n{changes}")
        }
    })
}

/// That a snapshot belongs to no filetest, which a blessing mends.
pub(super) fn unused(snapshot: &Path, how: Snapshots) -> Result<(), String> {
    match how {
        Snapshots::Bless => discard(snapshot),
        _ => Err("no `.weft` file has this snapshot; remove it, or bless".to_string()),
    }
}

/// What follows the head of a snapshot.
fn contents(snapshot: &str) -> &str {
    let after = snapshot.strip_prefix("---\n").and_then(|rest| rest.split_once("\n---\n"));
    trimmed(after.map_or(snapshot, |(_, contents)| contents))
}

/// Blank lines around do not count; neither do they to `insta`.
fn trimmed(text: &str) -> &str {
    text.trim_start_matches('\n').trim_end()
}

fn write(path: &Path, file: &Path, diff: &str) -> Result<(), String> {
    let source = file.file_name().unwrap_or_default().to_string_lossy();
    let text = format!("---\nsource: {source}\n---\n{}\n", trimmed(diff));
    files::write(path, text.as_bytes()).map_err(|error| error.to_string())
}

fn discard(path: &Path) -> Result<(), String> {
    match path.exists() {
        true => fs::remove_file(path).map_err(|error| format!("cannot remove `{}`: {error}", path.display())),
        false => Ok(()),
    }
}
