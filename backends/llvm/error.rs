//! Why no artifact could be made.
use std::path::PathBuf;
use thiserror::Error;

/// Why no artifact could be made.
#[derive(Debug, Error)]
pub enum Error {
    /// The processor is not one that is known.
    #[error("unknown processor `{name}`, expected one of {known}")]
    Cpu {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// A kernel has no machine code.
    #[error("kernel `{kernel}`: {reason}")]
    Kernel {
        /// Its name.
        kernel: String,
        /// Why.
        reason: String,
    },
    /// The program's steps have no machine code.
    #[error("program `{program}`: {reason}")]
    Program {
        /// Its name.
        program: String,
        /// Why.
        reason: String,
    },
    /// LLVM itself failed.
    #[error("llvm: {0}")]
    Llvm(String),
    /// A file could not be written or read.
    #[error("`{path}`: {source}")]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The code of an operator that a plugin brings is not there.
    #[error("`{op}` at `%{at}`: cannot read `{}`, which its function `{symbol}` is in: {source}", .code.display())]
    ForeignCode {
        /// The operator.
        op: String,
        /// The name of its first result.
        at: String,
        /// The object or archive.
        code: PathBuf,
        /// The function.
        symbol: String,
        /// Why.
        source: std::io::Error,
    },
    /// The code of an operator that a plugin brings lacks its function.
    #[error("`{op}` at `%{at}`: `{}` has no function `{symbol}`, which computes it", .code.display())]
    ForeignSymbol {
        /// The operator.
        op: String,
        /// The name of its first result.
        at: String,
        /// The object or archive.
        code: PathBuf,
        /// The function.
        symbol: String,
    },
    /// There is no linker.
    #[error("no linker found, tried {tried}; install `lld-22` or a C compiler")]
    NoLinker {
        /// What was looked for.
        tried: String,
    },
    /// The linker failed.
    #[error("`{linker}` failed: {message}")]
    Link {
        /// Which one.
        linker: String,
        /// What it said.
        message: String,
    },
    /// This crate was built without the runtime.
    #[error("this build carries no runtime: {0}")]
    NoRuntime(&'static str),
}
