//! Files through libc.
#![expect(unsafe_code, reason = "calls libc")]

use core::ffi::{CStr, c_char};
use core::fmt::Write;

use crate::sys;
use crate::text::{Lossy, Text, c_text};

const READ: i32 = 0;
/// Write only, create, truncate, close on exec; the same numbers on all 64-bit Linux.
const CREATE: i32 = 0o1 | 0o100 | 0o1000 | 0o2_000_000;
const SEEK_SET: i32 = 0;
const SEEK_END: i32 = 2;
const EINTR: i32 = 4;
const EEXIST: i32 = 17;

/// A path, with room for the longest that Linux takes.
pub type Path = Text<4096>;

/// The number of the system's error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error(pub i32);

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        // SAFETY: strerror returns a C string for every number.
        write!(f, "{}", unsafe { c_text(sys::strerror(self.0)) })
    }
}

fn last_error() -> Error {
    // SAFETY: the address is this thread's own.
    Error(unsafe { *sys::__errno_location() })
}

/// An open file.
#[derive(Debug)]
pub struct File(i32);

impl File {
    /// Opens a file for reading.
    pub fn open(path: &CStr) -> Result<Self, Error> {
        // SAFETY: the path is a C string.
        let file = unsafe { sys::open(path.as_ptr(), READ) };
        if file < 0 { Err(last_error()) } else { Ok(Self(file)) }
    }

    /// Makes a file, or empties it.
    pub fn create(path: &CStr) -> Result<Self, Error> {
        // SAFETY: the path is a C string.
        let file = unsafe { sys::open(path.as_ptr(), CREATE, 0o666_u32) };
        if file < 0 { Err(last_error()) } else { Ok(Self(file)) }
    }

    /// The bytes of the file from `start` on, where the position then is.
    pub fn size_after(&self, start: u64) -> Result<u64, Error> {
        // SAFETY: the file is open.
        let (end, back) =
            unsafe { (sys::lseek(self.0, 0, SEEK_END), sys::lseek(self.0, start as i64, SEEK_SET)) };
        if end < 0 || back < 0 { Err(last_error()) } else { Ok((end as u64).saturating_sub(start)) }
    }

    /// Fills `room` as far as the file goes and returns how many bytes that were.
    pub fn read(&self, room: &mut [u8]) -> Result<usize, Error> {
        let mut done = 0;
        while done < room.len() {
            let rest = &mut room[done..];
            // SAFETY: the file is open and the room is ours.
            let got = unsafe { sys::read(self.0, rest.as_mut_ptr().cast(), rest.len()) };
            match usize::try_from(got) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(_) if last_error() == Error(EINTR) => {}
                Err(_) => return Err(last_error()),
            }
        }
        Ok(done)
    }

    /// Writes all bytes.
    pub fn write(&self, bytes: &[u8]) -> Result<(), Error> {
        write_all(self.0, bytes)
    }

    /// Closes the file and tells whether everything has been written.
    pub fn finish(self) -> Result<(), Error> {
        // SAFETY: the file is open and not used again.
        let closed = unsafe { sys::close(self.0) };
        core::mem::forget(self);
        if closed < 0 { Err(last_error()) } else { Ok(()) }
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // SAFETY: the file is open and not used again.
        unsafe { sys::close(self.0) };
    }
}

/// Writes all bytes to an open file.
pub fn write_all(file: i32, mut bytes: &[u8]) -> Result<(), Error> {
    while !bytes.is_empty() {
        // SAFETY: the bytes are alive.
        let put = unsafe { sys::write(file, bytes.as_ptr().cast(), bytes.len()) };
        match usize::try_from(put) {
            Ok(count) => bytes = &bytes[count..],
            Err(_) if last_error() == Error(EINTR) => {}
            Err(_) => return Err(last_error()),
        }
    }
    Ok(())
}

/// Makes a folder and those above it; it may be there already.
pub fn make_folder(path: &CStr) -> Result<(), Error> {
    let bytes = path.to_bytes_with_nul();
    let mut part = [0_u8; 4096];
    let mut result = Ok(());
    for (at, &byte) in bytes.iter().enumerate().take(part.len() - 1) {
        if at > 0 && (byte == b'/' || byte == 0) {
            part[at] = 0;
            // SAFETY: `part` ends in zero.
            let made = unsafe { sys::mkdir(part.as_ptr().cast::<c_char>(), 0o777) };
            result = if made < 0 && last_error() != Error(EEXIST) { Err(last_error()) } else { Ok(()) };
        }
        part[at] = byte;
    }
    // Only the last folder counts: one above may exist where we may not make it.
    result
}

/// `FOLDER/NAME.npy`, or nothing when that is too long or the names are not text.
pub fn npy_path(folder: &CStr, name: &[u8]) -> Option<Path> {
    let mut path = Path::new();
    let (folder, name) = (str::from_utf8(folder.to_bytes()).ok()?, str::from_utf8(name).ok()?);
    write!(path, "{folder}/{name}.npy").ok()?;
    (path.bytes().len() == folder.len() + name.len() + 5).then_some(path)
}

/// A path as a C string.
pub fn c_path(path: &Path) -> &CStr {
    CStr::from_bytes_until_nul(path.zero_ended()).unwrap_or_default()
}

/// The name of a port as a file's name: what is not plain becomes `_`, and `~K` tells apart the port at `index` from
/// `K` earlier ones of the same name.
pub fn file_name<'a>(names: impl Fn(usize) -> Lossy<'a>, index: usize) -> Text<512> {
    let mut text = Text::<512>::new();
    let plain = |name: Lossy<'a>| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        name.0
            .iter()
            .filter(|byte| !is_continuation(**byte))
            .map(move |&byte| if is_plain(byte) { byte } else { b'_' })
    };
    for byte in plain(names(index)) {
        let _ = text.write_char(byte as char);
    }
    let earlier = (0..index).filter(|&other| plain(names(other)).eq(plain(names(index)))).count();
    if earlier > 0 {
        let _ = write!(text, "~{earlier}");
    }
    text
}

/// Whether a byte continues a character of UTF-8, so that a character becomes one `_`.
fn is_continuation(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}
