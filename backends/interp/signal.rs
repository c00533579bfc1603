//! Fourier transforms by their definition, windows and mel filters.
use crate::array::{Array, Lanes, axis};
use crate::call::{Call, Eval, EvalError, wrong};
use crate::place::{facts, result_dims};
use std::f64::consts::{PI, TAU};
use weft_ir::{DType, Tensor};

type Results = Result<Vec<Tensor>, EvalError>;

/// The functions of this family.
pub(crate) const EVALS: &[(&str, Eval)] = &[
    ("BlackmanWindow", |call| window(call, |a| 0.42 - 0.5 * a.cos() + 0.08 * (2.0 * a).cos())),
    ("DFT", dft),
    ("HammingWindow", |call| window(call, |a| 25.0 / 46.0 - 21.0 / 46.0 * a.cos())),
    ("HannWindow", |call| window(call, |a| (a / 2.0).sin().powi(2))),
    ("MelWeightMatrix", mel_weight_matrix),
    ("STFT", stft),
];

/// A complex number.
type Complex = (f64, f64);

/// The Fourier transform of some length, into the first `count` frequencies; `sign` is -1 forwards.
struct Transform {
    turns: Vec<Complex>,
    count: usize,
}

impl Transform {
    fn new(length: usize, count: usize, sign: f64) -> Self {
        let turn = |i: usize| {
            let (sin, cos) = (sign * TAU * i as f64 / length as f64).sin_cos();
            (cos, sin)
        };
        Self { turns: (0..length).map(turn).collect(), count }
    }

    fn apply(&self, x: &[Complex]) -> Vec<Complex> {
        let n = self.turns.len();
        let one = |k: usize| {
            x.iter().enumerate().fold((0.0, 0.0), |(re, im), (i, (a, b))| {
                let (c, s) = self.turns[i * k % n];
                (re + a * c - b * s, im + a * s + b * c)
            })
        };
        (0..self.count).map(one).collect()
    }
}

fn dft(call: &Call<'_>) -> Results {
    facts(call)?;
    let x = call.floats(0)?;
    let (inverse, onesided) = (call.attrs.flag("inverse"), call.attrs.flag("onesided"));
    let rank = x.dims.len();
    let at = axis(call.list_opt(2)?.and_then(|a| a.first().copied()).unwrap_or(-2), rank)?;
    let dims = result_dims(call)?;
    let real = inverse && onesided;
    let length = match call.list_opt(1)?.and_then(|n| n.first().copied()) {
        Some(length) => length.max(0) as usize,
        None if real => 2 * x.dims[at].saturating_sub(1),
        None => x.dims[at],
    };
    call.room(&[length])?;
    let parts = x.dims[rank - 1];
    let (from, to) = (Lanes::around(&x.dims[..rank - 1], at), Lanes::around(&dims[..rank - 1], at));
    let transform = Transform::new(length, to.len, if inverse { 1.0 } else { -1.0 });
    let scale = if inverse { 1.0 / length as f64 } else { 1.0 };
    let mut y = Array::filled(dims.clone(), 0.0);
    for (source, target) in from.iter().zip(to.iter()) {
        let complex = |i: usize| (x.data[i * parts], if parts == 2 { x.data[i * parts + 1] } else { 0.0 });
        let mut signal: Vec<Complex> = source.map(complex).collect();
        signal.resize(if real { length / 2 + 1 } else { length }, (0.0, 0.0));
        if real {
            mirror(&mut signal, length);
        }
        for (place, (re, im)) in target.zip(transform.apply(&signal)) {
            let place = place * dims[rank - 1];
            y.data[place] = re * scale;
            if !real {
                y.data[place + 1] = im * scale;
            }
        }
    }
    Ok(vec![y.store(call.dtype(0)?)?])
}

