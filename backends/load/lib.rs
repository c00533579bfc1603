//! Opens a compiled library in this process and runs it.
#![deny(unsafe_code)]

#[path = "../runtime/abi.rs"]
#[allow(dead_code, unreachable_pub, missing_docs, reason = "the layout shared with the runtime")]
mod abi;
mod error;
mod library;
mod port;
mod session;

pub use error::LoadError;
pub use library::Model;
pub use port::{Extent, Port};
pub use session::{Options, ProfileLine, Session};

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use weft_backend::BackendError;
use weft_ir::Tensor;

/// A compiled library with one session, ready to run.
#[derive(Debug)]
pub struct Executable {
    model: Arc<Model>,
    session: Mutex<Session>,
}

impl Executable {
    /// Opens a library.
    pub fn open(path: &Path, options: Options) -> Result<Self, LoadError> {
        let model = Model::open(path)?;
        let session = Mutex::new(Session::open(&model, options)?);
        Ok(Self { model, session })
    }

    /// What goes in.
    pub fn inputs(&self) -> &[Port] {
        self.model.inputs()
    }

    /// What comes out.
    pub fn outputs(&self) -> &[Port] {
        self.model.outputs()
    }

    /// Results for these inputs, both in the order of the model.
    pub fn run(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>, LoadError> {
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        session.run(inputs)
    }

    /// Runs without copying the results anywhere, to measure.
    pub fn call(&self, inputs: &[Tensor]) -> Result<(), LoadError> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner).call(inputs)
    }

    /// The time every kernel took so far, if the session was opened to measure it.
    pub fn profile(&self) -> Vec<ProfileLine> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner).profile()
    }
}

impl weft_backend::Executable for Executable {
    fn run(&self, inputs: &[Arc<Tensor>]) -> Result<Vec<Tensor>, BackendError> {
        let inputs: Vec<Tensor> = inputs.iter().map(|tensor| (**tensor).clone()).collect();
        Executable::run(self, &inputs).map_err(|error| BackendError::Run(error.to_string()))
    }
}
