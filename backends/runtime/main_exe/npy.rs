//! Reads and writes `.npy` files of versions 1 to 3.
//!
//! numpy knows no bfloat16 and nothing below a byte: bfloat16 is written as `<f4`, which loses nothing, and read from
//! that (rounded) or from raw `V2`; 2- and 4-bit integers take a byte each; 8-bit floats are raw `V1`.
#![expect(unsafe_code, reason = "fills memory with what a file holds")]

use core::ffi::CStr;
use core::fmt;

use crate::abi::{DLDataType, code};
use crate::bind::{TypeName, bytes};
use crate::elem::Elem;
use crate::main_exe::files::{Error, File};
use crate::main_exe::header::{Descr, Header, HeaderError, MOST_AXES};
use crate::memory::Block;

const MAGIC: &[u8] = b"\x93NUMPY";

/// The longest head that is read; numpy's own limit is lower.
const LONGEST_HEAD: usize = 1 << 16;

/// Why a file cannot be read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NpyError {
    /// The system refuses.
    System(Error),
    /// It is no `.npy` file, or its version is unknown.
    Magic,
    /// The head is cut short or too long.
    Head,
    /// The head cannot be used.
    Header(HeaderError),
    /// Elements are of another type than expected.
    Type(Descr, DLDataType),
    /// The extents are too large for memory.
    Extents,
    /// The file holds fewer or more bytes than its head says.
    Size(u64, u64),
    /// There is not enough memory for this many bytes.
    Memory(u64),
}

impl From<Error> for NpyError {
    fn from(error: Error) -> Self {
        Self::System(error)
    }
}

impl fmt::Display for NpyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System(error) => error.fmt(f),
            Self::Magic => write!(f, "this is no .npy file of version 1 to 3"),
            Self::Head => write!(f, "the header is cut short or longer than {LONGEST_HEAD} bytes"),
            Self::Header(error) => error.fmt(f),
            Self::Type(found, expected) => {
                write!(f, "found elements of type `{found}`, expected {}", TypeName(*expected))?;
                descr(*expected).map_or(Ok(()), |descr| write!(f, " (`{descr}`)"))
            }
            Self::Extents => write!(f, "the extents in the header are too large"),
            Self::Size(found, expected) => {
                write!(f, "found {found} bytes of elements, the header promises {expected}")
            }
            Self::Memory(bytes) => write!(f, "{bytes} bytes of memory cannot be had"),
        }
    }
}

/// How elements in a file become elements in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Storage {
    /// The same bytes.
    Same,
    /// bfloat16 as 32-bit floats.
    Wide,
    /// This many small integers in a byte of memory, one in a byte of the file.
    Packed(usize),
}

/// The type that a file is written with; nothing if files cannot hold it.
fn descr(dtype: DLDataType) -> Option<Descr> {
    let kind = match dtype.code {
        code::BOOL => b'b',
        code::INT => b'i',
        code::UINT => b'u',
        code::FLOAT | code::BFLOAT => b'f',
        code::COMPLEX => b'c',
        code::FLOAT8_FIRST..=code::FLOAT8_LAST => b'V',
        _ => return None,
    };
    let bytes = if dtype.code == code::BFLOAT { 4 } else { dtype.bits.div_ceil(8) };
    Some(Descr { kind, bytes })
}

fn storage(dtype: DLDataType, found: Descr) -> Option<Storage> {
    let is_written = descr(dtype) == Some(found);
    let is_raw = matches!(found.kind, b'V' | b'u') && dtype.bits == found.bytes.saturating_mul(8);
    match (dtype.code, dtype.bits) {
        (code::BFLOAT, 16) if is_written => Some(Storage::Wide),
        (code::INT | code::UINT, bits @ (1 | 2 | 4)) if is_written => {
            Some(Storage::Packed(8 / usize::from(bits)))
        }
        (code::BFLOAT | code::BOOL | code::FLOAT8_FIRST..=code::FLOAT8_LAST, _) if is_raw => {
            Some(Storage::Same)
        }
        _ => is_written.then_some(Storage::Same),
    }
}

/// Reads the tensor in a file into `block`, as elements of `dtype`, and returns its head.
pub fn read(path: &CStr, dtype: DLDataType, block: &mut Block) -> Result<Header, NpyError> {
    let file = File::open(path)?;
    let (header, start) = read_header(&file)?;
    let storage = storage(dtype, header.descr).ok_or(NpyError::Type(header.descr, dtype))?;
    let wanted = header.descr.bytes.checked_mul(8).and_then(|bits| bytes(header.extents(), bits));
    let wanted = wanted.ok_or(NpyError::Extents)?;
    let found = file.size_after(start)?;
    if found != wanted {
        return Err(NpyError::Size(found, wanted));
    }
    if !block.reserve(wanted) {
        return Err(NpyError::Memory(wanted));
    }
    // SAFETY: the block holds that many bytes; they are zeroed so that none is ever uninitialised.
    let room = unsafe {
        block.pointer().write_bytes(0, wanted as usize);
        crate::text::slice_mut(block.pointer(), wanted as usize)
    };
    let got = file.read(room)? as u64;
    if got != wanted {
        return Err(NpyError::Size(got, wanted));
    }
    match storage {
        Storage::Same => {}
        Storage::Wide => narrow(room),
        Storage::Packed(per_byte) => pack(room, per_byte),
    }
    Ok(header)
}

