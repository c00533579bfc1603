//! The reference interpreter: every operator, one file per family, slow and plainly right. It is
//! the oracle that compiled code is compared with, and it folds constants.
#![forbid(unsafe_code)]

mod arith;
mod arrange;
mod array;
mod backend;
mod call;
mod cast;
mod constant;
mod conv;
mod create;
mod deform;
mod einsum;
mod families;
mod gather;
mod logic;
mod matmul;
mod moving;
mod norm;
mod number;
mod place;
mod pool;
mod reduce;
mod region;
mod resize;
mod ring;
mod run;
mod sample;
mod scatter;
mod select;
mod slide;
mod special;
mod unary;

pub use backend::InterpBackend;
pub use call::{EvalError, Symbols};
pub use run::Interpreter;
