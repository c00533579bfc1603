//! Images sampled at computed places.
use crate::array::{Array, strides};
use crate::call::{Call, Eval, EvalError};
use crate::place::{for_each_index, offset, result_dims};
use weft_ir::Tensor;

type Results = Result<Vec<Tensor>, EvalError>;

/// The functions of this family.
pub(crate) const EVALS: &[(&str, Eval)] = &[("AffineGrid", affine_grid), ("GridSample", grid_sample)];

/// What stands beyond the edges of an image.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Beyond {
    Zeros,
    Border,
    Reflection,
}

/// How an axis is sampled.
struct Sampler {
    beyond: Beyond,
    corners: bool,
    mode: Mode,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Nearest,
    Linear,
    Cubic,
}

impl Sampler {
    fn of(call: &Call<'_>) -> Self {
        let beyond = match call.attrs.str("padding_mode") {
            "border" => Beyond::Border,
            "reflection" => Beyond::Reflection,
            _ => Beyond::Zeros,
        };
        let mode = match call.attrs.str("mode") {
            "nearest" => Mode::Nearest,
            "cubic" => Mode::Cubic,
            _ => Mode::Linear,
        };
        Self { beyond, corners: call.attrs.flag("align_corners"), mode }
    }

    /// The edges of an axis between which a reflection bounces.
    fn edges(&self, extent: usize) -> (f32, f32) {
        let last = extent as f32 - 1.0;
        if self.corners { (0.0, last) } else { (-0.5, last + 0.5) }
    }

    fn reflected(&self, x: f32, extent: usize) -> f32 {
        let (low, high) = self.edges(extent);
        let range = high - low;
        if range <= 0.0 || (low..=high).contains(&x) {
            return x.clamp(low, high.max(low));
        }
        let past = if x < low { low - x } else { x - high };
        let (turns, rest) = ((past / range).floor(), past % range);
        // An even number of turns ends on the side where it began.
        if (turns % 2.0 == 0.0) == (x < low) { low + rest } else { high - rest }
    }

    /// The element at an index that need not exist.
    fn element(&self, i: f32, extent: usize) -> Option<usize> {
        let last = extent as f32 - 1.0;
        match self.beyond {
            Beyond::Zeros => (0.0..=last).contains(&i).then_some(i as usize),
            Beyond::Border => Some(i.clamp(0.0, last) as usize),
            Beyond::Reflection => Some(self.reflected(i, extent).clamp(0.0, last) as usize),
        }
    }

    /// The elements of an axis and their weights for a coordinate from -1 to 1.
    fn taps(&self, coordinate: f64, extent: usize) -> Vec<(Option<usize>, f64)> {
        let (n, length) = (coordinate as f32, extent as f32);
        let mut x =
            if self.corners { (n + 1.0) / 2.0 * (length - 1.0) } else { ((n + 1.0) * length - 1.0) / 2.0 };
        if self.mode == Mode::Nearest {
            x = x.round_ties_even();
        }
        let (low, high) = self.edges(extent);
        if !(low..=high).contains(&x) {
            x = match self.beyond {
                Beyond::Zeros => x,
                Beyond::Border => x.clamp(0.0, length - 1.0),
                Beyond::Reflection => self.reflected(x, extent),
            };
        }
        let floor = x.floor();
        let ratio = f64::from(x - floor);
        let (first, weights) = match self.mode {
            Mode::Nearest => return vec![(self.element(x, extent), 1.0)],
            Mode::Linear => (floor, vec![1.0 - ratio, ratio]),
            Mode::Cubic => (floor - 1.0, cubic(ratio)),
        };
        weights.into_iter().enumerate().map(|(i, w)| (self.element(first + i as f32, extent), w)).collect()
    }
}

fn cubic(x: f64) -> Vec<f64> {
    const A: f64 = -0.75;
    let near = |x: f64| ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
    let far = |x: f64| ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A;
    vec![far(x + 1.0), near(x), near(1.0 - x), far(2.0 - x)]
}

fn grid_sample(call: &Call<'_>) -> Results {
    let dims = result_dims(call)?;
    let (x, grid, sampler) = (call.floats(0)?, call.floats(1)?, Sampler::of(call));
    let (spatial, axes) = (&x.dims[2..], x.dims.len() - 2);
    if x.data.is_empty() {
        return Ok(vec![Array::filled(dims, 0.0).store(call.dtype(0)?)?]);
    }
    let (plane, steps) = (spatial.iter().product::<usize>(), strides(spatial));
    let grid_steps = strides(&grid.dims);
    let mut data = Vec::with_capacity(dims.iter().product());
    for_each_index(&dims, |at| {
        let place = at[0] * grid_steps[0] + offset(&at[2..], &grid_steps[1..=axes]);
        let taps: Vec<_> =
            (0..axes).map(|axis| sampler.taps(grid.data[place + axes - 1 - axis], spatial[axis])).collect();
        let start = (at[0] * x.dims[1] + at[1]) * plane;
        let mut sum = 0.0;
        for_each_index(&taps.iter().map(Vec::len).collect::<Vec<_>>(), |i| {
            let chosen: Vec<_> = taps.iter().zip(i).map(|(taps, i)| taps[*i]).collect();
            let weight: f64 = chosen.iter().map(|(_, w)| w).product();
            let index: Option<usize> = chosen.iter().zip(&steps).map(|((i, _), s)| Some((*i)? * s)).sum();
            sum += index.map_or(0.0, |index| x.data[start + index] * weight);
        });
        data.push(sum);
    });
    Ok(vec![Array::new(dims, data).store(call.dtype(0)?)?])
}

fn affine_grid(call: &Call<'_>) -> Results {
    let dims = result_dims(call)?;
    let (theta, corners) = (call.floats(0)?, call.attrs.flag("align_corners"));
    let axes = dims.len() - 2;
    // Element `i` of an axis as a coordinate from -1 to 1.
    let coordinate = |i: usize, extent: usize| match corners {
        true if extent > 1 => i as f64 * 2.0 / (extent as f64 - 1.0) - 1.0,
        true => -1.0,
        false => (i as f64 * 2.0 + 1.0) / extent as f64 - 1.0,
    };
    let mut data = Vec::with_capacity(dims.iter().product());
    for_each_index(&dims, |at| {
        let row = &theta.data[(at[0] * axes + at[axes + 1]) * (axes + 1)..][..=axes];
        let moved = (0..axes).map(|c| row[c] * coordinate(at[axes - c], dims[axes - c]));
        data.push(moved.sum::<f64>() + row[axes]);
    });
    Ok(vec![Array::new(dims, data).store(call.dtype(0)?)?])
}
