//! The command line as users see it: exit codes, messages, files.
#![cfg(feature = "cli")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod calibrate;
mod choose;
mod compile;
mod describe;
mod errors;
mod extend;
mod filetest;
mod opt;
mod precision;
mod reduce;
mod rules;
mod run;
mod verdicts;
mod weft;
