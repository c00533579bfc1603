//! Makes one product of the products with constant matrices whose sum is taken.
//!
//! Before: `%base = MatMul(%x, %w)`, `%low = MatMul(%x, %a)`, `%high = MatMul(%low, %b)`, `%y = Add(%base, %high)`. After:
//! `%y = MatMul(%x, %merged)` with `w + a b`. This is what an adapter of low rank comes to (LoRA), also where both are
//! scaled by channel as in DoRA: `x w + c + (g - 1) (x w) + g (x a) b`. Constant factors, biases and products one behind
//! the other may stand in between; the weights are computed in double precision.
//!
//! Left alone are sums of products of different values, factors that are not constant (`--fix` makes inputs so), weights
//! of few bits, which would not stay so, and adapters beside which the one product would have more weights than those
//! that go. The numbers agree up to rounding.
//!
//! Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models" (ICLR 2022); Liu et al., "DoRA: Weight-Decomposed
//! Low-Rank Adaptation" (ICML 2024), which `GradNormLoRP` trains.
mod affine;
mod step;

use affine::Affine;
use std::collections::BTreeSet;
use step::{Step, step};
use weft_ir::{NodeId, Stage, Value};
use weft_passes::{Declined, EachNode, PassInfo, PassKind, Rewriter, floats, node};

pub(crate) const INFO: PassInfo = PassInfo {
    name: "merge-adapters",
    summary: "makes one product of the products with constant matrices whose sum is taken",
    options: &[],
    kind: PassKind::Exact,
    accepts: (Stage::Canonical, Stage::Lowered),
    build: &|_| Ok(Box::new(EachNode(merge))),
};

/// How many nodes a sum may be made of.
const WIDEST: usize = 64;

fn merge(g: &mut Rewriter<'_>, id: NodeId) -> Result<(), Declined> {
    let root = g.result(id);
    let Ok(Step::Sum { operands: [a, b], .. }) = step(g, root) else { return Ok(()) };
    let (mut of_a, mut of_b) = (Sources::of(g, a), Sources::of(g, b));
    match (of_a.values.is_empty(), of_b.values.is_empty()) {
        (true, true) => return Ok(()),
        (true, false) => return of_a.obstacle.take().map_or(Ok(()), Err),
        (false, true) => return of_b.obstacle.take().map_or(Ok(()), Err),
        (false, false) => {}
    }
    let common = of_a.values.iter().copied().filter(|value| of_b.values.contains(value));
    let fitting = common.filter_map(|source| Some((source, region(g, root, source)?))).next();
    let (source, nodes) = fitting.ok_or("the products are of different values")?;
    let count = pays(g, (root, source), &nodes)?;
    let affine = Affine::of(g, &nodes, source)?;
    let dtype = g.dtype(root);
    let matrix =
        floats(dtype, &affine.dims.map(|n| n as u64), &affine.matrix).ok_or("the weights are no floats")?;
    let matrix = g.constant(matrix)?;
    let mut value = g.add(node("MatMul", []), &[Some(source), Some(matrix)])?;
    if let Some(shift) = &affine.shift {
        let bias = floats(dtype, &[shift.len() as u64], shift).ok_or("the biases are no floats")?;
        let bias = g.constant(bias)?;
        value = g.add(node("Add", []), &[Some(value), Some(bias)])?;
    }
    if !g.same_type(value, root) {
        return Err("the sum broadcasts to another shape".into());
    }
    g.note(&format!("{count} products of `%{}` are one", g.name_of(source)));
    g.replace(root, value);
    Ok(())
}

/// What the products are of that a value is made of by constants alone, the nearest first.
struct Sources {
    values: Vec<Value>,
    /// What ended the search first, if it was near to being constant.
    obstacle: Option<Declined>,
}

impl Sources {
    fn of(g: &Rewriter<'_>, value: Value) -> Self {
        let (mut values, mut obstacle) = (Vec::new(), None);
        let (mut open, mut at) = (vec![value], 0);
        while let Some(value) = open.get(at).copied().filter(|_| at < WIDEST) {
            at += 1;
            match step(g, value) {
                Ok(step) => {
                    if let Step::Product { input, .. } = step {
                        values.push(input);
                    }
                    let next = step.operands().into_iter().filter(|next| !open.contains(next));
                    let next: Vec<Value> = next.collect();
                    open.extend(next);
                }
                Err(why) => obstacle = obstacle.or(why),
            }
        }
        Self { values, obstacle }
    }
}

/// The nodes between a source and a sum; nothing if the sum is of anything else, too.
fn region(g: &Rewriter<'_>, root: Value, source: Value) -> Option<BTreeSet<NodeId>> {
    let (mut nodes, mut open) = (BTreeSet::new(), vec![root]);
    while let Some(value) = open.pop() {
        if value == source || nodes.len() > WIDEST {
            return None;
        }
        if nodes.insert(value.node) {
            let step = step(g, value).ok()?;
            let reached = matches!(step, Step::Product { input, .. } if input == source);
            open.extend(if reached { Vec::new() } else { step.operands() });
        }
    }
    Some(nodes)
}

/// How many products would go, if one for all of them takes no more weights.
fn pays(
    g: &Rewriter<'_>,
    (root, source): (Value, Value),
    nodes: &BTreeSet<NodeId>,
) -> Result<usize, Declined> {
    let mut kept: BTreeSet<NodeId> = BTreeSet::new();
    loop {
        let stays = |id: &NodeId| {
            let value = g.result(*id);
            let used = |(user, _): &(NodeId, usize)| !nodes.contains(user) || kept.contains(user);
            value != root && (g.outputs().contains(&value) || g.uses(value).iter().any(used))
        };
        let more: Vec<NodeId> = nodes.iter().copied().filter(|id| !kept.contains(id) && stays(id)).collect();
        if more.is_empty() {
            break;
        }
        kept.extend(more);
    }
    let weights = |id: &NodeId| match step(g, g.result(*id)) {
        Ok(Step::Product { matrix, .. }) => Some(matrix.len()),
        _ => None,
    };
    let gone: Vec<u64> = nodes.difference(&kept).filter_map(weights).collect();
    let extent = |value| g.dims(value).and_then(|dims| dims.last()?.as_fixed()).unwrap_or(i64::MAX) as u64;
    let (before, after) = (gone.iter().sum::<u64>(), extent(source).saturating_mul(extent(root)));
    if gone.len() < 2 || after > before {
        return Err(
            format!("one product would have {after} weights, those that would go have {before}").into()
        );
    }
    Ok(gone.len())
}
