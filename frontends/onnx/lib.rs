//! ONNX models as modules: protobuf decoded over the mapped file, every opset's operators turned into
//! the newest ones, functions inlined, captures made explicit.
//!
//! Nothing is ignored in silence: an attribute nobody read is an error, and all errors of a model
//! are reported at once.
#![forbid(unsafe_code)]

mod attributes;
mod builder;
mod call;
mod frame;
mod functions;
mod import;
mod model;
mod names;
mod ops;
mod order;
mod region;
mod tensor;
mod tensor_file;
#[cfg(test)]
mod testing;
mod text;
mod types;
mod walk;
mod wire;
mod write;

pub use import::read;
pub use tensor_file::{read_tensor, write_tensor};
pub use write::{Form, WriteError, WriteOptions, Written, write};

use weft_frontend::{Frontend, FrontendInfo, Import, ImportError, Source};
use weft_ir::OpSet;

/// The frontend for ONNX.
#[derive(Debug, Clone, Copy)]
pub struct Onnx {
    ops: &'static OpSet,
}

impl Onnx {
    /// One that knows these operators.
    pub fn with_ops(ops: &'static OpSet) -> Self {
        Self { ops }
    }
}

impl Default for Onnx {
    fn default() -> Self {
        Self::with_ops(OpSet::builtin())
    }
}

impl Frontend for Onnx {
    fn info(&self) -> &FrontendInfo {
        &FrontendInfo {
            name: "onnx",
            summary: "ONNX models of opset 1 to 28, weights inside or in files beside them",
            extensions: &["onnx", "onnxtxt"],
        }
    }

    fn read(&self, source: &Source) -> Result<Import, ImportError> {
        import::read_with(source, self.ops)
    }
}

/// The messages of ONNX as prost generates them from `proto/onnx.proto`.
pub mod proto {
    #![expect(missing_docs, reason = "generated; the messages are described in proto/onnx.proto")]
    include!("proto/onnx.rs");
}
