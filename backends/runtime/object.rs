//! The runtime as one object for artifacts that are libraries; see `lib.rs`.
#![no_std]
#![expect(unsafe_code, reason = "ends the process through libc")]

mod abi;
mod api;
mod bind;
mod cores;
mod elem;
mod extent;
mod host;
mod memory;
mod ops;
mod plan;
mod pool;
mod session;
mod sys;
mod text;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: abort never returns.
    unsafe { sys::abort() }
}
