//! The runtime as one object for artifacts that are programs: the same and `main`; see `lib.rs`.
#![no_std]
#![expect(unsafe_code, reason = "is the entry of a C program")]

mod abi;
mod api;
mod bind;
mod cores;
mod elem;
mod extent;
mod host;
mod main_exe;
mod memory;
mod ops;
mod plan;
mod pool;
mod session;
mod sys;
mod text;

use core::ffi::{c_char, c_int};

// SAFETY: the code generator emits this table in the object beside this one.
unsafe extern "C" {
    static weft_model: abi::WeftModel;
}

/// The entry of the program.
///
/// # Safety
/// Called by the C start code with the program's arguments.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(count: c_int, arguments: *const *const c_char) -> c_int {
    // SAFETY: the arguments are those of a C program, the model is one that the compiler emitted.
    unsafe { main_exe::main(&raw const weft_model, text::slice(arguments, count.max(0) as usize)) }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: abort never returns.
    unsafe { sys::abort() }
}
