//! Filetests: a graph goes in, a diff comes out, and much is checked that nobody asked for.
//!
//! A filetest is a `.weft` file with a head of directives:
//!
//! ```text
//! // pipeline: fold-batch-norm
//! // why: the scale goes into the filters.
//! // expect: Conv 1, BatchNormalization 0
//! ```
//!
//! `expect` counts operators in the end, or says `nothing` when nothing may change;
//! `// declines: REASON` wants a rule to say why it did not fire. `// tolerance: 1e-3` is how far
//! results may be off, `// symbols: N=2, S=5` sets extents of the seeded inputs, and `// calibrate: 4`
//! lends passes so many other seeded inputs as calibration data.
//!
//! Checked for every file: print and parse give the same text; the rules hold before and after;
//! the pipeline tells the truth about whether it changed anything; a second run changes nothing;
//! before and after compute the same; the diff is that of the snapshot beside the file.
mod filetest;
mod folder;
mod head;
mod seeded;
mod snapshot;

pub use filetest::FileTest;
pub use folder::{Failure, Tally, assert_filetests, filetests};
pub use head::Head;
pub use seeded::seeded_inputs;
pub use snapshot::Snapshots;
