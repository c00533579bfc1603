//! The greedy engine: finds what rules look for in a graph and puts in what they say, at once.
//!
//! It takes the first rule that fits and never looks back, so it runs rules that improve. What a
//! replacement is worth beside others is for the e-graph, which runs the same rules.
#![forbid(unsafe_code)]

mod binding;
pub mod check;

mod greedy;
mod nodes;
mod replace;
mod scene;
mod search;

pub use binding::Binding;
pub use greedy::Greedy;
pub use scene::{Maker, Scene};
pub use search::Search;
