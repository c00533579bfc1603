//! A tensor in one line.
use serde::Serialize;
use std::fmt;
use weft_ir::Tensor;

/// How many elements are shown.
const SHOWN: usize = 5;

/// What one wants to know of a tensor's elements at first sight.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Statistics {
    /// The smallest, NaN left out.
    pub min: f64,
    /// The largest, NaN left out.
    pub max: f64,
    /// The mean of all.
    pub mean: f64,
    /// How many are NaN.
    pub nans: u64,
    /// The first ones.
    pub first: Vec<f64>,
    /// How many there are.
    pub elements: u64,
}

impl Statistics {
    /// Those of a tensor, if its elements are numbers and there are any.
    pub fn of(tensor: &Tensor) -> Option<Self> {
        let values = tensor.to_f64s().filter(|values| !values.is_empty())?;
        Some(Self {
            min: values.iter().copied().fold(f64::INFINITY, f64::min),
            max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            mean: values.iter().sum::<f64>() / values.len() as f64,
            nans: values.iter().filter(|value| value.is_nan()).count() as u64,
            first: values.iter().copied().take(SHOWN).collect(),
            elements: values.len() as u64,
        })
    }
}

impl fmt::Display for Statistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { min, max, mean, nans, first, elements } = self;
        write!(f, "min {} max {} mean {}  [", Short(*min), Short(*max), Short(*mean))?;
        for (i, value) in first.iter().enumerate() {
            write!(f, "{}{}", if i == 0 { "" } else { ", " }, Short(*value))?;
        }
        f.write_str(if *elements > SHOWN as u64 { ", ...]" } else { "]" })?;
        if *nans > 0 { write!(f, "  {nans} NaN") } else { Ok(()) }
    }
}

/// A number without needless digits.
struct Short(f64);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.0.abs();
        match self.0 {
            value if size < 1e15 && value == value.trunc() => write!(f, "{value}"),
            value if (1e-4..1e7).contains(&size) => write!(f, "{value:.6}"),
            value => write!(f, "{value:.6e}"),
        }
    }
}
