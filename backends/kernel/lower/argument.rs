//! Where the greatest or least element along an axis stands: the element first, then its place.
use super::movement::place;
use super::{Call, Handle, Lowering, Result, identity};
use crate::math::Function as F;
use crate::schedule::Combine;
use crate::term::Index;
use weft_ir::{DType, Dim};

impl Lowering<'_> {
    /// Lowers operators that look for a greatest element.
    pub(crate) fn argument(&mut self, call: &Call<'_>) -> Option<Result<Vec<Handle>>> {
        Some(match call.op() {
            "ArgMax" => self.arg(call, Combine::Max).map(|h| vec![h]),
            "ArgMin" => self.arg(call, Combine::Min).map(|h| vec![h]),
            "Hardmax" => self.hardmax(call).map(|h| vec![h]),
            _ => return None,
        })
    }

    fn arg(&mut self, call: &Call<'_>, combine: Combine) -> Result<Handle> {
        let (from, dims) = (call.operand(0)?, call.dims(0)?);
        let axis = place(call.attrs.int("axis"), self.dims_of(from).len())?;
        let found = self.extreme_place(from, axis, combine, call.attrs.flag("select_last_index"))?;
        if self.dims_of(found).len() == dims.len() {
            return Ok(found);
        }
        self.force(found);
        Ok(self.reshaped(found, &dims))
    }

    /// The place of the first (or last) greatest or least element; the axis stays with extent 1.
    fn extreme_place(&mut self, from: Handle, axis: usize, combine: Combine, last: bool) -> Result<Handle> {
        self.force(from);
        let x = self.here(from);
        let best = self.combined(from, x, &[axis], combine)?;
        self.force(best);
        let mut at = identity(self.dims_of(from).len());
        at[axis] = Index::fixed(0);
        let best = self.read(best, &at);
        let x = self.cast_term(x, self.terms.dtype(best));
        let found = self.same(x, best);
        let here = self.place_on(axis);
        let (none, first) = if last { (-1, Combine::Max) } else { (i64::MAX, Combine::Min) };
        let none = self.integer(none);
        let input = self.choose(found, here, none);
        self.combined(from, input, &[axis], first)
    }

    fn hardmax(&mut self, call: &Call<'_>) -> Result<Handle> {
        let (from, dims) = (call.operand(0)?, call.dims(0)?);
        let axis = place(call.attrs.int("axis"), dims.len())?;
        let found = self.extreme_place(from, axis, Combine::Max, false)?;
        self.force(found);
        let mut at = identity(dims.len());
        at[axis] = Index::fixed(0);
        let (first, here) = (self.read(found, &at), self.place_on(axis));
        let (one, zero) = (self.value(call.dtype(0), 1.0), self.zero(call.dtype(0)));
        let hit = self.test(F::Eq, first, here);
        let term = self.choose(hit, one, zero);
        Ok(self.lazy(dims, term))
    }

    /// Extents as a product.
    pub(crate) fn elements(dims: &[Dim]) -> Dim {
        dims.iter().fold(Dim::fixed(1), |p, d| p.mul(d))
    }

    /// A tensor of `i64` in memory, row-major; 32-bit indices are widened.
    pub(crate) fn indices(&mut self, handle: Handle) -> Handle {
        let wide = self.cast(handle, DType::I64);
        self.force(wide);
        wide
    }
}
