//! The neighbours of the elements of a resized axis, and what they weigh.
use super::F32;
use super::axis::Axis;
use crate::lower::{Call, Handle, Lowering, Result};
use crate::math::Function as F;
use crate::schedule::Combine;
use crate::term::{Index, TermId};
use weft_ir::{DType, Dim};

/// The neighbours of each element of a resized axis: tensors `[neighbours, extent]` in memory.
pub(super) struct Table {
    pub(super) at: usize,
    pub(super) neighbours: Dim,
    /// Where they are.
    pub(super) places: Handle,
    /// What they weigh, unless there is one only.
    pub(super) weights: Option<Handle>,
    /// Whether the element lies outside of what is taken, `[extent]`.
    pub(super) outside: Option<Handle>,
}

/// How much narrower than elements of the result the filter is.
struct Shrink {
    /// The factor, in the type of the weights.
    by: TermId,
    /// Whether it is 1 whatever the scale.
    is_one: bool,
    /// How many neighbours there are on each side.
    side: Dim,
}

impl Lowering<'_> {
    pub(super) fn table(&mut self, call: &Call<'_>, axis: &Axis) -> Result<Table> {
        let mode = call.attrs.str("coordinate_transformation_mode");
        // Axis 0 of the tables counts neighbours, axis 1 elements.
        let i = self.place_on(1);
        let i = self.cast_term(i, F32);
        let x = self.sampled_at(mode, axis, i);
        let outside = (mode == "tf_crop_and_resize").then(|| self.outside(axis, x));
        let at = axis.at;
        if call.attrs.str("mode") == "nearest" {
            let nearest = self.nearest(call.attrs.str("nearest_mode"), x);
            let nearest = self.cast_term(nearest, DType::I64);
            let place = self.clamped(nearest, &axis.from);
            let one = Dim::fixed(1);
            let places = self.tabled(place, &one, &axis.to);
            return Ok(Table { at, neighbours: one, places, weights: None, outside });
        }
        let (neighbours, places, weights) = self.weighted_neighbours(call, axis, x)?;
        Ok(Table { at, neighbours, places, weights: Some(weights), outside })
    }

    /// Where element `i` of the result lies in the operand, in `f32` as everyone does it: which
    /// neighbour is nearest hangs on the rounding.
    fn sampled_at(&mut self, mode: &str, axis: &Axis, i: TermId) -> TermId {
        let (from, to) = (self.extent_as_float(&axis.from), self.extent_as_float(&axis.to));
        let (one, half, two) = (self.value(F32, 1.0), self.value(F32, 0.5), self.value(F32, 2.0));
        let middle = self.plus(i, half);
        let scaled = self.over(middle, axis.scale);
        let half_pixel = self.minus(scaled, half);
        let (last_from, last_to) = (self.minus(from, one), self.minus(to, one));
        let (single, zero) = (self.test(F::Le, to, one), self.value(F32, 0.0));
        match mode {
            "half_pixel_symmetric" => {
                let ideal = self.times(axis.scale, from);
                let adjustment = self.over(to, ideal);
                let centre = self.over(from, two);
                let rest = self.minus(one, adjustment);
                let offset = self.times(centre, rest);
                let moved = self.plus(offset, scaled);
                self.minus(moved, half)
            }
            "pytorch_half_pixel" => self.choose(single, zero, half_pixel),
            "align_corners" => {
                let product = self.times(i, last_from);
                let place = self.over(product, last_to);
                self.choose(single, zero, place)
            }
            "asymmetric" => self.over(i, axis.scale),
            "tf_crop_and_resize" => {
                let (start, end) = axis.roi;
                let (sum, width) = (self.plus(start, end), self.minus(end, start));
                let centre = self.times(half, sum);
                let centre = self.times(centre, last_from);
                let first = self.times(start, last_from);
                let reach = self.times(i, width);
                let reach = self.times(reach, last_from);
                let reach = self.over(reach, last_to);
                let place = self.plus(first, reach);
                self.choose(single, centre, place)
            }
            _ => half_pixel,
        }
    }

    /// The neighbours of a place with what they weigh, both as tables.
    fn weighted_neighbours(
        &mut self,
        call: &Call<'_>,
        axis: &Axis,
        x: TermId,
    ) -> Result<(Dim, Handle, Handle)> {
        let dtype = match call.dtype(0) {
            DType::F64 => DType::F64,
            _ => F32,
        };
        let cubic = call.attrs.str("mode") == "cubic";
        let shrink = self.shrink(call, axis, dtype)?;
        let (first, neighbours) = (Dim::fixed(1).sub(&shrink.side), shrink.side.scale(2));
        let low = self.apply(F::Floor, &[x]);
        let ratio = self.minus(x, low);
        let ratio = self.cast_term(ratio, dtype);
        let number = self.position(Index::axis(0).plus(&first));
        let float = self.cast_term(number, dtype);
        let distance = self.minus(float, ratio);
        let distance = if shrink.is_one { distance } else { self.times(distance, shrink.by) };
        let mut weight = if cubic {
            self.cubic_weight(distance, call.attrs.float("cubic_coeff_a").into())
        } else {
            self.linear_weight(distance)
        };
        let low = self.cast_term(low, DType::I64);
        let place = self.plus(low, number);
        let exclude = call.attrs.flag("exclude_outside");
        if exclude {
            let (inside, zero) = (self.within(place, &axis.from), self.zero(dtype));
            weight = self.choose(inside, weight, zero);
        }
        let mut weights = self.tabled(weight, &neighbours, &axis.to);
        if exclude || !shrink.is_one {
            weights = self.in_parts_of_one(weights)?;
        }
        let place = self.clamped(place, &axis.from);
        let places = self.tabled(place, &neighbours, &axis.to);
        Ok((neighbours, places, weights))
    }

    /// The filter is as wide as an element of the operand, or of the result when antialiasing downwards.
    fn shrink(&mut self, call: &Call<'_>, axis: &Axis, dtype: DType) -> Result<Shrink> {
        let reach = if call.attrs.str("mode") == "cubic" { 2.0 } else { 1.0 };
        let factor = if call.attrs.flag("antialias") { axis.factor } else { Some(1.0) };
        if let Some(factor) = factor {
            let by = f64::from(factor).min(1.0);
            let side = Dim::fixed((reach / by).ceil() as i64);
            return Ok(Shrink { by: self.value(dtype, by), is_one: by == 1.0, side });
        }
        let (scale, one, reach) = (
            self.cast_term(axis.scale, DType::F64),
            self.value(DType::F64, 1.0),
            self.value(DType::F64, reach),
        );
        let by = self.apply(F::Min, &[scale, one]);
        let side = self.over(reach, by);
        let side = self.apply(F::Ceil, &[side]);
        let side = self.measured_term(side)?;
        Ok(Shrink { by: self.cast_term(by, dtype), is_one: false, side })
    }

    /// A term over neighbours and elements, in memory.
    fn tabled(&mut self, term: TermId, neighbours: &Dim, extent: &Dim) -> Handle {
        let table = self.lazy(vec![neighbours.clone(), extent.clone()], term);
        self.settled(table)
    }

    fn outside(&mut self, axis: &Axis, x: TermId) -> Handle {
        let (zero, last) = (self.value(F32, 0.0), self.extent_as_float(&axis.from.plus(-1)));
        let (below, above) = (self.test(F::Lt, x, zero), self.test(F::Lt, last, x));
        let outside = self.test(F::Or, below, above);
        self.tabled(outside, &Dim::fixed(1), &axis.to)
    }

    fn nearest(&mut self, mode: &str, x: TermId) -> TermId {
        let half = self.value(F32, 0.5);
        match mode {
            "floor" => self.apply(F::Floor, &[x]),
            "ceil" => self.apply(F::Ceil, &[x]),
            "round_prefer_ceil" => {
                let up = self.plus(x, half);
                self.apply(F::Floor, &[up])
            }
            _ => {
                let down = self.minus(x, half);
                self.apply(F::Ceil, &[down])
            }
        }
    }

    /// `max(0, 1 - |x|)`.
    fn linear_weight(&mut self, x: TermId) -> TermId {
        let dtype = self.terms.dtype(x);
        let (one, zero, size) = (self.value(dtype, 1.0), self.zero(dtype), self.apply(F::Abs, &[x]));
        let rest = self.minus(one, size);
        self.apply(F::Max, &[rest, zero])
    }

    /// The cubic filter with coefficient `a`.
    pub(crate) fn cubic_weight(&mut self, x: TermId, a: f64) -> TermId {
        let (dtype, x) = (self.terms.dtype(x), self.apply(F::Abs, &[x]));
        let near = self.polynomial(x, &[1.0, 0.0, -(a + 3.0), a + 2.0]);
        let far = self.polynomial(x, &[-4.0 * a, 8.0 * a, -5.0 * a, a]);
        let (one, two, zero) = (self.value(dtype, 1.0), self.value(dtype, 2.0), self.zero(dtype));
        let (is_near, is_far) = (self.test(F::Le, x, one), self.test(F::Lt, x, two));
        let beyond = self.choose(is_far, far, zero);
        self.choose(is_near, near, beyond)
    }

    /// A polynomial by its coefficients, the constant first.
    pub(crate) fn polynomial(&mut self, x: TermId, coefficients: &[f64]) -> TermId {
        let dtype = self.terms.dtype(x);
        let mut sum = self.value(dtype, coefficients.last().copied().unwrap_or(0.0));
        for c in coefficients.iter().rev().skip(1) {
            let (product, c) = (self.times(sum, x), self.value(dtype, *c));
            sum = self.plus(product, c);
        }
        sum
    }

    /// Weights divided by their sum over the neighbours.
    fn in_parts_of_one(&mut self, weights: Handle) -> Result<Handle> {
        let weight = self.here(weights);
        let sum = self.combined(weights, weight, &[0], Combine::Sum)?;
        self.force(sum);
        let sum = self.read(sum, &[Index::fixed(0), Index::axis(1)]);
        let part = self.over(weight, sum);
        let dims = self.dims_of(weights);
        let parts = self.lazy(dims, part);
        Ok(self.settled(parts))
    }
}
