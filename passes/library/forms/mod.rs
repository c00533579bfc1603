//! The forms that lossy passes give linear layers: matrices as codes, inputs with zeros among them.
mod beside;
mod coded;
mod codes;
mod halves;
mod limits;
mod mask;
mod prompt;
mod rounded;
mod seen;
mod worth;

pub(crate) use coded::Coded;
pub(crate) use codes::Codes;
pub(crate) use halves::{Half, Halves};
pub(crate) use limits::{Masked, norms};
pub(crate) use mask::{not_masked, not_residual};
pub(crate) use prompt::Prompt;
pub(crate) use rounded::{Method, Rounding, Way, spread};
pub(crate) use seen::{Seen, seen};
pub(crate) use worth::{Form, On, errors, exact};
