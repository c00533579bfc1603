//! Something that runs: a module in the interpreter, or a compiled library.
use crate::error::Error;
use crate::ports::Ports;
use std::sync::Arc;
use weft_interp::Interpreter;
use weft_ir::{Module, OpSet, Tensor};

/// A model made ready to run in this process.
pub struct Runner {
    ports: Ports,
    engine: Engine,
}

enum Engine {
    Interpreter(Interpreter, Box<Module>),
    #[cfg(feature = "llvm")]
    Library(weft_load::Executable),
}

impl Runner {
    /// Runs a module of these operators node by node.
    pub fn interpret(module: Module, ops: &'static OpSet) -> Self {
        let (ports, interpreter) = (Ports::of_graph(&module.graph), Interpreter::with_ops(ops));
        Self { ports, engine: Engine::Interpreter(interpreter, Box::new(module)) }
    }

    /// Runs a compiled library.
    #[cfg(feature = "llvm")]
    pub fn open(library: &std::path::Path, options: weft_load::Options) -> Result<Self, Error> {
        let library = weft_load::Executable::open(library, options)?;
        Ok(Self { ports: Ports::of_library(&library), engine: Engine::Library(library) })
    }

    /// What goes in and what comes out.
    pub fn ports(&self) -> &Ports {
        &self.ports
    }

    /// The outputs for these inputs, both in the order of the ports.
    pub fn run(&self, inputs: &[Arc<Tensor>]) -> Result<Vec<Tensor>, Error> {
        match &self.engine {
            Engine::Interpreter(interpreter, module) => Ok(interpreter.run(module, inputs)?),
            #[cfg(feature = "llvm")]
            Engine::Library(library) => {
                let inputs: Vec<Tensor> = inputs.iter().map(|tensor| (**tensor).clone()).collect();
                Ok(library.run(&inputs)?)
            }
        }
    }

    /// The time that every kernel took so far, whole runs last; empty unless it is measured.
    #[cfg(feature = "llvm")]
    pub fn profile(&self) -> Vec<weft_load::ProfileLine> {
        match &self.engine {
            Engine::Interpreter(..) => Vec::new(),
            Engine::Library(library) => library.profile(),
        }
    }
}
