//! Text without an allocator: a fixed buffer to format into, and C strings that may hold any bytes.
#![expect(unsafe_code, reason = "reads C strings")]

use core::ffi::{CStr, c_char};
use core::fmt::{self, Write};

/// A text of at most `N - 1` bytes that ends in a zero byte; what is too long is cut at a character.
#[derive(Clone, Copy)]
pub struct Text<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Text<N> {
    /// The empty text.
    pub const fn new() -> Self {
        Self { bytes: [0; N], length: 0 }
    }

    /// Replaces the text.
    pub fn set(&mut self, message: fmt::Arguments<'_>) {
        self.clear();
        // Writing never fails: what is too long is cut.
        let _ = self.write_fmt(message);
    }

    /// Makes the text empty.
    pub fn clear(&mut self) {
        self.length = 0;
        self.bytes[0] = 0;
    }

    /// The text without its zero byte.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// The text with its zero byte.
    pub fn zero_ended(&self) -> &[u8] {
        &self.bytes[..=self.length]
    }

    /// The text for C.
    pub fn as_ptr(&self) -> *const c_char {
        self.bytes.as_ptr().cast()
    }
}

impl<const N: usize> Default for Text<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Lossy(self.bytes()), f)
    }
}

impl<const N: usize> Write for Text<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = N - 1 - self.length;
        let cut = text.floor_char_boundary(room.min(text.len()));
        let end = self.length + cut;
        self.bytes[self.length..end].copy_from_slice(&text.as_bytes()[..cut]);
        self.bytes[end] = 0;
        self.length = end;
        Ok(())
    }
}

/// Bytes shown as text; what is not UTF-8 is shown as a replacement character.
#[derive(Clone, Copy, Debug)]
pub struct Lossy<'a>(pub &'a [u8]);

impl fmt::Display for Lossy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            f.write_str(chunk.valid())?;
            if !chunk.invalid().is_empty() {
                f.write_char(char::REPLACEMENT_CHARACTER)?;
            }
        }
        Ok(())
    }
}

/// The bytes of a C string; a null pointer is the empty string.
///
/// # Safety
/// `pointer` must be null or point to bytes that end in zero and live as long as `'a`.
pub unsafe fn c_bytes<'a>(pointer: *const c_char) -> &'a [u8] {
    if pointer.is_null() {
        return &[];
    }
    // SAFETY: the caller vouches for it.
    unsafe { CStr::from_ptr(pointer) }.to_bytes()
}

/// A C string to be shown; see [`c_bytes`].
///
/// # Safety
/// As for [`c_bytes`].
pub unsafe fn c_text<'a>(pointer: *const c_char) -> Lossy<'a> {
    // SAFETY: the caller vouches for it.
    Lossy(unsafe { c_bytes(pointer) })
}

/// The slice at `pointer`; empty when `length` is zero, whatever the pointer.
///
/// # Safety
/// Unless `length` is zero, `pointer` must be aligned and point to that many values, alive and unchanged for `'a`.
pub unsafe fn slice<'a, T>(pointer: *const T, length: usize) -> &'a [T] {
    if length == 0 || pointer.is_null() {
        return &[];
    }
    // SAFETY: the caller vouches for it.
    unsafe { core::slice::from_raw_parts(pointer, length) }
}

/// The mutable slice at `pointer`; empty when `length` is zero, whatever the pointer.
///
/// # Safety
/// Unless `length` is zero, `pointer` must be aligned and point to that many values which nothing else uses during `'a`.
pub unsafe fn slice_mut<'a, T>(pointer: *mut T, length: usize) -> &'a mut [T] {
    if length == 0 || pointer.is_null() {
        return &mut [];
    }
    // SAFETY: the caller vouches for it.
    unsafe { core::slice::from_raw_parts_mut(pointer, length) }
}
