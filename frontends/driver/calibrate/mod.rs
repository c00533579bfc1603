//! Calibration data: inputs of a model that passes may look at it with.
//!
//! DATA is one of
//! - a folder: every folder, `.npz` and `.safetensors` file in it is one input, with a tensor for each
//!   port as for `weft run --inputs`; a folder without any is itself one input;
//! - an `.npz` or `.safetensors` file with a tensor for each port: of one axis more than the port, the
//!   first that of samples; or of the port's rank, and each index of the first axis is a sample;
//! - for language models, a `.npy` or `.txt` file of token ids: a matrix of one window a row, or one
//!   long text that is cut into windows.
//!
//! What passes fit, such as codes to second moments or limits to quantiles, errs less on the data that it is fitted to
//! than on others: errors are measured on validation data instead where there are any.
mod before;
mod kept;
mod measure;
mod run;
mod samples;
mod segments;
mod store;
mod tokens;

pub(crate) use measure::{OnData, digest_weights};

use crate::error::Error;
use crate::inputs::InputSources;
use crate::ports::{Port, Ports};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use weft_ir::Tensor;
use weft_passes::TextPorts;

/// Is told what is being done, from any thread.
pub type Tell = Arc<dyn Fn(&str) + Send + Sync>;

/// Calibration data that fit a model.
#[derive(Clone)]
pub struct Calibration {
    name: String,
    inputs: Vec<Input>,
    /// The largest number of each symbolic extent of the ports.
    extents: BTreeMap<String, u64>,
    text: Option<TextPorts>,
    tell: Option<Tell>,
    /// The data that is fitted to, where errors are measured on these.
    fitted: Option<Arc<Self>>,
    /// Where what was found out on them is kept.
    findings: Option<PathBuf>,
}

#[derive(Clone)]
enum Input {
    Held(Vec<Arc<Tensor>>),
    Set(PathBuf, Vec<Port>),
}

impl fmt::Debug for Calibration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Calibration({self})")
    }
}

impl fmt::Display for Calibration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, count) = (&self.name, self.inputs.len());
        let plural = if count == 1 { "" } else { "s" };
        write!(f, "{name}: {count} input{plural}{}", if self.text.is_some() { " of text" } else { "" })?;
        self.fitted.iter().try_for_each(|fitted| write!(f, ", fitted to {fitted}"))
    }
}

impl Calibration {
    /// The data of a file or folder, if they fit a model with these ports.
    ///
    /// # Errors
    /// If they cannot be read, do not fit, or are none.
    pub fn open(path: &Path, ports: &Ports) -> Result<Self, Error> {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        let (inputs, text) = match extension {
            _ if path.is_dir() => (in_folder(path, &ports.inputs)?, None),
            "npy" | "txt" => tokens::windows(path, ports)?,
            _ => (samples::samples(path, &ports.inputs)?, None),
        };
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        Self::new(name, inputs, text, ports)
    }

    /// Inputs made elsewhere, each with a tensor for every port.
    ///
    /// # Errors
    /// If they do not fit, or are none.
    pub fn held(name: &str, inputs: Vec<Vec<Arc<Tensor>>>, ports: &Ports) -> Result<Self, Error> {
        Self::new(name.to_string(), inputs.into_iter().map(Input::Held).collect(), None, ports)
    }

    fn new(name: String, inputs: Vec<Input>, text: Option<TextPorts>, ports: &Ports) -> Result<Self, Error> {
        if inputs.is_empty() {
            return Err(Error::Inputs(format!("calibration data `{name}`: there is no input in it")));
        }
        let mut extents = BTreeMap::new();
        for (number, input) in inputs.iter().enumerate() {
            let at = |why: String| Error::Inputs(format!("calibration data `{name}`, input {number}: {why}"));
            fit(&input.tensors()?, &ports.inputs, &mut extents).map_err(at)?;
        }
        Ok(Self { name, inputs, extents, text, tell: None, fitted: None, findings: None })
    }

    /// The same data, with somebody who is told what is being done with them.
    pub fn telling(self, tell: Tell) -> Self {
        Self { tell: Some(tell), ..self }
    }

    /// The same data; what passes find out on them is kept in a folder, for when it is asked again.
    pub fn keeping(self, folder: PathBuf) -> Self {
        Self { findings: Some(folder), ..self }
    }

    /// The same data to measure errors on, of what was fitted to other data.
    pub fn judging(self, fitted: Arc<Self>) -> Self {
        Self { fitted: Some(fitted), ..self }
    }

    /// The digest of all inputs, those that was fitted to among them: errors follow from both.
    fn digest(&self) -> Result<[u8; 32], Error> {
        let mut hasher = blake3::Hasher::new();
        if let Some(fitted) = &self.fitted {
            hasher.update(&fitted.digest()?);
        }
        for input in &self.inputs {
            for tensor in input.tensors()? {
                hasher.update(tensor.digest());
            }
        }
        Ok(*hasher.finalize().as_bytes())
    }

    fn say(&self, what: &str) {
        self.tell.iter().for_each(|tell| tell(what));
    }
}

impl Input {
    fn tensors(&self) -> Result<Vec<Arc<Tensor>>, Error> {
        match self {
            Input::Held(tensors) => Ok(tensors.clone()),
            Input::Set(set, ports) => {
                let sources = InputSources { set: Some(set.clone()), ..InputSources::default() };
                Ok(sources.gather(ports)?.tensors)
            }
        }
    }
}

/// The inputs in a folder, by name.
fn in_folder(folder: &Path, ports: &[Port]) -> Result<Vec<Input>, Error> {
    let failed = |error| Error::Folder { folder: folder.to_path_buf(), error };
    let mut sets = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let is_set = matches!(path.extension().and_then(|e| e.to_str()), Some("npz" | "safetensors"));
        if path.is_dir() || is_set {
            sets.push(path);
        }
    }
    if sets.is_empty() {
        sets.push(folder.to_path_buf());
    }
    sets.sort();
    Ok(sets.into_iter().map(|set| Input::Set(set, ports.to_vec())).collect())
}

/// Checks types and extents, and keeps the largest numbers of symbols.
fn fit(tensors: &[Arc<Tensor>], ports: &[Port], largest: &mut BTreeMap<String, u64>) -> Result<(), String> {
    let mut own: BTreeMap<String, u64> = BTreeMap::new();
    for (tensor, port) in tensors.iter().zip(ports) {
        let wrong = || format!("input `{port}`: found {}{:?}", tensor.dtype(), tensor.dims());
        let dims = port.ty.dims.as_deref().unwrap_or_default();
        if tensor.dtype() != port.ty.dtype || (port.ty.dims.is_some() && dims.len() != tensor.dims().len()) {
            return Err(wrong());
        }
        for (dim, found) in dims.iter().zip(tensor.dims()) {
            let expected = match (dim.as_fixed(), dim.as_symbol()) {
                (Some(fixed), _) => u64::try_from(fixed).unwrap_or_default(),
                (None, Some(symbol)) => *own.entry(symbol.to_string()).or_insert(*found),
                (None, None) => *found,
            };
            if expected != *found {
                return Err(wrong());
            }
        }
    }
    for (symbol, number) in own {
        let most = largest.entry(symbol).or_default();
        *most = number.max(*most);
    }
    Ok(())
}
