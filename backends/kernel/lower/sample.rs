//! Images sampled at computed places: every axis of every place has a few neighbours with weights.
use super::anchor::Kind;
use super::formula::wide;
use super::{Call, Handle, Lowering, Result};
use crate::math::Function as F;
use crate::schedule::Combine;
use crate::term::{Index, TermId};
use weft_ir::{DType, Dim};

const F32: DType = DType::F32;

/// How many neighbours a sample has on an axis, and where beyond the edges elements come from.
struct Sampler<'a> {
    neighbours: i64,
    padding: &'a str,
    mode: &'a str,
    corners: bool,
}

impl Lowering<'_> {
    /// Lowers sampling.
    pub(crate) fn sampling(&mut self, call: &Call<'_>) -> Option<Result<Vec<Handle>>> {
        Some(match call.op() {
            "GridSample" => self.grid_sample(call).map(|h| vec![h]),
            "AffineGrid" => self.affine_grid(call).map(|h| vec![h]),
            _ => return None,
        })
    }

    fn grid_sample(&mut self, call: &Call<'_>) -> Result<Handle> {
        let (x, grid, dims) = (call.operand(0)?, call.operand(1)?, call.dims(0)?);
        let mode = call.attrs.str("mode");
        let neighbours = match mode {
            "nearest" => 1,
            "cubic" => 4,
            _ => 2,
        };
        let (padding, corners) = (call.attrs.str("padding_mode"), call.attrs.flag("align_corners"));
        let sampler = Sampler { neighbours, padding, mode, corners };
        let (size, axes) = (self.dims_of(x), dims.len() - 2);
        self.force(x);
        self.force(grid);
        let mut at = vec![Index::axis(0), Index::axis(1)];
        let mut weight = None;
        for axis in 0..axes {
            let (places, weights) = self.neighbours_on(&sampler, (grid, axis), &size[2 + axis], &dims);
            let mut here: Vec<Index> = vec![Index::axis(0)];
            here.extend((0..axes).map(|a| Index::axis(2 + a as u32)));
            here.push(Index::axis((dims.len() + axis) as u32));
            let place = self.read(places, &here);
            at.push(self.terms.as_index(place));
            let own = self.read(weights, &here);
            weight = Some(weight.map_or(own, |all| self.times(all, own)));
        }
        let value = self.read(x, &at);
        let dtype = wide(call.dtype(0));
        let (value, zero) = (self.cast_term(value, dtype), self.zero(dtype));
        let weight = weight.unwrap_or(value);
        let weight = self.cast_term(weight, dtype);
        let (none, product) = (self.test(F::Eq, weight, zero), self.times(value, weight));
        let input = self.choose(none, zero, product);
        let kind = Kind::Reduce { inner: vec![Dim::fixed(neighbours); axes], input, combine: Combine::Sum };
        let sum = self.anchor(kind, dtype, dims);
        Ok(self.cast(sum, call.dtype(0)))
    }

    /// Places and weights of the neighbours on an axis, `[batch, places.., neighbour]`, in memory.
    fn neighbours_on(
        &mut self,
        sampler: &Sampler<'_>,
        (grid, axis): (Handle, usize),
        extent: &Dim,
        dims: &[Dim],
    ) -> (Handle, Handle) {
        let axes = dims.len() - 2;
        let mut at: Vec<Index> = (0..=axes as u32).map(Index::axis).collect();
        at.push(Index::fixed((axes - 1 - axis) as i64));
        let coordinate = self.read(grid, &at);
        let coordinate = self.cast_term(coordinate, F32);
        let x = self.denormalised(sampler, coordinate, extent);
        let floor = self.apply(F::Floor, &[x]);
        let ratio = self.minus(x, floor);
        let number = self.place_on(axes + 1);
        let first = if sampler.neighbours == 4 { -1 } else { 0 };
        let number = self.position(self.terms.as_index(number).plus(&Dim::fixed(first)));
        let float = self.cast_term(number, F32);
        let place = self.plus(floor, float);
        let distance = self.minus(float, ratio);
        let weight = match sampler.mode {
            "nearest" => self.value(F32, 1.0),
            "cubic" => self.cubic_weight(distance, -0.75),
            _ => {
                let (one, size) = (self.value(F32, 1.0), self.apply(F::Abs, &[distance]));
                self.minus(one, size)
            }
        };
        let place = if sampler.mode == "nearest" { x } else { place };
        let (place, weight) = self.element_at(sampler, place, weight, extent);
        let mut shape = vec![dims[0].clone()];
        shape.extend(dims[2..].iter().cloned());
        shape.push(Dim::fixed(sampler.neighbours));
        let (places, weights) = (self.lazy(shape.clone(), place), self.lazy(shape, weight));
        (self.settled(places), self.settled(weights))
    }

    /// A coordinate from -1 to 1 as a place on an axis.
    fn denormalised(&mut self, sampler: &Sampler<'_>, coordinate: TermId, extent: &Dim) -> TermId {
        let (one, two) = (self.value(F32, 1.0), self.value(F32, 2.0));
        let length = self.number(extent);
        let length = self.cast_term(length, F32);
        let moved = self.plus(coordinate, one);
        let x = if sampler.corners {
            let (half, last) = (self.over(moved, two), self.minus(length, one));
            self.times(half, last)
        } else {
            let whole = self.times(moved, length);
            let less = self.minus(whole, one);
            self.over(less, two)
        };
        let x = if sampler.mode == "nearest" { self.apply(F::Round, &[x]) } else { x };
        let (low, high) = self.edges(sampler, extent);
        let (below, above) = (self.test(F::Lt, x, low), self.test(F::Lt, high, x));
        let outside = self.test(F::Or, below, above);
        let inside = match sampler.padding {
            "border" => self.inside(x, extent),
            "reflection" => self.reflected(sampler, x, extent),
            _ => x,
        };
        self.choose(outside, inside, x)
    }

    /// The edges of an axis between which a reflection bounces.
    fn edges(&mut self, sampler: &Sampler<'_>, extent: &Dim) -> (TermId, TermId) {
        let last = self.number(&extent.plus(-1));
        let (last, half, zero) = (self.cast_term(last, F32), self.value(F32, 0.5), self.value(F32, 0.0));
        if sampler.corners {
            return (zero, last);
        }
        (self.apply(F::Neg, &[half]), self.plus(last, half))
    }

    fn inside(&mut self, x: TermId, extent: &Dim) -> TermId {
        let (last, zero) = (self.number(&extent.plus(-1)), self.value(F32, 0.0));
        let last = self.cast_term(last, F32);
        let x = self.apply(F::Max, &[x, zero]);
        self.apply(F::Min, &[x, last])
    }

    fn reflected(&mut self, sampler: &Sampler<'_>, x: TermId, extent: &Dim) -> TermId {
        let (low, high) = self.edges(sampler, extent);
        let (zero, one, two) = (self.value(F32, 0.0), self.value(F32, 1.0), self.value(F32, 2.0));
        let range = self.minus(high, low);
        let flat = self.test(F::Le, range, zero);
        let safe = self.choose(flat, one, range);
        let (under, over) = (self.minus(low, x), self.minus(x, high));
        let below = self.test(F::Lt, x, low);
        let past = self.choose(below, under, over);
        let past = self.apply(F::Max, &[past, zero]);
        let ratio = self.over(past, safe);
        let (turns, rest) = (self.apply(F::Floor, &[ratio]), self.apply(F::Fmod, &[past, safe]));
        let parity = self.apply(F::Fmod, &[turns, two]);
        let even = self.test(F::Eq, parity, zero);
        // An even number of turns ends on the side where it began.
        let (from_low, from_high) = (self.plus(low, rest), self.minus(high, rest));
        let (begun_low, begun_high) =
            (self.choose(even, from_low, from_high), self.choose(even, from_high, from_low));
        let bounced = self.choose(below, begun_low, begun_high);
        let above = self.test(F::Lt, high, x);
        let outside = self.test(F::Or, below, above);
        let place = self.choose(outside, bounced, x);
        self.choose(flat, low, place)
    }

    /// The element at a place that need not exist, and its weight: none outside of padding zeros.
    fn element_at(
        &mut self,
        sampler: &Sampler<'_>,
        place: TermId,
        weight: TermId,
        extent: &Dim,
    ) -> (TermId, TermId) {
        let mut found = place;
        let mut weight = weight;
        match sampler.padding {
            "border" => {}
            "reflection" => found = self.reflected(sampler, place, extent),
            _ => {
                let inside = self.inside(place, extent);
                let exists = self.test(F::Eq, inside, place);
                let zero = self.value(F32, 0.0);
                weight = self.choose(exists, weight, zero);
            }
        }
        let found = self.inside(found, extent);
        let found = self.cast_term(found, DType::I64);
        (self.clamped(found, extent), weight)
    }

    fn affine_grid(&mut self, call: &Call<'_>) -> Result<Handle> {
        let (theta, dims) = (call.operand(0)?, call.dims(0)?);
        let size = self.sizes(call, 1)?;
        let axes = dims.len() - 2;
        let mut computed = vec![size[0].clone()];
        computed.extend(size[2..].iter().cloned());
        computed.push(Dim::fixed(axes as i64));
        self.define_extents(&dims, &computed);
        self.force(theta);
        let dtype = wide(call.dtype(0));
        let row = Index::axis(axes as u32 + 1);
        let mut sum = self.read(theta, &[Index::axis(0), row.clone(), Index::fixed(axes as i64)]);
        sum = self.cast_term(sum, dtype);
        for c in 0..axes {
            let coordinate = self.coordinate(call.attrs.flag("align_corners"), axes - c, &dims, dtype);
            let factor = self.read(theta, &[Index::axis(0), row.clone(), Index::fixed(c as i64)]);
            let factor = self.cast_term(factor, dtype);
            let part = self.times(factor, coordinate);
            sum = self.plus(part, sum);
        }
        let term = self.cast_term(sum, call.dtype(0));
        Ok(self.lazy(dims, term))
    }

    /// The place on an axis as a coordinate from -1 to 1.
    fn coordinate(&mut self, corners: bool, axis: usize, dims: &[Dim], dtype: DType) -> TermId {
        let (i, extent) = (self.place_on(axis), self.number(&dims[axis]));
        let (i, extent) = (self.cast_term(i, dtype), self.cast_term(extent, dtype));
        let (one, two) = (self.value(dtype, 1.0), self.value(dtype, 2.0));
        let double = self.times(i, two);
        if corners {
            let last = self.minus(extent, one);
            let last = self.apply(F::Max, &[last, one]);
            let ratio = self.over(double, last);
            return self.minus(ratio, one);
        }
        let middle = self.plus(double, one);
        let ratio = self.over(middle, extent);
        self.minus(ratio, one)
    }
}
