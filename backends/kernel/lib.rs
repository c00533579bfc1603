//! Target-free lowering: a graph becomes a [`program::Program`] of steps over buffers and
//! [`nest::Kernel`]s, loop nests with their schedule already applied.
//!
//! Nothing here knows LLVM: nests print as text and can be interpreted, so a wrong schedule is
//! found without a code generator.
#![forbid(unsafe_code)]

pub mod lower;
pub mod math;
pub mod nest;
pub mod program;
pub mod schedule;
pub mod term;
