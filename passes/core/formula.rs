//! Finding where a formula begins and where it ends.
use crate::pass::Declined;
use crate::polynomial::Polynomial;
use crate::rewriter::Rewriter;
use weft_ir::{Dim, NodeId, Value};

/// How many operators a formula may be long.
const LONGEST: usize = 6;
/// How many values are looked at; a formula has a handful.
const WIDEST: usize = 48;

/// Formulas.
impl Rewriter<'_> {
    /// The values a formula of sums, products and powers may be about: `value` and everything it is
    /// made of, nearest first, scalars left out.
    pub fn formula_inputs(&self, value: Value) -> Vec<Value> {
        let mut found = vec![value];
        let (mut next, mut end) = (0, 1);
        for _ in 0..LONGEST {
            for at in next..end {
                let value = found[at];
                if !matches!(self.node(value.node).op.as_str(), "Add" | "Sub" | "Mul" | "Div" | "Pow" | "Neg")
                {
                    continue;
                }
                for operand in self.operands(value.node).into_iter().flatten() {
                    if self.scalar(operand).is_none() && !found.contains(&operand) && found.len() < WIDEST {
                        found.push(operand);
                    }
                }
            }
            (next, end) = (end, found.len());
        }
        found
    }

    /// The value behind `e` that is this polynomial in `x` and `e`.
    pub fn formula_result(&self, x: Value, e: Value, wanted: &Polynomial) -> Option<Value> {
        let mut found = vec![e];
        let mut next = 0;
        while let Some(value) = found.get(next).copied() {
            next += 1;
            for (user, _) in self.uses(value).into_iter().take(WIDEST) {
                let made = self.result(user);
                if !matches!(self.node(user).op.as_str(), "Add" | "Sub" | "Mul" | "Div")
                    || found.contains(&made)
                {
                    continue;
                }
                let Some(polynomial) = Polynomial::of(self, made, x, Some(e)) else { continue };
                if polynomial.near(wanted) {
                    return Some(made);
                }
                if found.len() < WIDEST {
                    found.push(made);
                }
            }
        }
        None
    }

    /// Result 0 of a node, if it has one.
    pub fn result_opt(&self, id: NodeId) -> Option<Value> {
        (!self.node(id).results.is_empty()).then(|| self.result(id))
    }
}

/// `value / sqrt(mean(value^2) + epsilon)` along the last axes.
#[derive(Debug, Clone, Copy)]
pub struct Normalised {
    /// What is normalised.
    pub value: Value,
    /// The first of the axes.
    pub axis: usize,
    /// What keeps the root from zero.
    pub epsilon: f64,
}

/// The normalisation whose last step, a `Div` or `Mul`, is this node.
pub fn normalised(g: &Rewriter<'_>, id: NodeId) -> Result<Option<Normalised>, Declined> {
    let Some((value, sum)) = over_root(g, id) else { return Ok(None) };
    let Some((mean, epsilon)) = g.with_scalar(sum, "Add") else { return Ok(None) };
    let Some((square, axes)) = g.mean(mean) else { return Ok(None) };
    if !is_square(g, square, value) {
        return Ok(None);
    }
    let rank = g.rank(value).unwrap_or(0);
    let first = axes.first().copied().unwrap_or(rank);
    if first + axes.len() != rank || !axes.windows(2).all(|pair| pair[0] + 1 == pair[1]) {
        return Err("the axes are not the last ones".into());
    }
    Ok(Some(Normalised { value, axis: first, epsilon }))
}

/// `a` and `b`, if the node is `a / sqrt(b)` in one of its spellings.
fn over_root(g: &Rewriter<'_>, id: NodeId) -> Option<(Value, Value)> {
    let (a, b) = g.pair(id)?;
    if g.applies(id, "Div") {
        return Some((a, root(g, b)?));
    }
    if !g.applies(id, "Mul") {
        return None;
    }
    inverse_root(g, b).map(|b| (a, b)).or_else(|| inverse_root(g, a).map(|a| (b, a)))
}

