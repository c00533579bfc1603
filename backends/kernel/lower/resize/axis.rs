//! The axes that are resized: between which extents, by which factors.
use super::F32;
use crate::lower::{Call, Handle, Lowering, Result};
use crate::math::Function as F;
use crate::term::{Index, TermId};
use weft_ir::ops::resize::resized_axes;
use weft_ir::ops::window::Layout;
use weft_ir::{DType, Dim};

/// How one axis is sampled anew.
pub(super) struct Axis {
    /// Which axis.
    pub(super) at: usize,
    pub(super) from: Dim,
    pub(super) to: Dim,
    /// The factor between them, an `f32`.
    pub(super) scale: TermId,
    /// The same, if it is known now.
    pub(super) factor: Option<f32>,
    /// Start and end of the part that is taken, `f32`.
    pub(super) roi: (TermId, TermId),
}

impl Lowering<'_> {
    /// The axes that are resized; extents that the run decides are defined.
    pub(super) fn resized(&mut self, call: &Call<'_>, from: Handle, dims: &[Dim]) -> Result<Vec<Axis>> {
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

    pub(super) fn extent_as_float(&mut self, extent: &Dim) -> TermId {
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
}

impl Axis {
    /// Whether every element stays where it is.
    pub(super) fn is_identity(&self, call: &Call<'_>) -> bool {
        let cropped = call.attrs.str("coordinate_transformation_mode") == "tf_crop_and_resize";
        let kept = self.factor == Some(1.0) || call.optional(3).is_some();
        !cropped && kept && self.from == self.to && call.attrs.str("keep_aspect_ratio_policy") == "stretch"
    }
}
