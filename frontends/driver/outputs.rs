//! The outputs of a run, as files.
use crate::error::Error;
use crate::files;
use crate::ports::Port;
use crate::tensors::{TensorForm, tensor_bytes};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use weft_ir::Tensor;

/// The names of ports as names of files: what is not plain becomes `_`, and `~K` tells apart the
/// names that `K` others before them have too.
pub fn plain_names(ports: &[Port]) -> Vec<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let name = |port: &Port| {
        let plain: String = port.name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
        let earlier = seen.entry(plain.clone()).or_default();
        *earlier += 1;
        if *earlier == 1 { plain } else { format!("{plain}~{}", *earlier - 1) }
    };
    ports.iter().map(name).collect()
}

/// Writes each output to a file of its own; the folder is made if it is not there.
pub fn write_outputs(
    folder: &Path,
    ports: &[Port],
    tensors: &[Tensor],
    form: TensorForm,
) -> Result<Vec<PathBuf>, Error> {
    std::fs::create_dir_all(folder).map_err(|error| Error::Write { file: folder.to_path_buf(), error })?;
    let names = plain_names(ports);
    let mut made = Vec::new();
    for (index, (port, tensor)) in ports.iter().zip(tensors).enumerate() {
        let path = match form {
            TensorForm::Npy => folder.join(format!("{}.npy", names[index])),
            TensorForm::Pb => folder.join(format!("output_{index}.pb")),
        };
        files::write(&path, &tensor_bytes(&port.name, tensor, form)?)?;
        made.push(path);
    }
    Ok(made)
}
