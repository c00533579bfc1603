//! Modules as ONNX files.
use crate::error::Error;
use crate::files;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use weft_frontend::Report;
use weft_ir::{Module, OpSet};
use weft_onnx::{Form, WriteOptions, Written};

/// How an ONNX model is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OnnxForm {
    /// The opset; unless given, the oldest that has all the module needs.
    pub opset: Option<i64>,
    /// Where the weights go.
    pub data: DataPlace,
    /// Whether it is written as text.
    pub form: Form,
}

/// Where the weights of an ONNX model go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DataPlace {
    /// Into the model, unless it would grow larger than a file of this format may be.
    #[default]
    Inside,
    /// Into a file beside it.
    Beside,
}

/// Writes a model, and its weights beside it if they are to be there. Nodes bear the names and remarks
/// that the report of its import holds.
pub(crate) fn write(
    (module, report): (&Module, &Report),
    ops: &OpSet,
    path: &Path,
    form: OnnxForm,
) -> Result<Vec<PathBuf>, Error> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".data");
    let options = WriteOptions::beside(name.to_string_lossy().into_owned());
    let inline_bytes = if form.data == DataPlace::Beside { 0 } else { options.inline_bytes };
    let nodes = report.nodes.clone();
    let options = WriteOptions { opset: form.opset, form: form.form, inline_bytes, nodes, ..options };
    let Written { model, data } = weft_onnx::write(module, ops, &options)?;
    let mut beside = Vec::new();
    if !data.is_empty() {
        let place = path.with_file_name(&options.data_file);
        files::replace(&place, |at| {
            let mut file = std::fs::File::create(at)?;
            for (offset, bytes) in &data {
                file.seek(SeekFrom::Start(*offset))?;
                file.write_all(bytes)?;
            }
            Ok(())
        })?;
        beside.push(place);
    }
    files::replace(path, |at| {
        let mut file = std::fs::File::create(at)?;
        model.iter().try_for_each(|piece| file.write_all(piece))
    })?;
    Ok(beside)
}
