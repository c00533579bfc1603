//! Why a library cannot be used as a plugin.
use std::path::PathBuf;
use thiserror::Error;

/// Why a library cannot be used as a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LoadError {
    /// The system does not open it: it is not there, no library, or lacks something it needs.
    #[error("cannot open the plugin `{}`: {reason}", .file.display())]
    Open {
        /// The file.
        file: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// It is a library and no plugin.
    #[error("`{}` is a library, but no plugin for weft: it has no function `{symbol}`", .file.display())]
    NotAPlugin {
        /// The file.
        file: PathBuf,
        /// What a plugin has.
        symbol: &'static str,
    },
    /// It speaks another version.
    #[error(
        "the plugin `{}` is built for version {found} of {what}, expected version {expected}; build it with the \
         `weft_plugin.h` or `weft-abi` of this weft", .file.display()
    )]
    Version {
        /// The file.
        file: PathBuf,
        /// Of what.
        what: &'static str,
        /// What the library says.
        found: u32,
        /// What is understood.
        expected: u32,
    },
    /// Its table breaks the rules.
    #[error("the plugin `{}` has an invalid table: {reason}", .file.display())]
    Table {
        /// The file.
        file: PathBuf,
        /// What was found and what was expected.
        reason: String,
    },
    /// It says itself that it cannot be used.
    #[error("the plugin `{}` cannot be used: {reason}", .file.display())]
    Fault {
        /// The file.
        file: PathBuf,
        /// What it says.
        reason: String,
    },
}
