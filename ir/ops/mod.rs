//! All operators, as tables by family. Names and meanings are ONNX's newest; what is our own is
//! called `weft.Something`.
mod arith;
mod arrange;
mod attention;
mod cast;
mod check;
mod control;
mod conv;
mod create;
pub mod einsum;
mod extents;
mod gather;
mod join;
mod logic;
mod loss;
mod matmul;
mod norm;
mod pool;
mod quant;
mod random;
pub mod recurrent;
mod reduce;
pub mod resize;
pub mod rules;
mod scatter;
mod select;
mod shape;
mod signal;
mod unary;
mod values;
mod vision;
pub mod window;

use crate::op::OpDef;

/// The families, each a table.
pub const FAMILIES: &[(&str, &[OpDef])] = &[
    ("activation", unary::ACTIVATIONS),
    ("arithmetic", arith::OPS),
    ("arrange", arrange::OPS),
    ("attention", attention::OPS),
    ("cast", cast::OPS),
    ("control", control::OPS),
    ("conv", conv::OPS),
    ("create", create::OPS),
    ("einsum", einsum::OPS),
    ("gather", gather::OPS),
    ("join", join::OPS),
    ("logic", logic::OPS),
    ("loss", loss::OPS),
    ("mathematics", unary::MATH),
    ("matmul", matmul::OPS),
    ("normalisation", norm::OPS),
    ("pool", pool::OPS),
    ("quantisation", quant::OPS),
    ("random", random::OPS),
    ("recurrent", recurrent::OPS),
    ("reduction", reduce::OPS),
    ("resize", resize::OPS),
    ("scatter", scatter::OPS),
    ("select", select::OPS),
    ("shape", shape::OPS),
    ("signal", signal::OPS),
    ("vision", vision::OPS),
];
