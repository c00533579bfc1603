//! Computes what depends on constants alone, now instead of at run time.
//!
//! Before: `%a = Const()`, `%b = Sqrt(%a)`. After: `%b = Const()` with the roots.
//!
//! Results larger than the operands are kept within a budget, so that a `ConstantOfShape` or an
//! `Expand` does not blow up the artifact. Operators that are not pure, those with regions, and
//! `DequantizeLinear`, which would undo what quantisation saved, are left alone.
//! A `Cast` of numbers of 16 bits is folded: kernels hold a matrix whose numbers all have 16 bits as such, whatever its
//! type says, and passes find the `f32` that they expect.
use std::sync::Arc;
use weft_ir::{NodeId, Stage, Tensor, TensorType, Value};
use weft_passes::{
    Declined, Editor, Evaluate, OptionInfo, Outcome, Pass, PassContext, PassError, PassInfo, PassKind,
    Rewriter,
};

pub(crate) const INFO: PassInfo = PassInfo {
    name: "fold-constants",
    summary: "computes what depends on constants alone",
    options: &[OptionInfo {
        name: "bytes",
        default: "1048576",
        help: "how large a result may be that is larger than its operands",
    }],
    kind: PassKind::Exact,
    accepts: (Stage::Canonical, Stage::Lowered),
    build: &|options| Ok(Box::new(FoldConstants { bytes: options.number("bytes")? })),
};

struct FoldConstants {
    bytes: u64,
}

impl Pass for FoldConstants {
    fn run(&self, edit: &mut Editor<'_>, cx: &PassContext<'_>) -> Result<Outcome, PassError> {
        let evaluate = cx.evaluate.ok_or(PassError::Missing("evaluator"))?;
        edit.each_node(|g, id| self.fold(g, id, evaluate))
    }
}

impl FoldConstants {
    fn fold(&self, g: &mut Rewriter<'_>, id: NodeId, evaluate: &dyn Evaluate) -> Result<(), Declined> {
        let Some(operands) = constant_operands(g, id) else { return Ok(()) };
        if g.applies(id, "DequantizeLinear") {
            return Err("quantised data stays quantised".into());
        }
        let given = operands.iter().flatten().filter_map(|t| t.dtype().bytes(t.len())).sum();
        let sizes = g.node(id).results.iter().map(|result| bytes_of(&result.ty)).sum::<Option<u64>>();
        if sizes.is_some_and(|bytes| bytes > self.bytes.max(given)) {
            return Err("the results are larger than the budget".into());
        }
        let results = evaluate.evaluate(g.node(id), &operands)?;
        for (slot, tensor) in results.into_iter().enumerate() {
            let constant = g.constant(tensor)?;
            g.replace(Value { node: id, slot: slot as u32 }, constant);
        }
        Ok(())
    }
}

/// The operands of a node that may be folded; at least one of them is there.
fn constant_operands(g: &Rewriter<'_>, id: NodeId) -> Option<Vec<Option<Arc<Tensor>>>> {
    if !g.is_computable(id) {
        return None;
    }
    let known = |operand: Option<Value>| match operand {
        Some(value) => Some(Some(g.data(value)?.clone())),
        None => Some(None),
    };
    g.operands(id).into_iter().map(known).collect()
}

fn bytes_of(ty: &TensorType) -> Option<u64> {
    let elements = ty.elements()?.as_fixed().and_then(|n| u64::try_from(n).ok())?;
    ty.dtype.bytes(elements)
}
