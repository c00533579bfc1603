//! An expression over constants, computed in double precision.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use weft_ir::types::Kind;
use weft_ir::{DType, NodeId, Tensor, Value};
use weft_passes::{Declined, Evaluate, Rewriter, floats};

/// Operators that step: a hair's breadth in the operand is a whole step in the result, so they see
/// what the model would show them.
const STEPS: &[&str] = &["Ceil", "DynamicQuantizeLinear", "Floor", "Mod", "QuantizeLinear", "Round", "Sign"];

/// Of constants with more elements it is not told between which numbers they lie.
const SMALL: u64 = 1 << 12;

/// The nodes between constants and one result.
pub(super) struct Expression {
    /// Producers first; the last one makes the result.
    pub(super) nodes: Vec<NodeId>,
    /// The constants.
    pub(super) leaves: BTreeSet<Value>,
}

/// What an expression gave.
pub(super) struct Found {
    /// The results of the last node, in the types the model states.
    pub(super) results: Vec<Tensor>,
    /// The least and the largest element of small values within.
    pub(super) ranges: BTreeMap<Value, (f64, f64)>,
}

impl Expression {
    /// The expression that ends in a node that follows from constants.
    pub(super) fn of(g: &Rewriter<'_>, root: NodeId) -> Self {
        let (mut nodes, mut leaves) = (Vec::new(), BTreeSet::new());
        let (mut open, mut seen) = (vec![(root, false)], BTreeSet::new());
        while let Some((id, ready)) = open.pop() {
            if ready {
                nodes.push(id);
                continue;
            }
            if !seen.insert(id) {
                continue;
            }
            open.push((id, true));
            for operand in g.operands(id).into_iter().flatten() {
                if g.data(operand).is_some() {
                    leaves.insert(operand);
                } else {
                    open.push((operand.node, false));
                }
            }
        }
        Self { nodes, leaves }
    }

    /// Computes it.
    pub(super) fn evaluate(&self, g: &Rewriter<'_>, evaluate: &dyn Evaluate) -> Result<Found, Declined> {
        let mut known: BTreeMap<Value, Arc<Tensor>> = BTreeMap::new();
        let mut ranges = BTreeMap::new();
        for leaf in &self.leaves {
            let tensor = g.data(*leaf).ok_or("a constant has no data")?;
            note_range(&mut ranges, *leaf, tensor);
            known.insert(*leaf, wide(tensor)?);
        }
        let mut last_use: BTreeMap<Value, NodeId> = BTreeMap::new();
        for id in &self.nodes {
            last_use.extend(g.operands(*id).into_iter().flatten().map(|operand| (operand, *id)));
        }
        let mut results = Vec::new();
        for id in &self.nodes {
            results = node(g, *id, &known, evaluate)?;
            for operand in g.operands(*id).into_iter().flatten().filter(|v| last_use.get(v) == Some(id)) {
                known.remove(&operand);
            }
            for (slot, tensor) in results.iter().enumerate() {
                let value = Value { node: *id, slot: slot as u32 };
                note_range(&mut ranges, value, tensor);
                known.insert(value, tensor.clone());
            }
        }
        let root = self.nodes.last().ok_or("there is nothing to compute")?;
        let stored = results.iter().zip(&g.node(*root).results).map(|(t, def)| narrow(t, def.ty.dtype));
        let results = stored.map(|tensor| Ok(Arc::unwrap_or_clone(tensor?))).collect::<Result<_, Declined>>();
        Ok(Found { results: results?, ranges })
    }
}

fn note_range(ranges: &mut BTreeMap<Value, (f64, f64)>, value: Value, tensor: &Tensor) {
    if tensor.len() > SMALL || tensor.is_empty() {
        return;
    }
    let numbers = tensor.to_f64s().unwrap_or_default();
    let least = numbers.iter().copied().fold(f64::INFINITY, f64::min);
    let largest = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    ranges.insert(value, (least, largest));
}

/// The results of one node, floats in double precision.
fn node(
    g: &Rewriter<'_>,
    id: NodeId,
    known: &BTreeMap<Value, Arc<Tensor>>,
    evaluate: &dyn Evaluate,
) -> Result<Vec<Arc<Tensor>>, Declined> {
    let of = |value: Value| known.get(&value).cloned().ok_or("an operand is missing");
    let operands = g.operands(id).into_iter().map(|v| v.map(of).transpose());
    let operands = operands.collect::<Result<Vec<_>, _>>()?;
    if let Some(kept) = kept_by_cast(g, id, &operands) {
        return Ok(vec![wide(&kept)?]);
    }
    if !steps(g, id)
        && let Ok(results) = evaluate.evaluate(g.node(id), &operands)
    {
        return results.into_iter().map(|tensor| wide(&Arc::new(tensor))).collect();
    }
    // As the model states it, for operators that step or know no f64.
    let stated = g.operands(id).into_iter().zip(operands).map(|(value, operand)| match (value, operand) {
        (Some(value), Some(tensor)) => narrow(&tensor, g.dtype(value)).map(Some),
        _ => Ok(None),
    });
    let results = evaluate.evaluate(g.node(id), &stated.collect::<Result<Vec<_>, _>>()?)?;
    results.into_iter().map(|tensor| wide(&Arc::new(tensor))).collect()
}

/// Whether the results do not follow the operands continuously: whole numbers and truth values never do.
fn steps(g: &Rewriter<'_>, id: NodeId) -> bool {
    let whole = g.node(id).results.iter().any(|result| result.ty.dtype.kind() != Kind::Float);
    whole || is_cast(g, id) || STEPS.contains(&g.node(id).op.as_str())
}

fn is_cast(g: &Rewriter<'_>, id: NodeId) -> bool {
    g.applies(id, "Cast") || g.applies(id, "CastLike")
}

/// The operand of a cast to a type that holds all numbers of the operand's.
fn kept_by_cast(g: &Rewriter<'_>, id: NodeId, operands: &[Option<Arc<Tensor>>]) -> Option<Arc<Tensor>> {
    let from = g.operand(id, 0)?;
    let (from, to) = (g.dtype(from), g.dtype(g.result(id)));
    let floats = from.kind() == Kind::Float && to.kind() == Kind::Float;
    if is_cast(g, id) && floats && to.holds(from) { operands.first()?.clone() } else { None }
}

/// A tensor with floats in double precision; others as they are.
fn wide(tensor: &Arc<Tensor>) -> Result<Arc<Tensor>, Declined> {
    match tensor.dtype() {
        DType::F32 | DType::F16 | DType::Bf16 => narrow(tensor, DType::F64),
        _ => Ok(tensor.clone()),
    }
}

/// A tensor in another float type; others as they are.
fn narrow(tensor: &Arc<Tensor>, dtype: DType) -> Result<Arc<Tensor>, Declined> {
    if tensor.dtype() == dtype || tensor.dtype().kind() != Kind::Float {
        return Ok(tensor.clone());
    }
    let numbers = tensor.to_f64s().ok_or("it holds no numbers")?;
    let tensor = floats(dtype, tensor.dims(), &numbers);
    Ok(Arc::new(tensor.ok_or_else(|| format!("nothing is computed in {dtype}"))?))
}
