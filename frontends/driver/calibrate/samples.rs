//! Samples from a file of tensors by name.
use super::Input;
use crate::error::Error;
use crate::ports::Port;
use crate::tensors::read_set;
use std::path::Path;
use std::sync::Arc;
use weft_ir::Tensor;

/// The inputs in an `.npz` or `.safetensors` file.
pub(super) fn samples(path: &Path, ports: &[Port]) -> Result<Vec<Input>, Error> {
    let failed = |reason: String| Error::TensorFile { file: path.to_path_buf(), reason };
    let set = read_set(path)?;
    let mut all: Vec<Vec<Arc<Tensor>>> = Vec::new();
    for port in ports {
        let tensor =
            set.get(&port.name).ok_or_else(|| failed(format!("nothing in it for input `{port}`")))?;
        all.push(split(tensor, port).map_err(failed)?);
    }
    let count = all.first().map_or(0, Vec::len);
    if let Some(other) = all.iter().position(|samples| samples.len() != count) {
        let (found, first, other) = (all[other].len(), &ports[0].name, &ports[other].name);
        return Err(failed(format!("`{first}` has {count} samples, `{other}` has {found}")));
    }
    let sample = |at: usize| Input::Held(all.iter().map(|samples| samples[at].clone()).collect());
    Ok((0..count).map(sample).collect())
}

/// The parts of a tensor along its first axis.
fn split(tensor: &Tensor, port: &Port) -> Result<Vec<Arc<Tensor>>, String> {
    let wrong = || format!("input `{port}`: found {}{:?}", tensor.dtype(), tensor.dims());
    let [count, rest @ ..] = tensor.dims() else { return Err(wrong()) };
    let ports = port.ty.rank().ok_or_else(wrong)?;
    let dims: Vec<u64> = match tensor.dims().len() {
        rank if rank == ports + 1 => rest.to_vec(),
        rank if rank == ports => [&[1], rest].concat(),
        _ => return Err(format!("{}; expected an axis of samples first", wrong())),
    };
    let bytes = tensor.data().len() / usize::try_from(*count).map_err(|_| wrong())?.max(1);
    let part = |at: usize| {
        Tensor::new(tensor.dtype(), dims.clone(), tensor.data().slice(at * bytes..(at + 1) * bytes))
    };
    (0..*count as usize).map(|at| part(at).map(Arc::new).map_err(|error| error.to_string())).collect()
}
