//! Rows that are normalised by themselves: softmax, and what norms are made of.
use super::anchor::Kind;
use super::formula::wide;
use super::movement::place;
use super::{Call, Handle, Lowering, Result};
use crate::schedule::Norm;
use weft_ir::{Graph, NodeId, Value};

/// Whether a node's first operand is read as terms by one kernel that normalises rows.
pub(crate) fn reads_terms(graph: &Graph, node: NodeId) -> bool {
    let used = |slot: u32| {
        let value = Value { node, slot };
        !graph.uses(value).is_empty() || graph.outputs().contains(&value)
    };
    match graph.node(node).op.as_str() {
        "Softmax" | "LogSoftmax" => true,
        "LayerNormalization" | "RMSNormalization" | "com.microsoft.SimplifiedLayerNormalization" => {
            !used(1) && !used(2)
        }
        _ => false,
    }
}

/// Whether anything asks for a result of a node.
pub(crate) fn is_used(call: &Call<'_>, slot: u32) -> bool {
    let value = call.result(slot);
    !call.graph.uses(value).is_empty() || call.graph.outputs().contains(&value)
}

impl Lowering<'_> {
    /// `Softmax` and `LogSoftmax`.
    pub(crate) fn softmax(&mut self, call: &Call<'_>) -> Result<Handle> {
        let (from, dims) = (call.operand(0)?, call.dims(0)?);
        let axes = vec![place(call.attrs.int("axis"), dims.len())?];
        let norm = if call.op() == "Softmax" { Norm::Softmax } else { Norm::LogSoftmax };
        let normalised = self.normalised(from, axes, norm);
        Ok(self.cast(normalised, call.dtype(0)))
    }

    /// A tensor with its elements normalised over some axes, computed in `f32` at least.
    pub(crate) fn normalised(&mut self, from: Handle, axes: Vec<usize>, norm: Norm) -> Handle {
        self.no_anchor(from);
        let dims = self.dims_of(from);
        let x = self.here(from);
        let dtype = wide(self.terms.dtype(x));
        let input = self.cast_term(x, dtype);
        self.anchor(Kind::Row { axes, input, norm }, dtype, dims)
    }

    /// Forces what waits for an anchor, so that it can be fused into another kernel.
    pub(crate) fn no_anchor(&mut self, handle: Handle) {
        if matches!(self.state(handle), super::State::Lazy(_, Some(_))) {
            self.force(handle);
        }
    }
}
