//! Operators that the runtime computes because the number of their results depends on data.
use super::movement::place;
use super::{Call, Handle, Lowering, Result, View};
use crate::program::{Memory, Step};
use std::sync::Arc;
use weft_ir::{DType, Dim, Tensor};

/// An element type as the runtime is told of it: DLPack's code and the bits.
pub(crate) fn elem_code(dtype: DType) -> Result<Dim> {
    let (code, bits) = dtype.dlpack().ok_or_else(|| format!("the runtime computes nothing on {dtype}"))?;
    Ok(Dim::fixed(i64::from(code) << 8 | i64::from(bits)))
}

/// Bytes of one element.
pub(crate) fn bytes_of(dtype: DType) -> i64 {
    i64::from(dtype.bits().max(8)) / 8
}

/// The extents around an axis: before it, its own, behind it.
fn around(dims: &[Dim], axis: Option<usize>) -> [Dim; 3] {
    let product = |dims: &[Dim]| dims.iter().fold(Dim::fixed(1), |p, d| p.mul(d));
    match axis {
        Some(axis) => [product(&dims[..axis]), dims[axis].clone(), product(&dims[axis + 1..])],
        None => [Dim::fixed(1), product(dims), Dim::fixed(1)],
    }
}

impl Lowering<'_> {
    /// Lowers an operator that the runtime computes.
    pub(crate) fn selection(&mut self, call: &Call<'_>) -> Option<Result<Vec<Handle>>> {
        Some(match call.op() {
            "NonZero" => self.non_zero(call),
            "Compress" => self.compress(call),
            "TopK" => self.top_k(call),
            "Unique" => self.unique(call),
            "NonMaxSuppression" => self.non_max_suppression(call),
            _ => return None,
        })
    }

    /// A tensor in memory, row-major, as an argument of a runtime function.
    pub(crate) fn argument_of(&mut self, handle: Handle) -> (Memory, Dim) {
        let view = self.force_whole(handle);
        (view.memory, view.offset.scale(bytes_of(self.dtype_of(handle))))
    }

    /// Memory of a result as an argument; row-major by how results are placed.
    pub(crate) fn room_for(&self, view: &View, dtype: DType) -> (Memory, Dim) {
        (view.memory, view.offset.scale(bytes_of(dtype)))
    }

    /// The symbol of an extent that a node decides.
    fn decided(&mut self, dim: &Dim) -> u32 {
        match dim.as_symbol() {
            Some(name) => {
                self.provisional.remove(name);
                self.symbol(name)
            }
            None => self.fresh_symbol("count").0,
        }
    }

    /// A result of a runtime function, row-major in memory of its own.
    fn result_view(&mut self, call: &Call<'_>, slot: u32) -> Result<View> {
        let dims = call.dims(slot)?;
        Ok(self.target(call, slot, &dims))
    }

    /// Whether a result is asked for.
    fn has_result(call: &Call<'_>, slot: usize) -> bool {
        slot < call.attrs.node.results.len()
    }

    /// The number of true elements, as a symbol.
    fn count_true(&mut self, data: (Memory, Dim), (dtype, count): (DType, Dim), symbol: u32) -> Result<()> {
        let dims = vec![elem_code(dtype)?, count];
        let function = "weft_rt_count_nonzero";
        self.step(Step::Call { function, args: vec![data], dims, results: vec![symbol] });
        Ok(())
    }

    fn non_zero(&mut self, call: &Call<'_>) -> Result<Vec<Handle>> {
        let (from, dims) = (call.operand(0)?, call.dims(0)?);
        let (dtype, mut old) = (self.dtype_of(from), self.dims_of(from));
        if old.is_empty() {
            old.push(Dim::fixed(1));
        }
        let data = self.argument_of(from);
        let symbol = self.decided(&dims[1]);
        self.count_true(data.clone(), (dtype, Self::elements(&old)), symbol)?;
        let to = self.result_view(call, 0)?;
        let mut numbers = vec![elem_code(dtype)?, dims[1].clone(), Dim::fixed(old.len() as i64)];
        numbers.extend(old);
        let args = vec![data, self.room_for(&to, DType::I64)];
        self.step(Step::Call { function: "weft_rt_nonzero", args, dims: numbers, results: Vec::new() });
        Ok(vec![self.stored(call, 0, to)?])
    }

    fn compress(&mut self, call: &Call<'_>) -> Result<Vec<Handle>> {
        let (from, condition, dims) = (call.operand(0)?, call.operand(1)?, call.dims(0)?);
        let (dtype, old) = (self.dtype_of(from), self.dims_of(from));
        let axis = call.attrs.int_opt("axis").map(|a| place(a, old.len())).transpose()?;
        let [outer, extent, inner] = around(&old, axis);
        let conditions = Self::elements(&self.dims_of(condition));
        let (data, truths) = (self.argument_of(from), self.argument_of(condition));
        let kept = &dims[axis.unwrap_or(0)];
        let symbol = self.decided(kept);
        self.count_true(truths.clone(), (DType::Bool, conditions.smaller(&extent)), symbol)?;
        let to = self.result_view(call, 0)?;
        let args = vec![data, truths, self.room_for(&to, dtype)];
        let dims = vec![Dim::fixed(bytes_of(dtype)), outer, extent, inner, conditions, kept.clone()];
        self.step(Step::Call { function: "weft_rt_compress", args, dims, results: Vec::new() });
        Ok(vec![self.stored(call, 0, to)?])
    }

    fn top_k(&mut self, call: &Call<'_>) -> Result<Vec<Handle>> {
        let (from, dims) = (call.operand(0)?, call.dims(0)?);
        let (dtype, old) = (self.dtype_of(from), self.dims_of(from));
        let axis = place(call.attrs.int("axis"), old.len())?;
        let k = self.sizes(call, 1)?.first().cloned().ok_or("there is no `K`")?;
        let mut computed = old.clone();
        computed[axis] = k.clone();
        self.define_extents(&dims, &computed);
        let data = self.argument_of(from);
        let values = self.result_view(call, 0)?;
        let indices = match Self::has_result(call, 1) {
            true => self.result_view(call, 1)?,
            false => self.allocate(DType::I64, &dims, "indices"),
        };
        let args = vec![data, self.room_for(&values, dtype), self.room_for(&indices, DType::I64)];
        let [outer, extent, inner] = around(&old, Some(axis));
        let largest = Dim::fixed(call.attrs.int("largest"));
        let numbers = vec![elem_code(dtype)?, outer, extent, inner, k, largest];
        self.step(Step::Call { function: "weft_rt_topk", args, dims: numbers, results: Vec::new() });
        let indices = self.view(DType::I64, dims, indices);
        Ok(vec![self.stored(call, 0, values)?, indices])
    }

    /// `Unique`: into rooms large enough for any outcome, then copied to the size it turned out to be.
    fn unique(&mut self, call: &Call<'_>) -> Result<Vec<Handle>> {
        let (from, dims) = (call.operand(0)?, call.dims(0)?);
        let (dtype, old) = (self.dtype_of(from), self.dims_of(from));
        let axis = call.attrs.int_opt("axis").map(|a| place(a, old.len())).transpose()?;
        let [outer, extent, inner] = around(&old, axis);
        let data = self.argument_of(from);
        let values = self.allocate(dtype, &old, "values");
        let row = vec![extent.clone()];
        let rooms: Vec<View> =
            ["first", "inverse", "counts"].map(|n| self.allocate(DType::I64, &row, n)).into();
        let mut args = vec![data, self.room_for(&values, dtype)];
        args.extend(rooms.iter().map(|room| self.room_for(room, DType::I64)));
        let sorted = Dim::fixed(call.attrs.int("sorted"));
        let numbers = vec![elem_code(dtype)?, outer, extent, inner, sorted];
        let symbol = self.decided(&dims[axis.unwrap_or(0)]);
        let function = "weft_rt_unique";
        self.step(Step::Call { function, args, dims: numbers, results: vec![symbol] });
        let mut results = vec![self.shrunk(call, 0, &values)?];
        for (slot, room) in rooms.iter().enumerate() {
            if Self::has_result(call, slot + 1) {
                results.push(self.shrunk(call, slot as u32 + 1, room)?);
            }
        }
        Ok(results)
    }

    /// The first elements of a room that was larger than need be, as a result.
    fn shrunk(&mut self, call: &Call<'_>, slot: u32, room: &View) -> Result<Handle> {
        let dims = call.dims(slot)?;
        let value = call.result(slot);
        if self.scope().targets.contains_key(&value) {
            let to = self.target(call, slot, &dims);
            let bytes = Self::bytes(call.dtype(slot), &dims);
            let (from, to_room) =
                (self.room_for(room, call.dtype(slot)), self.room_for(&to, call.dtype(slot)));
            self.step(Step::Copy { from, to: to_room, bytes });
            return self.stored(call, slot, to);
        }
        Ok(self.view(call.dtype(slot), dims.clone(), View::whole(room.memory, &dims)))
    }

    fn non_max_suppression(&mut self, call: &Call<'_>) -> Result<Vec<Handle>> {
        let (boxes, scores, dims) = (call.operand(0)?, call.operand(1)?, call.dims(0)?);
        if self.dtype_of(boxes) != DType::F32 || self.dtype_of(scores) != DType::F32 {
            return Err("boxes and scores must be `f32`".to_string());
        }
        let extents = self.dims_of(scores);
        let most = match call.optional(2) {
            Some(_) => self.sizes(call, 2)?.first().cloned().ok_or("there is no limit")?,
            None => Dim::fixed(0),
        };
        let most = most.larger(&Dim::fixed(0));
        let room = extents[0].mul(&extents[1]).mul(&most.smaller(&extents[2]));
        let to = self.allocate(DType::I64, &[room, Dim::fixed(3)], "boxes");
        let limit = self.limit_argument(call)?;
        let mut args = vec![self.argument_of(boxes), self.argument_of(scores), limit];
        for (operand, usual) in [(3, 0.0), (4, f32::NEG_INFINITY)] {
            args.push(match call.optional(operand) {
                Some(handle) => self.argument_of(handle),
                None => (self.place(&Arc::new(Tensor::scalar(usual)), "threshold"), Dim::fixed(0)),
            });
        }
        args.push(self.room_for(&to, DType::I64));
        let center = Dim::fixed(call.attrs.int("center_point_box"));
        let numbers = vec![extents[0].clone(), extents[1].clone(), extents[2].clone(), center];
        let symbol = self.decided(&dims[0]);
        self.step(Step::Call { function: "weft_rt_nms", args, dims: numbers, results: vec![symbol] });
        Ok(vec![self.shrunk(call, 0, &to)?])
    }

    fn limit_argument(&mut self, call: &Call<'_>) -> Result<(Memory, Dim)> {
        match call.optional(2) {
            Some(handle) => Ok(self.argument_of(handle)),
            None => Ok((self.place(&Arc::new(Tensor::scalar(0i64)), "limit"), Dim::fixed(0))),
        }
    }
}
