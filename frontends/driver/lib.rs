//! weft as a library: the composition of all rooms, without a command line.
//!
//! [`Driver`] reads models, runs passes over them, compiles them and runs what came out.
#![forbid(unsafe_code)]

mod artifact;
mod calibrate;
mod cases;
mod compare;
#[cfg(feature = "llvm")]
mod compile;
mod cost;
mod dims;
mod driver;
mod error;
mod evaluate;
mod export;
mod failed;
pub mod files;
mod fix;
mod inputs;
pub mod inspect;
#[cfg(feature = "llvm")]
mod layers;
mod ledger;
#[cfg(feature = "llvm")]
mod measure;
mod model;
mod outputs;
pub mod page;
mod ports;
mod progress;
mod random;
pub mod reduce;
mod rules;
mod runner;
mod statistics;
pub mod tensors;
pub mod testing;
mod weights;

pub use artifact::{FileKind, file_kind};
pub use calibrate::{Calibration, Tell};
pub use cases::{check_set, data_sets};
pub use compare::{Difference, Tolerance};
#[cfg(feature = "llvm")]
pub use compile::{CompileOptions, Made};
pub use dims::{Dims, check_dims, symbols};
pub use driver::{Driver, PassOptions};
pub use error::Error;
pub use evaluate::Interpreted;
pub use export::{DataPlace, OnnxForm};
pub use failed::Failed;
pub use fix::fix_input;
pub use inputs::{InputSources, Inputs};
#[cfg(feature = "llvm")]
pub use layers::{Layer, layers};
pub use ledger::{ledger_json, ledger_text};
#[cfg(feature = "llvm")]
pub use measure::{KernelTime, MeasureOptions, Measurement, measure};
pub use model::Model;
pub use outputs::{plain_names, write_outputs};
pub use ports::{Port, Ports};
pub use progress::{Phase, Progress, Quiet};
pub use rules::{check_rule, family_of};
pub use runner::Runner;
pub use statistics::Statistics;
pub use weights::weights_path;
