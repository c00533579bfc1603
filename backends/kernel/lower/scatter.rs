//! Updates put into a copy of data at computed places.
use super::movement::place;
use super::select::elem_code;
use super::{Call, Handle, Lowering, Result, View, identity};
use crate::math::Function as F;
use crate::program::Step;
use crate::term::Index;
use weft_ir::{DType, Dim};

impl Lowering<'_> {
    /// Lowers operators that write elsewhere.
    pub(crate) fn scattering(&mut self, call: &Call<'_>) -> Option<Result<Vec<Handle>>> {
        Some(match call.op() {
            "ScatterElements" => self.scatter_elements(call).map(|h| vec![h]),
            "ScatterND" => self.scatter_nd(call).map(|h| vec![h]),
            "TensorScatter" => self.tensor_scatter(call).map(|h| vec![h]),
            "MaxUnpool" => self.max_unpool(call).map(|h| vec![h]),
            _ => return None,
        })
    }

    /// The memory of the result with the data in it.
    fn copied_data(&mut self, call: &Call<'_>) -> Result<View> {
        let (data, dims) = (call.operand(0)?, call.dims(0)?);
        self.force(data);
        let to = self.target(call, 0, &dims);
        self.copy(data, &to);
        Ok(to)
    }

    fn scatter_elements(&mut self, call: &Call<'_>) -> Result<Handle> {
        let dtype = call.dtype(0);
        let (indices, updates) = (call.operand(1)?, call.operand(2)?);
        let dims = call.dims(0)?;
        let axis = place(call.attrs.int("axis"), dims.len())?;
        let mut numbers = vec![elem_code(dtype)?, reduction(call)];
        numbers.extend([Dim::fixed(axis as i64), Dim::fixed(dims.len() as i64)]);
        numbers.extend(dims.iter().cloned().chain(self.dims_of(indices)));
        let to = self.copied_data(call)?;
        let indices = self.indices(indices);
        let args = vec![self.room_for(&to, dtype), self.argument_of(indices), self.argument_of(updates)];
        let function = "weft_rt_scatter_elements";
        self.step(Step::Call { function, args, dims: numbers, results: Vec::new() });
        self.stored(call, 0, to)
    }

    fn scatter_nd(&mut self, call: &Call<'_>) -> Result<Handle> {
        let dtype = call.dtype(0);
        let (indices, updates) = (call.operand(1)?, call.operand(2)?);
        let (dims, tuples) = (call.dims(0)?, self.dims_of(indices));
        let (length, outer) = tuples.split_last().ok_or("the indices have no tuples")?;
        let mut numbers = vec![elem_code(dtype)?, reduction(call), Self::elements(outer), length.clone()];
        numbers.push(Dim::fixed(dims.len() as i64));
        numbers.extend(dims);
        let to = self.copied_data(call)?;
        let indices = self.indices(indices);
        let args = vec![self.room_for(&to, dtype), self.argument_of(indices), self.argument_of(updates)];
        self.step(Step::Call { function: "weft_rt_scatter_nd", args, dims: numbers, results: Vec::new() });
        self.stored(call, 0, to)
    }

    /// `TensorScatter`: each element from the update where that was written, else from the cache.
    fn tensor_scatter(&mut self, call: &Call<'_>) -> Result<Handle> {
        let (cache, update, dims) = (call.operand(0)?, call.operand(1)?, call.dims(0)?);
        let axis = place(call.attrs.int("axis"), dims.len())?;
        let length = self.dims_of(update)[axis].clone();
        self.at_least(dims[axis].clone(), length.clone(), "the update is longer than the cache");
        self.force(cache);
        self.force(update);
        let begin = match call.optional(2) {
            Some(indices) => {
                self.force(indices);
                let begin = self.read(indices, &[Index::axis(0)]);
                self.cast_term(begin, DType::I64)
            }
            None => self.integer(0),
        };
        let here = self.place_on(axis);
        let mut step = self.minus(here, begin);
        if call.attrs.str("mode") == "circular" {
            let whole = self.number(&dims[axis]);
            step = self.apply(F::Mod, &[step, whole]);
        }
        let (inside, clamped) = (self.within(step, &length), self.clamped(step, &length));
        let mut at = identity(dims.len());
        at[axis] = self.terms.as_index(clamped);
        let (new, old) = (self.read(update, &at), self.here(cache));
        let term = self.choose(inside, new, old);
        Ok(self.lazy(dims, term))
    }

    /// `MaxUnpool`: zeros with the elements put where the indices say, in the shape they speak of.
    fn max_unpool(&mut self, call: &Call<'_>) -> Result<Handle> {
        let (from, indices, dims) = (call.operand(0)?, call.operand(1)?, call.dims(0)?);
        let (dtype, old) = (call.dtype(0), self.dims_of(from));
        let natural = unpooled(call, &old);
        if call.optional(2).is_some() {
            let wanted = self.sizes(call, 2)?;
            self.define_extents(&dims, &wanted);
        }
        let whole = self.allocate(dtype, &natural, "unpooled");
        let zero = self.zero(dtype);
        self.write_kernel(zero, None, &natural, &whole, "zeros");
        let indices = self.indices(indices);
        let args = vec![self.room_for(&whole, dtype), self.argument_of(indices), self.argument_of(from)];
        let mut numbers = vec![elem_code(dtype)?, Dim::fixed(0), Dim::fixed(0), Dim::fixed(1)];
        numbers.extend([Self::elements(&natural), Self::elements(&old)]);
        let function = "weft_rt_scatter_elements";
        self.step(Step::Call { function, args, dims: numbers, results: Vec::new() });
        let whole = self.view(dtype, natural.clone(), whole);
        if natural == dims {
            return Ok(whole);
        }
        let (mut at, mut inside) = (identity(dims.len()), None);
        for axis in 2..dims.len() {
            let position = self.position(Index::axis(axis as u32));
            let end = self.number(&natural[axis]);
            let within = self.test(F::Lt, position, end);
            inside = Some(self.both(inside, within));
            let clamped = self.clamped(position, &natural[axis]);
            at[axis] = self.terms.as_index(clamped);
        }
        let value = self.read(whole, &at);
        let term = inside.map_or(value, |inside| self.choose(inside, value, zero));
        Ok(self.lazy(dims, term))
    }
}

/// The number the runtime knows a reduction by.
fn reduction(call: &Call<'_>) -> Dim {
    let names = ["none", "add", "mul", "min", "max"];
    let found = names.iter().position(|name| *name == call.attrs.str("reduction"));
    Dim::fixed(found.unwrap_or(0) as i64)
}

/// The extents that the indices of `MaxUnpool` speak of.
fn unpooled(call: &Call<'_>, from: &[Dim]) -> Vec<Dim> {
    let (kernel, pads, steps) =
        (call.attrs.ints("kernel_shape"), call.attrs.ints("pads"), call.attrs.ints("strides"));
    let mut dims = from[..2].to_vec();
    for (axis, extent) in kernel.iter().enumerate() {
        let pad = pads.get(axis).unwrap_or(&0) + pads.get(kernel.len() + axis).unwrap_or(&0);
        let step = *steps.get(axis).unwrap_or(&1);
        dims.push(from[2 + axis].plus(-1).scale(step).plus(extent - pad));
    }
    dims
}
