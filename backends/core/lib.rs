//! What every backend is: a name, what it supports, and a way to run a module.
#![forbid(unsafe_code)]

pub mod artifact;
pub mod rates;
pub mod target;

pub use artifact::{Artifact, Emit, OptLevel};
pub use rates::Rates;
pub use target::{Level, Target};

use std::sync::Arc;
use thiserror::Error;
use weft_ir::{Module, Node, Tensor};

/// What can be said of a backend without asking it anything.
#[derive(Debug, Clone, Copy)]
pub struct BackendInfo {
    /// Its name on the command line.
    pub name: &'static str,
    /// One sentence: what it is.
    pub summary: &'static str,
    /// The passes that bring a canonical module to the form it takes, as pipeline text.
    pub lowering: &'static str,
}

/// Whether a backend takes a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Support {
    /// It does.
    Yes,
    /// It does not, and why.
    No(String),
}

/// Why a backend could not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BackendError {
    /// It cannot work on this machine.
    #[error("backend `{name}` is not available: {reason}")]
    Unavailable {
        /// The backend.
        name: &'static str,
        /// What is missing.
        reason: String,
    },
    /// The module holds something it has no code for.
    #[error("backend `{name}` does not support the module: {reason}")]
    Unsupported {
        /// The backend.
        name: &'static str,
        /// What it is.
        reason: String,
    },
    /// Running failed.
    #[error("{0}")]
    Run(String),
}

/// A module made ready to run in this process.
pub trait Executable: Send + Sync {
    /// Results for these inputs, both in the order of the graph.
    fn run(&self, inputs: &[Arc<Tensor>]) -> Result<Vec<Tensor>, BackendError>;
}

/// A way to run modules.
pub trait Backend: Send + Sync {
    /// Its name and what it is.
    fn info(&self) -> &BackendInfo;
    /// Whether it can work on this machine.
    fn available(&self) -> Result<(), BackendError>;
    /// Whether it has code for a node of this module.
    fn supports(&self, module: &Module, node: &Node) -> Support;
    /// Makes a module ready to run in this process.
    fn prepare(&self, module: Arc<Module>) -> Result<Box<dyn Executable>, BackendError>;
}
