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
mod einsum;
mod conv;
mod create;
mod deform;
mod families;
mod gather;
mod logic;
mod matmul;
mod norm;
mod number;
mod reduce;
mod ring;
mod moving;
mod number;
mod place;
mod pool;
mod region;
mod resize;
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
