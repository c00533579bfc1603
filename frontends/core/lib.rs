//! What every frontend shares: where models come from, what is said about them, and how they fail.
#![deny(unsafe_op_in_unsafe_fn)]

pub mod error;
pub mod report;
pub mod source;

pub use error::{Cause, ImportError, Place, Problem};
pub use report::Report;
pub use source::{Source, SourceError};
