//! Tensors in files: `.npy`, `.npz`, ONNX's TensorProto `.pb`, `.safetensors`.
mod npy;
mod npz;
mod sets;

pub use sets::read_set;

use crate::error::Error;
use bytes::Bytes;
use std::path::Path;
use weft_frontend::Source;
use weft_ir::Tensor;

/// The forms that one tensor in a file may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TensorForm {
    /// NumPy's.
    Npy,
    /// ONNX's TensorProto.
    Pb,
}

impl TensorForm {
    /// The form that a file's name says.
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "npy" => Some(TensorForm::Npy),
            "pb" => Some(TensorForm::Pb),
            _ => None,
        }
    }
}

/// Why a file holds no tensor that can be used, without the file's name.
pub(crate) type Reason = String;

/// The tensor in a file.
pub fn read_tensor(path: &Path) -> Result<Tensor, Error> {
    let failed = |reason: Reason| Error::TensorFile { file: path.to_path_buf(), reason };
    let form = TensorForm::of(path).ok_or_else(|| failed("expected a `.npy` or `.pb` file".to_string()))?;
    let source = Source::open(path)?;
    decode(form, source.bytes()).map_err(failed)
}

fn decode(form: TensorForm, bytes: &Bytes) -> Result<Tensor, Reason> {
    match form {
        TensorForm::Npy => npy::read(bytes),
        TensorForm::Pb => weft_onnx::read_tensor(bytes).map(|(_, tensor)| tensor),
    }
}

/// The bytes of a file that holds the tensor under that name.
pub fn tensor_bytes(name: &str, tensor: &Tensor, form: TensorForm) -> Result<Vec<u8>, Error> {
    match form {
        TensorForm::Npy => npy::write(tensor)
            .map_err(|reason| Error::TensorFile { file: format!("{name}.npy").into(), reason }),
        TensorForm::Pb => Ok(weft_onnx::write_tensor(name, tensor)),
    }
}
