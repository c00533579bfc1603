//! How an operator reads what it was called with.
#![expect(unsafe_code, reason = "turns the addresses of generated code into slices")]

use crate::abi::{SessionHead, fail};
use crate::elem::Elem;
use crate::host::{Cause, session};
use crate::memory::Block;
use crate::session::Session;

/// A call of an operator.
pub(super) struct Call<'a> {
    session: &'a mut Session,
    args: *const *mut u8,
    params: *const i64,
}

/// An operator failed; the session says why.
pub(super) struct Stopped;

impl<'a> Call<'a> {
    /// # Safety
    /// The head must be that of an open session, with as many arguments and parameters as the operator documents.
    pub(super) unsafe fn new(head: *mut SessionHead, args: *const *mut u8, params: *const i64) -> Self {
        // SAFETY: the caller vouches for it.
        Self { session: unsafe { session(head) }, args, params }
    }

    /// The parameter at `index`.
    ///
    /// # Safety
    /// The operator must document that there is one.
    pub(super) unsafe fn param(&self, index: usize) -> i64 {
        // SAFETY: the caller vouches for it.
        unsafe { *self.params.add(index) }
    }

    /// A size at `index`; negative ones count as zero.
    ///
    /// # Safety
    /// As for `param`.
    pub(super) unsafe fn size(&self, index: usize) -> usize {
        // SAFETY: the caller vouches for it.
        usize::try_from(unsafe { self.param(index) }).unwrap_or(0)
    }

    /// `count` extents from parameter `index` on.
    ///
    /// # Safety
    /// As for `param`.
    pub(super) unsafe fn extents(&self, index: usize, count: usize) -> &'a [i64] {
        // SAFETY: the caller vouches for it.
        unsafe { crate::text::slice(self.params.add(index), count) }
    }

    /// The element type in parameter `index`.
    ///
    /// # Safety
    /// As for `param`.
    pub(super) unsafe fn elem(&mut self, index: usize) -> Result<Elem, Stopped> {
        // SAFETY: the caller vouches for it.
        let code = unsafe { self.param(index) };
        Elem::from_code(code).ok_or_else(|| self.stop(fail::ELEMENT, code, 0))
    }

    /// `count` values in buffer `index`.
    ///
    /// # Safety
    /// The operator must document that there are as many, of this type, which nobody writes.
    pub(super) unsafe fn input<T>(&self, index: usize, count: usize) -> &'a [T] {
        // SAFETY: the caller vouches for it.
        unsafe { crate::text::slice((*self.args.add(index)).cast::<T>(), count) }
    }

    /// Room for `count` values in buffer `index`; none when the address is null.
    ///
    /// # Safety
    /// The operator must document that there are as many, of this type, which nobody else uses.
    pub(super) unsafe fn output<T>(&self, index: usize, count: usize) -> &'a mut [T] {
        // SAFETY: the caller vouches for it.
        unsafe { crate::text::slice_mut((*self.args.add(index)).cast::<T>(), count) }
    }

    /// Takes `count` zeroed-or-used values of memory to work in, at offset zero of the session's work block.
    ///
    /// # Safety
    /// Every bit pattern must be a `T`, and only one such slice may be in use.
    pub(super) unsafe fn work<T>(&mut self, count: usize) -> Result<&'a mut [T], Stopped> {
        let Some(bytes) = count.checked_mul(size_of::<T>()) else {
            return Err(self.stop(fail::MEMORY, i64::MAX, 0));
        };
        let before = self.block().capacity();
        if !self.block().reserve(bytes as u64) {
            return Err(self.stop(fail::MEMORY, bytes as i64, 0));
        }
        let block = self.block();
        if block.capacity() > before {
            // SAFETY: the block is ours; bytes are written once so that no value is ever uninitialised.
            unsafe { block.pointer().write_bytes(0, block.capacity()) };
        }
        // SAFETY: the block is aligned to 64 bytes, holds the values, and the caller takes one slice at a time.
        Ok(unsafe { crate::text::slice_mut(block.pointer().cast::<T>(), count) })
    }

    fn block(&mut self) -> &mut Block {
        &mut self.session.work
    }

    /// The session's pool.
    pub(super) fn session(&mut self) -> &mut Session {
        self.session
    }

    /// Records why the operator fails.
    pub(super) fn stop(&mut self, code: u32, a: i64, b: i64) -> Stopped {
        self.session.fail(format_args!("{}", Cause { code, a, b }));
        Stopped
    }
}

/// The product of extents, as a count of elements.
pub(super) fn elements(extents: &[i64]) -> usize {
    extents.iter().map(|&extent| usize::try_from(extent).unwrap_or(0)).product()
}

/// The index as C sees it.
pub(super) fn answer(result: Result<usize, Stopped>) -> i64 {
    result.map_or(-1, |count| i64::try_from(count).unwrap_or(-1))
}
