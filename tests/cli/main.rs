//! The command line as users see it: exit codes, messages, files.
#![cfg(feature = "llvm")]

mod compile;
mod describe;
mod errors;
mod opt;
mod run;
mod verdicts;
mod weft;
