//! Layers that multiply by a constant matrix.
use crate::pass::Declined;
use weft_ir::infer::Facts;
use weft_ir::{Attr, DType, Graph, NodeId, OpSet, Tensor, Value};

/// A `MatMul` or `Gemm` whose right operand is a constant matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Linear {
    /// The node.
    pub node: NodeId,
    /// What is multiplied; its last axis is that of the inputs.
    pub input: Value,
    /// The matrix.
    pub weight: Value,
    /// Whether the matrix is outputs by inputs, as `Gemm` with `transB` has it.
    pub turned: bool,
    /// Inputs and outputs.
    pub dims: [usize; 2],
}

impl Linear {
    /// The layer that a node is; nothing if it is none, or the reason why it cannot be treated as one.
    pub fn of(graph: &Graph, facts: &Facts, ops: &OpSet, id: NodeId) -> Result<Option<Self>, Declined> {
        let op = graph.node(id).op.as_str();
        if !matches!(op, "MatMul" | "Gemm") {
            return Ok(None);
        }
        let (Some(input), Some(weight)) = (graph.operand(id, 0), graph.operand(id, 1)) else {
            return Ok(None);
        };
        let constant = |value| facts.get(&value).and_then(|fact| fact.constant.as_ref());
        let Some(matrix) = constant(weight) else { return Ok(None) };
        let set = |name| ops.attrs(graph.node(id)).is_some_and(|attrs| op == "Gemm" && attrs.flag(name));
        let [first, second] = matrix.dims() else { return Err("the constant is not a matrix".into()) };
        if matrix.dtype() != DType::F32 {
            return Err(format!("the matrix is of {}, not f32", matrix.dtype()).into());
        }
        if set("transA") || constant(input).is_some() || graph.ty(input).rank().is_none_or(|rank| rank < 2) {
            return Err("the left operand does not have the inputs on its last axis".into());
        }
        let (turned, plain) = (set("transB"), [*first as usize, *second as usize]);
        let dims = if turned { [plain[1], plain[0]] } else { plain };
        Ok(Some(Self { node: id, input, weight, turned, dims }))
    }

    /// What it makes.
    pub fn output(&self) -> Value {
        Value { node: self.node, slot: 0 }
    }

    /// The matrix, inputs by outputs.
    pub fn matrix(&self, facts: &Facts) -> Vec<f32> {
        let constant = facts.get(&self.weight).and_then(|fact| fact.constant.as_ref());
        let numbers = constant.and_then(|tensor| tensor.to_vec::<f32>()).unwrap_or_default();
        let [inputs, outputs] = self.dims;
        if !self.turned {
            return numbers;
        }
        let mut turned = Vec::with_capacity(numbers.len());
        for input in 0..inputs {
            turned.extend((0..outputs).map(|output| numbers[output * inputs + input]));
        }
        turned
    }

    /// The matrix, inputs by outputs, as a tensor; the constant itself where it lies so.
    pub fn tensor(&self, facts: &Facts) -> Option<Tensor> {
        match self.turned {
            false => facts.get(&self.weight)?.constant.as_deref().cloned(),
            true => {
                let dims = self.dims.map(|n| n as u64);
                Tensor::from_slice(&dims, &self.matrix(facts)).ok()
            }
        }
    }

    /// The attributes of the node, for a matrix that lies inputs by outputs.
    pub fn attrs(&self, graph: &Graph) -> impl Iterator<Item = (String, Attr)> {
        let attrs = graph.node(self.node).attrs.clone();
        attrs.into_iter().filter(|(name, _)| name != "transB")
    }
}

/// The layers of a graph, in order.
pub fn linears(graph: &Graph, facts: &Facts, ops: &OpSet) -> Vec<Linear> {
    let all = graph.order().into_iter();
    all.filter_map(|id| Linear::of(graph, facts, ops, id).ok().flatten()).collect()
}
