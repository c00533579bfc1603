//! The C interface of an artifact. Each `STEM_x` is a thin shim over `weft_rt_x` that supplies the model.
#![expect(unsafe_code, reason = "is called from C")]

use core::ffi::c_char;

use crate::abi::{ABI_VERSION, DLTensor, WeftModel, WeftOptions, WeftPort, WeftProfile};
use crate::session::{ErrorText, Session};
use crate::sys;
use crate::text::{slice, slice_mut};

/// What every call answers when it is given no session.
const NO_SESSION: &core::ffi::CStr = c"there is no session";

/// The version of the interface and of all its structs.
#[unsafe(no_mangle)]
pub extern "C" fn weft_rt_abi_version() -> u32 {
    ABI_VERSION
}

/// Opens a session, or returns null and writes why to `error` (at most `error_bytes`, zero included).
///
/// # Safety
/// The model must be one that the compiler emitted; `options` and `error` may be null, else they must be as they say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_rt_open(
    model: *const WeftModel,
    options: *const WeftOptions,
    error: *mut c_char,
    error_bytes: usize,
) -> *mut Session {
    // SAFETY: the caller vouches for the options.
    let options = unsafe { read_options(options) };
    let mut reason = ErrorText::new();
    // SAFETY: the caller vouches for the model.
    if let Some(session) = unsafe { Session::open(model, options, &mut reason) } {
        // SAFETY: calloc's memory is aligned for every type here and fits a session.
        let memory = unsafe { sys::calloc(1, size_of::<Session>()) }.cast::<Session>();
        if !memory.is_null() {
            // SAFETY: the memory is ours and fits.
            unsafe { memory.write(session) };
            return memory;
        }
        reason.set(format_args!("memory for a session cannot be had"));
    }
    // SAFETY: the caller vouches for the buffer.
    let room = unsafe { slice_mut(error.cast::<u8>(), error_bytes) };
    if let Some(most) = room.len().checked_sub(1) {
        let length = reason.bytes().len().min(most);
        room[..length].copy_from_slice(&reason.bytes()[..length]);
        room[length] = 0;
    }
    core::ptr::null_mut()
}

/// Copies as many bytes as the caller knows of; what it does not know is zero.
///
/// # Safety
/// `options` must be null or point to as many bytes as its `size` says.
unsafe fn read_options(options: *const WeftOptions) -> WeftOptions {
    let mut read = WeftOptions::default();
    if options.is_null() {
        return read;
    }
    // SAFETY: every version of the options begins with the size.
    let bytes = unsafe { (*options).size as usize }.min(size_of::<WeftOptions>());
    // SAFETY: both hold that many bytes.
    unsafe { core::ptr::copy_nonoverlapping(options.cast::<u8>(), (&raw mut read).cast::<u8>(), bytes) };
    read
}

/// The inputs of a model, and through `count` how many there are.
///
/// # Safety
/// The model must be one that the compiler emitted; `count` may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_rt_inputs(model: *const WeftModel, count: *mut usize) -> *const WeftPort {
    // SAFETY: the caller vouches for both.
    unsafe {
        if !count.is_null() {
            *count = (*model).n_inputs as usize;
        }
        (*model).inputs
    }
}

/// The outputs of a model, and through `count` how many there are.
///
/// # Safety
/// The model must be one that the compiler emitted; `count` may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_rt_outputs(model: *const WeftModel, count: *mut usize) -> *const WeftPort {
    // SAFETY: the caller vouches for both.
    unsafe {
        if !count.is_null() {
            *count = (*model).n_outputs as usize;
        }
        (*model).outputs
    }
}

/// Runs the model. `outputs`, if `n_outputs` is not zero, are set to tensors that belong to the session and hold
/// until its next run. Returns zero, or non-zero and `weft_rt_error` says why.
///
/// # Safety
/// The session must be open and used by one thread at a time; the tensors must be as they say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_rt_run(
    session: *mut Session,
    inputs: *const DLTensor,
    n_inputs: usize,
    outputs: *mut DLTensor,
    n_outputs: usize,
) -> i32 {
    if session.is_null() {
        return 1;
    }
    // SAFETY: the caller vouches for session and tensors.
    let result = unsafe { (*session).run(slice(inputs, n_inputs), slice_mut(outputs, n_outputs)) };
    i32::from(result.is_err())
}

/// Why the last run failed; empty if it did not. The text belongs to the session and holds until its next run.
///
/// # Safety
/// The session must be null or open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_rt_error(session: *const Session) -> *const c_char {
    if session.is_null() {
        return NO_SESSION.as_ptr();
    }
    // SAFETY: the caller vouches for the session.
    unsafe { (*session).error_text() }
}

/// Closes a session: its threads end, its outputs are gone. Null is allowed.
///
/// # Safety
/// The session must be null or open, and not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_rt_close(session: *mut Session) {
    if session.is_null() {
        return;
    }
    // SAFETY: the session was written by `weft_rt_open` to memory from calloc.
    unsafe {
        session.drop_in_place();
        sys::free(session.cast());
    }
}

/// Writes up to `room` lines of the profile, one per kernel and a last one `(run)` for whole runs. Returns how many
/// lines there are, zero if the session was opened without profiling.
///
/// # Safety
/// The session must be null or open; `lines` must have room for as many.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_rt_profile(
    session: *const Session,
    lines: *mut WeftProfile,
    room: usize,
) -> usize {
    if session.is_null() {
        return 0;
    }
    // SAFETY: the caller vouches for the session.
    let session = unsafe { &*session };
    for (index, line) in session.profile().enumerate().take(room) {
        // SAFETY: the caller made room for this line.
        unsafe { lines.add(index).write(line) };
    }
    session.tallies().len()
}
