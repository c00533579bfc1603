//! What each layer may be given: how its matrix is rounded, and how many of its inputs become zero.
use weft_numerics::{Along, Grid, Zero};
use weft_passes::{OptionError, Options};

/// The ways of rounding and the shares of zeros to choose from; leaving a layer exact is always one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Menu {
    /// By their names.
    pub(super) rounded: Vec<(String, Grid, Along)>,
    /// Whether matrices may be `bf16`, which is the last way of rounding.
    pub(super) halves: bool,
    /// Above 0, rising.
    pub(super) sparsity: Vec<f64>,
}

impl Menu {
    /// Reads the options `menu` and `sparsity`.
    pub(super) fn new(options: &Options) -> Result<Self, OptionError> {
        let mut menu = Self { rounded: Vec::new(), halves: false, sparsity: Vec::new() };
        for name in parts(options.text("menu")).filter(|name| *name != "f32") {
            if name == "bf16" {
                menu.halves = true;
                continue;
            }
            let (grid, along) = rounding(name).ok_or_else(|| {
                OptionError::Refused(format!(
                    "option `menu` cannot hold `{name}`: expected `f32`, `bf16`, or `int` with 2 to 8 bits and `-oc` or \
                     `-ic` behind it, as in `int4-ic`"
                ))
            })?;
            if !menu.rounded.iter().any(|(other, ..)| other == name) {
                menu.rounded.push((name.to_string(), grid, along));
            }
        }
        for text in parts(options.text("sparsity")) {
            let level = text.parse().ok().filter(|level| (0.0..1.0).contains(level));
            menu.sparsity.push(level.ok_or_else(|| {
                OptionError::Refused(format!(
                    "option `sparsity` cannot hold `{text}`: expected shares from 0 to below 1, with `|` between"
                ))
            })?);
        }
        menu.sparsity.retain(|level| *level > 0.0);
        menu.sparsity.sort_by(f64::total_cmp);
        menu.sparsity.dedup();
        Ok(menu)
    }

    /// How many ways of rounding there are.
    pub(super) fn ways(&self) -> usize {
        self.rounded.len() + usize::from(self.halves)
    }

    /// The name of a way of rounding, by its place.
    pub(super) fn name(&self, at: usize) -> &str {
        self.rounded.get(at).map_or("bf16", |(name, ..)| name)
    }
}

fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split('|').map(str::trim).filter(|part| !part.is_empty())
}

/// `int8` and `int8-oc` share scales along the inputs, `int8-ic` along the outputs.
fn rounding(name: &str) -> Option<(Grid, Along)> {
    let rest = name.strip_prefix("int")?;
    let (bits, way) = rest.split_once('-').unwrap_or((rest, "oc"));
    let along = match way {
        "oc" => Along::Inputs,
        "ic" => Along::Outputs,
        _ => return None,
    };
    let bits = bits.parse().ok().filter(|bits| (2..=8).contains(bits))?;
    Some((Grid { bits, zero: Zero::Free }, along))
}
