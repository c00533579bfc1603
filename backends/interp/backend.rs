//! The interpreter as a backend.
use crate::run::Interpreter;
use std::sync::Arc;
use weft_backend::{Backend, BackendError, BackendInfo, Executable, Support};
use weft_ir::{Module, Node, Tensor};

/// The interpreter as a backend.
#[derive(Debug, Clone, Copy, Default)]
pub struct InterpBackend;

const INFO: BackendInfo =
    BackendInfo { name: "interp", summary: "runs the graph node by node, slowly", lowering: "" };

struct Prepared(Arc<Module>);

impl Executable for Prepared {
    fn run(&self, inputs: &[Arc<Tensor>]) -> Result<Vec<Tensor>, BackendError> {
        Interpreter::default().run(&self.0, inputs).map_err(|e| BackendError::Run(e.to_string()))
    }
}

impl Backend for InterpBackend {
    fn info(&self) -> &BackendInfo {
        &INFO
    }

    fn available(&self) -> Result<(), BackendError> {
        Ok(())
    }

    fn supports(&self, _: &Module, node: &Node) -> Support {
        match Interpreter::knows(node.op.as_str()) {
            true => Support::Yes,
            false => Support::No("the interpreter does not know this operator".to_string()),
        }
    }

    fn prepare(&self, module: Arc<Module>) -> Result<Box<dyn Executable>, BackendError> {
        Ok(Box::new(Prepared(module)))
    }
}
