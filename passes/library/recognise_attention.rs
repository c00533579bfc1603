//! Names values weighted by the softmax of products of queries and keys.
//!
//! Before: `%s = MatMul(%q, Transpose(%k))`, `%p = Softmax(%s * 0.125 + %mask)`,
//! `%y = MatMul(%p, %v)`. After: `%y = Attention(%q, %k, %v, %mask) {scale = 0.125}`.
//!
//! Queries, keys and values must be of rank 4 with the same batch and heads. Weights with other uses,
//! masks that do not tell the keys apart, and everything the backend in view has no kernel for are
//! left alone. Scales of queries and keys stay where they are.
use weft_ir::{Attr, NodeId, Stage, Value};
use weft_passes::{
    Declined, Editor, Legality, Outcome, Pass, PassContext, PassError, PassInfo, PassKind, Perm, Rewriter,
    node,
};

pub(crate) const INFO: PassInfo = PassInfo {
    name: "recognise-attention",
    summary: "names values weighted by the softmax of products of queries and keys",
    options: &[],
    kind: PassKind::Exact,
    accepts: (Stage::Canonical, Stage::Lowered),
    build: &|_| Ok(Box::new(RecogniseAttention)),
};

struct RecogniseAttention;

impl Pass for RecogniseAttention {
    fn run(&self, edit: &mut Editor<'_>, cx: &PassContext<'_>) -> Result<Outcome, PassError> {
        edit.each_node(|g, id| recognise(g, id, cx.legality))
    }
}

/// The scores before the softmax, taken apart.
struct Scores {
    queries: Value,
    /// The keys with their last two axes exchanged.
    turned_keys: Value,
    scale: f64,
    mask: Option<Value>,
}

fn recognise(g: &mut Rewriter<'_>, id: NodeId, legality: Option<&dyn Legality>) -> Result<(), Declined> {
    if !g.applies(id, "MatMul") {
        return Ok(());
    }
    let Some((weights, values)) = g.pair(id) else { return Ok(()) };
    let Some(softmax) = g.made_by(weights, "Softmax") else { return Ok(()) };
    let Some(Scores { queries, turned_keys, scale, mask }) = scores(g, softmax) else { return Ok(()) };
    let axis = g.attrs(softmax).map_or(-1, |attrs| attrs.int("axis"));
    if g.rank(weights) != Some(4) || !matches!(axis, -1 | 3) {
        return Err("the weights are not of rank 4 with the keys last".into());
    }
    if !g.used_once(weights) {
        return Err("the weights have other uses".into());
    }
    let keys = keys(g, turned_keys)?;
    agree(g, [queries, keys, values], mask)?;
    let operands = [Some(queries), Some(keys), Some(values), mask];
    let attention = g.add(node("Attention", [("scale", Attr::Float(scale as f32))]), &operands)?;
    if let Some(Err(why)) = legality.map(|legality| legality.supports(g, attention.node)) {
        return Err(why.into());
    }
    g.replace(g.result(id), attention);
    Ok(())
}

fn scores(g: &Rewriter<'_>, softmax: NodeId) -> Option<Scores> {
    let all = g.operand(softmax, 0)?;
    if let Some(found) = scaled_product(g, all, None) {
        return Some(found);
    }
    let (a, b) = g.pair(g.made_by(all, "Add")?)?;
    scaled_product(g, a, Some(b)).or_else(|| scaled_product(g, b, Some(a)))
}

fn scaled_product(g: &Rewriter<'_>, value: Value, mask: Option<Value>) -> Option<Scores> {
    let factor = g.with_scalar(value, "Mul");
    let divisor = || g.with_scalar(value, "Div").map(|(value, number)| (value, 1.0 / number));
    let (product, scale) = factor.or_else(divisor).unwrap_or((value, 1.0));
    let (queries, turned_keys) = g.pair(g.made_by(product, "MatMul")?)?;
    Some(Scores { queries, turned_keys, scale, mask })
}

/// The keys as they are before the exchange of their last two axes.
fn keys(g: &mut Rewriter<'_>, turned: Value) -> Result<Value, Declined> {
    let (source, perm) = g.transposed(turned).ok_or("the keys are not transposed")?;
    let swap = Perm::new(vec![0, 1, 3, 2]).filter(|swap| swap.rank() == perm.rank());
    let perm = perm.then(&swap.ok_or("the keys are not of rank 4")?);
    if perm.is_identity() {
        return Ok(source);
    }
    g.add(node("Transpose", [("perm", perm.attr())]), &[Some(source)])
}

/// Checks that shapes need no broadcasting but that of the mask over batch, heads and queries.
fn agree(g: &Rewriter<'_>, all: [Value; 3], mask: Option<Value>) -> Result<(), Declined> {
    let [Some([b, h, _, _]), Some([c, i, keys, _]), Some([d, j, _, _])] = all.map(|v| g.dims(v)) else {
        return Err("queries, keys and values are not all of rank 4".into());
    };
    if ![c, d].iter().all(|x| x.same(b)) || ![i, j].iter().all(|x| x.same(h)) {
        return Err("queries, keys and values differ in batch or heads".into());
    }
    let tells = |mask: Value| g.dims(mask).and_then(|dims| dims.last()).is_some_and(|last| last.same(keys));
    if !mask.is_none_or(tells) {
        return Err("the mask does not tell the keys apart".into());
    }
    Ok(())
}
