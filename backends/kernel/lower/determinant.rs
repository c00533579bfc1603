//! `Det`: small matrices by their minors, each computed once.
use super::formula::wide;
use super::{Call, Handle, Lowering, Result, identity};
use crate::math::Function as F;
use crate::term::{Index, TermId};
use std::collections::BTreeMap;

/// The number of minors doubles with each row.
const MOST_ROWS: usize = 6;

impl Lowering<'_> {
    /// Lowers `Det`.
    pub(crate) fn determinant(&mut self, call: &Call<'_>) -> Option<Result<Vec<Handle>>> {
        (call.op() == "Det").then(|| self.det(call).map(|h| vec![h]))
    }

    fn det(&mut self, call: &Call<'_>) -> Result<Handle> {
        let (from, dims) = (call.operand(0)?, call.dims(0)?);
        let rows = self.dims_of(from).last().and_then(weft_ir::Dim::as_fixed);
        let rows = rows.and_then(|n| usize::try_from(n).ok()).filter(|n| *n <= MOST_ROWS);
        let rows = rows.ok_or_else(|| format!("compiled code knows matrices of at most {MOST_ROWS} rows"))?;
        self.force(from);
        let dtype = wide(call.dtype(0));
        // The minors of the last rows, by the set of their columns.
        let mut minors = BTreeMap::from([(0u32, self.value(dtype, 1.0))]);
        for row in (0..rows).rev() {
            let elements: Vec<TermId> = (0..rows).map(|column| self.element(from, row, column)).collect();
            minors = self.larger_minors(&minors, &elements);
        }
        let term = minors.into_values().next().ok_or("there is no minor")?;
        let term = self.cast_term(term, call.dtype(0));
        Ok(self.lazy(dims, term))
    }

    fn element(&mut self, from: Handle, row: usize, column: usize) -> TermId {
        let mut at = identity(self.dims_of(from).len() - 2);
        at.extend([row, column].map(|i| Index::fixed(i as i64)));
        let value = self.read(from, &at);
        self.cast_term(value, wide(self.terms.dtype(value)))
    }

    /// The minors with one more row above, expanded along that.
    fn larger_minors(&mut self, minors: &BTreeMap<u32, TermId>, row: &[TermId]) -> BTreeMap<u32, TermId> {
        let mut larger: BTreeMap<u32, TermId> = BTreeMap::new();
        for (columns, minor) in minors {
            for (column, element) in row.iter().enumerate().filter(|(c, _)| columns >> c & 1 == 0) {
                let product = self.times(*element, *minor);
                // The sign of the place of the column among those of the new minor.
                let before = (columns & ((1 << column) - 1)).count_ones();
                let part = if before % 2 == 0 { product } else { self.apply(F::Neg, &[product]) };
                let columns = columns | 1 << column;
                let sum = larger.get(&columns).copied();
                let sum = sum.map_or(part, |sum| self.plus(sum, part));
                larger.insert(columns, sum);
            }
        }
        larger
    }
}
