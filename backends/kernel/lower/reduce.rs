//! Reductions, and what is made of reductions.
use super::anchor::Kind;
use super::movement::place;
use super::runtime::known_integers;
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

    /// Which axes a reduction removes.
    fn reduced_axes(&mut self, call: &Call<'_>, rank: usize) -> Result<Vec<usize>> {
        let axes = match call.optional(1) {
            Some(_) => {
                let axes = known_integers(call, 1).ok_or("the axes are known only at run time")?;
                axes.iter()
                    .map(|a| place(a.as_fixed().unwrap_or(i64::MAX), rank))
                    .collect::<Result<Vec<_>>>()?
            }
            None => Vec::new(),
        };
        let all = axes.is_empty() && !call.attrs.flag("noop_with_empty_axes");
        Ok(if all { (0..rank).collect() } else { axes })
    }

    fn reduce(&mut self, call: &Call<'_>) -> Result<Handle> {
        let from = call.operand(0)?;
        let rank = self.dims_of(from).len();
        let axes = self.reduced_axes(call, rank)?;
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
            "ReduceLogSumExp" => return self.log_sum_exp(call, &axes),
            op => return Err(format!("`{op}` is not a reduction that compiled code knows")),
        };
        let term = self.read(from, &identity(rank));
        let term = match before {
            Some(F::Mul) => self.terms.call(self.terms.dtype(term), F::Mul, &[term, term]),
            Some(f) => self.terms.call(self.terms.dtype(term), f, &[term]),
            None => term,
        };
        let total = self.combined(from, term, &axes, combine)?;
        let divisor = (call.op() == "ReduceMean").then(|| self.count(from, &axes));
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

    /// How many elements are reduced to one.
    fn count(&self, from: Handle, axes: &[usize]) -> Dim {
        let dims = self.dims_of(from);
        axes.iter().fold(Dim::fixed(1), |p, a| p.mul(&dims[*a]))
    }

    /// Combines a term over the axes of `from`; the reduced axes stay with extent 1.
    pub(crate) fn combined(
        &mut self,
        from: Handle,
        term: TermId,
        axes: &[usize],
        combine: Combine,
    ) -> Result<Handle> {
        let dims = self.dims_of(from);
        let rank = dims.len();
        let place = |axis: u32| match axes.iter().position(|a| *a == axis as usize) {
            Some(i) => Index::axis((rank + i) as u32),
            None => Index::axis(axis),
        };
        let input = self.terms.at(term, &place);
        let wide = match self.terms.dtype(input) {
            DType::F16 | DType::Bf16 => DType::F32,
            same => same,
        };
        let input = self.cast_term(input, wide);
        let inner: Vec<Dim> = axes.iter().map(|a| dims[*a].clone()).collect();
        let mut kept = dims;
        for axis in axes {
            kept[*axis] = Dim::fixed(1);
        }
        Ok(self.anchor(Kind::Reduce { inner, input, combine }, wide, kept))
    }

    fn log_sum_exp(&mut self, call: &Call<'_>, axes: &[usize]) -> Result<Handle> {
        let from = call.operand(0)?;
        self.force(from);
        let (max, sum) = self.max_and_sum(from, axes)?;
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
        let rank = self.dims_of(from).len();
        let x = self.read(from, &identity(rank));
        let max = self.combined(from, x, axes, Combine::Max)?;
        self.force(max);
        let shifted = self.shifted_exp(from, max, axes);
        let sum = self.combined(from, shifted, axes, Combine::Sum)?;
        Ok((max, sum))
    }

    /// `exp(x - max)`, where infinities of the maximum count as zero.
    fn shifted_exp(&mut self, from: Handle, max: Handle, axes: &[usize]) -> TermId {
        let difference = self.difference(from, max, axes);
        self.terms.call(self.terms.dtype(difference), F::Exp, &[difference])
    }

    pub(crate) fn difference(&mut self, from: Handle, max: Handle, axes: &[usize]) -> TermId {
        let rank = self.dims_of(from).len();
        let x = self.read(from, &identity(rank));
        let mut at = identity(rank);
        axes.iter().for_each(|a| at[*a] = Index::fixed(0));
        let max = self.read(max, &at);
        let dtype = self.terms.dtype(max);
        let x = self.cast_term(x, dtype);
        self.terms.call(dtype, F::Sub, &[x, max])
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
        let divisor = average.then(|| self.count(from, &axes));
        self.finished(call, total, None, divisor, dims)
    }
}
