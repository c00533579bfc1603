//! What every frontend shares: where models come from, what is said about them, and how they fail.
#![deny(unsafe_op_in_unsafe_fn)]

pub mod error;
pub mod frontend;
pub mod report;
pub mod source;

pub use error::{Cause, ImportError, Place, Problem};
pub use frontend::{Frontend, FrontendInfo, Import};
pub use report::{NodeNote, Report, Warning};
pub use source::{Source, SourceError, give_back_mapped};
