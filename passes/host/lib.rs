//! Opens plugin libraries: the handshake, and the passes that run behind it.
//!
//! A library is opened once, checked, and never closed: its code may be on some stack, and what it
//! named is named until the process ends. Nothing it does wrong short of corrupting memory stops
//! the compiler: every breach of the boundary is an error that says which library, what was found
//! and what was expected.
#![expect(unsafe_code, reason = "libraries are opened and called here")]

mod error;
mod exchange;
mod library;
mod pass;
mod read;

pub use error::LoadError;
pub use library::Library;
