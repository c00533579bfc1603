//! Test data in ONNX's form: folders with `input_K.pb` and `output_K.pb`.
use crate::compare::Tolerance;
use crate::error::Error;
use crate::inputs::InputSources;
use crate::runner::Runner;
use crate::tensors::read_tensor;
use std::path::{Path, PathBuf};
use weft_ir::Tensor;

/// The `test_data_set_*` folders beside a model, by number.
pub fn data_sets(model: &Path) -> Result<Vec<PathBuf>, Error> {
    let folder = crate::files::parent(model);
    let failed = |error| weft_frontend::SourceError::Io { file: folder.display().to_string(), error };
    let mut sets = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if let Some(number) = name.strip_prefix("test_data_set_").filter(|_| path.is_dir()) {
            sets.push((number.parse::<u64>().unwrap_or(u64::MAX), path));
        }
    }
    sets.sort();
    Ok(sets.into_iter().map(|(_, path)| path).collect())
}

/// Runs on the inputs of a folder and compares; gives what differs, an output to a line.
pub fn check_set(runner: &Runner, folder: &Path, tolerance: Tolerance) -> Result<Vec<String>, Error> {
    let sources = InputSources { set: Some(folder.to_path_buf()), ..InputSources::default() };
    let inputs = sources.gather(&runner.ports().inputs)?;
    let expected = expected(runner, folder)?;
    let found = runner.run(&inputs.tensors)?;
    let ports = runner.ports().outputs.iter().zip(expected.iter().zip(&found));
    let differences = ports.filter_map(|(port, (expected, found))| {
        let difference = tolerance.compare(expected, found).err()?;
        Some(format!("output `{}`: {difference}", port.name))
    });
    Ok(differences.collect())
}

/// What a folder says the outputs are.
fn expected(runner: &Runner, folder: &Path) -> Result<Vec<Tensor>, Error> {
    let count = runner.ports().outputs.len();
    (0..count).map(|index| read_tensor(&folder.join(format!("output_{index}.pb")))).collect()
}
