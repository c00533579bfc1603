//! What is linked into every artifact: threads, memory, data-dependent operators and the C interface.
//!
//! It needs libc and libm only. `object.rs` is the same without tests, compiled into the object that the code
//! generator embeds; `object_exe.rs` adds `main` for artifacts that are programs.
#![no_std]

pub mod abi;
pub mod api;
pub mod bind;
pub mod cores;
pub mod elem;
pub mod extent;
pub mod header;
pub mod host;
pub mod main_exe;
pub mod memory;
pub mod ops;
pub mod plan;
pub mod pool;
pub mod session;
pub mod sys;
pub mod text;
