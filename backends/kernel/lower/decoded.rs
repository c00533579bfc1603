//! Constant codes as numbers, computed when the artifact is made and not in every run.
use super::code_panels::Numbers;
use super::{Call, Handle, Lowering, View};
use std::sync::Arc;
use weft_ir::{DType, Dim, Graph, Tensor, Value};

/// The constants of a `DequantizeLinear` to `f32`.
#[derive(Debug, Clone)]
pub(crate) struct Constants {
    pub(crate) codes: Arc<Tensor>,
    pub(crate) scales: Arc<Tensor>,
    pub(crate) zeros: Option<Arc<Tensor>>,
    /// Along which axis scales differ.
    axis: usize,
    /// How many elements of the axis share one; 0 where each has its own.
    block: usize,
}

impl Constants {
    pub(crate) fn of(call: &Call<'_>) -> Option<Self> {
        let constant = |i: usize| call.graph.constant(call.graph.operand(call.id, i)?).cloned();
        let (codes, scales, zeros) = (constant(0)?, constant(1)?, constant(2));
        let given = call.optional(2).is_none() || zeros.is_some();
        if scales.dtype() != DType::F32 || call.dtype(0) != DType::F32 || !given {
            return None;
        }
        let axis = super::movement::place(call.attrs.int("axis"), codes.dims().len()).unwrap_or(0);
        let block = usize::try_from(call.attrs.int("block_size")).ok()?;
        Some(Self { codes, scales, zeros, axis, block })
    }

    /// The codes and zero points, if they can be read.
    pub(crate) fn parts(&self) -> Option<(Numbers, Option<Numbers>)> {
        let zeros = match &self.zeros {
            Some(zeros) => Some(Numbers::of(zeros)?),
            None => None,
        };
        Some((Numbers::of(&self.codes)?, zeros))
    }

    /// The numbers that the codes stand for.
    pub(crate) fn numbers(&self) -> Option<Tensor> {
        let ((codes, zeros), scales) = (self.parts()?, self.scales.to_vec::<f32>()?);
        let dims = self.codes.dims();
        let extent = dims.get(self.axis).copied().unwrap_or(1) as usize;
        let inner = dims.iter().skip(self.axis + 1).product::<u64>() as usize;
        let number = |at: usize| {
            let (outer, along, within) = (at / inner / extent, at / inner % extent, at % inner);
            let group = match self.block {
                _ if scales.len() == 1 => 0,
                0 => along,
                block => (outer * extent.div_ceil(block) + along / block) * inner + within,
            };
            let zero = zeros.as_ref().map_or(0, |zeros| zeros.at(group));
            (codes.at(at) - zero) as f32 * scales[group]
        };
        let all: Vec<f32> = (0..self.codes.len() as usize).map(number).collect();
        Tensor::from_slice(dims, &all).ok()
    }
}

/// Whether a value is nothing but the weights of convolutions.
fn weighs_convolutions(graph: &Graph, value: Value) -> bool {
    let uses = graph.uses(value);
    let weighs = |(node, operand): &(weft_ir::NodeId, usize)| {
        *operand == 1 && matches!(graph.node(*node).op.as_str(), "Conv" | "ConvTranspose")
    };
    !uses.is_empty() && !graph.outputs().contains(&value) && uses.iter().all(weighs)
}

impl Lowering<'_> {
    /// The weights of convolutions, whose kernels read no codes, as numbers.
    pub(crate) fn decoded_filter(&mut self, call: &Call<'_>) -> Option<Handle> {
        let value = Value { node: call.id, slot: 0 };
        let constants = Constants::of(call).filter(|_| weighs_convolutions(call.graph, value))?;
        Some(self.placed_numbers(&constants.numbers()?))
    }

    /// The numbers of a matrix of codes that the schedule cannot read; other values as they are.
    pub(crate) fn decoded(&mut self, handle: Handle) -> Handle {
        let numbers = self.matrices.get(&handle).and_then(super::coded::Matrix::numbers);
        numbers.map_or(handle, |numbers| self.placed_numbers(&numbers))
    }

    pub(super) fn placed_numbers(&mut self, numbers: &Tensor) -> Handle {
        let dims: Vec<Dim> = numbers.dims().iter().map(|n| Dim::fixed(*n as i64)).collect();
        let memory = self.place(&Arc::new(numbers.clone()), "numbers");
        self.view(DType::F32, dims.clone(), View::whole(memory, &dims))
    }
}
