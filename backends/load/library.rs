//! A compiled library: its description, and the functions to call.
#![expect(unsafe_code, reason = "opens a library and reads its tables")]
use crate::abi::{ABI_VERSION, DLTensor, WeftModel, WeftOptions, WeftProfile};
use crate::error::LoadError;
use crate::port::{self, Port};
use std::ffi::{c_char, c_void};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use weft_backend::artifact;

type Open = unsafe extern "C" fn(*const WeftOptions, *mut c_char, usize) -> *mut c_void;
type Run = unsafe extern "C" fn(*mut c_void, *const DLTensor, usize, *mut DLTensor, usize) -> i32;
type ErrorText = unsafe extern "C" fn(*const c_void) -> *const c_char;
type Close = unsafe extern "C" fn(*mut c_void);
type Profile = unsafe extern "C" fn(*const c_void, *mut WeftProfile, usize) -> usize;

/// The functions of a library.
pub(crate) struct Functions {
    pub(crate) open: Open,
    pub(crate) run: Run,
    pub(crate) error: ErrorText,
    pub(crate) close: Close,
    pub(crate) profile: Profile,
}

/// A compiled library, open in this process for as long as it or one of its sessions lives.
pub struct Model {
    name: String,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    pub(crate) functions: Functions,
    /// Keeps the functions where they are; dropped last.
    _library: libloading::Library,
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Model {
    /// Opens a library.
    pub fn open(path: &Path) -> Result<Arc<Self>, LoadError> {
        let failed = |reason: String| LoadError::Open { path: path.to_path_buf(), reason };
        let absolute = std::path::absolute(path).map_err(|e| failed(e.to_string()))?;
        // SAFETY: a compiled model runs no code when it is opened; any other library is the user's word.
        let library = unsafe { libloading::Library::new(&absolute) }.map_err(|e| failed(said(&e)))?;
        Self::from_library(library)
            .map(Arc::new)
            .map_err(|reason| LoadError::NotAModel { path: path.to_path_buf(), reason })
    }

    fn from_library(library: libloading::Library) -> Result<Self, String> {
        // SAFETY: the symbol, if it is there, is the table that the compiler wrote; its first two
        // fields are in every version.
        let (model, abi, size) = unsafe {
            let model = *library.get::<*const WeftModel>(b"weft_model").map_err(|e| said(&e))?;
            (model, (*model).abi, (*model).size)
        };
        if abi != ABI_VERSION || (size as usize) < size_of::<WeftModel>() {
            return Err(format!("found ABI {abi} of {size} bytes, expected ABI {ABI_VERSION}"));
        }
        // SAFETY: version and size are ours, so the tables are as they say.
        let (name, inputs, outputs) = unsafe {
            let model = &*model;
            (
                port::text(model.name),
                port::read(model.inputs, model.n_inputs as usize)?,
                port::read(model.outputs, model.n_outputs as usize)?,
            )
        };
        let functions = Functions::of(&library, &artifact::stem(&name))?;
        Ok(Self { name, inputs, outputs, functions, _library: library })
    }

    /// The model's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What goes in.
    pub fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    /// What comes out.
    pub fn outputs(&self) -> &[Port] {
        &self.outputs
    }
}

impl Functions {
    fn of(library: &libloading::Library, stem: &str) -> Result<Self, String> {
        // SAFETY: a library of this ABI version exports these functions with these signatures.
        unsafe {
            Ok(Self {
                open: function(library, stem, "open")?,
                run: function(library, stem, "run")?,
                error: function(library, stem, "error")?,
                close: function(library, stem, "close")?,
                profile: function(library, stem, "profile")?,
            })
        }
    }
}

/// # Safety
/// The function must have the signature `T`.
unsafe fn function<T: Copy>(library: &libloading::Library, stem: &str, name: &str) -> Result<T, String> {
    // SAFETY: the caller vouches for the signature.
    unsafe { library.get::<T>(format!("{stem}_{name}").as_bytes()) }.map(|f| *f).map_err(|e| said(&e))
}

/// The system's own words, which the error's text leaves to its source.
fn said(error: &libloading::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), |source| source.to_string())
}
