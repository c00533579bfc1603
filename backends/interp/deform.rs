//! Deformable convolution.
use crate::array::{Array, strides};
use crate::call::{Call, Eval, EvalError};
use crate::place::{for_each_index, offset, result_dims};
use crate::slide::Slide;
use weft_ir::Tensor;

/// The functions of this family.
pub(crate) const EVALS: &[(&str, Eval)] = &[("DeformConv", deform_conv)];

/// A plane at a place between its elements, zero outside.
fn between(plane: &[f64], dims: &[usize], place: &[f64]) -> f64 {
    let steps = strides(dims);
    let mut sum = 0.0;
    // Each axis meets the element below or above the place.
    for_each_index(&vec![2; dims.len()], |upper| {
        let (mut weight, mut at) = (1.0, Vec::with_capacity(dims.len()));
        for (axis, place) in place.iter().enumerate() {
            let low = place.floor();
            let ratio = place - low;
            weight *= if upper[axis] == 1 { ratio } else { 1.0 - ratio };
            at.push(low + upper[axis] as f64);
        }
        if weight != 0.0 && at.iter().zip(dims).all(|(i, d)| *i >= 0.0 && *i < *d as f64) {
            let at: Vec<usize> = at.iter().map(|i| *i as usize).collect();
            sum += weight * plane[offset(&at, &steps)];
        }
    });
    sum
}

/// The operands with the geometry.
struct Deform {
    x: Array<f64>,
    moves: Array<f64>,
    mask: Option<Array<f64>>,
    slide: Slide,
    offset_groups: usize,
}

impl Deform {
    /// What tap number `k`, at `tap`, sees of channel `c` of image `n` for the place `at`.
    fn sample(&self, (n, c): (usize, usize), (k, tap): (usize, &[usize]), at: &[usize]) -> f64 {
        let slide = &self.slide;
        let (axes, taps) = (slide.from.len(), slide.kernel.iter().product::<usize>());
        let channels = self.x.dims[1];
        let group = n * self.offset_groups + c / (channels / self.offset_groups);
        let here = offset(at, &strides(&slide.to));
        let plane: usize = slide.to.iter().product();
        let place: Vec<f64> = (0..axes)
            .map(|axis| {
                let moved = self.moves.data[((group * taps + k) * axes + axis) * plane + here];
                slide.position(axis, at[axis], tap[axis]) as f64 + moved
            })
            .collect();
        let size: usize = slide.from.iter().product();
        let start = (n * channels + c) * size;
        let weight = self.mask.as_ref().map_or(1.0, |m| m.data[(group * taps + k) * plane + here]);
        weight * between(&self.x.data[start..start + size], &slide.from, &place)
    }
}

fn deform_conv(call: &Call<'_>) -> Result<Vec<Tensor>, EvalError> {
    let dims = result_dims(call)?;
    let (x, w, bias) = (call.floats(0)?, call.floats(1)?, call.floats_opt(3)?);
    let slide = Slide::of(call, &w.dims[2..], &x.dims[2..], &dims[2..])?;
    let offset_groups = call.attrs.int("offset_group") as usize;
    let deform = Deform { x, moves: call.floats(2)?, mask: call.floats_opt(4)?, slide, offset_groups };
    let (inputs, groups) = (w.dims[1], call.attrs.int("group") as usize);
    let taps: usize = w.dims[2..].iter().product();
    let mut data = Vec::with_capacity(dims.iter().product());
    for_each_index(&dims, |at| {
        let (n, out) = (at[0], at[1]);
        let group = out / (dims[1] / groups);
        let mut sum = bias.as_ref().map_or(0.0, |b| b.data[out]);
        for c in 0..inputs {
            let mut k = 0;
            for_each_index(&w.dims[2..], |tap| {
                let weight = w.data[(out * inputs + c) * taps + k];
                sum += weight * deform.sample((n, group * inputs + c), (k, tap), &at[2..]);
                k += 1;
            });
        }
        data.push(sum);
    });
    Ok(vec![Array::new(dims, data).store(call.dtype(0)?)?])
}
