//! The forms that lossy passes give linear layers: matrices as codes, inputs with zeros among them.
mod coded;
mod limits;
mod mask;
mod rounded;
mod worth;

pub(crate) use coded::Coded;
pub(crate) use limits::{Masked, Seen, norms, seen};
pub(crate) use mask::{not_masked, not_residual};
pub(crate) use rounded::{Method, Rounding, Way, spread};
pub(crate) use worth::{Form, errors, exact};
