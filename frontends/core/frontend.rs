//! The shape of a frontend.
use crate::error::ImportError;
use crate::report::Report;
use crate::source::Source;
use weft_ir::Module;

/// Reads models of one format.
pub trait Frontend: Send + Sync {
    /// What it is.
    fn info(&self) -> &FrontendInfo;
    /// The model of a source, or everything that is wrong with it.
    fn read(&self, source: &Source) -> Result<Import, ImportError>;
}

/// What a frontend is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrontendInfo {
    /// Its name, as `onnx`.
    pub name: &'static str,
    /// One sentence: what it reads.
    pub summary: &'static str,
    /// File name extensions of its models, without the dot.
    pub extensions: &'static [&'static str],
}

/// A model that was read.
#[derive(Debug, Clone)]
pub struct Import {
    /// The model, in stage imported.
    pub module: Module,
    /// What there is to say about it.
    pub report: Report,
}
