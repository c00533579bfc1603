//! Rule files: identities of graphs, written as the graphs themselves are.
//!
//! ```text
//! //! Turning axes.
//!
//! /// Two transposes in a row are one.
//! rule transpose-twice {
//!     match   Transpose(Transpose(?x) {perm = ?p}) {perm = ?q}
//!     rewrite Transpose(?x) {perm = compose(?p, ?q)}
//! }
//! ```
//!
//! A file is a family of rules and begins with a sentence about it. Every rule has a sentence of
//! its own (`///`), which says the identity; comments from `//` to the end of the line are for
//! readers of the file alone.
//!
//! `match` takes one expression for each value that is replaced, `rewrite` gives as many. Between
//! them stand, if needed, `let ?v = ...` and `where` with conditions. In an expression
//!
//! * `?x` is a value, twice the same one where it stands twice; `?y = Relu(?x)` names an inner one;
//! * `_` is an absent operand; operands that are not written are absent, too;
//! * `..?xs` is any number of operands, in front of or behind those that are written;
//! * `1` or `0.5` is a constant of such elements, whatever its shape; where it is put in, it has the
//!   element type of the last operand beside it that is no number. `[0, 2]` is a vector of `i64`,
//!   and `f32[2]{1.0, 2.5}` a constant with all it has;
//! * `{axis = ?a}` is an attribute. Those that are not written have their defaults; `..?more` stands
//!   for all of them;
//! * `Split(?x, ?s)[1]` is the second result.
//!
//! Functions compute attributes and small constants; a condition is a function, or compares two
//! terms with `=`, `!=`, `<`, `<=`, `>` or `>=`. It holds where it certainly holds, from types and
//! known elements alone: of a value that is unknown nothing holds. `weft rules` lists the functions.
//!
//! `explore rule` is for engines that weigh alternatives; `<=>` in the place of `rewrite` makes a
//! second rule of this kind, which goes back.
//!
//! [`load`] resolves a file against the operators and types it before any graph is read, and says
//! everything that is wrong with it at once.
#![forbid(unsafe_code)]

pub mod ast;
mod error;
mod eval;
mod functions;
mod lex;
mod parse;
mod print;
mod resolve;
mod rule;
mod template;

pub use error::{RuleError, Slip};
pub use functions::{add_functions, functions};
pub use parse::parse;
pub use print::print;
pub use resolve::{load, read};
pub use rule::{Condition, FileRule};
