//! A linked artifact to its place: written anew in large pieces, and there all at once.
//!
//! A linker writes through a mapping, page by page, and leaves the file in as small pieces in the page cache. What is
//! written in pieces of huge pages Linux keeps and maps in huge pages, where the file system has them (ext4, xfs): a core
//! that reads weights from memory then does not wait for tables of pages as well (products of one row with 95 MB of
//! codes: 12.7 GB/s where there were 11.0, and 11.4 after a pause where there were 8.1). The runtime asks for the same
//! when a file is read from disk.
use std::fs::{File, OpenOptions, Permissions};
use std::io::{Read, Result, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Bytes written at once: some huge pages.
const PIECE: usize = 8 << 20;

/// Puts a file where another may be, which is replaced if nothing fails.
pub(crate) fn put(linked: &Path, output: &Path) -> Result<()> {
    let from = File::open(linked)?;
    let special = output.metadata().is_ok_and(|what| !what.is_file());
    if special {
        return copy(from, OpenOptions::new().write(true).open(output)?);
    }
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut new = tempfile::Builder::new();
    let new = new.prefix(".weft-").permissions(Permissions::from_mode(0o777)).tempfile_in(folder)?;
    copy(from, new.as_file())?;
    new.persist(output).map(drop).map_err(|failed| failed.error)
}

fn copy(mut from: File, mut to: impl Write) -> Result<()> {
    let mut piece = Vec::with_capacity(PIECE);
    while Read::by_ref(&mut from).take(PIECE as u64).read_to_end(&mut piece)? > 0 {
        to.write_all(&piece)?;
        piece.clear();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_may_be_run() {
        let folder = tempfile::tempdir().unwrap();
        let (linked, output) = (folder.path().join("linked"), folder.path().join("output"));
        let bytes: Vec<u8> = (0..PIECE + 4097).map(|i| (i % 251) as u8).collect();
        std::fs::write(&linked, &bytes).unwrap();
        std::fs::write(&output, "before").unwrap();
        let before = File::open(&output).unwrap();
        put(&linked, &output).unwrap();
        assert!(std::fs::read(&output).unwrap() == bytes);
        assert_ne!(output.metadata().unwrap().permissions().mode() & 0o100, 0, "it may be run");
        let kept = std::io::read_to_string(before).unwrap();
        assert_eq!(kept, "before", "who has the old file open keeps it");
        let names = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(names, 2, "nothing else is left");
    }

    #[test]
    fn what_fails_leaves_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("output");
        std::fs::write(&output, "before").unwrap();
        assert!(put(&folder.path().join("missing"), &output).is_err());
        assert_eq!(std::fs::read_to_string(&output).unwrap(), "before");
    }

    #[test]
    fn a_device_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        let linked = folder.path().join("linked");
        std::fs::write(&linked, "bytes").unwrap();
        put(&linked, Path::new("/dev/null")).unwrap();
        assert!(!Path::new("/dev/null").metadata().unwrap().is_file());
    }
}
