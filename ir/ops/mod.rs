//! All operators, as tables by family. Names and meanings are ONNX's newest; what is our own is
//! called `weft.Something`.
mod arith;
mod arrange;
mod check;
mod control;
mod conv;
mod create;
mod extents;
mod gather;
mod join;
mod logic;
mod pool;
pub mod recurrent;
pub mod resize;
mod cast;
mod check;
pub mod einsum;
mod index;
mod logic;
mod matmul;
mod norm;
mod reduce;
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
    ("control", control::OPS),
    ("conv", conv::OPS),
    ("create", create::OPS),
    ("gather", gather::OPS),
    ("join", join::OPS),
    ("cast", cast::OPS),
    ("einsum", einsum::OPS),
    ("index", index::OPS),
    ("logic", logic::OPS),
    ("matmul", matmul::OPS),
    ("normalisation", norm::OPS),
    ("reduction", reduce::OPS),
    ("mathematics", unary::MATH),
    ("pool", pool::OPS),
    ("recurrent", recurrent::OPS),
    ("resize", resize::OPS),
    ("scatter", scatter::OPS),
    ("select", select::OPS),
    ("shape", shape::OPS),
    ("signal", signal::OPS),
    ("vision", vision::OPS),
];
