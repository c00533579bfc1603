//! Tensors by name in one file.
use super::{Reason, npz};
use crate::error::Error;
use crate::weights::tensors_of;
use std::collections::BTreeMap;
use std::path::Path;
use weft_frontend::Source;
use weft_ir::Tensor;

/// The tensors of an `.npz` or `.safetensors` file, by name.
pub fn read_set(path: &Path) -> Result<BTreeMap<String, Tensor>, Error> {
    let failed = |reason: Reason| Error::TensorFile { file: path.to_path_buf(), reason };
    let source = Source::open(path)?;
    match path.extension().and_then(|e| e.to_str()) {
        Some("npz") => npz::read(source.bytes()).map_err(failed),
        Some("safetensors") => tensors_of(source.bytes()).map_err(failed),
        _ => Err(failed("expected a folder, or an `.npz` or `.safetensors` file".to_string())),
    }
}
