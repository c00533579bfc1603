//! The functions that generated host code calls while a model runs.
#![expect(unsafe_code, reason = "is called by generated code through pointers")]

use core::ffi::c_char;

use crate::abi::{SessionHead, WeftKernelFn, fail};
use crate::pool::Job;
use crate::session::{Failed, Session};
use crate::text::{c_text, slice};

/// The session that a head begins.
///
/// # Safety
/// The head must be that of an open session, which nothing else uses during `'a`.
pub unsafe fn session<'a>(head: *mut SessionHead) -> &'a mut Session {
    // SAFETY: the head is the first field of a `repr(C)` session.
    unsafe { &mut *head.cast::<Session>() }
}

fn status(result: Result<(), Failed>) -> i32 {
    i32::from(result.is_err())
}

/// Runs `tasks` tasks of a kernel on the session's threads; `kernel_id` is its line in the profile. Returns zero.
///
/// # Safety
/// The kernel must be sound for `args` and `dims`, also when parts of its grid run at the same time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_rt_launch(
    head: *mut SessionHead,
    kernel: WeftKernelFn,
    args: *const *mut u8,
    dims: *const i64,
    tasks: i64,
    kernel_id: u32,
) -> i32 {
    // SAFETY: generated code passes its session and a kernel that fits its arguments.
    unsafe { session(head).launch(Job { kernel, args, dims, tasks }, kernel_id) };
    0
}

/// Makes sure that the planned buffers are placed. The runtime has done so before it runs a model, so that this
/// does nothing then; symbols decided later in the run never move a buffer.
///
/// # Safety
/// `head` must be that of an open session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_rt_plan(head: *mut SessionHead) -> i32 {
    // SAFETY: generated code passes its session.
    let session = unsafe { session(head) };
    if session.is_planned() { 0 } else { status(session.plan()) }
}

/// Gives an output its extents (as many as its rank) and sets its buffer. May be called again with smaller extents
/// once the exact ones are known: the address and contents then stay.
///
/// # Safety
/// `head` must be that of an open session and `dims` hold as many extents as the output has axes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_rt_output(head: *mut SessionHead, output: u32, dims: *const i64) -> i32 {
    // SAFETY: generated code passes its session.
    let session = unsafe { session(head) };
    let rank = session.outputs().get(output as usize).map_or(0, |port| usize::from(port.rank));
    // SAFETY: generated code passes one extent per axis.
    status(session.output(output as usize, unsafe { slice(dims, rank) }))
}

/// Makes sure that a grown buffer holds `bytes` bytes and sets its buffer; contents survive if it need not grow.
///
/// # Safety
/// `head` must be that of an open session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_rt_grow(head: *mut SessionHead, grown: u32, bytes: u64) -> i32 {
    // SAFETY: generated code passes its session.
    status(unsafe { session(head) }.grow(grown as usize, bytes))
}

/// Records why the run fails and returns non-zero. See [`fail`] for `code`, `a` and `b`.
///
/// # Safety
/// `head` must be that of an open session.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_rt_fail(head: *mut SessionHead, code: u32, a: i64, b: i64) -> i32 {
    // SAFETY: generated code passes its session.
    let session = unsafe { session(head) };
    let model = session.model();
    // SAFETY: a valid model has this many kernels.
    let kernels = unsafe { slice(model.kernels, model.n_kernels as usize) };
    let kernel = (code >> 16).checked_sub(1).and_then(|kernel| kernels.get(kernel as usize));
    let cause = Cause { code: code & 0xffff, a, b };
    match kernel {
        // SAFETY: a kernel's name is a C string in the model.
        Some(kernel) => session.fail(format_args!("at `{}`: {cause}", unsafe { c_text(kernel.name) })),
        None => session.fail(format_args!("{cause}")),
    };
    1
}

/// Records that a check of the model's own failed and returns non-zero; `message` says which.
///
/// # Safety
/// `head` must be that of an open session, `message` a C string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_rt_refuse(
    head: *mut SessionHead,
    message: *const c_char,
    found: i64,
    expected: i64,
) -> i32 {
    // SAFETY: generated code passes its session and a text of the model.
    let (session, message) = unsafe { (session(head), c_text(message)) };
    session.fail(format_args!("{message}: found {found}, expected {expected}"));
    1
}

/// What went wrong in generated code or in an operator.
#[derive(Clone, Copy, Debug)]
pub struct Cause {
    /// One of [`fail`].
    pub code: u32,
    /// What was found.
    pub a: i64,
    /// What was expected.
    pub b: i64,
}

impl core::fmt::Display for Cause {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { code, a, b } = self;
        match *code {
            fail::INDEX => write!(f, "found index {a}, expected one within an axis of extent {b}"),
            fail::EXTENT => write!(f, "found extent {a}, expected {b}"),
            fail::NEGATIVE => write!(f, "found negative extent {a}"),
            fail::MEMORY => write!(f, "{a} bytes of memory cannot be had"),
            fail::DIVISION => write!(f, "integer division by zero"),
            fail::ELEMENT => write!(f, "found element type {a:#06x}, which the operator does not take"),
            fail::VALUE => write!(f, "found value {a}, expected one within the limit {b}"),
            fail::RESHAPE => write!(f, "found {a} elements, expected to reshape them to {b}"),
            fail::BROADCAST => write!(f, "found extents {a} and {b}, which do not broadcast"),
            _ => write!(f, "failure {code} ({a}, {b})"),
        }
    }
}
