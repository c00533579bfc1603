//! What kind of file something is that may be run.
use crate::error::Error;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// What can be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A model, by what its name ends in.
    Model,
    /// A shared library.
    Library,
    /// A program.
    Program,
}

/// Marks a segment that names the dynamic linker, which only programs do.
const INTERPRETER: u32 = 3;
/// Bytes of the head of a 64-bit ELF file.
const HEAD: usize = 64;
/// Bytes of one entry of the table of segments.
const SEGMENT: usize = 56;

/// Looks at the first bytes of a file.
pub fn file_kind(path: &Path) -> Result<FileKind, Error> {
    let failed =
        |error| Error::Source(weft_frontend::SourceError::Io { file: path.display().to_string(), error });
    let is_file = path.metadata().map_err(failed)?.is_file();
    if !is_file {
        return Err(Error::Source(weft_frontend::SourceError::NotAFile(path.display().to_string())));
    }
    let mut file = File::open(path).map_err(failed)?;
    let mut head = [0; HEAD];
    if file.read_exact(&mut head).is_err() || !head.starts_with(b"\x7fELF\x02\x01") {
        return Ok(FileKind::Model);
    }
    let place = head[32..40].iter().rev().fold(0u64, |n, byte| n << 8 | u64::from(*byte));
    let count = usize::from(u16::from_le_bytes([head[56], head[57]]));
    let mut table = vec![0; count * SEGMENT];
    if file.seek(SeekFrom::Start(place)).is_err() || file.read_exact(&mut table).is_err() {
        return Ok(FileKind::Library);
    }
    let kind = |entry: &[u8]| u32::from_le_bytes([entry[0], entry[1], entry[2], entry[3]]);
    let program = table.chunks_exact(SEGMENT).any(|entry| kind(entry) == INTERPRETER);
    Ok(if program { FileKind::Program } else { FileKind::Library })
}
