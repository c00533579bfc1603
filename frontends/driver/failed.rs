//! A pipeline that did not come to its end, and how to see it fail again.
use crate::error::Error;
use crate::weights::write_module;
use std::fmt;
use std::path::{Path, PathBuf};
use weft_ir::{Module, OpSet};
use weft_passes::{Observer, PassInfo, RunError};

/// Why a pipeline did not come to its end.
#[derive(Debug)]
pub struct Failed {
    /// What went wrong.
    pub error: RunError,
    /// The module before the pass that failed.
    pub before: Module,
    /// The pass as a pipeline of its own.
    pub pipeline: String,
    pub(crate) ops: &'static OpSet,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for Failed {}

impl Failed {
    /// Writes the module before the pass into a folder; gives the file.
    pub fn write(&self, folder: &Path) -> Result<PathBuf, Error> {
        let file = folder.join(format!("before-{}.weft", self.error.pass()));
        write_module(&self.before, self.ops, &file)?;
        Ok(file)
    }
}

/// Keeps the module as it is before each pass, the last one in the end.
#[derive(Default)]
pub(crate) struct Before(pub(crate) Option<Module>);

impl Observer for Before {
    fn before(&mut self, _: &PassInfo, module: &Module) {
        self.0 = Some(module.clone());
    }
}
