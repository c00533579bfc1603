//! `Resize`: every resized axis is a table of neighbours with weights, computed before the elements.
mod axis;
mod blend;
mod table;

use super::{Call, Handle, Lowering, Result};
use crate::math::Function as F;
use crate::term::{Index, TermId};
use axis::Axis;
use table::Table;
use weft_ir::DType;

const F32: DType = DType::F32;

/// So many neighbours of an element are summed in one term.
const FEW: i64 = 8;

impl Lowering<'_> {
    /// Lowers `Resize`.
    pub(crate) fn resizing(&mut self, call: &Call<'_>) -> Option<Result<Vec<Handle>>> {
        (call.op() == "Resize").then(|| self.resize(call).map(|h| vec![h]))
    }

    fn resize(&mut self, call: &Call<'_>) -> Result<Handle> {
        let (from, dims) = (call.operand(0)?, call.dims(0)?);
        let axes = self.resized(call, from, &dims)?;
        self.force(from);
        let axes: Vec<Axis> = axes.into_iter().filter(|axis| !axis.is_identity(call)).collect();
        let mut tables = Vec::new();
        for axis in &axes {
            tables.push(self.table(call, axis)?);
        }
        let counts: Option<Vec<i64>> = tables.iter().map(|t| t.neighbours.as_fixed()).collect();
        let value = match counts.filter(|counts| counts.iter().product::<i64>() <= FEW) {
            Some(counts) => self.blended_at_once(from, &tables, &counts),
            None => self.blended_in_turn(from, &tables, &dims),
        };
        let value = self.extrapolated(call, value, &tables);
        let term = self.cut(value, call.dtype(0));
        Ok(self.lazy(dims, term))
    }

    /// What lies outside of the part that is taken has a value of its own.
    fn extrapolated(&mut self, call: &Call<'_>, value: TermId, tables: &[Table]) -> TermId {
        let mut outside = None;
        for table in tables {
            let Some(flags) = table.outside else { continue };
            let flag = self.read(flags, &[Index::fixed(0), Index::axis(table.at as u32)]);
            outside = Some(outside.map_or(flag, |all| self.test(F::Or, all, flag)));
        }
        let Some(outside) = outside else { return value };
        let fill = self.value(self.terms.dtype(value), call.attrs.float("extrapolation_value").into());
        self.choose(outside, fill, value)
    }

    /// A number as another type; what is beyond the range of an integer type ends there.
    pub(crate) fn cut(&mut self, value: TermId, dtype: DType) -> TermId {
        let from = self.terms.dtype(value);
        // Casts to whole bytes end there by themselves.
        let whole = matches!(dtype.bits(), 8 | 16 | 32);
        if from == dtype || !from.is_float() || !dtype.is_int() || whole {
            return self.cast_term(value, dtype);
        }
        let bits = dtype.bits().min(63);
        let signed = dtype.kind() == weft_ir::types::Kind::Signed;
        let (low, high) = if signed {
            (-((1i64 << (bits - 1)) as f64), (1i64 << (bits - 1)) as f64 - 1.0)
        } else {
            (0.0, (1u64 << bits) as f64 - 1.0)
        };
        let (low, high) = (self.value(from, low), self.value(from, high));
        let value = self.apply(F::Max, &[value, low]);
        let value = self.apply(F::Min, &[value, high]);
        self.cast_term(value, dtype)
    }
}
