//! ONNX models as modules: protobuf decoded over the mapped file, every opset's operators turned into
//! the newest ones, functions inlined, captures made explicit.
//!
//! Nothing is ignored in silence: an attribute nobody read is an error, and all errors of a model
//! are reported at once.
#![forbid(unsafe_code)]

mod tensor;
mod wire;

/// The messages of ONNX as prost generates them from `proto/onnx.proto`.
pub mod proto {
    #![expect(missing_docs, reason = "generated; the messages are described in proto/onnx.proto")]
    include!("proto/onnx.rs");
}
