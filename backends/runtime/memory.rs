//! Memory that a session owns: fixed arrays made when it opens, and blocks that only grow.
#![expect(unsafe_code, reason = "owns memory from malloc")]

use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

use crate::abi::ALIGNMENT;
use crate::sys;

/// Blocks from this size on are aligned to huge pages and advised to use them.
const HUGE: usize = 4 << 20;
const HUGE_PAGE: usize = 2 << 20;
const MADV_HUGEPAGE: i32 = 14;

/// Types whose bytes may all be zero.
///
/// # Safety
/// A value of zero bytes must be a valid one.
pub unsafe trait Zeroed {}

// SAFETY: integers may be zero.
unsafe impl Zeroed for u8 {}
// SAFETY: integers may be zero.
unsafe impl Zeroed for i64 {}
// SAFETY: integers may be zero.
unsafe impl Zeroed for u64 {}
// SAFETY: integers may be zero.
unsafe impl Zeroed for u32 {}
// SAFETY: a raw pointer may be null.
unsafe impl<T> Zeroed for *mut T {}
// SAFETY: a raw pointer may be null.
unsafe impl<T> Zeroed for *const T {}
// SAFETY: numbers and null pointers.
unsafe impl Zeroed for crate::abi::DLTensor {}
// SAFETY: no pointer and no bytes are all zero.
unsafe impl Zeroed for Block {}
// SAFETY: an array of such values is such a value.
unsafe impl<T: Zeroed, const N: usize> Zeroed for [T; N] {}

/// An array of a length fixed when it was made; zeroed at first.
#[derive(Debug)]
pub struct Array<T: Zeroed> {
    pointer: NonNull<T>,
    length: usize,
}

impl<T: Zeroed> Array<T> {
    /// An array of `length` zeros, or nothing when memory is short.
    pub fn new(length: usize) -> Option<Self> {
        if length == 0 {
            return Some(Self { pointer: NonNull::dangling(), length });
        }
        // SAFETY: calloc checks the product and returns null when it cannot.
        let pointer = unsafe { sys::calloc(length, size_of::<T>()) }.cast::<T>();
        Some(Self { pointer: NonNull::new(pointer)?, length })
    }
}

impl<T: Zeroed> Deref for Array<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: the memory holds `length` values, zeroed or written since.
        unsafe { core::slice::from_raw_parts(self.pointer.as_ptr(), self.length) }
    }
}

impl<T: Zeroed> DerefMut for Array<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as above, and we are borrowed mutably.
        unsafe { core::slice::from_raw_parts_mut(self.pointer.as_ptr(), self.length) }
    }
}

impl<T: Zeroed> Drop for Array<T> {
    fn drop(&mut self) {
        if self.length > 0 {
            // SAFETY: the values are valid, the memory came from calloc, and neither is used after this.
            unsafe {
                core::ptr::drop_in_place(&raw mut **self);
                sys::free(self.pointer.as_ptr().cast());
            }
        }
    }
}

/// Aligned memory that grows and never shrinks; its contents survive only while it does not grow.
#[derive(Debug, Default)]
pub struct Block {
    pointer: Option<NonNull<u8>>,
    capacity: usize,
}

/// What an empty block points to: aligned, never read or written.
#[repr(align(64))]
struct Nowhere(u8);
static NOWHERE: Nowhere = Nowhere(0);

impl Block {
    /// A block that holds nothing yet.
    pub const fn new() -> Self {
        Self { pointer: None, capacity: 0 }
    }

    /// Makes sure of `bytes` bytes; nothing changes when they are already there. False when memory is short.
    #[must_use]
    pub fn reserve(&mut self, bytes: u64) -> bool {
        let Ok(bytes) = usize::try_from(bytes) else { return false };
        if bytes <= self.capacity {
            return true;
        }
        let alignment = if bytes >= HUGE { HUGE_PAGE } else { ALIGNMENT as usize };
        let Some(rounded) = bytes.checked_next_multiple_of(ALIGNMENT as usize) else { return false };
        if isize::try_from(rounded).is_err() {
            return false;
        }
        self.release();
        let mut pointer = core::ptr::null_mut();
        // SAFETY: the alignment is a power of two and a multiple of a pointer's size.
        let failed = unsafe { sys::posix_memalign(&raw mut pointer, alignment, rounded) } != 0;
        let Some(pointer) = NonNull::new(pointer.cast::<u8>()).filter(|_| !failed) else { return false };
        if bytes >= HUGE {
            // SAFETY: advice about memory that is ours; a refusal changes nothing.
            unsafe { sys::madvise(pointer.as_ptr().cast(), rounded, MADV_HUGEPAGE) };
        }
        (self.pointer, self.capacity) = (Some(pointer), rounded);
        true
    }

    /// The first byte; never null, also when the block is empty.
    pub fn pointer(&self) -> *mut u8 {
        self.pointer.map_or((&raw const NOWHERE.0).cast_mut(), NonNull::as_ptr)
    }

    /// How many bytes there are.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    fn release(&mut self) {
        if let Some(pointer) = self.pointer.take() {
            // SAFETY: the memory came from posix_memalign and is not used after this.
            unsafe { sys::free(pointer.as_ptr().cast()) }
        }
        self.capacity = 0;
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.release();
    }
}

/// Asks for huge pages where weights are mapped from a file: read from disk, they are kept so where the file system can.
/// A core then waits less for the tables of pages. A refusal changes nothing.
pub fn advise_mapped(start: *const u8, bytes: u64) {
    let Ok(bytes) = usize::try_from(bytes) else { return };
    let (skipped, end) = (start.align_offset(HUGE_PAGE), bytes.saturating_sub(HUGE_PAGE));
    if skipped > end {
        return;
    }
    let whole = (bytes - skipped) / HUGE_PAGE * HUGE_PAGE;
    // SAFETY: these are whole pages of the weights, of which the advice changes no byte.
    unsafe { sys::madvise(start.wrapping_add(skipped).cast_mut().cast(), whole, MADV_HUGEPAGE) };
}
