//! Operators that a function outside weft computes: a call, of operands and results in memory.
use super::select::elem_code;
use super::{Call, Handle, Lowering, Result, View};
use crate::program::{Memory, Step};
use std::sync::Arc;
use weft_ir::{DType, Dim, Foreign, Tensor};

/// What the runtime is told: addresses, and types and extents in the order of the tensors.
#[derive(Default)]
struct Told {
    args: Vec<(Memory, Dim)>,
    dims: Vec<Dim>,
}

impl Told {
    fn tensor(&mut self, dtype: DType, dims: &[Dim], arg: (Memory, Dim)) -> Result<()> {
        self.dims.extend([elem_code(dtype)?, Dim::fixed(dims.len() as i64)]);
        self.dims.extend_from_slice(dims);
        self.args.push(arg);
        Ok(())
    }

    /// An operand that is absent: bits of 0, and no address.
    fn absent(&mut self) {
        self.dims.extend([Dim::fixed(0), Dim::fixed(0)]);
    }
}

impl Lowering<'_> {
    /// Lowers operators that are computed by functions outside weft.
    pub(crate) fn foreign(&mut self, call: &Call<'_>) -> Option<Result<Vec<Handle>>> {
        let foreign = call.attrs.def.foreign()?;
        Some(self.foreign_call(call, foreign))
    }

    fn foreign_call(&mut self, call: &Call<'_>, foreign: &Foreign) -> Result<Vec<Handle>> {
        let (def, node) = (call.attrs.def, call.attrs.node);
        let operands = call.graph.operands(call.id);
        let types: Vec<_> = operands.iter().map(|v| v.map(|v| call.graph.ty(v).clone())).collect();
        let called = foreign.call(def, node, &types).map_err(|error| error.0)?;
        let inputs = def.operands.len() + called.attrs.len();
        let mut told = Told::default();
        told.dims.extend([inputs, called.results.len()].map(|count| Dim::fixed(count as i64)));
        for place in 0..def.operands.len() {
            match call.optional(place) {
                Some(handle) => {
                    let (dtype, dims) = (self.dtype_of(handle), self.dims_of(handle));
                    let arg = self.argument_of(handle);
                    told.tensor(dtype, &dims, arg)?;
                }
                None => told.absent(),
            }
        }
        called.attrs.iter().try_for_each(|attr| self.told_attribute(attr, &mut told))?;
        let mut views = Vec::new();
        for (slot, ty) in (0..).zip(&called.results) {
            let dims = call.dims(slot)?;
            self.define_extents(&dims, ty.dims.as_deref().unwrap_or_default());
            let view = self.target(call, slot, &dims);
            told.tensor(ty.dtype, &dims, self.room_for(&view, ty.dtype))?;
            views.push(view);
        }
        let (symbol, op, at) = (called.symbol, node.op.to_string(), node.label().to_string());
        let (code, Told { args, dims }) = (foreign.code.clone(), told);
        self.step(Step::Foreign { symbol, op, at, code, args, dims });
        views.into_iter().zip(0..).map(|(view, slot): (View, u32)| self.stored(call, slot, view)).collect()
    }

    fn told_attribute(&mut self, attr: &Arc<Tensor>, told: &mut Told) -> Result<()> {
        let dims: Vec<Dim> = attr.dims().iter().map(|dim| Dim::fixed(*dim as i64)).collect();
        let memory = self.place(attr, "attribute");
        told.tensor(attr.dtype(), &dims, (memory, Dim::fixed(0)))
    }
}
