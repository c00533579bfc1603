//! All operators, as tables by family. Names and meanings are ONNX's newest; what is our own is
//! called `weft.Something`.
mod arith;
mod attention;
mod cast;
mod check;
pub mod einsum;
mod index;
mod logic;
mod loss;
mod matmul;
mod norm;
mod quant;
mod random;
mod reduce;
pub mod rules;
mod unary;
mod values;

use crate::op::OpDef;

/// The families, each a table.
pub const FAMILIES: &[(&str, &[OpDef])] = &[
    ("activation", unary::ACTIVATIONS),
    ("arithmetic", arith::OPS),
    ("attention", attention::OPS),
    ("cast", cast::OPS),
    ("einsum", einsum::OPS),
    ("index", index::OPS),
    ("logic", logic::OPS),
    ("loss", loss::OPS),
    ("matmul", matmul::OPS),
    ("normalisation", norm::OPS),
    ("quantisation", quant::OPS),
    ("random", random::OPS),
    ("reduction", reduce::OPS),
    ("mathematics", unary::MATH),
];
