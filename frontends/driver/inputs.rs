//! The inputs of a run: from files, from a folder or set, or random.
use crate::dims::Dims;
use crate::error::Error;
use crate::outputs::plain_names;
use crate::ports::Port;
use crate::random;
use crate::tensors::{TensorForm, read_set, read_tensor};
use half::bf16;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use weft_ir::{DType, Element, Tensor, TensorType};

/// Where inputs come from. A file counts before the folder or set, and that before random numbers.
#[derive(Debug, Clone, Default)]
pub struct InputSources {
    /// Files by the name of an input.
    pub files: Vec<(String, PathBuf)>,
    /// A folder with `NAME.npy` or `input_K.pb`, or a file with a set of tensors.
    pub set: Option<PathBuf>,
    /// The seed of random tensors.
    pub random: Option<u64>,
    /// The numbers of symbolic extents in random tensors.
    pub dims: Dims,
}

/// The inputs of a run.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// In the order of the ports.
    pub tensors: Vec<Arc<Tensor>>,
    /// The form that outputs are to have: that of the inputs.
    pub form: TensorForm,
}

impl InputSources {
    /// A tensor for each port.
    pub fn gather(&self, ports: &[Port]) -> Result<Inputs, Error> {
        self.check_names(ports)?;
        let set = match self.set.as_deref().filter(|path| !path.is_dir()) {
            Some(file) => read_set(file)?,
            None => BTreeMap::new(),
        };
        let (mut tensors, mut missing, mut form) = (Vec::new(), Vec::new(), TensorForm::Npy);
        for (index, port) in ports.iter().enumerate() {
            if let Some(path) = self.file(ports, index) {
                if TensorForm::of(&path) == Some(TensorForm::Pb) {
                    form = TensorForm::Pb;
                }
                tensors.push(fitting(read_tensor(&path)?, port, &path)?);
            } else if let Some(tensor) = set.get(&port.name) {
                tensors.push(fitting(tensor.clone(), port, self.set.as_deref().unwrap_or(Path::new("")))?);
            } else if let Some(seed) = self.random {
                tensors.push(random::tensor(port, index, seed, &self.dims)?);
            } else {
                missing.push(format!("`{port}`"));
            }
        }
        if !missing.is_empty() {
            let missing = missing.join(", ");
            let how = "give `--input NAME=FILE`, `--inputs DIR` or `--random SEED`";
            return Err(Error::Inputs(format!("nothing for input {missing}; {how}")));
        }
        Ok(Inputs { tensors: tensors.into_iter().map(Arc::new).collect(), form })
    }

    fn check_names(&self, ports: &[Port]) -> Result<(), Error> {
        let there = || ports.iter().map(|port| format!("`{}`", port.name)).collect::<Vec<_>>().join(", ");
        if let Some((name, _)) = self.files.iter().find(|(name, _)| ports.iter().all(|p| p.name != *name)) {
            return Err(Error::Inputs(format!("no input is named `{name}`, there are: {}", there())));
        }
        let dims = ports.iter().flat_map(|port| port.ty.dims.iter().flatten());
        let symbols: Vec<_> = dims.flat_map(|dim| dim.symbols()).collect();
        match self.dims.keys().find(|name| symbols.iter().all(|symbol| **symbol != ***name)) {
            Some(name) => Err(Error::Dim(format!("no input has the symbolic extent `{name}`"))),
            None => Ok(()),
        }
    }

    /// The file for an input, if there is one.
    fn file(&self, ports: &[Port], index: usize) -> Option<PathBuf> {
        let name = &ports[index].name;
        if let Some((_, path)) = self.files.iter().find(|(given, _)| given == name) {
            return Some(path.clone());
        }
        let folder = self.set.as_deref().filter(|path| path.is_dir())?;
        let plain = &plain_names(ports)[index];
        let own = (!name.contains('/')).then(|| format!("{name}.npy"));
        let names = own.into_iter().chain([format!("{plain}.npy"), format!("input_{index}.pb")]);
        names.map(|name| folder.join(name)).find(|path| path.is_file())
    }
}

/// The tensor if it fits the port; 32-bit floats stand for `bf16`, which NumPy lacks.
fn fitting(tensor: Tensor, port: &Port, file: &Path) -> Result<Tensor, Error> {
    let failed = |reason: String| Error::TensorFile { file: file.to_path_buf(), reason };
    let tensor = if (tensor.dtype(), port.ty.dtype) == (DType::F32, DType::Bf16) {
        let short: Vec<bf16> = tensor.data().chunks_exact(4).map(|b| bf16::from_f32(f32::read(b))).collect();
        Tensor::from_slice(tensor.dims(), &short).map_err(|error| failed(error.to_string()))?
    } else {
        tensor
    };
    let rank = port.ty.rank().is_none_or(|rank| rank == tensor.dims().len());
    if tensor.dtype() == port.ty.dtype && rank {
        return Ok(tensor);
    }
    let found = TensorType::fixed(tensor.dtype(), tensor.dims());
    Err(failed(format!("input `{}`: expected {}, found {found}", port.name, port.ty)))
}
