//! The mask before a layer.
use super::Masked;
use weft_ir::{DType, Graph, Tensor, Value};
use weft_passes::{Declined, Linear, Rewriter, floats, node};

impl Masked {
    /// Adds the mask; gives the inputs that are left.
    pub(crate) fn add(&self, g: &mut Rewriter<'_>) -> Result<Value, Declined> {
        let input = self.layer.input;
        let size = g.add(node("Abs", []), &[Some(input)])?;
        let passes = match self.limit {
            None => self.among_largest(g, size)?,
            Some(limit) => {
                let limits = match self.limits(limit) {
                    Some(limits) => Tensor::vector(&limits),
                    None => Tensor::scalar(limit),
                };
                let limit = g.constant(limits)?;
                let limit = self.bound(g, limit)?;
                g.add(node("Greater", []), &[Some(size), Some(limit)])?
            }
        };
        let zero = g.constant(Tensor::scalar(0.0f32))?;
        g.add(node("Where", []), &[Some(passes), Some(input), Some(zero)])
    }

    /// Puts the mask before the layer.
    pub(crate) fn put(&self, g: &mut Rewriter<'_>) -> Result<(), Declined> {
        let some = self.add(g)?;
        let mut operands = g.operands(self.layer.node);
        operands[0] = Some(some);
        g.set_operands(self.layer.node, operands);
        Ok(())
    }

    /// What must be passed, or what is where the token is never masked.
    fn bound(&self, g: &mut Rewriter<'_>, bound: Value) -> Result<Value, Declined> {
        self.prompt.bound((self.layer.input, bound), &mut |node, operands| {
            let operands: Vec<Option<Value>> = operands.iter().copied().map(Some).collect();
            g.add(node, &operands)
        })
    }

    /// Whether an input is among those of its token that count most; of equals at the end all are.
    fn among_largest(&self, g: &mut Rewriter<'_>, size: Value) -> Result<Value, Declined> {
        let channels = self.layer.dims[0];
        let counts = match &self.channel {
            None => size,
            Some(norms) => {
                let norms = floats(DType::F32, &[channels as u64], norms).ok_or("too many channels")?;
                let norms = g.constant(norms)?;
                g.add(node("Mul", []), &[Some(size), Some(norms)])?
            }
        };
        let kept = g.constant(Tensor::vector(&[self.kept() as i64]))?;
        let top = g.add_many(node("TopK", []), 2, &[Some(counts), Some(kept)])?;
        let last = g.constant(Tensor::vector(&[-1i64]))?;
        let least = g.add(node("ReduceMin", []), &[Some(Value { node: top, slot: 0 }), Some(last)])?;
        let least = self.bound(g, least)?;
        g.add(node("GreaterOrEqual", []), &[Some(counts), Some(least)])
    }
}

/// Declines a layer whose input is zero where some condition does not hold.
pub(crate) fn not_masked(graph: &Graph, layer: &Linear) -> Result<(), Declined> {
    let zero = || graph.constant(graph.operand(layer.input.node, 2)?)?.as_scalar();
    match graph.node(layer.input.node).op == "Where" && zero() == Some(0.0) {
        true => Err("its inputs are masked already".into()),
        false => Ok(()),
    }
}

/// Normalisations whose first operand is what they normalise.
const NORMALISATIONS: [&str; 2] = ["RMSNormalization", "LayerNormalization"];

/// Declines a layer that carries the residual stream itself: others read its input normalised, and what it
/// makes is added to. What is dropped there is missing in all layers behind.
pub(crate) fn not_residual(graph: &Graph, layer: &Linear) -> Result<(), Declined> {
    let op = |id| graph.node(id).op.as_str();
    let normalised =
        graph.uses(layer.input).into_iter().any(|(id, at)| at == 0 && NORMALISATIONS.contains(&op(id)));
    let uses = graph.uses(layer.output());
    match normalised && !uses.is_empty() && uses.iter().all(|(id, _)| op(*id) == "Add") {
        true => Err("it carries the residual stream, which all layers behind it read".into()),
        false => Ok(()),
    }
}
