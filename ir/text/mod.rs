//! The written form: one graph, one text.
//!
//! ```text
//! weft 1 canonical
//! meta "producer" = "pytorch"
//! weight @w : f32[64, 3] = blake3:5f1d...
//! graph @main(%x: f32[N, 3], %c: bool[]) -> (f32[N, 64]) {
//!     %w = Const() {value = @w} : f32[64, 3]
//!     %two = Const() {value = f32[1]{2.0}} : f32[1]
//!     %y = Gemm(%x, %w, _) {transB = 1} : f32[N, 64]
//!     %z = If(%c, %y) : f32[N, 64]
//!         region @then(%a: f32[N, 64]) -> (f32[N, 64]) {
//!             %b = Relu(%a) : f32[N, 64]
//!             return %b
//!         }
//!         region @else(%a: f32[N, 64]) -> (f32[N, 64]) {
//!             return %a
//!         }
//!     return %z as "scores"
//! }
//! ```
//!
//! Printing is exact: a text that was printed reads back to a module that prints as that text.
//! Producers stand before consumers, attributes are sorted, and those equal to their defaults left
//! out. Texts always stand where they are used, other tensors up to 16 elements; what is larger is
//! a `weight` by digest. Tests may make weights up: `zeros`, `seeded(7)`, `seeded(7, 0.5, 1.5)`.
//! A name with odd characters stands in quotes: `%"a b"`. An absent operand is `_`, or nothing at
//! the end. Comments run from `//` to the end of the line.
mod dims;
mod lex;
mod literal;
mod operator;
mod parse;
mod print;
mod quote;
mod signature;
mod weights;

pub use dims::{parse_dim, parse_type};
pub use lex::{Cursor, ParseError, Token};
pub use literal::tensor_text;
pub use operator::parse_operators;
pub use parse::MAX_REGIONS;
pub use print::{Style, Weights, print, print_attr, print_node};
pub use quote::{quote, quote_name, quote_word};
pub use signature::Signature;
pub use weights::{NoWeights, WeightSource, weights, weights_by_digest};
