//! Being told how the work goes.
use std::fmt;
use weft_passes::Observer;

/// A part of the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// A model's file becomes a module.
    Read,
    /// Passes run.
    Optimise,
    /// The graph becomes kernels.
    Lower,
    /// Kernels become machine code, and that an artifact.
    Generate,
}

impl Phase {
    /// What is being done, as one says it.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Read => "reading",
            Phase::Optimise => "optimising",
            Phase::Lower => "lowering",
            Phase::Generate => "generating code",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Is told how the work goes, pass by pass too.
pub trait Progress: Observer {
    /// A part of the work begins.
    fn begin(&mut self, _phase: Phase) {}
    /// It is done; the text says what came out.
    fn done(&mut self, _phase: Phase, _result: &str) {}
    /// A remark about the model that changes no result.
    fn remark(&mut self, _text: &str) {}
}

/// Does not listen.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quiet;

impl Observer for Quiet {}
impl Progress for Quiet {}
