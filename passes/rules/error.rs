//! What is wrong with a rule file, and where.
use thiserror::Error;
use weft_ir::text::ParseError;
use weft_passes::rule::Origin;

/// What is wrong with a rule file, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{origin}: {message}")]
pub struct RuleError {
    /// The place.
    pub origin: Origin,
    /// What was found and what was expected.
    pub message: String,
}

impl RuleError {
    /// The error of that message at a byte of the text of a file.
    pub(crate) fn at(file: &str, text: &str, offset: usize, message: String) -> Self {
        let ParseError { line, column, message } = ParseError::at(text, offset, message);
        Self { origin: Origin { file: file.to_string(), line, column }, message }
    }
}

/// An error within one text: where it begins, in bytes, and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slip {
    /// In bytes from the start of the text.
    pub at: usize,
    /// What was found and what was expected.
    pub message: String,
}

impl Slip {
    /// The slip of that message.
    pub(crate) fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, message: message.into() }
    }
}
