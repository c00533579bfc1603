//! Numbers that the host learns from tensors: extents that follow from data.
//!
//! Arithmetic on extents takes every symbol for a number that is not negative. So a number of either
//! sign is read as two: how far it is above zero, and how far below.
use super::runtime::known_integers;
use super::{Call, Handle, Lowering, Result, View};
use crate::math::Function as F;
use crate::program::Step;
use crate::term::{Index, TermId};
use weft_ir::{DType, Dim};

/// Numbers beyond this (bounds that mean "all") are read as this.
pub(crate) const FAR: i64 = 1 << 40;

impl Lowering<'_> {
    /// A fresh symbol, set by a step that is still to come.
    pub(crate) fn fresh_symbol(&mut self, stem: &str) -> (u32, Dim) {
        let name = format!("?{stem}#{}", self.program.symbols.len());
        (self.symbol(&name), Dim::symbol(&name))
    }

    /// The elements of an integer operand: known now, or read at run time into symbols of their own.
    pub(crate) fn integers(&mut self, call: &Call<'_>, operand: usize) -> Result<Vec<Dim>> {
        let (values, count) = match self.known_or_vector(call, operand)? {
            Ok(known) => return Ok(known),
            Err(vector) => vector,
        };
        let (value, least) = (self.here(values), self.integer(-FAR));
        // The least number of all has no opposite.
        let value = self.apply(F::Max, &[value, least]);
        let (value, minus) = (value, self.apply(F::Neg, &[value]));
        let (above, below) = (self.learned(value, count)?, self.learned(minus, count)?);
        Ok(above.iter().zip(&below).map(|(a, b)| a.sub(b)).collect())
    }

    /// The same for numbers that mean extents or counts; negative ones are read as zero.
    pub(crate) fn sizes(&mut self, call: &Call<'_>, operand: usize) -> Result<Vec<Dim>> {
        let (values, count) = match self.known_or_vector(call, operand)? {
            Ok(known) => return Ok(known),
            Err(vector) => vector,
        };
        let value = self.here(values);
        self.learned(value, count)
    }

    /// What is known of an operand, or the operand as a vector of `i64` with its length.
    fn known_or_vector(
        &mut self,
        call: &Call<'_>,
        operand: usize,
    ) -> Result<std::result::Result<Vec<Dim>, (Handle, i64)>> {
        let handle = call.operand(operand)?;
        if let Some(known) = known_integers(call, operand) {
            return Ok(Ok(known));
        }
        let dims = self.dims_of(handle);
        if !self.dtype_of(handle).is_int() || dims.len() > 1 {
            return Err(format!("operand {operand} is no vector of integers"));
        }
        let count = dims.first().map_or(Some(1), Dim::as_fixed);
        let count =
            count.ok_or_else(|| format!("the length of operand {operand} is known only at run time"))?;
        if count == 0 {
            return Ok(Ok(Vec::new()));
        }
        let wide = self.cast(handle, DType::I64);
        let vector = if dims.is_empty() { self.reshaped(wide, &[Dim::fixed(1)]) } else { wide };
        self.no_anchor(vector);
        Ok(Err((vector, count)))
    }

    /// The values of a term over one axis of so many places, those below zero as zero.
    fn learned(&mut self, term: TermId, count: i64) -> Result<Vec<Dim>> {
        let (zero, far) = (self.integer(0), self.integer(FAR));
        let term = self.apply(F::Max, &[term, zero]);
        let term = self.apply(F::Min, &[term, far]);
        let numbers = self.lazy(vec![Dim::fixed(count)], term);
        let View { memory, .. } = self.force(numbers);
        let mut learned = Vec::new();
        for index in 0..count {
            let (symbol, dim) = self.fresh_symbol("number");
            self.step(Step::Read { symbol, from: memory, dtype: DType::I64, index });
            learned.push(dim);
        }
        Ok(learned)
    }

    /// The first element of an integer tensor, read by the host; negative ones as zero.
    pub(crate) fn measured(&mut self, handle: Handle) -> Result<Dim> {
        let rank = self.dims_of(handle).len();
        self.no_anchor(handle);
        let term = self.read(handle, &vec![Index::fixed(0); rank]);
        self.measured_term(term)
    }

    /// The value of an integer term that is the same everywhere, read by the host; negative ones as zero.
    pub(crate) fn measured_term(&mut self, term: TermId) -> Result<Dim> {
        let term = self.cast_term(term, DType::I64);
        self.learned(term, 1)?.pop().ok_or_else(|| "a number is missing".to_string())
    }
}
