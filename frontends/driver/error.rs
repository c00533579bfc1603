//! Everything that can go wrong between a model's file and its results.
use crate::failed::Failed;
use std::io;
use std::path::PathBuf;
use thiserror::Error;
use weft_frontend::{ImportError, SourceError};
use weft_host::LoadError;
use weft_interp::EvalError;
use weft_ir::text::ParseError;
#[cfg(feature = "llvm")]
use weft_kernel::lower::LowerError;
use weft_passes::{PipelineError, RegisterError};
use weft_rules::RuleError;

/// Why the work could not be done.
#[derive(Debug, Error)]
pub enum Error {
    /// A model could not be imported.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// A file could not be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A written module does not read back.
    #[error("{}:{}:{}: {}", .file.display(), .error.line, .error.column, .error.message)]
    Text {
        /// The file.
        file: PathBuf,
        /// What it says.
        text: String,
        /// What is wrong and where.
        error: ParseError,
    },
    /// A rule file says what means nothing.
    #[error("`{}` is wrong in {} places:{}", .file.display(), .errors.len(), listed(.errors))]
    Rules {
        /// The file.
        file: PathBuf,
        /// Everything that is wrong with it.
        errors: Vec<RuleError>,
    },
    /// The file is of no form that is known.
    #[error("`{}` is no model: {reason}", .file.display())]
    Format {
        /// The file.
        file: PathBuf,
        /// What was found and expected.
        reason: String,
    },
    /// A module that was read breaks the rules.
    #[error("`{}` breaks {} rules:{}", .file.display(), .breaches.len(), listed(.breaches))]
    Breaches {
        /// The file.
        file: PathBuf,
        /// Every broken rule.
        breaches: Vec<String>,
    },
    /// Passes or pipelines clash.
    #[error(transparent)]
    Register(#[from] RegisterError),
    /// A library cannot be used as a plugin.
    #[error(transparent)]
    Plugin(#[from] LoadError),
    /// A pipeline does not mean anything.
    #[error("pipeline `{text}`:{}", listed(.errors))]
    Pipeline {
        /// The pipeline.
        text: String,
        /// Everything that is wrong with it.
        errors: Vec<PipelineError>,
    },
    /// A pipeline did not come to its end.
    #[error(transparent)]
    Passes(Box<Failed>),
    /// A symbolic extent was given a value that it cannot have, or is not there.
    #[error("{0}")]
    Dim(String),
    /// The graph holds what cannot be compiled.
    #[cfg(feature = "llvm")]
    #[error("the model cannot be compiled:{}", listed(&.0.problems))]
    Lower(LowerError),
    /// No machine code could be made.
    #[cfg(feature = "llvm")]
    #[error(transparent)]
    Codegen(weft_llvm::Error),
    /// The processor is not one that is known.
    #[error("{0}")]
    Cpu(String),
    /// An artifact could not be opened or run.
    #[cfg(feature = "llvm")]
    #[error(transparent)]
    Artifact(#[from] weft_load::LoadError),
    /// The interpreter failed.
    #[error(transparent)]
    Eval(#[from] EvalError),
    /// A file does not hold the tensors it should.
    #[error("`{}`: {reason}", .file.display())]
    TensorFile {
        /// The file.
        file: PathBuf,
        /// What was found and expected.
        reason: String,
    },
    /// Inputs were not given as they should be.
    #[error("{0}")]
    Inputs(String),
    /// A module has no form in ONNX.
    #[error(transparent)]
    Export(#[from] weft_onnx::WriteError),
    /// A folder could not be read.
    #[error("cannot read `{}`: {error}", .folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A file could not be written.
    #[error("cannot write `{}`: {error}", .file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Another program could not be run.
    #[error("cannot run `{}`: {error}", .file.display())]
    Process {
        /// The program.
        file: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

impl Error {
    /// Whether what was asked for is wrong, and not the work.
    pub fn is_misuse(&self) -> bool {
        matches!(
            self,
            Error::Pipeline { .. } | Error::Rules { .. } | Error::Dim(_) | Error::Cpu(_) | Error::Inputs(_)
        )
    }

    /// What the user can do about it.
    pub fn advice(&self) -> Option<&'static str> {
        Some(match self {
            Error::Pipeline { .. } => "`weft passes` lists what there is",
            Error::Rules { .. } => "`weft rules` lists the functions and conditions that there are",
            Error::Plugin(LoadError::NotAPlugin { .. }) => "`weft new plugin NAME` makes one to begin with",
            Error::Cpu(_) => "`weft targets` lists what there is",
            #[cfg(feature = "llvm")]
            Error::Lower(_) => "`weft run --backend interp` runs the model without compiling it",
            Error::Format { .. } => "models are `.onnx`, `.onnxtxt` and `.weft` files",
            Error::Inputs(_) => "`weft inspect` shows the inputs of a model",
            _ => return None,
        })
    }
}

#[cfg(feature = "llvm")]
impl From<weft_llvm::Error> for Error {
    fn from(error: weft_llvm::Error) -> Self {
        match error {
            weft_llvm::Error::Cpu { .. } => Error::Cpu(error.to_string()),
            error => Error::Codegen(error),
        }
    }
}

#[cfg(feature = "llvm")]
impl From<LowerError> for Error {
    fn from(error: LowerError) -> Self {
        Error::Lower(error)
    }
}

/// One to a line, after a colon; a single one behind it.
fn listed<T: ToString>(items: &[T]) -> String {
    match items {
        [one] => format!(" {}", one.to_string()),
        many => many.iter().map(|item| format!("\n  {}", item.to_string())).collect(),
    }
}
