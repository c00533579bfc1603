//! `Resize`: every resized axis is a table of neighbours with weights, computed before the elements.
use super::anchor::Kind;
use super::formula::wide;
use super::{Call, Handle, Lowering, Result, identity};
use crate::math::Function as F;
use crate::schedule::Combine;
use crate::term::{Index, TermId};
use weft_ir::ops::resize::resized_axes;
use weft_ir::ops::window::Layout;
use weft_ir::{DType, Dim};

/// How one axis is sampled anew.
struct Axis {
    /// Which axis.
    at: usize,
    from: Dim,
    to: Dim,
    /// The factor between them, an `f32`.
    scale: TermId,
    /// The same, if it is known now.
    factor: Option<f32>,
    /// Start and end of the part that is taken, `f32`.
    roi: (TermId, TermId),
}

/// The neighbours of each element of a resized axis: tensors `[neighbours, extent]` in memory.
struct Table {
    at: usize,
    neighbours: Dim,
    /// Where they are.
    places: Handle,
    /// What they weigh, unless there is one only.
    weights: Option<Handle>,
    /// Whether the element lies outside of what is taken, `[extent]`.
    outside: Option<Handle>,
}

const F32: DType = DType::F32;

/// So many neighbours of an element are summed in one term.
const FEW: i64 = 8;

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

    /// The axes that are resized; extents that the run decides are defined.
    fn resized(&mut self, call: &Call<'_>, from: Handle, dims: &[Dim]) -> Result<Vec<Axis>> {
        let old = self.dims_of(from);
        let layout = Layout::of(&call.attrs).map_err(|e| e.0)?;
        let places = resized_axes(&call.attrs, old.len()).map_err(|e| e.0)?;
        let places: Vec<usize> = places.into_iter().map(|a| layout.place(a, old.len())).collect();
        let scales = self.scales(call, &old, &places)?;
        let mut computed = old.clone();
        let count = places.len();
        let mut axes = Vec::new();
        for (i, at) in places.into_iter().enumerate() {
            let (scale, factor) = scales[i];
            let roi = (self.roi(call, i, 0.0), self.roi(call, count + i, 1.0));
            axes.push(Axis { at, from: old[at].clone(), to: dims[at].clone(), scale, factor, roi });
        }
        for (i, axis) in axes.iter().enumerate().filter(|(_, a)| a.to.is_decided_at_run_time()) {
            computed[axis.at] = match call.optional(3) {
                Some(_) if call.attrs.str("keep_aspect_ratio_policy") == "stretch" => {
                    self.sizes(call, 3)?.get(i).cloned().ok_or("there are too few sizes")?
                }
                sizes => self.scaled_extent(axis, sizes.is_some())?,
            };
        }
        self.define_extents(dims, &computed);
        Ok(axes)
    }

    /// The extent times the scale, rounded down (or, for kept aspects, to the nearest).
    fn scaled_extent(&mut self, axis: &Axis, nearest: bool) -> Result<Dim> {
        let from = self.extent_as_float(&axis.from);
        let product = self.times(from, axis.scale);
        let half = self.value(F32, if nearest { 0.5 } else { 0.0 });
        let sum = self.plus(product, half);
        let whole = self.apply(F::Floor, &[sum]);
        let term = self.cast_term(whole, DType::I64);
        self.measured_term(term)
    }

    fn extent_as_float(&mut self, extent: &Dim) -> TermId {
        let extent = self.number(extent);
        self.cast_term(extent, F32)
    }

    fn roi(&mut self, call: &Call<'_>, i: usize, usual: f64) -> TermId {
        match call.optional(1) {
            Some(roi) if self.dims_of(roi).first().is_none_or(|d| d.as_fixed() != Some(0)) => {
                let term = self.read(roi, &[Index::fixed(i as i64)]);
                self.cast_term(term, F32)
            }
            _ => self.value(F32, usual),
        }
    }

    /// The scale of every resized axis, as a term and as a number if it is known.
    fn scales(
        &mut self,
        call: &Call<'_>,
        old: &[Dim],
        places: &[usize],
    ) -> Result<Vec<(TermId, Option<f32>)>> {
        if call.optional(3).is_none() {
            let scales = call.operand(2)?;
            let known = call.graph.operand(call.id, 2).and_then(|v| call.graph.constant(v));
            let known = known.and_then(|t| t.to_vec::<f32>());
            let one = |(i, _): (usize, &usize)| match known.as_ref().and_then(|k| k.get(i)) {
                Some(x) => (self.value(F32, f64::from(*x)), Some(*x)),
                None => (self.read(scales, &[Index::fixed(i as i64)]), None),
            };
            return Ok(places.iter().enumerate().map(one).collect());
        }
        let sizes = self.sizes(call, 3)?;
        let mut scales = Vec::new();
        for (size, at) in sizes.iter().zip(places) {
            let known = size.as_fixed().zip(old[*at].as_fixed()).map(|(s, f)| s as f32 / f as f32);
            let (size, from) = (self.extent_as_float(size), self.extent_as_float(&old[*at]));
            let ratio = self.over(size, from);
            scales.push((known.map_or(ratio, |x| self.value(F32, x.into())), known));
        }
        let f = match call.attrs.str("keep_aspect_ratio_policy") {
            "not_larger" => F::Min,
            "not_smaller" => F::Max,
            _ => return Ok(scales),
        };
        let pick = |a: f32, b: f32| if f == F::Min { a.min(b) } else { a.max(b) };
        let joint = scales
            .clone()
            .into_iter()
            .reduce(|(a, x), (b, y)| (self.apply(f, &[a, b]), x.zip(y).map(|(x, y)| pick(x, y))));
        Ok(vec![joint.ok_or("no axis is resized")?; places.len()])
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

    fn table(&mut self, call: &Call<'_>, axis: &Axis) -> Result<Table> {
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

    /// The sum over all neighbours on all axes, in one term.
    fn blended_at_once(&mut self, from: Handle, tables: &[Table], counts: &[i64]) -> TermId {
        let rank = self.dims_of(from).len();
        let mut places = vec![identity(rank)];
        for (table, count) in tables.iter().zip(counts) {
            let choices = |at: &Vec<Index>| (0..*count).map(|n| (at.clone(), n)).collect::<Vec<_>>();
            let all: Vec<_> = places.iter().flat_map(choices).collect();
            places = Vec::new();
            for (mut at, n) in all {
                at[table.at] = self.neighbour(table, Index::fixed(n));
                places.push(at);
            }
        }
        let mut values: Vec<TermId> = Vec::new();
        for at in &places {
            let value = self.read(from, at);
            values.push(if tables.iter().any(|t| t.weights.is_some()) {
                self.blendable(value)
            } else {
                value
            });
        }
        for (table, count) in tables.iter().zip(counts).rev() {
            let groups: Vec<Vec<TermId>> =
                values.chunks((*count).max(1) as usize).map(<[_]>::to_vec).collect();
            values = groups.into_iter().map(|group| self.weighted_sum(table, &group)).collect();
        }
        values[0]
    }

    fn blendable(&mut self, value: TermId) -> TermId {
        let dtype = self.terms.dtype(value);
        let to = if dtype.is_float() { wide(dtype) } else { F32 };
        self.cast_term(value, to)
    }

    /// Where a neighbour of the element at the place of the result is.
    fn neighbour(&mut self, table: &Table, n: Index) -> Index {
        let place = self.read(table.places, &[n, Index::axis(table.at as u32)]);
        self.terms.as_index(place)
    }

    fn weighted_sum(&mut self, table: &Table, values: &[TermId]) -> TermId {
        let Some(weights) = table.weights else { return values[0] };
        let mut sum = None;
        for (n, value) in values.iter().enumerate() {
            let weight = self.read(weights, &[Index::fixed(n as i64), Index::axis(table.at as u32)]);
            let part = self.times(*value, weight);
            sum = Some(sum.map_or(part, |sum| self.plus(sum, part)));
        }
        sum.unwrap_or(values[0])
    }

    /// One axis after another, each a sum over its neighbours.
    fn blended_in_turn(&mut self, from: Handle, tables: &[Table], dims: &[Dim]) -> TermId {
        let (mut now, mut extents) = (from, self.dims_of(from));
        let rank = extents.len();
        for table in tables {
            extents[table.at] = dims[table.at].clone();
            let count = Index::axis(rank as u32);
            let mut at = identity(rank);
            at[table.at] = self.neighbour(table, count.clone());
            let value = self.read(now, &at);
            let mut input = self.blendable(value);
            if let Some(weights) = table.weights {
                let weight = self.read(weights, &[count, Index::axis(table.at as u32)]);
                input = self.times(input, weight);
            }
            let dtype = self.terms.dtype(input);
            let inner = vec![table.neighbours.clone()];
            let sum =
                self.anchor(Kind::Reduce { inner, input, combine: Combine::Sum }, dtype, extents.clone());
            now = self.settled(sum);
        }
        self.here(now)
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
        if from == dtype || !from.is_float() || !dtype.is_int() {
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

impl Axis {
    /// Whether every element stays where it is.
    fn is_identity(&self, call: &Call<'_>) -> bool {
        let cropped = call.attrs.str("coordinate_transformation_mode") == "tf_crop_and_resize";
        let kept = self.factor == Some(1.0) || call.optional(3).is_some();
        !cropped && kept && self.from == self.to && call.attrs.str("keep_aspect_ratio_policy") == "stretch"
    }
}
