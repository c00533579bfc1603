//! The reference interpreter: every operator, one file per family, slow and plainly right. It is
//! the oracle that compiled code is compared with, and it folds constants.
#![forbid(unsafe_code)]

mod arith;
mod array;
mod backend;
mod call;
mod constant;
mod families;
mod logic;
mod number;
mod run;
mod special;
mod unary;

pub use backend::InterpBackend;
pub use call::{EvalError, Symbols};
pub use run::Interpreter;
