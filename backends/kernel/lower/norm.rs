//! Normalisations: rows brought to mean 0 and variance 1, then scaled and moved.
//!
//! All of them go through [`Lowering::statistics`], two reductions over a tensor in memory.
use super::anchor::Kind;
use super::formula::wide;
use super::movement::place;
use super::row::is_used;
use super::{Call, Handle, Lowering, Result, identity};
use crate::math::Function as F;
use crate::schedule::{Combine, Norm};
use crate::term::{Index, TermId};
use weft_ir::{DType, Dim};

/// What is known of the rows of a tensor; reduced axes have extent 1.
struct Statistics {
    /// The means, unless rows keep theirs.
    mean: Option<Handle>,
    /// The mean squares of what is left without the mean.
    variance: Handle,
}

impl Lowering<'_> {
    /// Lowers a normalisation.
    pub(crate) fn normalisation(&mut self, call: &Call<'_>) -> Option<Result<Vec<Handle>>> {
        Some(match call.op() {
            "LayerNormalization" => self.layer_norm(call),
            "RMSNormalization" | "com.microsoft.SimplifiedLayerNormalization" => self.rms_norm(call),
            "com.microsoft.SkipLayerNormalization" | "com.microsoft.SkipSimplifiedLayerNormalization" => {
                self.skip_norm(call)
            }
            "InstanceNormalization" | "GroupNormalization" => self.group_norm(call).map(|h| vec![h]),
            "BatchNormalization" => self.batch_norm(call),
            "LpNormalization" => self.lp_norm(call).map(|h| vec![h]),
            "MeanVarianceNormalization" => self.mean_variance_norm(call).map(|h| vec![h]),
            "LRN" => self.near_channels(call).map(|h| vec![h]),
            _ => return None,
        })
    }

    /// Means and mean squares over some axes of a tensor in memory, both in memory.
    fn statistics(&mut self, from: Handle, axes: &[usize], centred: bool) -> Result<Statistics> {
        let mut x = self.wide_element(from);
        let mut mean = None;
        if centred {
            let found = self.averaged(from, x, axes)?;
            let at = kept(self.dims_of(from).len(), axes);
            let average = self.read(found, &at);
            x = self.minus(x, average);
            mean = Some(found);
        }
        let square = self.times(x, x);
        Ok(Statistics { mean, variance: self.averaged(from, square, axes)? })
    }

    /// The mean of a term over some axes of a tensor, in memory.
    fn averaged(&mut self, from: Handle, term: TermId, axes: &[usize]) -> Result<Handle> {
        let total = self.combined(from, term, axes, Combine::Sum)?;
        let from = self.dims_of(from);
        let count = axes.iter().fold(Dim::fixed(1), |p, a| p.mul(&from[*a]));
        let (sum, count, dims) = (self.here(total), self.number(&count), self.dims_of(total));
        let count = self.cast_term(count, self.terms.dtype(sum));
        let mean = self.over(sum, count);
        let mean = self.lazy(dims, mean);
        Ok(self.settled(mean))
    }

    /// The element at the place of the result, in the type it is computed in.
    fn wide_element(&mut self, from: Handle) -> TermId {
        let x = self.here(from);
        self.cast_term(x, wide(self.terms.dtype(x)))
    }

    /// `1 / sqrt(variance + epsilon)`.
    fn inverse_deviation(&mut self, variance: TermId, epsilon: f32) -> TermId {
        let dtype = self.terms.dtype(variance);
        let (epsilon, one) = (self.value(dtype, epsilon.into()), self.value(dtype, 1.0));
        let sum = self.plus(variance, epsilon);
        let root = self.apply(F::Sqrt, &[sum]);
        self.over(one, root)
    }

    /// The element less the mean, times the inverse deviation; reduced axes are read at `at`.
    fn brought(&mut self, from: Handle, found: &Statistics, at: &[Index], epsilon: f32) -> TermId {
        let mut x = self.wide_element(from);
        if let Some(mean) = found.mean {
            let mean = self.read(mean, at);
            x = self.minus(x, mean);
        }
        let variance = self.read(found.variance, at);
        let inverse = self.inverse_deviation(variance, epsilon);
        self.times(x, inverse)
    }

    /// A term times a factor and plus a summand that broadcast to `dims`, as the type asked for.
    fn scaled_and_moved(
        &mut self,
        mut x: TermId,
        (factor, summand): (Option<Handle>, Option<Handle>),
        dims: &[Dim],
        dtype: DType,
    ) -> Handle {
        for (operand, f) in [(factor, F::Mul), (summand, F::Add)] {
            let Some(operand) = operand else { continue };
            self.force(operand);
            let y = self.spread(operand, dims);
            let y = self.cast_term(y, self.terms.dtype(x));
            x = self.apply(f, &[x, y]);
        }
        let x = self.cast_term(x, dtype);
        self.lazy(dims.to_vec(), x)
    }

    /// Mean and inverse deviation as results.
    fn shown(&mut self, found: &Statistics, epsilon: f32, dtype: DType) -> [Handle; 2] {
        let inverse = self.here(found.variance);
        let inverse = self.inverse_deviation(inverse, epsilon);
        let inverse = self.cast_term(inverse, dtype);
        let dims = self.dims_of(found.variance);
        let inverse = self.lazy(dims, inverse);
        [found.mean.map_or(inverse, |mean| self.cast(mean, dtype)), inverse]
    }

    fn layer_norm(&mut self, call: &Call<'_>) -> Result<Vec<Handle>> {
        let from = call.operand(0)?;
        let axes = self.last_axes(from, call.attrs.int("axis"))?;
        self.layer_norm_of(call, from, &axes, (call.optional(1), call.optional(2)))
    }

    fn layer_norm_of(
        &mut self,
        call: &Call<'_>,
        from: Handle,
        axes: &[usize],
        affine: (Option<Handle>, Option<Handle>),
    ) -> Result<Vec<Handle>> {
        let (dims, epsilon) = (self.dims_of(from), call.attrs.float("epsilon"));
        if !is_used(call, 1) && !is_used(call, 2) {
            let normalised = self.normalised(from, axes.to_vec(), Norm::Centred(epsilon.into()));
            let x = self.here(normalised);
            let y = self.scaled_and_moved(x, affine, &dims, call.dtype(0));
            return Ok(vec![y; 3]);
        }
        self.force(from);
        let found = self.statistics(from, axes, true)?;
        let x = self.brought(from, &found, &kept(dims.len(), axes), epsilon);
        let y = self.scaled_and_moved(x, affine, &dims, call.dtype(0));
        let [mean, inverse] = self.shown(&found, epsilon, shown_type(call));
        Ok(vec![y, mean, inverse])
    }

    fn last_axes(&self, from: Handle, first: i64) -> Result<Vec<usize>> {
        let rank = self.dims_of(from).len();
        Ok((place(first, rank)?..rank).collect())
    }

    fn rms_norm(&mut self, call: &Call<'_>) -> Result<Vec<Handle>> {
        let from = call.operand(0)?;
        let axes = self.last_axes(from, call.attrs.int("axis"))?;
        let (y, inverse) = self.rms_norm_of(call, from, &axes, call.optional(1))?;
        Ok(vec![y, inverse])
    }

    fn rms_norm_of(
        &mut self,
        call: &Call<'_>,
        from: Handle,
        axes: &[usize],
        scale: Option<Handle>,
    ) -> Result<(Handle, Handle)> {
        let (dims, epsilon) = (self.dims_of(from), call.attrs.float("epsilon"));
        if !is_used(call, 1) && !is_used(call, 2) {
            let normalised = self.normalised(from, axes.to_vec(), Norm::Uncentred(epsilon.into()));
            let x = self.here(normalised);
            let y = self.scaled_and_moved(x, (scale, None), &dims, call.dtype(0));
            return Ok((y, y));
        }
        self.force(from);
        let found = self.statistics(from, axes, false)?;
        let x = self.brought(from, &found, &kept(dims.len(), axes), epsilon);
        let y = self.scaled_and_moved(x, (scale, None), &dims, call.dtype(0));
        let [_, inverse] = self.shown(&found, epsilon, shown_type(call));
        Ok((y, inverse))
    }

    /// A normalisation of `input + skip + bias`, which is the last result.
    fn skip_norm(&mut self, call: &Call<'_>) -> Result<Vec<Handle>> {
        let simple = call.op() == "com.microsoft.SkipSimplifiedLayerNormalization";
        let (x, dims) = (call.operand(0)?, call.dims(0)?);
        self.force(x);
        let mut sum = self.wide_element(x);
        for operand in [call.optional(1), call.optional(if simple { 3 } else { 4 })].into_iter().flatten() {
            self.force(operand);
            let term = self.spread(operand, &dims);
            let term = self.cast_term(term, self.terms.dtype(sum));
            sum = self.plus(sum, term);
        }
        let sum = self.cast_term(sum, call.dtype(0));
        let sum = self.lazy(dims, sum);
        if is_used(call, 3) {
            self.force(sum);
        }
        let axes = self.last_axes(sum, -1)?;
        if !simple {
            let mut results = self.layer_norm_of(call, sum, &axes, (call.optional(2), call.optional(3)))?;
            results.push(sum);
            return Ok(results);
        }
        let (y, inverse) = self.rms_norm_of(call, sum, &axes, call.optional(2))?;
        let element = self.wide_element(sum);
        let mean =
            if call.attrs.node.results.len() > 1 { self.averaged(sum, element, &axes)? } else { inverse };
        Ok(vec![y, mean, inverse, sum])
    }

    /// Groups of channels that lie behind each other: each group is a row.
    pub(crate) fn group_rows(&mut self, call: &Call<'_>, from: Handle, groups: &Dim) -> Result<Handle> {
        let dims = self.dims_of(from);
        let each = dims[1].div_floor(groups);
        let rest = dims[2..].iter().fold(each.clone(), |p, d| p.mul(d));
        self.force(from);
        let rows = self.reshaped(from, &[dims[0].clone(), groups.clone(), rest]);
        let found = self.statistics(rows, &[2], true)?;
        let group = self.quotient(Index::axis(1), &each);
        let at = [Index::axis(0), group, Index::fixed(0)];
        let x = self.brought(from, &found, &at, call.attrs.float("epsilon"));
        Ok(self.by_channel(call, x, (call.optional(1), call.optional(2)), &dims))
    }

    /// A position divided by an extent, rounded down.
    pub(crate) fn quotient(&mut self, index: Index, by: &Dim) -> Index {
        if by.as_fixed() == Some(1) {
            return index;
        }
        let (position, by) = (self.position(index), self.number(by));
        let quotient = self.apply(F::FloorDiv, &[position, by]);
        self.terms.as_index(quotient)
    }

    /// Scaled and moved by vectors along axis 1.
    pub(crate) fn by_channel(
        &mut self,
        call: &Call<'_>,
        x: TermId,
        (factor, summand): (Option<Handle>, Option<Handle>),
        dims: &[Dim],
    ) -> Handle {
        let mut column = |handle: Option<Handle>| handle.map(|h| self.column(h, dims.len()));
        let affine = (column(factor), column(summand));
        self.scaled_and_moved(x, affine, dims, call.dtype(0))
    }

    /// A vector so that it broadcasts along axis 1 of a tensor of that rank.
    fn column(&mut self, vector: Handle, rank: usize) -> Handle {
        let mut dims = vec![Dim::fixed(1); rank.saturating_sub(1).max(1)];
        dims[0] = self.dims_of(vector).first().cloned().unwrap_or_else(|| Dim::fixed(1));
        self.reshaped(vector, &dims)
    }

    fn batch_norm(&mut self, call: &Call<'_>) -> Result<Vec<Handle>> {
        let (from, dims, epsilon) = (call.operand(0)?, call.dims(0)?, call.attrs.float("epsilon"));
        let rank = dims.len();
        let mut running = Vec::new();
        let (mut mean, mut variance) = (call.operand(3)?, call.operand(4)?);
        if call.attrs.flag("training_mode") {
            self.force(from);
            let axes: Vec<usize> = (0..rank).filter(|a| *a != 1).collect();
            let found = self.statistics(from, &axes, true)?;
            let old = [mean, variance];
            let vector = [if rank > 1 { dims[1].clone() } else { Dim::fixed(1) }];
            mean = self.reshaped(found.mean.unwrap_or(mean), &vector);
            variance = self.reshaped(found.variance, &vector);
            running = vec![self.blended(call, old[0], mean), self.blended(call, old[1], variance)];
        }
        let (mean, variance) = (self.column(mean, rank), self.column(variance, rank));
        let spread = |cx: &mut Self, handle: Handle, like: TermId| {
            let term = cx.spread(handle, &dims);
            cx.cast_term(term, cx.terms.dtype(like))
        };
        let x = self.wide_element(from);
        let mean = spread(self, mean, x);
        let variance = spread(self, variance, x);
        let x = self.minus(x, mean);
        let inverse = self.inverse_deviation(variance, epsilon);
        let x = self.times(x, inverse);
        let y = self.by_channel(call, x, (call.optional(1), call.optional(2)), &dims);
        Ok([y].into_iter().chain(running).collect())
    }

    /// The running mean or variance after a step of training.
    fn blended(&mut self, call: &Call<'_>, old: Handle, new: Handle) -> Handle {
        let (dtype, dims) = (self.dtype_of(old), self.dims_of(old));
        let (before, found) = (self.here(old), self.here(new));
        let before = self.cast_term(before, self.terms.dtype(found));
        let momentum = f64::from(call.attrs.float("momentum"));
        let (keep, take) = (
            self.value(self.terms.dtype(found), momentum),
            self.value(self.terms.dtype(found), 1.0 - momentum),
        );
        let (before, found) = (self.times(before, keep), self.times(found, take));
        let term = self.plus(before, found);
        let term = self.cast_term(term, dtype);
        self.lazy(dims, term)
    }

    fn lp_norm(&mut self, call: &Call<'_>) -> Result<Handle> {
        let (from, dims) = (call.operand(0)?, call.dims(0)?);
        let axes = [place(call.attrs.int("axis"), dims.len())?];
        self.force(from);
        let x = self.wide_element(from);
        let squares = call.attrs.int("p") == 2;
        let part = if squares { self.times(x, x) } else { self.apply(F::Abs, &[x]) };
        let total = self.combined(from, part, &axes, Combine::Sum)?;
        self.force(total);
        let norm = self.read(total, &kept(dims.len(), &axes));
        let norm = if squares { self.apply(F::Sqrt, &[norm]) } else { norm };
        let zero = self.zero(self.terms.dtype(norm));
        let (none, ratio) = (self.test(F::Eq, norm, zero), self.over(x, norm));
        let term = self.choose(none, zero, ratio);
        let term = self.cast_term(term, call.dtype(0));
        Ok(self.lazy(dims, term))
    }

    fn mean_variance_norm(&mut self, call: &Call<'_>) -> Result<Handle> {
        let (from, dims) = (call.operand(0)?, call.dims(0)?);
        let axes =
            call.attrs.ints("axes").iter().map(|a| place(*a, dims.len())).collect::<Result<Vec<_>>>()?;
        self.force(from);
        let found = self.statistics(from, &axes, true)?;
        let at = kept(dims.len(), &axes);
        let x = self.wide_element(from);
        let (mean, variance) = (self.read(found.mean.unwrap_or(from), &at), self.read(found.variance, &at));
        let (x, root) = (self.minus(x, mean), self.apply(F::Sqrt, &[variance]));
        let little = self.value(self.terms.dtype(root), 1e-9);
        let deviation = self.plus(root, little);
        let term = self.over(x, deviation);
        let term = self.cast_term(term, call.dtype(0));
        Ok(self.lazy(dims, term))
    }

    /// `LRN`: over a power of the squares of near channels.
    fn near_channels(&mut self, call: &Call<'_>) -> Result<Handle> {
        let (from, dims, size) = (call.operand(0)?, call.dims(0)?, call.attrs.int("size").max(1));
        let rank = dims.len();
        self.force(from);
        let near = Index::axis(1).add(&Index::axis(rank as u32)).plus(&Dim::fixed(-((size - 1) / 2)));
        let position = self.position(near);
        let (within, clamped) = (self.within(position, &dims[1]), self.clamped(position, &dims[1]));
        let mut at = identity(rank);
        at[1] = self.terms.as_index(clamped);
        let x = self.read(from, &at);
        let x = self.cast_term(x, wide(call.dtype(0)));
        let (square, zero) = (self.times(x, x), self.zero(wide(call.dtype(0))));
        let input = self.choose(within, square, zero);
        let kind = Kind::Reduce { inner: vec![Dim::fixed(size)], input, combine: Combine::Sum };
        let total = self.anchor(kind, wide(call.dtype(0)), dims.clone());
        let (total, x) = (self.here(total), self.wide_element(from));
        let number = |cx: &mut Self, x: f64| cx.value(cx.terms.dtype(total), x);
        let alpha = number(self, f64::from(call.attrs.float("alpha")) / size as f64);
        let (bias, beta) =
            (number(self, call.attrs.float("bias").into()), number(self, call.attrs.float("beta").into()));
        let scaled = self.times(total, alpha);
        let sum = self.plus(bias, scaled);
        let power = self.apply(F::Pow, &[sum, beta]);
        let term = self.over(x, power);
        let term = self.cast_term(term, call.dtype(0));
        Ok(self.lazy(dims, term))
    }
}

/// The positions of the result with 0 on reduced axes.
fn kept(rank: usize, axes: &[usize]) -> Vec<Index> {
    let mut at = identity(rank);
    axes.iter().for_each(|a| at[*a] = Index::fixed(0));
    at
}

/// The type statistics are given out in.
fn shown_type(call: &Call<'_>) -> DType {
    let declared = call.attrs.def.attrs.iter().any(|a| a.name == "stash_type");
    if declared { call.attrs.dtype("stash_type").unwrap_or(DType::F32) } else { DType::F32 }
}
