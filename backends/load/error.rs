//! Why a library could not be opened or run.
use std::path::PathBuf;
use thiserror::Error;
use weft_ir::DType;

/// Why a library could not be opened or run.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The file is no library that can be opened.
    #[error("`{path}` cannot be opened: {reason}")]
    Open {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// The file is a library, but not a compiled model.
    #[error("`{path}` is not a compiled model: {reason}")]
    NotAModel {
        /// Which file.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// No session could be opened.
    #[error("no session could be opened: {0}")]
    Session(String),
    /// An input has a type that compiled code does not take.
    #[error("input {index} is of type `{dtype}`, which compiled code does not take")]
    Input {
        /// Which input.
        index: usize,
        /// Its type.
        dtype: DType,
    },
    /// An output came back in a form that is not known here.
    #[error("output `{name}`: {reason}")]
    Output {
        /// Which output.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The model failed.
    #[error("{0}")]
    Run(String),
}
