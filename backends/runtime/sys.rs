//! The libc functions that the runtime needs, declared here and nowhere else.
#![expect(unsafe_code, reason = "declares the C functions of libc and libm")]

use core::ffi::{c_char, c_int, c_long, c_void};
use core::sync::atomic::AtomicU32;

/// `struct timespec` on 64-bit Linux.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}

/// A thread's handle.
pub type Thread = usize;

// SAFETY: these are the signatures of glibc and musl on 64-bit Linux.
unsafe extern "C" {
    /// Memory of `size` bytes, zeroed.
    pub fn calloc(count: usize, size: usize) -> *mut c_void;
    /// Gives memory back.
    pub fn free(pointer: *mut c_void);
    /// Memory at an alignment.
    pub fn posix_memalign(out: *mut *mut c_void, alignment: usize, size: usize) -> c_int;
    /// Advice about pages.
    pub fn madvise(address: *mut c_void, length: usize, advice: c_int) -> c_int;
    /// Starts a thread.
    pub fn pthread_create(
        thread: *mut Thread,
        attributes: *const c_void,
        start: extern "C" fn(*mut c_void) -> *mut c_void,
        argument: *mut c_void,
    ) -> c_int;
    /// Waits for a thread's end.
    pub fn pthread_join(thread: Thread, result: *mut *mut c_void) -> c_int;
    /// Any system call.
    pub fn syscall(number: c_long, ...) -> c_long;
    /// A clock.
    pub fn clock_gettime(clock: c_int, time: *mut Timespec) -> c_int;
    /// The cores that a thread may use.
    pub fn sched_getaffinity(process: c_int, size: usize, mask: *mut u64) -> c_int;
    /// The core that this thread is on.
    pub fn sched_getcpu() -> c_int;
    /// Sets the cores that a thread may use.
    pub fn pthread_setaffinity_np(thread: Thread, size: usize, mask: *const u64) -> c_int;
    /// Ends the process.
    pub fn abort() -> !;
    /// Opens a file.
    pub fn open(path: *const c_char, flags: c_int, ...) -> c_int;
    /// Reads bytes.
    pub fn read(file: c_int, data: *mut c_void, length: usize) -> isize;
    /// Writes bytes.
    pub fn write(file: c_int, data: *const c_void, length: usize) -> isize;
    /// Moves the position in a file.
    pub fn lseek(file: c_int, offset: i64, whence: c_int) -> i64;
    /// Closes a file.
    pub fn close(file: c_int) -> c_int;
    /// Makes a folder.
    pub fn mkdir(path: *const c_char, mode: u32) -> c_int;
    /// Where this thread's error number lies.
    pub fn __errno_location() -> *mut c_int;
    /// The text of an error number.
    pub fn strerror(number: c_int) -> *const c_char;
    /// Natural logarithm.
    pub safe fn log(x: f64) -> f64;
    /// Exponential.
    pub safe fn exp(x: f64) -> f64;
    /// Cosine.
    pub safe fn cos(x: f64) -> f64;
    /// Square root.
    pub safe fn sqrt(x: f64) -> f64;
}

#[cfg(target_arch = "x86_64")]
const SYS_FUTEX: c_long = 202;
#[cfg(not(target_arch = "x86_64"))]
const SYS_FUTEX: c_long = 98;

const FUTEX_WAIT_PRIVATE: c_int = 128;
const FUTEX_WAKE_PRIVATE: c_int = 129;
const CLOCK_MONOTONIC: c_int = 1;

/// Sleeps until woken, unless `word` no longer holds `expected`; may also return for no reason.
pub fn futex_wait(word: &AtomicU32, expected: u32) {
    // SAFETY: the word is alive during the call; no timeout is given.
    unsafe {
        syscall(SYS_FUTEX, word.as_ptr(), FUTEX_WAIT_PRIVATE, expected, core::ptr::null::<Timespec>());
    }
}

/// Wakes up to `count` threads that sleep on `word`.
pub fn futex_wake(word: &AtomicU32, count: u32) {
    // SAFETY: the word is alive during the call.
    unsafe {
        syscall(SYS_FUTEX, word.as_ptr(), FUTEX_WAKE_PRIVATE, count);
    }
}

/// Nanoseconds of a clock that never goes back.
pub fn nanoseconds() -> u64 {
    let mut time = Timespec::default();
    // SAFETY: the time is ours to write.
    unsafe { clock_gettime(CLOCK_MONOTONIC, &raw mut time) };
    time.seconds as u64 * 1_000_000_000 + time.nanoseconds as u64
}
