//! The reference interpreter: every operator, one file per family, slow and plainly right. It is
//! the oracle that compiled code is compared with, and it folds constants.
#![forbid(unsafe_code)]

mod arith;
mod arrange;
mod array;
mod attention;
mod backend;
mod call;
mod cast;
mod constant;
mod control;
mod conv;
mod create;
mod deform;
mod einsum;
mod families;
mod foreign;
mod gather;
mod logic;
mod loss;
mod matmul;
mod moving;
mod norm;
mod number;
mod place;
mod pool;
mod quant;
mod random;
mod recurrent;
mod recurrent_attention;
mod reduce;
mod region;
mod resize;
mod ring;
mod run;
mod sample;
mod scatter;
mod select;
mod signal;
mod slide;
mod special;
mod unary;

pub use backend::InterpBackend;
pub use call::{EvalError, Symbols};
pub use run::Interpreter;