fn read_header(file: &File) -> Result<(Header, u64), NpyError> {
    let mut start = [0_u8; 12];
    let got = file.read(&mut start[..10])?;
    if got < 10 || !start.starts_with(MAGIC) {
        return Err(NpyError::Magic);
    }
    let version = start[6];
    if !(1..=3).contains(&version) {
        return Err(NpyError::Magic);
    }
    let begin = if version == 1 { 10 } else { 12 };
    if file.read(&mut start[10..begin])? != begin - 10 {
        return Err(NpyError::Head);
    }
    let [a, b, c, d] = [start[8], start[9], start[10], start[11]];
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    let mut head = [0_u8; LONGEST_HEAD];
    let head = head.get_mut(..length).ok_or(NpyError::Head)?;
    if file.read(head)? != length {
        return Err(NpyError::Head);
    }
    Ok((Header::parse(head).map_err(NpyError::Header)?, (begin + length) as u64))
}

/// 32-bit floats to bfloat16, in place.
fn narrow(data: &mut [u8]) {
    let (Some(wide), Some(small)) = (Elem::new(code::FLOAT, 32), Elem::new(code::BFLOAT, 16)) else { return };
    for index in 0..data.len() / 4 {
        let value = wide.to_f64(wide.load(data, index));
        small.store(data, index, small.from_f64(value));
    }
}

/// Small integers of a byte each to several in a byte, the first in the lowest bits, in place.
fn pack(data: &mut [u8], per_byte: usize) {
    let bits = 8 / per_byte;
    for to in 0..data.len().div_ceil(per_byte) {
        let part = data[to * per_byte..].iter().take(per_byte).rev();
        data[to] = part.fold(0, |packed, &small| packed << bits | small & ((1 << bits) - 1));
    }
}

/// A tensor to be written.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The element type.
    pub dtype: DLDataType,
    /// The extents.
    pub shape: &'a [i64],
    /// The elements.
    pub data: &'a [u8],
}

/// Writes a tensor to a file.
pub fn write(path: &CStr, view: View<'_>) -> Result<(), NpyError> {
    let raw = Descr { kind: b'V', bytes: view.dtype.bits.div_ceil(8) };
    let descr = descr(view.dtype).unwrap_or(raw);
    let mut header = Header { descr, shape: [0; MOST_AXES], rank: view.shape.len() };
    header.shape.get_mut(..view.shape.len()).ok_or(NpyError::Extents)?.copy_from_slice(view.shape);
    let file = File::create(path)?;
    write_header(&file, &header)?;
    match storage(view.dtype, descr) {
        Some(Storage::Wide) => widen(&file, view.data)?,
        Some(Storage::Packed(per_byte)) => unpack(&file, &view, per_byte)?,
        _ => file.write(view.data)?,
    }
    Ok(file.finish()?)
}

fn write_header(file: &File, header: &Header) -> Result<(), NpyError> {
    let dictionary = header.dictionary();
    let text = dictionary.bytes();
    let end = (10 + text.len() + 1).next_multiple_of(64);
    let mut head = [b' '; 1024];
    head[..6].copy_from_slice(MAGIC);
    head[6..8].copy_from_slice(&[1, 0]);
    head[8..10].copy_from_slice(&((end - 10) as u16).to_le_bytes());
    head[10..10 + text.len()].copy_from_slice(text);
    head[end - 1] = b'\n';
    Ok(file.write(&head[..end])?)
}

fn widen(file: &File, data: &[u8]) -> Result<(), NpyError> {
    for part in data.chunks(4096) {
        let mut wide = [0_u8; 8192];
        for (small, wide) in part.chunks_exact(2).zip(wide.chunks_exact_mut(4)) {
            wide[2..].copy_from_slice(small);
        }
        file.write(&wide[..part.len() * 2])?;
    }
    Ok(())
}

fn unpack(file: &File, view: &View<'_>, per_byte: usize) -> Result<(), NpyError> {
    let bits = 8 / per_byte;
    let elements = bytes(view.shape, 8).unwrap_or(0) as usize;
    let mut left = elements;
    for part in view.data.chunks(1024) {
        let mut wide = [0_u8; 8192];
        let count = left.min(part.len() * per_byte);
        for (index, wide) in wide[..count].iter_mut().enumerate() {
            let high = part[index / per_byte] << (8 - bits - index % per_byte * bits);
            let is_signed = view.dtype.code == code::INT;
            *wide = if is_signed { (high as i8 >> (8 - bits)) as u8 } else { high >> (8 - bits) };
        }
        file.write(&wide[..count])?;
        left -= count;
    }
    Ok(())
}
