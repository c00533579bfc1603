//! All operators, as tables by family. Names and meanings are ONNX's newest; what is our own is
//! called `weft.Something`.
mod elementwise;
mod index;
pub mod rules;

use crate::op::OpDef;

/// The families, each a table.
pub const FAMILIES: &[(&str, &[OpDef])] = &[("elementwise", elementwise::OPS), ("index", index::OPS)];
