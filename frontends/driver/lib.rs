//! weft as a library: the composition of all rooms, without a command line.
//!
//! [`Driver`] reads models, runs passes over them, compiles them and runs what came out.
#![forbid(unsafe_code)]

#[cfg(feature = "llvm")]
mod compile;
mod dims;
mod driver;
mod error;
mod evaluate;
pub mod files;
mod model;
mod progress;
pub mod tensors;
mod weights;

#[cfg(feature = "llvm")]
pub use compile::{CompileOptions, Made};
pub use dims::{Dims, symbols};
pub use driver::{Driver, PassOptions};
pub use error::Error;
pub use evaluate::Interpreted;
pub use model::Model;
pub use progress::{Phase, Progress, Quiet};
pub use weights::weights_path;
