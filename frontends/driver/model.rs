//! Models as files: which form they have, and how they become modules.
use crate::error::Error;
use crate::weights::Beside;
use std::path::{Path, PathBuf};
use weft_frontend::{Frontend, Report, Source};
use weft_ir::{Module, OpSet, verify};

/// A model that was read.
#[derive(Debug, Clone)]
pub struct Model {
    /// Its file.
    pub path: PathBuf,
    /// What its file said.
    pub module: Module,
    /// Remarks about it.
    pub report: Report,
}

impl Model {
    /// What to call it: its file's name without the extension.
    pub fn name(&self) -> String {
        name_of(&self.path)
    }
}

/// A file's name without the extension.
pub(crate) fn name_of(path: &Path) -> String {
    path.file_stem().map_or_else(|| "model".to_string(), |stem| stem.to_string_lossy().into_owned())
}

/// Reads a written module and its weights, and checks that it keeps the rules.
pub(crate) fn read_text(path: &Path, ops: &OpSet) -> Result<Model, Error> {
    let file = path.to_path_buf();
    let source = Source::open(path)?;
    let not_text = || Error::Format { file: file.clone(), reason: "it is not UTF-8 text".to_string() };
    let text = std::str::from_utf8(source.bytes()).map_err(|_| not_text())?;
    let beside = Beside::open(path, &source)?;
    let module = Module::parse(text, ops, &beside).map_err(|error| Error::Text {
        file: file.clone(),
        text: text.to_string(),
        error,
    })?;
    verify::verify(&module, ops).map_err(|breaches| Error::Breaches {
        file: file.clone(),
        breaches: breaches.iter().map(ToString::to_string).collect(),
    })?;
    Ok(Model { path: file, module, report: Report::default() })
}

/// Reads a model by a frontend.
pub(crate) fn read_by(frontend: &dyn Frontend, path: &Path) -> Result<Model, Error> {
    let import = frontend.read(&Source::open(path)?)?;
    Ok(Model { path: path.to_path_buf(), module: import.module, report: import.report })
}

/// That the file's name ends in nothing that is known.
pub(crate) fn unknown_form(path: &Path) -> Error {
    let reason = match path.extension().and_then(|e| e.to_str()) {
        Some(other) => format!("its name ends in `.{other}`"),
        None => "its name has no extension".to_string(),
    };
    Error::Format { file: path.to_path_buf(), reason }
}
