//! The intermediate representation: graphs of tensor operators with symbolic shapes.
//!
//! This room depends on nothing of ours and does no input or output. Facts about an operator live
//! in its [`OpDef`], once; every other room asks there.
#![forbid(unsafe_code)]

pub mod attr;
mod body;
mod bounds;
pub mod dim;
mod foreign;
pub mod graph;
pub mod infer;
pub mod module;
pub mod op;
pub mod ops;
pub mod tensor;
pub mod text;
pub mod types;
pub mod verify;

pub use attr::Attr;
pub use body::{Body, Instance};
pub use dim::{Atom, Dim};
pub use foreign::{FindFunction, Foreign, ForeignCall, ForeignFunction};
pub use graph::{Def, Graph, Node, NodeId, OpName, Value};
pub use infer::Fact;
pub use module::{Module, Stage};
pub use op::{
    AttrDef, AttrDefault, AttrKind, Attrs, Implied, InferCx, InferError, OpDef, OpSet, OperandDef, Traits,
};
pub use tensor::{Element, Tensor, TensorError};
pub use types::{DType, MAX_RANK, TensorType};
