//! The snapshot beside a filetest, which is one of `insta`: its types read and compare it, and
//! `cargo insta review` takes what is proposed.
//!
//! What is written is ours, and read back by `insta` at once: it makes snapshots only within
//! `assert_snapshot!`. That macro is not for a tool that runs many files. It panics at the first
//! one, prints to the terminal on its own, and obeys the environment (`INSTA_UPDATE`,
//! `INSTA_FORCE_PASS`) and a configuration file, where only the caller may say what happens; and it
//! asks `cargo metadata` for the workspace, while this works on a machine without cargo.
use crate::files;
use insta::internals::TextSnapshotContents;
use insta::{Snapshot, TextSnapshotKind};
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
    let (place, found) = (place(file), TextSnapshotContents::new(diff.to_string(), TextSnapshotKind::File));
    // One that does not read is replaced like one that differs, and what is wrong with it is said.
    let known = if place.exists() { read(&place).map(Some) } else { Ok(None) };
    if let Ok(Some(known)) = &known
        && known.matches_latest(&found)
    {
        return discard(&proposal(file));
    }
    match how {
        Snapshots::Check => {}
        Snapshots::Propose => write(&proposal(file), file, &found)?,
        Snapshots::Bless => {
            write(&place, file, &found)?;
            return discard(&proposal(file));
        }
    }
    Err(match known? {
        None => format!("there is no snapshot yet, expected `{}`; the run gives\n{diff}", place.display()),
        Some(known) => {
            let (known, found) = (known.to_string(), found.to_string());
            let changes = TextDiff::from_lines(&known, &found);
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

/// What a snapshot holds.
fn read(path: &Path) -> Result<TextSnapshotContents, String> {
    let failed = |why: String| format!("cannot read the snapshot `{}`: {why}", path.display());
    let snapshot = Snapshot::from_file(path).map_err(|error| failed(error.to_string()))?;
    snapshot.as_text().cloned().ok_or_else(|| failed("it holds no text".to_string()))
}

/// Writes a snapshot that `insta` reads as this.
fn write(path: &Path, file: &Path, contents: &TextSnapshotContents) -> Result<(), String> {
    let source = file.file_name().unwrap_or_default().to_string_lossy();
    let text = format!("---\nsource: {source}\n---\n{contents}\n");
    files::write(path, text.as_bytes()).map_err(|error| error.to_string())?;
    match read(path)?.matches_latest(contents) {
        true => Ok(()),
        false => Err(format!("the snapshot `{}` does not read back as it was written", path.display())),
    }
}

fn discard(path: &Path) -> Result<(), String> {
    match path.exists() {
        true => fs::remove_file(path).map_err(|error| format!("cannot remove `{}`: {error}", path.display())),
        false => Ok(()),
    }
}
