//! A piece of memory that knows which of its bytes were written.
use super::{Fault, Result};
use weft_ir::DType;

/// A piece of memory that knows which of its bytes were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    bytes: Vec<u8>,
    written: Vec<bool>,
}

impl Block {
    /// Memory that holds something.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self { written: vec![true; bytes.len()], bytes }
    }

    /// Memory that nobody has written yet.
    pub fn undefined(length: usize) -> Self {
        // No number of any type should look like a result.
        Self { bytes: vec![0xa5; length], written: vec![false; length] }
    }

    /// Bytes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The contents.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The first byte below `length` that nobody has written.
    pub fn first_unwritten(&self, length: usize) -> Option<usize> {
        self.written.iter().take(length).position(|written| !written)
    }

    /// Makes it at least so long; what it holds stays.
    pub fn grow(&mut self, length: usize) {
        if length > self.bytes.len() {
            self.bytes.resize(length, 0xa5);
            self.written.resize(length, false);
        }
    }

    /// A copy of a part, which must exist.
    pub(crate) fn piece(&self, start: usize, length: usize) -> Block {
        let range = start..start + length;
        Block { bytes: self.bytes[range.clone()].to_vec(), written: self.written[range].to_vec() }
    }

    /// Puts a piece where there is room for it.
    pub(crate) fn paste(&mut self, at: usize, piece: &Block) {
        self.bytes[at..at + piece.len()].copy_from_slice(&piece.bytes);
        self.written[at..at + piece.len()].copy_from_slice(&piece.written);
    }

    /// Where an element begins, if it lies inside.
    pub(crate) fn place(&self, offset: i64, index: i64, elem: DType) -> Option<usize> {
        let size = size(elem).ok()?;
        let start = index.checked_mul(size as i64)?.checked_add(offset)?;
        let start = usize::try_from(start).ok()?;
        (index >= 0 && start.checked_add(size)? <= self.bytes.len()).then_some(start)
    }

    /// The element that begins at a place, as a register holds it, if all of it was written.
    pub(crate) fn get(&self, place: usize, elem: DType) -> Option<u64> {
        let range = place..place + size(elem).ok()?;
        if !self.written[range.clone()].iter().all(|written| *written) {
            return None;
        }
        let bits = self.bytes[range].iter().rev().fold(0, |bits, byte| bits << 8 | u64::from(*byte));
        Some(super::value::extended(elem, bits))
    }

    /// Writes the element that begins at a place, or makes it undefined.
    pub(crate) fn set(&mut self, place: usize, elem: DType, bits: Option<u64>) {
        let Ok(size) = size(elem) else { return };
        let bytes = bits.unwrap_or(0xa5a5_a5a5_a5a5_a5a5).to_le_bytes();
        self.bytes[place..place + size].copy_from_slice(&bytes[..size]);
        self.written[place..place + size].fill(bits.is_some());
    }
}

/// Bytes of an element.
pub(crate) fn size(elem: DType) -> Result<usize> {
    match elem.bits() {
        bits @ (8 | 16 | 32 | 64) => Ok(bits as usize / 8),
        _ => Err(Fault::Form(format!("an element of `{elem}` cannot be addressed"))),
    }
}
