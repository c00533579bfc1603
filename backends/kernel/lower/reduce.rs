//! Reductions, and what is made of reductions.
use super::anchor::Kind;
use super::formula::wide;
use super::movement::place;
use super::named::{either, flags_of};
use super::{Call, Handle, Lowering, Result, identity};
use crate::math::Function as F;
use crate::schedule::Combine;
use crate::term::{Index, TermId};
use weft_ir::{DType, Dim};

impl Lowering<'_> {
    /// Lowers a reduction.
    pub(crate) fn reduction(&mut self, call: &Call<'_>) -> Option<Result<Vec<Handle>>> {
        Some(match call.op() {
            "Softmax" | "LogSoftmax" => self.softmax(call).map(|h| vec![h]),
            op if op.starts_with("Reduce") => self.reduce(call).map(|h| vec![h]),
            "GlobalAveragePool" | "GlobalMaxPool" => self.global_pool(call).map(|h| vec![h]),
            _ => return None,
        })
    }

    /// For each axis whether a reduction removes it.
    fn reduced_axes(&mut self, call: &Call<'_>, rank: usize) -> Result<Vec<Dim>> {
        let axes = match call.optional(1) {
            Some(_) => self.integers(call, 1)?,
            None => Vec::new(),
        };
        if axes.is_empty() {
            let all = i64::from(!call.attrs.flag("noop_with_empty_axes"));
            return Ok(vec![Dim::fixed(all); rank]);
        }
        match axes.iter().map(|axis| place(axis.as_fixed()?, rank).ok()).collect::<Option<Vec<_>>>() {
            Some(axes) => Ok(flags_of(&axes, rank)),
            None => Ok(self.named(&axes, rank)?.flags()),
        }
    }

    fn reduce(&mut self, call: &Call<'_>) -> Result<Handle> {
        let from = call.operand(0)?;
        let rank = self.dims_of(from).len();
        let taken = self.reduced_axes(call, rank)?;
        self.define_reduced(call, from, &taken)?;
        let bool = call.dtype(0) == DType::Bool;
        let (before, combine, after): (Option<F>, Combine, Option<F>) = match call.op() {
            "ReduceSum" | "ReduceMean" => (None, Combine::Sum, None),
            "ReduceProd" => (None, Combine::Product, None),
            "ReduceMin" => (None, if bool { Combine::All } else { Combine::Min }, None),
            "ReduceMax" => (None, if bool { Combine::Any } else { Combine::Max }, None),
            "ReduceL1" => (Some(F::Abs), Combine::Sum, None),
            "ReduceL2" => (Some(F::Mul), Combine::Sum, Some(F::Sqrt)),
            "ReduceSumSquare" => (Some(F::Mul), Combine::Sum, None),
            "ReduceLogSum" => (None, Combine::Sum, Some(F::Log)),
            "ReduceLogSumExp" => return self.log_sum_exp(call, &taken),
            op => return Err(format!("`{op}` is not a reduction that compiled code knows")),
        };
        let term = self.read(from, &identity(rank));
        let term = match before {
            Some(F::Mul) => self.terms.call(self.terms.dtype(term), F::Mul, &[term, term]),
            Some(f) => self.terms.call(self.terms.dtype(term), f, &[term]),
            None => term,
        };
        let total = self.combined_where(from, term, &taken, combine)?;
        let divisor = (call.op() == "ReduceMean").then(|| self.count(from, &taken));
        let dims = call.dims(0)?;
        self.finished(call, total, after, divisor, dims)
    }

    /// What follows the reduction itself: a function, a division by a count, the result's type.
    fn finished(
        &mut self,
        call: &Call<'_>,
        total: Handle,
        after: Option<F>,
        divisor: Option<Dim>,
        dims: Vec<Dim>,
    ) -> Result<Handle> {
        let kept = self.with_ones(total, &dims);
        let mut term = self.read(kept, &identity(dims.len()));
        let dtype = self.terms.dtype(term);
        if let Some(f) = after {
            let wide = if dtype.is_float() { dtype } else { DType::F64 };
            let x = self.cast_term(term, wide);
            term = self.terms.call(wide, f, &[x]);
        }
        if let Some(count) = divisor {
            let count = self.number(&count);
            let count = self.cast_term(count, dtype);
            term = self.terms.call(dtype, F::Div, &[term, count]);
        }
        let term = self.cast_term(term, call.dtype(0));
        Ok(self.lazy(dims, term))
    }

    /// A reduced tensor, still without the reduced axes, as one that may have them with extent 1.
    fn with_ones(&mut self, total: Handle, dims: &[Dim]) -> Handle {
        if self.dims_of(total).len() == dims.len() { total } else { self.reshaped(total, dims) }
    }

    /// Gives extents of the result that hang on axes known only at run time their values.
    fn define_reduced(&mut self, call: &Call<'_>, from: Handle, taken: &[Dim]) -> Result<()> {
        let dims = call.dims(0)?;
        if !self.is_open(&dims) {
            return Ok(());
        }
        let (old, one) = (self.dims_of(from), Dim::fixed(1));
        let computed = if dims.len() == old.len() {
            taken.iter().zip(&old).map(|(flag, dim)| either(flag, &one, dim)).collect()
        } else {
            self.left_over(&old, taken, dims.len())
        };
        self.define_extents(&dims, &computed);
        Ok(())
    }

    /// How many elements are reduced to one.
    fn count(&self, from: Handle, taken: &[Dim]) -> Dim {
        let (dims, one) = (self.dims_of(from), Dim::fixed(1));
        taken.iter().zip(&dims).fold(one.clone(), |p, (flag, dim)| p.mul(&either(flag, dim, &one)))
    }

    /// Combines a term over the axes of `from`; the reduced axes stay with extent 1.
    pub(crate) fn combined(
        &mut self,
        from: Handle,
        term: TermId,
        axes: &[usize],
        combine: Combine,
    ) -> Result<Handle> {
        let taken = flags_of(axes, self.dims_of(from).len());
        self.combined_where(from, term, &taken, combine)
    }

    /// The same for axes by their flags. An axis of which only the run says whether it is reduced is
    /// both, with extent 1 where it is not what it turns out to be.
    fn combined_where(
        &mut self,
        from: Handle,
        term: TermId,
        taken: &[Dim],
        combine: Combine,
    ) -> Result<Handle> {
        let (dims, one) = (self.dims_of(from), Dim::fixed(1));
        let (mut inner, mut kept, mut places) = (Vec::new(), Vec::new(), Vec::new());
        for (axis, (flag, dim)) in taken.iter().zip(&dims).enumerate() {
            let (own, reduced) = (Index::axis(axis as u32), Index::axis((dims.len() + inner.len()) as u32));
            places.push(match flag.as_fixed() {
                Some(0) => own,
                Some(_) => reduced,
                None => own.add(&reduced),
            });
            kept.push(self.noted(either(flag, &one, dim)));
            if flag.as_fixed() != Some(0) {
                inner.push(self.noted(either(flag, dim, &one)));
            }
        }
        let input = self.terms.at(term, &|axis| places[axis as usize].clone());
        let wide = wide(self.terms.dtype(input));
        let input = self.cast_term(input, wide);
        Ok(self.anchor(Kind::Reduce { inner, input, combine }, wide, kept))
    }

    fn log_sum_exp(&mut self, call: &Call<'_>, taken: &[Dim]) -> Result<Handle> {
        let from = call.operand(0)?;
        self.force(from);
        let (max, sum) = self.max_and_sum_where(from, taken)?;
        let dims = self.dims_of(sum);
        let (max, sum) = (self.read(max, &identity(dims.len())), self.read(sum, &identity(dims.len())));
        let dtype = self.terms.dtype(sum);
        let log = self.terms.call(dtype, F::Log, &[sum]);
        let term = self.terms.call(dtype, F::Add, &[max, log]);
        let term = self.cast_term(term, call.dtype(0));
        let wide = self.lazy(dims, term);
        let dims = call.dims(0)?;
        Ok(self.with_ones(wide, &dims))
    }

    /// The greatest element, and the sum of `exp(x - greatest)`, along axes.
    pub(crate) fn max_and_sum(&mut self, from: Handle, axes: &[usize]) -> Result<(Handle, Handle)> {
        let taken = flags_of(axes, self.dims_of(from).len());
        self.max_and_sum_where(from, &taken)
    }

    fn max_and_sum_where(&mut self, from: Handle, taken: &[Dim]) -> Result<(Handle, Handle)> {
        let x = self.here(from);
        let max = self.combined_where(from, x, taken, Combine::Max)?;
        self.force(max);
        let difference = self.difference_where(from, max, taken);
        let shifted = self.apply(F::Exp, &[difference]);
        let sum = self.combined_where(from, shifted, taken, Combine::Sum)?;
        Ok((max, sum))
    }

    /// `x - max` at every element, where `max` has extent 1 on the axes.
    pub(crate) fn difference(&mut self, from: Handle, max: Handle, axes: &[usize]) -> TermId {
        let taken = flags_of(axes, self.dims_of(from).len());
        self.difference_where(from, max, &taken)
    }

    fn difference_where(&mut self, from: Handle, max: Handle, taken: &[Dim]) -> TermId {
        let (x, one) = (self.here(from), Dim::fixed(1));
        let place = |(axis, flag): (usize, &Dim)| Index::axis(axis as u32).scale(&one.sub(flag));
        let at: Vec<Index> = taken.iter().enumerate().map(place).collect();
        let max = self.read(max, &at);
        let x = self.cast_term(x, self.terms.dtype(max));
        self.minus(x, max)
    }

    fn global_pool(&mut self, call: &Call<'_>) -> Result<Handle> {
        let (from, dims) = (call.operand(0)?, call.dims(0)?);
        let rank = dims.len();
        let axes: Vec<usize> =
            if call.attrs.str("layout") == "nhwc" { (1..rank - 1).collect() } else { (2..rank).collect() };
        let term = self.read(from, &identity(rank));
        let average = call.op() == "GlobalAveragePool";
        let combine = if average { Combine::Sum } else { Combine::Max };
        let total = self.combined(from, term, &axes, combine)?;
        let divisor = average.then(|| self.count(from, &flags_of(&axes, rank)));
        self.finished(call, total, None, divisor, dims)
    }
}
