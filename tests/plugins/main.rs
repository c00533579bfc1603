//! Plugins: every way in does the same, and nothing a library does wrong stops the compiler.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod boundary;
mod built;
#[cfg(feature = "llvm")]
mod foreign;
mod operators;
mod refused;
mod same;
mod unruly;
