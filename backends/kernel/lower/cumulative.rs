//! Running totals.
use super::formula::wide;
use super::movement::place;
use super::{Call, Handle, Lowering, Result, View, identity};
use crate::schedule::{self, Combine, Scan};

impl Lowering<'_> {
    /// Lowers running totals.
    pub(crate) fn cumulative(&mut self, call: &Call<'_>) -> Option<Result<Vec<Handle>>> {
        Some(match call.op() {
            "CumSum" => self.running(call, Combine::Sum).map(|h| vec![h]),
            "CumProd" => self.running(call, Combine::Product).map(|h| vec![h]),
            _ => return None,
        })
    }

    fn running(&mut self, call: &Call<'_>, combine: Combine) -> Result<Handle> {
        let (from, dims) = (call.operand(0)?, call.dims(0)?);
        let axes = self.integers(call, 1)?;
        let axis = axes.first().ok_or("the axis is missing")?;
        if let Some(axis) = axis.as_fixed() {
            let axis = place(axis, dims.len())?;
            let to = self.target(call, 0, &dims);
            self.run_along(call, from, (axis, combine), &to);
            return Ok(self.view(call.dtype(0), dims, to));
        }
        // Whichever axis it is, the tensor is a block of rows along it.
        let flags = self.named(std::slice::from_ref(axis), dims.len())?.flags();
        let block = self.around_named(&dims, &flags);
        let from = self.reshaped(from, &block);
        let to = self.allocate(call.dtype(0), &block, "totals");
        self.run_along(call, from, (1, combine), &to);
        let totals = self.view(call.dtype(0), block.to_vec(), to);
        Ok(self.reshaped(totals, &dims))
    }

    /// The totals of a tensor along an axis, into memory.
    fn run_along(&mut self, call: &Call<'_>, from: Handle, (axis, combine): (usize, Combine), to: &View) {
        let dims = self.dims_of(from);
        self.force(from);
        let x = self.here(from);
        let root = self.cast_term(x, wide(call.dtype(0)));
        let what = Scan {
            axis,
            root,
            combine,
            exclusive: call.attrs.flag("exclusive"),
            reverse: call.attrs.flag("reverse"),
            out: to.address(&identity(dims.len())),
            elem: call.dtype(0),
            dims,
        };
        let name = self.kernel_name(call.graph.name_of(call.result(0)));
        let scheduled = schedule::scan(&name, &self.machine, &self.terms, &what);
        self.launch(scheduled, to.memory);
    }

    /// A tensor that a step of its own has put into memory.
    pub(crate) fn stored(&mut self, call: &Call<'_>, slot: u32, view: View) -> Result<Handle> {
        Ok(self.view(call.dtype(slot), call.dims(slot)?, view))
    }
}
