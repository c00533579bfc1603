//! Products taken apart, whatever stands between their factors.
use std::collections::BTreeMap;
use weft_ir::Value;
use weft_passes::Rewriter;

/// Operators that change where numbers stand, or how they are stored, and not the numbers.
const PLACES: &[&str] =
    &["Cast", "CastLike", "Expand", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"];

/// Of a product with more factors the rest is not taken apart.
const MOST: usize = 64;

/// A factor of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Factor {
    /// The factor as it stands in the product.
    pub(super) stands: Value,
    /// What it is where it was made, before it was moved.
    pub(super) value: Value,
    /// Whether the product is divided by it.
    pub(super) divides: bool,
}

/// A product: full factors have as many elements as the product, the others scale it.
#[derive(Debug, Clone, Default)]
pub(super) struct Product {
    /// The factors of full size.
    pub(super) full: Vec<Factor>,
    /// Smaller ones.
    pub(super) scales: Vec<Factor>,
}

/// The value before it was moved and stored otherwise.
pub(super) fn unmoved(g: &Rewriter<'_>, mut value: Value) -> Value {
    while g.data(value).is_none() && PLACES.contains(&g.node(value.node).op.as_str()) {
        let Some(operand) = g.operand(value.node, 0) else { break };
        value = operand;
    }
    value
}

/// How many elements a value has; 0 if that is not known.
pub(super) fn size(g: &Rewriter<'_>, value: Value) -> u64 {
    g.ty(value).elements().and_then(|n| u64::try_from(n.as_fixed()?).ok()).unwrap_or(0)
}

impl Product {
    /// A value as a product; of one factor, if it is none.
    pub(super) fn of(g: &Rewriter<'_>, value: Value, ranges: &BTreeMap<Value, (f64, f64)>) -> Self {
        let uniform = |value: &Value| ranges.get(value).is_some_and(|(least, most)| least == most);
        let (all, mut product) = (size(g, value), Self::default());
        for factor in factors(g, value) {
            let is_full = size(g, factor.value) >= all && !uniform(&factor.value);
            if is_full { &mut product.full } else { &mut product.scales }.push(factor);
        }
        product
    }

    /// Between which numbers the scale of the product lies, if that is known.
    pub(super) fn scale(&self, ranges: &BTreeMap<Value, (f64, f64)>) -> Option<(f64, f64)> {
        self.scales.iter().try_fold((1.0, 1.0), |(low, high), factor| {
            let (least, most) = *ranges.get(&factor.value)?;
            let (a, b) = if factor.divides { (1.0 / most, 1.0 / least) } else { (least, most) };
            let ends = [low * a, low * b, high * a, high * b];
            Some((
                ends.iter().copied().fold(f64::INFINITY, f64::min),
                ends.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            ))
        })
    }
}

fn factors(g: &Rewriter<'_>, value: Value) -> Vec<Factor> {
    let (mut found, mut open) = (Vec::new(), vec![(value, false)]);
    while let Some((stands, divides)) = open.pop() {
        let value = unmoved(g, stands);
        let inner = |at: usize| g.operand(value.node, at);
        let op = if g.data(value).is_some() || found.len() + open.len() > MOST {
            ""
        } else {
            g.node(value.node).op.as_str()
        };
        let parts = match op {
            "Mul" => [inner(0).map(|v| (v, divides)), inner(1).map(|v| (v, divides))],
            "Div" => [inner(0).map(|v| (v, divides)), inner(1).map(|v| (v, !divides))],
            "Reciprocal" => [inner(0).map(|v| (v, !divides)), None],
            _ => [None, None],
        };
        match parts {
            [None, None] => found.push(Factor { stands, value, divides }),
            parts => open.extend(parts.into_iter().rev().flatten()),
        }
    }
    found
}