/// The other half of a spectrum whose signal is real.
fn mirror(half: &mut Vec<Complex>, length: usize) {
    half.truncate(length);
    for k in half.len()..length {
        let (re, im) = half[length - k];
        half.push((re, -im));
    }
    // What has no partner must be real.
    let middle = (length.is_multiple_of(2)).then_some(length / 2);
    for k in [Some(0), middle].into_iter().flatten() {
        if let Some(alone) = half.get_mut(k) {
            alone.1 = 0.0;
        }
    }
}

fn stft(call: &Call<'_>) -> Results {
    let dims = result_dims(call)?;
    let (signal, step) = (call.floats(0)?, call.scalar(1)? as usize);
    let window = call.floats_opt(2)?;
    let (samples, parts) = (signal.dims[1], signal.dims.get(2).copied().unwrap_or(1));
    let length = match (call.list_opt(3)?, &window) {
        (Some(length), _) => length.first().map_or(0, |n| (*n).max(0) as usize),
        (None, Some(window)) => window.data.len(),
        (None, None) => samples,
    };
    let transform = Transform::new(length, dims[2], -1.0);
    let mut data = Vec::with_capacity(dims.iter().product());
    for batch in 0..dims[0] {
        for frame in 0..dims[1] {
            let sample = |i: usize| {
                let weight = window.as_ref().map_or(1.0, |w| w.data[i]);
                let at = (batch * samples + frame * step + i) * parts;
                (signal.data[at] * weight, if parts == 2 { signal.data[at + 1] * weight } else { 0.0 })
            };
            let spectrum = transform.apply(&(0..length).map(sample).collect::<Vec<_>>());
            data.extend(spectrum.into_iter().flat_map(|(re, im)| [re, im]));
        }
    }
    Ok(vec![Array::new(dims, data).store(call.dtype(0)?)?])
}

/// A window as a function of the angle, which runs around once.
fn window(call: &Call<'_>, f: fn(f64) -> f64) -> Results {
    let dims = result_dims(call)?;
    let whole = if call.attrs.flag("periodic") { dims[0] as f64 } else { dims[0] as f64 - 1.0 };
    let data = (0..dims[0]).map(|i| f(2.0 * PI * i as f64 / whole)).collect();
    let dtype = call.attrs.dtype("output_datatype").unwrap_or(DType::F32);
    Ok(vec![Array::new(dims, data).store(dtype)?])
}

/// The frequency bins between which the triangles of the mel filters stand.
fn mel_bins(call: &Call<'_>, bands: usize) -> Result<Vec<f64>, EvalError> {
    let (length, rate) = (call.scalar(1)?, call.scalar(2)?);
    let mel = |hertz: f64| 2595.0 * (1.0 + hertz / 700.0).log10();
    let (low, high) = (mel(call.scalar(3)?), mel(call.scalar(4)?));
    let step = (high - low) / (bands as f64 + 2.0);
    let hertz = |i: usize| 700.0 * (10f64.powf((low + i as f64 * step) / 2595.0) - 1.0);
    Ok((0..bands + 2).map(|i| ((length + 1.0) * hertz(i) / rate).floor()).collect())
}

fn mel_weight_matrix(call: &Call<'_>) -> Results {
    let dims = result_dims(call)?;
    let bins = mel_bins(call, dims[1])?;
    if let Some(bad) = bins.iter().find(|b| !(0.0..dims[0] as f64 + 1.0).contains(*b)) {
        return wrong(format!("a filter reaches frequency bin {bad} of {}", dims[0]));
    }
    let mut y = Array::filled(dims.clone(), 0.0);
    for (band, edges) in bins.windows(3).enumerate() {
        let (low, centre, high) = (edges[0], edges[1], edges[2]);
        for bin in 0..dims[0] {
            let here = bin as f64;
            let weight = if here == centre {
                1.0
            } else if (low..centre).contains(&here) {
                (here - low) / (centre - low)
            } else if (centre..high).contains(&here) {
                (high - here) / (high - centre)
            } else {
                0.0
            };
            y.data[bin * dims[1] + band] = weight;
        }
    }
    let dtype = call.attrs.dtype("output_datatype").unwrap_or(DType::F32);
    Ok(vec![y.store(dtype)?])
}
