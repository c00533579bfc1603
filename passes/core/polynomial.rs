//! Small polynomials in two values, to know a formula however it is written.
use crate::rewriter::Rewriter;
use std::collections::BTreeMap;
use weft_ir::Value;

/// How many operators deep a formula may be.
const DEEPEST: u32 = 8;

/// Powers of `x` and of `e` with their factors.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Polynomial(BTreeMap<(u32, u32), f64>);

impl Polynomial {
    /// The polynomial with these factors.
    pub fn new(terms: impl IntoIterator<Item = ((u32, u32), f64)>) -> Self {
        Self(terms.into_iter().filter(|(_, factor)| *factor != 0.0).collect())
    }

    /// What `value` is in terms of `x` and `e`, if it is built from them and scalars by sums,
    /// products, quotients by scalars and whole powers.
    pub fn of(g: &Rewriter<'_>, value: Value, x: Value, e: Option<Value>) -> Option<Self> {
        Self::descend(g, value, (x, e), DEEPEST)
    }

    fn descend(g: &Rewriter<'_>, value: Value, atoms: (Value, Option<Value>), left: u32) -> Option<Self> {
        if value == atoms.0 {
            return Some(Self::new([((1, 0), 1.0)]));
        }
        if Some(value) == atoms.1 {
            return Some(Self::new([((0, 1), 1.0)]));
        }
        if let Some(number) = g.scalar(value) {
            return Some(Self::new([((0, 0), number)]));
        }
        let op = g.node(value.node).op.as_str();
        let of = |i| Self::descend(g, g.operand(value.node, i)?, atoms, left.checked_sub(1)?);
        match op {
            "Add" => Some(of(0)?.plus(&of(1)?, 1.0)),
            "Sub" => Some(of(0)?.plus(&of(1)?, -1.0)),
            "Mul" => Some(of(0)?.times(&of(1)?)),
            "Div" => Some(of(0)?.scale(1.0 / of(1)?.as_number()?)),
            "Neg" => Some(of(0)?.scale(-1.0)),
            "Pow" => match of(1)?.as_number()? {
                2.0 => Some(of(0)?.times(&of(0)?)),
                3.0 => Some(of(0)?.times(&of(0)?).times(&of(0)?)),
                _ => None,
            },
            _ => None,
        }
    }

    fn plus(mut self, other: &Self, sign: f64) -> Self {
        for (powers, factor) in &other.0 {
            *self.0.entry(*powers).or_insert(0.0) += sign * factor;
        }
        self.0.retain(|_, factor| *factor != 0.0);
        self
    }

    fn times(&self, other: &Self) -> Self {
        let mut product = Self::default();
        for ((a, b), x) in &self.0 {
            for ((c, d), y) in &other.0 {
                *product.0.entry((a + c, b + d)).or_insert(0.0) += x * y;
            }
        }
        product
    }

    fn scale(mut self, number: f64) -> Self {
        self.0.values_mut().for_each(|factor| *factor *= number);
        self
    }

    fn as_number(&self) -> Option<f64> {
        match self.0.len() {
            0 => Some(0.0),
            1 => self.0.get(&(0, 0)).copied(),
            _ => None,
        }
    }

    /// The factor of one product of powers.
    pub fn factor(&self, x: u32, e: u32) -> f64 {
        self.0.get(&(x, e)).copied().unwrap_or(0.0)
    }

    /// Whether both have the same products and factors that differ by rounding at most.
    pub fn near(&self, other: &Self) -> bool {
        let powers = self.0.keys().chain(other.0.keys());
        powers.into_iter().all(|(x, e)| {
            let (a, b) = (self.factor(*x, *e), other.factor(*x, *e));
            (a - b).abs() <= 1e-4 * a.abs().max(b.abs())
        })
    }
}
