//! Where tensors live: planned buffers, growing ones, outputs, constant data.
use super::{Call, Handle, Lowering, Result, State, View};
use crate::nest::Scalar;
use crate::program::{Memory, Planned, Program, Step, Weight, WeightData};
use crate::term::TermId;
use std::sync::Arc;
use weft_ir::{DType, Dim, Graph, Tensor};

impl Lowering<'_> {
    /// Memory for a tensor. Where the size depends on what a run finds out, it grows when needed.
    pub(crate) fn allocate(&mut self, dtype: DType, dims: &[Dim], name: &str) -> View {
        let bytes = Self::bytes(dtype, dims);
        let known = bytes.symbols().iter().all(|s| self.bound.contains(&**s));
        let bytes = bytes.substitute(&|symbol| self.follows.get(symbol).cloned());
        let memory = if known {
            self.program.planned.push(Planned { name: name.to_string(), bytes, first: 0, last: 0 });
            Memory::Planned(self.program.planned.len() as u32 - 1)
        } else {
            self.program.grown += 1;
            let grown = self.program.grown as u32 - 1;
            self.step(Step::Grow { grown, bytes });
            Memory::Grown(grown)
        };
        View::whole(memory, dims)
    }

    /// Sizes an output the first time something goes there.
    pub(crate) fn size_output(&mut self, view: &View, dims: &[Dim]) {
        if let Memory::Output(output) = view.memory
            && self.sized.insert(output)
        {
            self.step(Step::Output { output, dims: dims.to_vec() });
        }
    }

    /// Constant data as a tensor.
    pub(crate) fn constant(&mut self, call: &Call<'_>) -> Result<Vec<Handle>> {
        let value = call.result(0);
        let tensor = call.graph.constant(value).ok_or("the node holds no data")?.clone();
        if tensor.dtype() == DType::String {
            // They have no bytes to place; whoever uses them was refused.
            return Ok(Vec::new());
        }
        if let Some(narrow) = self.narrow_factor(call.graph, value, &tensor) {
            return Ok(vec![narrow]);
        }
        let dims: Vec<Dim> = tensor.dims().iter().map(|d| Dim::fixed(*d as i64)).collect();
        let memory = self.place(&tensor, call.graph.name_of(value));
        Ok(vec![self.view(tensor.dtype(), dims.clone(), View::whole(memory, &dims))])
    }

    /// Puts constant data among the weights, once.
    pub(crate) fn place(&mut self, tensor: &Arc<Tensor>, name: &str) -> Memory {
        if let Some(memory) = self.placed.get(tensor.digest()) {
            return *memory;
        }
        let data = WeightData::Plain(tensor.data().clone());
        self.program.weights.push(Weight { name: name.to_string(), data });
        let memory = Memory::Weight(self.program.weights.len() as u32 - 1);
        self.placed.insert(*tensor.digest(), memory);
        memory
    }

    /// The bytes of a tensor that is constant data as it stands.
    pub(crate) fn constant_data(&self, handle: Handle) -> Option<&bytes::Bytes> {
        let State::View(View { memory: Memory::Weight(weight), offset, .. }) = self.state(handle) else {
            return None;
        };
        match &self.program.weights[*weight as usize].data {
            WeightData::Plain(data) if offset.as_fixed() == Some(0) => Some(data),
            _ => None,
        }
    }

    /// A constant of one element as a term.
    pub(crate) fn small_constant(&mut self, handle: Handle, view: &View) -> Option<TermId> {
        let Memory::Weight(_) = view.memory else { return None };
        let elements = self.dims_of(handle).iter().fold(Dim::fixed(1), |p, d| p.mul(d));
        if elements.as_fixed() != Some(1) {
            return None;
        }
        let (dtype, data) = (self.dtype_of(handle), self.constant_data(handle)?.clone());
        let tensor = Tensor::new(dtype, Vec::new(), data).ok()?;
        let value = if dtype.is_float() {
            Scalar::Float(tensor.as_scalar()?)
        } else {
            Scalar::Int(*tensor.to_i64s()?.first()?)
        };
        Some(self.terms.constant(dtype, value))
    }

    /// Lifetimes, and the finished program.
    pub(crate) fn finish(mut self, graph: &Graph) -> Program {
        debug_assert_eq!(graph.outputs().len(), self.program.outputs.len());
        let body = std::mem::take(&mut self.steps).into_iter().flatten();
        self.program.steps = std::mem::take(&mut self.prologue).into_iter().chain(body).collect();
        crate::program::sweep_weights(&mut self.program);
        crate::program::lifetimes(&mut self.program);
        self.program
    }
}
