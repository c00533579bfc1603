//! Running totals.
use super::formula::wide;
use super::movement::place;
use super::runtime::known_integers;
use super::{Call, Handle, Lowering, Result, View, identity};
use crate::schedule::{self, Combine, Scan};
use weft_ir::Dim;

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
        let axis = known_integers(call, 1).ok_or("the axis is known only at run time")?;
        let axis = axis.first().and_then(Dim::as_fixed).ok_or("the axis is no number")?;
        let axis = place(axis, dims.len())?;
        self.force(from);
        let x = self.here(from);
        let root = self.cast_term(x, wide(call.dtype(0)));
        let to = self.target(call, 0, &dims);
        let what = Scan {
            dims: dims.clone(),
            axis,
            root,
            combine,
            exclusive: call.attrs.flag("exclusive"),
            reverse: call.attrs.flag("reverse"),
            out: to.address(&identity(dims.len())),
            elem: call.dtype(0),
        };
        let name = self.kernel_name(call.graph.name_of(call.result(0)));
        let scheduled = schedule::scan(&name, &self.machine, &self.terms, &what);
        self.launch(scheduled, to.memory);
        Ok(self.view(call.dtype(0), dims, to))
    }

    /// A tensor that a step of its own has put into memory.
    pub(crate) fn stored(&mut self, call: &Call<'_>, slot: u32, view: View) -> Result<Handle> {
        Ok(self.view(call.dtype(slot), call.dims(slot)?, view))
    }
}
