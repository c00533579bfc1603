//! Operators whose result size depends on data, or which are awkward as loop nests.
//!
//! They share one C signature: `i64 weft_rt_NAME(session, args, params)`. `args` are addresses of buffers and
//! `params` are numbers, in the order that each operator documents; extents of a shape follow each other in
//! `params`. An element type is passed as `DLPack code << 8 | bits`. The result is a count or zero; a negative one
//! means failure, and the session says why. Where a result's size is not known beforehand, the caller makes room
//! for the largest one possible, which each operator documents, and learns the size from the count.
//!
//! Memory to work in belongs to the session and only grows.

pub mod boxes;
pub mod foreign;
pub mod order;
pub mod random;
pub mod scatter;
pub mod select;
pub mod unique;

mod call;
