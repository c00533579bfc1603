//! Saturation: all the forms that rules give a graph at once, then the cheapest of them.
//!
//! The greedy engine of `weft-rewrite` takes the first rule that fits and never looks back. Here
//! what a rule puts in stands beside what it found, so a rule may make a graph worse on the way to
//! a better one, and the order of rules does not matter. Both engines run the same rules.
#![forbid(unsafe_code)]

mod again;
mod apply;
mod choices;
#[cfg(feature = "ilp")]
mod exact;
mod extract;
mod extraction;
mod facts;
mod held;
mod improve;
mod lang;
mod lift;
mod lower;
mod originals;
mod pass;
mod saturate;
mod scene;
mod symmetry;

pub use extraction::Extraction;
pub use held::{Held, take_held};
pub use pass::Saturate;
pub use saturate::Limits;
