//! The mask before a layer.
use super::{Masked, Sparsify};
use weft_ir::{Attr, DType, Tensor, Value};
use weft_passes::{Declined, Rewriter, floats, node};

impl Sparsify {
    /// Puts the mask before one layer.
    pub(super) fn mask(&self, g: &mut Rewriter<'_>, masked: &Masked) -> Result<(), Declined> {
        let input = masked.layer.input;
        let size = g.add(node("Abs", []), &[Some(input)])?;
        let passes = match masked.limit {
            None => self.among_largest(g, size, masked)?,
            Some(limit) => {
                let limit = self.limit(g, limit, masked)?;
                g.add(node("Greater", []), &[Some(size), Some(limit)])?
            }
        };
        let zero = g.constant(Tensor::scalar(0.0f32))?;
        let some = g.add(node("Where", []), &[Some(passes), Some(input), Some(zero)])?;
        let mut operands = g.operands(masked.layer.node);
        operands[0] = Some(some);
        g.set_operands(masked.layer.node, operands);
        Ok(())
    }

    /// What a size must pass, by channel.
    fn limit(&self, g: &mut Rewriter<'_>, limit: f32, masked: &Masked) -> Result<Value, Declined> {
        let limits = match masked.limits(limit) {
            Some(limits) => Tensor::vector(&limits),
            None => Tensor::scalar(limit),
        };
        let limit = g.constant(limits)?;
        if !self.dense_prompts {
            return Ok(limit);
        }
        // With more than one token, every size passes.
        let input = masked.layer.input;
        let rank = g.rank(input).ok_or("the rank of its inputs is not known")? as i64;
        let attrs = [("start", Attr::Int(rank - 2)), ("end", Attr::Int(rank - 1))];
        let tokens = g.add(node("Shape", attrs), &[Some(input)])?;
        let (one, all) = (g.constant(Tensor::scalar(1i64))?, g.constant(Tensor::scalar(-1.0f32))?);
        let single = g.add(node("Equal", []), &[Some(tokens), Some(one)])?;
        g.add(node("Where", []), &[Some(single), Some(limit), Some(all)])
    }

    /// Whether an input is among those of its token that count most; of equals at the end all are.
    fn among_largest(&self, g: &mut Rewriter<'_>, size: Value, masked: &Masked) -> Result<Value, Declined> {
        let channels = masked.layer.dims[0];
        let counts = match &masked.channel {
            None => size,
            Some(norms) => {
                let norms = floats(DType::F32, &[channels as u64], norms).ok_or("too many channels")?;
                let norms = g.constant(norms)?;
                g.add(node("Mul", []), &[Some(size), Some(norms)])?
            }
        };
        let kept = g.constant(Tensor::vector(&[masked.kept() as i64]))?;
        let top = g.add_many(node("TopK", []), 2, &[Some(counts), Some(kept)])?;
        let last = g.constant(Tensor::vector(&[-1i64]))?;
        let least = g.add(node("ReduceMin", []), &[Some(Value { node: top, slot: 0 }), Some(last)])?;
        g.add(node("GreaterOrEqual", []), &[Some(counts), Some(least)])
    }
}
