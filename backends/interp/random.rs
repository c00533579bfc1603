//! Random numbers. They differ from what other runtimes draw, and are the same in every run.
use crate::array::{Array, extents};
use crate::call::{Call, Eval, EvalError, wrong};
use weft_ir::{DType, Tensor};

type Results = Result<Vec<Tensor>, EvalError>;

/// The functions of this family.
pub(crate) const EVALS: &[(&str, Eval)] = &[
    ("Bernoulli", bernoulli),
    ("Dropout", dropout),
    ("Multinomial", multinomial),
    ("RandomNormal", |call| normal(call, shape(call)?)),
    ("RandomNormalLike", |call| normal(call, extents(call.need(0)?))),
    ("RandomUniform", |call| uniform(call, shape(call)?)),
    ("RandomUniformLike", |call| uniform(call, extents(call.need(0)?))),
];

/// A source of random numbers (splitmix64).
struct Source(u64);

impl Source {
    /// Seeded by the attribute; without one, by the name of the result.
    fn of(call: &Call<'_>) -> Self {
        if let Some(seed) = call.attrs.float_opt("seed") {
            return Self(u64::from(seed.to_bits()));
        }
        let name = call.node.results.first().map_or("", |r| &r.name);
        let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        Self(name.bytes().fold(0xcbf2_9ce4_8422_2325, mix))
    }

    /// The next number, at least 0 and below 1.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// The next number of the normal distribution (Box and Muller).
    fn next_normal(&mut self) -> f64 {
        let (radius, angle) = (1.0 - self.next(), self.next());
        (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
    }
}

fn shape(call: &Call<'_>) -> Result<Vec<usize>, EvalError> {
    let extent = |d: &i64| usize::try_from(*d).or_else(|_| wrong(format!("{d} is no extent")));
    call.attrs.ints("shape").iter().map(extent).collect()
}

/// As many numbers as the shape says, in the type of the attribute or of the operand.
fn filled(call: &Call<'_>, dims: Vec<usize>, next: impl FnMut() -> f64) -> Results {
    let room = call.room(&dims)?;
    let dtype = call.attrs.dtype("dtype").or(call.get(0).map(Tensor::dtype)).unwrap_or(DType::F32);
    let data = std::iter::repeat_with(next).take(room).collect();
    Ok(vec![Array::new(dims, data).store(dtype)?])
}

fn normal(call: &Call<'_>, dims: Vec<usize>) -> Results {
    let (mean, scale) = (f64::from(call.attrs.float("mean")), f64::from(call.attrs.float("scale")));
    let mut source = Source::of(call);
    filled(call, dims, || mean + scale * source.next_normal())
}

fn uniform(call: &Call<'_>, dims: Vec<usize>) -> Results {
    let (low, high) = (f64::from(call.attrs.float("low")), f64::from(call.attrs.float("high")));
    let mut source = Source::of(call);
    filled(call, dims, || low + (high - low) * source.next())
}

fn bernoulli(call: &Call<'_>) -> Results {
    let mut source = Source::of(call);
    let chances = call.floats(0)?;
    let mut chance = chances.data.iter();
    filled(call, chances.dims.clone(), || {
        let limit = chance.next().copied().unwrap_or(0.0);
        f64::from(u8::from(source.next() < limit))
    })
}

fn multinomial(call: &Call<'_>) -> Results {
    let x = call.floats(0)?;
    let &[batch, classes] = x.dims.as_slice() else { return wrong("the operand is no matrix") };
    let samples = usize::try_from(call.attrs.int("sample_size")).unwrap_or(0);
    let room = call.room(&[batch, samples])?;
    if classes == 0 && room > 0 {
        return wrong("there is no class to draw");
    }
    let mut source = Source::of(call);
    let mut drawn = Vec::with_capacity(room);
    for row in x.data.chunks_exact(classes.max(1)) {
        let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = row.iter().map(|x| (x - most).exp()).collect();
        let total: f64 = weights.iter().sum();
        for _ in 0..samples {
            let mut left = source.next() * total;
            let class = weights.iter().position(|w| {
                left -= w;
                left < 0.0
            });
            drawn.push(class.unwrap_or(classes - 1) as i128);
        }
    }
    let dtype = call.attrs.dtype("dtype").unwrap_or(DType::I32);
    Ok(vec![Array::new(vec![batch, samples], drawn).store(dtype)?])
}

fn dropout(call: &Call<'_>) -> Results {
    let x = call.need(0)?;
    let training = call.get(2).map(|_| call.scalar(2)).transpose()?.unwrap_or(0.0) != 0.0;
    let ratio = call.get(1).map(|_| call.scalar(1)).transpose()?.unwrap_or(0.5);
    if training && ratio != 0.0 {
        return wrong(format!("dropping {ratio} of the elements in training is not supported"));
    }
    Ok(vec![x.clone(), Array::filled(extents(x), true).store()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spread_as_they_should() {
        let mut source = Source(1);
        let n = 20_000;
        let even: Vec<f64> = (0..n).map(|_| source.next()).collect();
        assert!(even.iter().all(|x| (0.0..1.0).contains(x)));
        assert!((even.iter().sum::<f64>() / f64::from(n) - 0.5).abs() < 0.01);
        let normal: Vec<f64> = (0..n).map(|_| source.next_normal()).collect();
        let mean = normal.iter().sum::<f64>() / f64::from(n);
        let variance = normal.iter().map(|x| x * x).sum::<f64>() / f64::from(n) - mean * mean;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
    }
}
