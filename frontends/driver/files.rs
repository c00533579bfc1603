//! Files that are never seen half written: made under another name, then renamed.
use crate::error::Error;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Writes a file at once.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    replace(path, |at| std::fs::File::create(at)?.write_all(bytes))
}

/// Lets `make` write a file under another name in the same folder, which then takes its place.
pub fn replace(path: &Path, make: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), Error> {
    let folder = workshop(path)?;
    let made = folder.path().join("file");
    make(&made).map_err(|error| Error::Write { file: path.to_path_buf(), error })?;
    put(&made, path)
}

/// A folder beside a file that is to be made, gone with everything in it when dropped.
pub(crate) fn workshop(path: &Path) -> Result<TempDir, Error> {
    let failed = |error| Error::Write { file: path.to_path_buf(), error };
    tempfile::Builder::new().prefix(".weft-").tempdir_in(parent(path)).map_err(failed)
}

/// Moves a finished file to its place.
pub(crate) fn put(made: &Path, path: &Path) -> Result<(), Error> {
    std::fs::rename(made, path).map_err(|error| Error::Write { file: path.to_path_buf(), error })
}

/// The folder a file lies in.
pub(crate) fn parent(path: &Path) -> PathBuf {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
    parent.unwrap_or(Path::new(".")).to_path_buf()
}
