//! Pooling over regions of images.
use super::anchor::Kind;
use super::formula::wide;
use super::{Call, Handle, Lowering, Result};
use crate::math::Function as F;
use crate::schedule::Combine;
use crate::term::{Index, TermId};
use weft_ir::{DType, Dim};

/// One axis of all regions.
struct Span {
    /// The extent of the image.
    extent: Dim,
    /// How many cells.
    cells: Dim,
    /// Where the region begins, in pixels.
    start: TermId,
    /// How large a cell is.
    cell: TermId,
    /// How many samples a cell has, as a float.
    samples: TermId,
    /// The most samples of any region.
    most: Dim,
}

impl Lowering<'_> {
    /// Lowers pooling over regions.
    pub(crate) fn regional(&mut self, call: &Call<'_>) -> Option<Result<Vec<Handle>>> {
        Some(match call.op() {
            "RoiAlign" => self.roi_align(call).map(|h| vec![h]),
            "MaxRoiPool" => self.max_roi_pool(call).map(|h| vec![h]),
            _ => return None,
        })
    }

    /// Number `i` of the region at axis 0, as the type to compute in.
    fn roi_number(&mut self, rois: Handle, i: i64, dtype: DType) -> TermId {
        let number = self.read(rois, &[Index::axis(0), Index::fixed(i)]);
        self.cast_term(number, dtype)
    }

    fn span(&mut self, call: &Call<'_>, (rois, axis): (Handle, usize), dtype: DType) -> Result<Span> {
        let (x, dims) = (call.operand(0)?, call.dims(0)?);
        let half_pixel = call.attrs.str("coordinate_transformation_mode") == "half_pixel";
        let scale = self.value(dtype, call.attrs.float("spatial_scale").into());
        let shift = self.value(dtype, if half_pixel { 0.5 } else { 0.0 });
        let [start, end] = [1 - axis as i64, 3 - axis as i64].map(|i| {
            let number = self.roi_number(rois, i, dtype);
            let scaled = self.times(number, scale);
            self.minus(scaled, shift)
        });
        let mut length = self.minus(end, start);
        if !half_pixel {
            let one = self.value(dtype, 1.0);
            length = self.apply(F::Max, &[length, one]);
        }
        let cells = self.number(&dims[2 + axis]);
        let cells = self.cast_term(cells, dtype);
        let cell = self.over(length, cells);
        let (samples, most) = match call.attrs.int("sampling_ratio") {
            0 => {
                let (whole, zero) = (self.apply(F::Ceil, &[cell]), self.zero(dtype));
                let samples = self.apply(F::Max, &[whole, zero]);
                let counts = self.lazy(vec![self.dims_of(rois)[0].clone()], samples);
                self.force(counts);
                let count = self.here(counts);
                let count = self.cast_term(count, DType::I64);
                let most = self.combined(counts, count, &[0], Combine::Max)?;
                (samples, self.measured(most)?)
            }
            given => (self.value(dtype, given as f64), Dim::fixed(given)),
        };
        let extent = self.dims_of(x)[2 + axis].clone();
        Ok(Span { extent, cells: dims[2 + axis].clone(), start, cell, samples, most })
    }

    /// The two elements next to sample `sample` of the cell at `axis`, with weights that are zero outside
    /// of the image, and whether the sample counts.
    fn neighbours_of(
        &mut self,
        span: &Span,
        (axis, sample): (usize, Index),
    ) -> (Vec<(Index, TermId)>, TermId, TermId) {
        let dtype = self.terms.dtype(span.cell);
        debug_assert!(span.cells.as_fixed() != Some(0));
        let (cell, number) = (self.place_on(axis), self.position(sample));
        let (cell, number) = (self.cast_term(cell, dtype), self.cast_term(number, dtype));
        let (half, zero, one) = (self.value(dtype, 0.5), self.zero(dtype), self.value(dtype, 1.0));
        let counts = self.test(F::Lt, number, span.samples);
        let whole = self.times(cell, span.cell);
        let begin = self.plus(span.start, whole);
        let middle = self.plus(number, half);
        let part = self.times(middle, span.cell);
        let part = self.over(part, span.samples);
        let place = self.plus(begin, part);
        let (end, minus) = (self.number(&span.extent), self.value(dtype, -1.0));
        let end = self.cast_term(end, dtype);
        let (after, before) = (self.test(F::Le, minus, place), self.test(F::Le, place, end));
        let inside = self.test(F::And, after, before);
        let place = self.apply(F::Max, &[place, zero]);
        let floor = self.apply(F::Floor, &[place]);
        let ratio = self.minus(place, floor);
        let low = self.cast_term(floor, DType::I64);
        let last = self.number(&span.extent.plus(-1));
        let at_end = self.test(F::Le, last, low);
        let ratio = self.choose(at_end, zero, ratio);
        let rest = self.minus(one, ratio);
        let step = self.integer(1);
        let next = self.plus(low, step);
        let mut neighbours = Vec::new();
        for (place, weight) in [(low, rest), (next, ratio)] {
            let place = self.clamped(place, &span.extent);
            neighbours.push((self.terms.as_index(place), weight));
        }
        (neighbours, inside, counts)
    }

    fn roi_align(&mut self, call: &Call<'_>) -> Result<Handle> {
        let (x, rois, batches, dims) = (call.operand(0)?, call.operand(1)?, call.operand(2)?, call.dims(0)?);
        let dtype = wide(call.dtype(0));
        [x, rois, batches].into_iter().for_each(|h| drop(self.force(h)));
        let spans = [self.span(call, (rois, 0), dtype)?, self.span(call, (rois, 1), dtype)?];
        let size = self.dims_of(x);
        let batch = self.read(batches, &[Index::axis(0)]);
        let batch = self.bounded(batch, &size[0]);
        let (rows, in_rows, rows_count) = self.neighbours_of(&spans[0], (2, Index::axis(4)));
        let (columns, in_columns, columns_count) = self.neighbours_of(&spans[1], (3, Index::axis(5)));
        let mut parts = Vec::new();
        for (row, row_weight) in &rows {
            for (column, weight) in &columns {
                let value = self.read(x, &[batch.clone(), Index::axis(1), row.clone(), column.clone()]);
                let value = self.cast_term(value, dtype);
                let weighted = self.times(value, *row_weight);
                parts.push(self.times(weighted, *weight));
            }
        }
        let average = call.attrs.str("mode") == "avg";
        let f = if average { F::Add } else { F::Max };
        let joint = parts.iter().skip(1).fold(parts[0], |all, part| self.apply(f, &[all, *part]));
        let (inside, zero) = (self.test(F::And, in_rows, in_columns), self.zero(dtype));
        let value = self.choose(inside, joint, zero);
        let combine = if average { Combine::Sum } else { Combine::Max };
        let nothing = self.terms.constant(dtype, combine.neutral(dtype));
        let counts = self.test(F::And, rows_count, columns_count);
        let input = self.choose(counts, value, nothing);
        let inner = vec![spans[0].most.clone(), spans[1].most.clone()];
        let total = self.anchor(Kind::Reduce { inner, input, combine }, dtype, dims.clone());
        let mut term = self.here(total);
        let (count, one) = (self.times(spans[0].samples, spans[1].samples), self.value(dtype, 1.0));
        if average {
            let count = self.apply(F::Max, &[count, one]);
            term = self.over(term, count);
        } else {
            let some = self.test(F::Le, one, count);
            term = self.choose(some, term, zero);
        }
        let term = self.cast_term(term, call.dtype(0));
        Ok(self.lazy(dims, term))
    }

    /// First and last but one row (or column) of the cell at the place of the result.
    fn bin(&mut self, call: &Call<'_>, (rois, axis): (Handle, usize), extent: &Dim) -> (TermId, TermId) {
        let dtype = DType::F64;
        let scale = self.value(dtype, call.attrs.float("spatial_scale").into());
        let [low, high] = [2 - axis as i64, 4 - axis as i64].map(|i| {
            let number = self.roi_number(rois, i, dtype);
            let scaled = self.times(number, scale);
            self.rounded_away(scaled)
        });
        let (one, cells) =
            (self.value(dtype, 1.0), self.value(dtype, call.attrs.ints("pooled_shape")[axis] as f64));
        let length = self.minus(high, low);
        let length = self.plus(length, one);
        let length = self.apply(F::Max, &[length, one]);
        let size = self.over(length, cells);
        let cell = self.place_on(2 + axis);
        let cell = self.cast_term(cell, dtype);
        let next = self.plus(cell, one);
        let (begin, end) = (self.times(cell, size), self.times(next, size));
        let (begin, end) = (self.apply(F::Floor, &[begin]), self.apply(F::Ceil, &[end]));
        let (begin, end) = (self.plus(begin, low), self.plus(end, low));
        let (zero, most) = (self.zero(dtype), self.number(extent));
        let most = self.cast_term(most, dtype);
        let [begin, end] = [begin, end].map(|edge| {
            let edge = self.apply(F::Max, &[edge, zero]);
            let edge = self.apply(F::Min, &[edge, most]);
            self.cast_term(edge, DType::I64)
        });
        (begin, end)
    }

    /// To the nearest integer, halves away from zero.
    fn rounded_away(&mut self, x: TermId) -> TermId {
        let dtype = self.terms.dtype(x);
        let (half, zero, size) = (self.value(dtype, 0.5), self.zero(dtype), self.apply(F::Abs, &[x]));
        let up = self.plus(size, half);
        let whole = self.apply(F::Floor, &[up]);
        let (minus, negative) = (self.apply(F::Neg, &[whole]), self.test(F::Lt, x, zero));
        self.choose(negative, minus, whole)
    }

    fn max_roi_pool(&mut self, call: &Call<'_>) -> Result<Handle> {
        let (x, rois, dims) = (call.operand(0)?, call.operand(1)?, call.dims(0)?);
        let (size, dtype) = (self.dims_of(x), wide(call.dtype(0)));
        self.force(x);
        self.force(rois);
        let batch = self.read(rois, &[Index::axis(0), Index::fixed(0)]);
        let batch = self.bounded(batch, &size[0]);
        let (mut at, mut within, mut some) = (vec![batch, Index::axis(1)], None, None);
        for axis in 0..2 {
            let (begin, end) = self.bin(call, (rois, axis), &size[2 + axis]);
            // All rows (or columns) are looked at, and those of the cell count.
            let here = self.place_on(4 + axis);
            let (after, before) = (self.test(F::Le, begin, here), self.test(F::Lt, here, end));
            within = Some(self.both(within, after));
            within = Some(self.both(within, before));
            let any = self.test(F::Lt, begin, end);
            some = Some(self.both(some, any));
            at.push(Index::axis(4 + axis as u32));
        }
        let value = self.read(x, &at);
        let (value, zero) = (self.cast_term(value, dtype), self.zero(dtype));
        let nothing = self.terms.constant(dtype, Combine::Max.neutral(dtype));
        let input = within.map_or(value, |within| self.choose(within, value, nothing));
        let inner = size[2..].to_vec();
        let most = self.anchor(Kind::Reduce { inner, input, combine: Combine::Max }, dtype, dims.clone());
        let most = self.here(most);
        let term = some.map_or(most, |some| self.choose(some, most, zero));
        let term = self.cast_term(term, call.dtype(0));
        Ok(self.lazy(dims, term))
    }
}