fn root(g: &Rewriter<'_>, value: Value) -> Option<Value> {
    match g.made_by(value, "Sqrt") {
        Some(id) => g.operand(id, 0),
        None => g.with_scalar(value, "Pow").filter(|(_, power)| *power == 0.5).map(|(base, _)| base),
    }
}

fn inverse_root(g: &Rewriter<'_>, value: Value) -> Option<Value> {
    if let Some(id) = g.made_by(value, "Reciprocal") {
        return root(g, g.operand(id, 0)?);
    }
    if let Some(id) = g.made_by(value, "Div") {
        let (one, below) = g.pair(id)?;
        return root(g, below).filter(|_| g.scalar(one) == Some(1.0));
    }
    g.with_scalar(value, "Pow").filter(|(_, power)| *power == -0.5).map(|(base, _)| base)
}

fn is_square(g: &Rewriter<'_>, square: Value, of: Value) -> bool {
    if let Some(id) = g.made_by(square, "Mul") {
        return g.pair(id).is_some_and(|(a, b)| a == b && g.equal(a, of));
    }
    g.with_scalar(square, "Pow").is_some_and(|(base, power)| power == 2.0 && g.equal(base, of))
}

/// Normalisations.
impl Rewriter<'_> {
    /// Whether both are the same value, or the same operator of the same operands.
    fn equal(&self, a: Value, b: Value) -> bool {
        let (x, y) = (self.node(a.node), self.node(b.node));
        let same = || x.op == y.op && x.attrs == y.attrs && self.operands(a.node) == self.operands(b.node);
        a == b || (a.slot == b.slot && x.arity() > 0 && x.regions.is_empty() && same())
    }

    /// Operand and sorted axes, if the value is a mean that keeps its axes.
    fn mean(&self, value: Value) -> Option<(Value, Vec<usize>)> {
        let id = self.made_by(value, "ReduceMean")?;
        let operand = self.operand(id, 0)?;
        let (rank, axes) = (self.rank(operand)? as i64, self.ints(self.operand(id, 1)?)?);
        let axes = axes.into_iter().map(|axis| if axis < 0 { axis + rank } else { axis } as usize);
        let mut axes: Vec<usize> = axes.collect();
        axes.sort_unstable();
        (!axes.is_empty() && self.attrs(id)?.flag("keepdims")).then_some((operand, axes))
    }

    /// `x`, if the value is `x` less its mean along all axes from `axis` on.
    pub fn centred(&self, value: Value, axis: usize) -> Option<Value> {
        let (x, mean) = self.pair(self.made_by(value, "Sub")?)?;
        let (operand, axes) = self.mean(mean)?;
        (operand == x && axes.into_iter().eq(axis..self.rank(x)?)).then_some(x)
    }

    /// The other operand and the result, if the only user of a value combines it by `op` with one
    /// number per element of the last axes; extents of 1 in front of those are dropped.
    pub fn applied_along(
        &mut self,
        value: Value,
        op: &str,
        dims: &[Dim],
    ) -> Result<Option<(Value, Value)>, Declined> {
        let user = self.only_user(value).filter(|user| self.applies(*user, op));
        let Some((user, other)) = user.and_then(|user| Some((user, self.other(user, value)?))) else {
            return Ok(None);
        };
        let same = |a: &[Dim], b: &[Dim]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b));
        let found = self.dims(other).unwrap_or_default();
        if same(found, dims) {
            return Ok(Some((other, self.result(user))));
        }
        let extra = found.len().saturating_sub(dims.len());
        let fits = same(&found[extra..], dims) && found[..extra].iter().all(|d| d.as_fixed() == Some(1));
        let kept = self.rank(self.result(user)) == self.rank(value);
        let Some(tensor) = self.data(other).filter(|_| fits && kept).cloned() else { return Ok(None) };
        let tensor =
            tensor.reshaped(tensor.dims()[extra..].to_vec()).map_err(|e| Declined::from(e.to_string()))?;
        Ok(Some((self.constant(tensor)?, self.result(user))))
    }
}
