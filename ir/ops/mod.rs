//! All operators, as tables by family. Names and meanings are ONNX's newest; what is our own is
//! called `weft.Something`.
mod arith;
mod check;
mod index;
mod logic;
pub mod rules;
mod unary;
mod values;

use crate::op::OpDef;

/// The families, each a table.
pub const FAMILIES: &[(&str, &[OpDef])] = &[
    ("activation", unary::ACTIVATIONS),
    ("arithmetic", arith::OPS),
    ("index", index::OPS),
    ("logic", logic::OPS),
    ("mathematics", unary::MATH),
];
