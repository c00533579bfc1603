//! The file of weights beside a written module: `NAME.weights.safetensors`, each under its digest.
use crate::error::Error;
use crate::files;
use bytes::Bytes;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use weft_frontend::Source;
use weft_ir::text::{Style, WeightSource, print, weights};
use weft_ir::{DType, Module, OpSet, Tensor, TensorType};

/// The types that safetensors has; others lie in it as plain bytes.
const TYPES: &[(DType, Dtype)] = &[
    (DType::F64, Dtype::F64),
    (DType::F32, Dtype::F32),
    (DType::F16, Dtype::F16),
    (DType::Bf16, Dtype::BF16),
    (DType::I8, Dtype::I8),
    (DType::I16, Dtype::I16),
    (DType::I32, Dtype::I32),
    (DType::I64, Dtype::I64),
    (DType::U8, Dtype::U8),
    (DType::U16, Dtype::U16),
    (DType::U32, Dtype::U32),
    (DType::U64, Dtype::U64),
    (DType::Bool, Dtype::BOOL),
    (DType::F8E4M3Fn, Dtype::F8_E4M3),
    (DType::F8E5M2, Dtype::F8_E5M2),
];

/// Where the weights of a written module lie.
pub fn weights_path(module: &Path) -> PathBuf {
    module.with_extension("weights.safetensors")
}

/// The weights beside a written module; none if there is no such file.
pub(crate) struct Beside(BTreeMap<String, Bytes>);

impl Beside {
    /// Maps the file of weights, if there is one.
    pub(crate) fn open(module: &Path, source: &Source) -> Result<Self, Error> {
        let path = weights_path(module);
        let Some(name) = path.file_name().and_then(|n| n.to_str()).filter(|_| path.exists()) else {
            return Ok(Self(BTreeMap::new()));
        };
        let bytes = source.sibling(name)?;
        let wrong = |reason| Error::TensorFile { file: path.clone(), reason };
        let parsed = SafeTensors::deserialize(&bytes).map_err(|error| wrong(error.to_string()))?;
        Ok(Self(parsed.iter().map(|(name, view)| (name.to_string(), bytes.slice_ref(view.data()))).collect()))
    }
}

impl WeightSource for Beside {
    fn get(&self, digest: &[u8; 32], ty: &TensorType) -> Option<Arc<Tensor>> {
        let data = self.0.get(&hex(digest))?.clone();
        Tensor::new(ty.dtype, ty.static_dims()?, data).ok().map(Arc::new)
    }
}

fn hex(digest: &[u8; 32]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes a module as text, and its weights beside it if it has any; says which files were made.
pub(crate) fn write_module(module: &Module, ops: &OpSet, path: &Path) -> Result<Vec<PathBuf>, Error> {
    let weights = weights(module);
    let mut made = Vec::new();
    if !weights.is_empty() {
        let beside = weights_path(path);
        let views = weights.iter().map(|(_, tensor)| Ok((hex(tensor.digest()), view(tensor, &beside)?)));
        let views: BTreeMap<String, TensorView<'_>> = views.collect::<Result<_, Error>>()?;
        files::replace(&beside, |file| {
            // The library makes a file that only its owner may read; ours are like any other file.
            let usual = std::fs::File::create(file)?.metadata()?.permissions();
            safetensors::serialize_to_file(views, None, file)
                .map_err(|error| std::io::Error::other(error.to_string()))?;
            std::fs::set_permissions(file, usual)
        })?;
        made.push(beside);
    }
    files::write(path, print(module, ops, Style::default()).as_bytes())?;
    Ok(made)
}

fn view<'t>(tensor: &'t Tensor, file: &Path) -> Result<TensorView<'t>, Error> {
    let known = TYPES.iter().find(|(ours, _)| *ours == tensor.dtype());
    let extents = tensor.dims().iter().map(|d| usize::try_from(*d).unwrap_or(usize::MAX)).collect();
    let (dtype, dims) = match known {
        Some((_, dtype)) => (*dtype, extents),
        None => (Dtype::U8, vec![tensor.data().len()]),
    };
    TensorView::new(dtype, dims, tensor.data())
        .map_err(|error| Error::TensorFile { file: file.to_path_buf(), reason: error.to_string() })
}

/// The tensors of a safetensors file, slices of its bytes.
pub(crate) fn tensors_of(bytes: &Bytes) -> Result<BTreeMap<String, Tensor>, String> {
    let parsed = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
    let tensor = |view: &TensorView<'_>| {
        let known = TYPES.iter().find(|(_, theirs)| *theirs == view.dtype());
        let (dtype, _) = known.ok_or_else(|| format!("element type {} is not supported", view.dtype()))?;
        let dims = view.shape().iter().map(|d| *d as u64).collect();
        Tensor::new(*dtype, dims, bytes.slice_ref(view.data())).map_err(|error| error.to_string())
    };
    parsed.iter().map(|(name, view)| Ok((name.to_string(), tensor(&view)?))).collect()
}
