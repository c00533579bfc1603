//! Moves transposes towards the outputs, where they meet and cancel.
//!
//! Before: `%a = Transpose(%x) {perm = [0, 3, 1, 2]}`, `%y = Relu(%a)`. After: `%b = Relu(%x)`,
//! `%y = Transpose(%b) {perm = [0, 3, 1, 2]}`.
//!
//! A transpose sinks through elementwise operators (constants turn with it), quantisation, `Concat`, `Split`,
//! reductions, `Softmax`, `Pad`, `Slice` and reshapes that keep its blocks of axes together. It
//! sinks only where no more transposes are left than before, counting those that will cancel; one
//! between channels first and channels last may be doubled at a fork, as its copies end at the next
//! convolution. Everything else is left alone. Each step moves a transpose forward, so it ends.
use std::collections::BTreeSet;
use weft_ir::{Attr, Dim, NodeId, Stage, Tensor, Value};
use weft_passes::{
    Declined, Editor, Outcome, Pass, PassContext, PassError, PassInfo, PassKind, Perm, Rewriter, groups,
    node, permuted, reshaped,
};

pub(crate) const INFO: PassInfo = PassInfo {
    name: "sink-transposes",
    summary: "moves transposes towards the outputs, where they meet and cancel",
    options: &[],
    kind: PassKind::Exact,
    accepts: (Stage::Canonical, Stage::Lowered),
    build: &|_| Ok(Box::new(SinkTransposes)),
};

struct SinkTransposes;

impl Pass for SinkTransposes {
    fn run(&self, edit: &mut Editor<'_>, _: &PassContext<'_>) -> Result<Outcome, PassError> {
        edit.each_graph(|graph| {
            // An operator that was given a transposed operand in the hope of what comes later must
            // not be turned back before that has come.
            let mut turned = BTreeSet::new();
            graph.each_node(&mut |g, id| sink(g, id, &mut turned))
        })
    }
}

/// How far ahead a transpose is looked for that would cancel.
const HORIZON: usize = 8;

fn sink(g: &mut Rewriter<'_>, id: NodeId, turned: &mut BTreeSet<NodeId>) -> Result<(), Declined> {
    let operands = g.operands(id);
    let Some(perm) = operands.iter().flatten().find_map(|v| g.transposed(*v)).map(|(_, perm)| perm) else {
        return Ok(());
    };
    if turned.contains(&id) {
        return Ok(());
    }
    match g.node(id).op.as_str() {
        "Concat" => through_axis(g, id, &perm, operands.len()),
        "Split" | "Softmax" | "LogSoftmax" | "Hardmax" => through_axis(g, id, &perm, 1),
        "Pad" => through_pad(g, id, &perm),
        "Slice" => through_slice(g, id, &perm),
        "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" => through_reshape(g, id),
        "QuantizeLinear" | "DequantizeLinear" => through_quantisation(g, id, &perm),
        op if op.starts_with("Reduce") => through_reduce(g, id, &perm),
        _ => through_elementwise(g, id, &perm, turned),
    }
}

/// Adds the node anew on other operands and puts it, transposed, in the place of the old one.
fn renew(
    g: &mut Rewriter<'_>,
    id: NodeId,
    operands: &[Option<Value>],
    axis: Option<usize>,
    perm: &Perm,
) -> Result<NodeId, Declined> {
    let count = g.node(id).results.len();
    let mut fresh = g.node(id).clone();
    fresh.results.clear();
    if let Some(axis) = axis {
        fresh.attrs.insert("axis".to_string(), Attr::Int(axis as i64));
    }
    let fresh = g.add_many(fresh, count, operands)?;
    for slot in 0..count as u32 {
        let (old, new) = (Value { node: id, slot }, Value { node: fresh, slot });
        if perm.is_identity() {
            g.replace(old, new);
        } else if !meet(g, old, new, perm) {
            let back = g.add(node("Transpose", [("perm", perm.attr())]), &[Some(new)])?;
            g.replace(old, back);
        }
    }
    Ok(fresh)
}

/// Puts `new` in the place of the transposes of `old` that undo `perm`; says whether nothing else
/// uses `old`.
fn meet(g: &mut Rewriter<'_>, old: Value, new: Value, perm: &Perm) -> bool {
    let users = g.uses(old);
    let undone: Vec<Value> =
        users.iter().map(|(user, _)| g.result(*user)).filter(|user| undoes(g, *user, perm)).collect();
    let all = undone.len() == users.len() && !users.is_empty() && !g.outputs().contains(&old);
    undone.into_iter().for_each(|user| g.replace(user, new));
    all
}

fn undoes(g: &Rewriter<'_>, value: Value, perm: &Perm) -> bool {
    g.transposed(value).is_some_and(|(_, next)| perm.then(&next).is_identity())
}

/// The operand of the transpose that makes operand 0, if nothing else uses that.
fn sole_source(g: &Rewriter<'_>, id: NodeId, perm: &Perm) -> Result<Value, Declined> {
    let operand = g.operand(id, 0).ok_or("operand 0 is not transposed")?;
    let (source, found) = g.transposed(operand).ok_or("operand 0 is not transposed")?;
    if found != *perm || !(g.used_once(operand) || is_layout(perm)) {
        return Err("the transpose has other uses".into());
    }
    Ok(source)
}

fn is_layout(perm: &Perm) -> bool {
    let last = Perm::channels_last(perm.rank());
    perm.rank() > 3 && (*perm == last || *perm == last.inverse())
}

fn through_axis(g: &mut Rewriter<'_>, id: NodeId, perm: &Perm, moved: usize) -> Result<(), Declined> {
    sole_source(g, id, perm)?;
    let default = if g.applies(id, "Split") { 0 } else { -1 };
    let axis = g.attrs(id).and_then(|attrs| attrs.int_opt("axis")).unwrap_or(default);
    let axis = if axis < 0 { axis + perm.rank() as i64 } else { axis } as usize;
    let mut operands = g.operands(id);
    for operand in operands.iter_mut().take(moved) {
        let value = operand.ok_or("an operand is missing")?;
        *operand = Some(match g.transposed(value) {
            Some((source, found)) if found == *perm => source,
            _ => constant_turned(g, value, perm)?.ok_or("an operand is not transposed the same way")?,
        });
    }
    let axis = *perm.axes().get(axis).ok_or("the axis is out of range")?;
    renew(g, id, &operands, Some(axis), perm).map(drop)
}

/// Scales are one number, or one for each index of an axis, which moves.
fn through_quantisation(g: &mut Rewriter<'_>, id: NodeId, perm: &Perm) -> Result<(), Declined> {
    let source = sole_source(g, id, perm)?;
    let int = |name| g.attrs(id).map_or(0, |attrs| attrs.int(name));
    let (axis, blocks) = (int("axis"), int("block_size"));
    if blocks != 0 {
        return Err("its scales lie in blocks".into());
    }
    let scale =
        g.operand(id, 1).and_then(|scale| g.dims(scale)).ok_or("the extents of the scale are not known")?;
    let single = scale.iter().all(|dim| dim.as_fixed() == Some(1));
    let axis = if axis < 0 { axis + perm.rank() as i64 } else { axis } as usize;
    let moved = match single {
        true => None,
        false => Some(*perm.axes().get(axis).ok_or("the axis is out of range")?),
    };
    let mut operands = g.operands(id);
    operands[0] = Some(source);
    renew(g, id, &operands, moved, perm).map(drop)
}

fn through_reduce(g: &mut Rewriter<'_>, id: NodeId, perm: &Perm) -> Result<(), Declined> {
    let source = sole_source(g, id, perm)?;
    let keeps = g.attrs(id).is_some_and(|attrs| attrs.flag("keepdims"));
    let Some(axes) = g.operand(id, 1) else { return Err("it reduces all axes".into()) };
    let axes = g.ints(axes).ok_or("the axes are not constant")?;
    let rank = perm.rank() as i64;
    let axes: Vec<usize> = axes.iter().map(|a| (if *a < 0 { a + rank } else { *a }) as usize).collect();
    let mapped: Vec<i64> = axes.iter().map(|a| perm.axes()[*a] as i64).collect();
    let left = if keeps { perm.clone() } else { perm.without(&axes) };
    let operand = g.constant(Tensor::vector(&mapped))?;
    renew(g, id, &[Some(source), Some(operand)], None, &left).map(drop)
}

fn through_pad(g: &mut Rewriter<'_>, id: NodeId, perm: &Perm) -> Result<(), Declined> {
    let source = sole_source(g, id, perm)?;
    let mut operands = g.operands(id);
    operands[0] = Some(source);
    if let Some(axes) = g.operand(id, 3) {
        let axes = mapped_axes(g, axes, perm)?;
        operands[3] = Some(g.constant(Tensor::vector(&axes))?);
    } else {
        let pads = g.operand(id, 1).and_then(|v| g.ints(v)).ok_or("the pads are not constant")?;
        let (before, after) = pads.split_at(perm.rank().min(pads.len()));
        let back = perm.inverse();
        let turned = [back.apply(before), back.apply(after)].concat();
        operands[1] = Some(g.constant(Tensor::vector(&turned))?);
    }
    renew(g, id, &operands, None, perm).map(drop)
}

fn through_slice(g: &mut Rewriter<'_>, id: NodeId, perm: &Perm) -> Result<(), Declined> {
    let source = sole_source(g, id, perm)?;
    let mut operands = g.operands(id);
    let axes = match g.operand(id, 3) {
        Some(axes) => mapped_axes(g, axes, perm)?,
        None => {
            let starts = g.operand(id, 1).and_then(|v| g.dims(v)).and_then(|dims| dims.first()?.as_fixed());
            let count = starts.ok_or("the number of sliced axes is not known")? as usize;
            perm.axes().iter().take(count).map(|axis| *axis as i64).collect()
        }
    };
    operands[0] = Some(source);
    operands.resize(operands.len().max(4), None);
    let like = g.operand(id, 1).map(|v| g.dtype(v)).ok_or("the starts are missing")?;
    let axes = weft_passes::integers(like, &[axes.len() as u64], &axes).ok_or("the axes are no integers")?;
    operands[3] = Some(g.constant(axes)?);
    renew(g, id, &operands, None, perm).map(drop)
}

fn mapped_axes(g: &Rewriter<'_>, axes: Value, perm: &Perm) -> Result<Vec<i64>, Declined> {
    let rank = perm.rank() as i64;
    let axes = g.ints(axes).ok_or("the axes are not constant")?;
    let mapped = axes.iter().map(|a| perm.axes().get((if *a < 0 { a + rank } else { *a }) as usize));
    let mapped: Option<Vec<i64>> = mapped.map(|axis| axis.map(|a| *a as i64)).collect();
    mapped.ok_or_else(|| "an axis is out of range".into())
}

/// A reshape that keeps blocks of neighbouring axes together reshapes the blocks where they are,
/// and the transpose moves them afterwards.
fn through_reshape(g: &mut Rewriter<'_>, id: NodeId) -> Result<(), Declined> {
    let operand = g.operand(id, 0).ok_or("operand 0 is not transposed")?;
    let Some((source, perm)) = g.transposed(operand) else { return Ok(()) };
    if !g.used_once(operand) {
        return Err("the transpose has other uses".into());
    }
    let shapes = g.dims(operand).zip(g.dims(g.result(id))).map(|(a, b)| (a.to_vec(), b.to_vec()));
    let (from, to) = shapes.ok_or("a rank is not known")?;
    let (order, back) =
        blocks(&perm, &from, &to).ok_or("the reshape takes apart what the transpose moves")?;
    let mut value = reshaped(g, source, &order)?;
    if !back.is_identity() {
        value = g.add(node("Transpose", [("perm", back.attr())]), &[Some(value)])?;
    }
    g.replace(g.result(id), value);
    Ok(())
}

/// The extents that the reshape gives before the transpose, and the transpose after it.
fn blocks(perm: &Perm, from: &[Dim], to: &[Dim]) -> Option<(Vec<Dim>, Perm)> {
    let groups = groups(from, to)?;
    let group_of = |axis: usize| groups.iter().position(|group| group.from.contains(&axis));
    // The axes of the source in order, as (group, place within the transposed shape); ones are air.
    let back = perm.inverse();
    let wide = back.axes().iter().filter(|axis| from[**axis].as_fixed() != Some(1));
    let mut order: Vec<usize> = Vec::new();
    let mut last: Option<(usize, usize)> = None;
    for axis in wide {
        let group = group_of(*axis)?;
        match last {
            Some((same, before)) if same == group && before < *axis => {}
            _ if order.contains(&group) => return None,
            _ => order.push(group),
        }
        last = Some((group, *axis));
    }
    for group in 0..groups.len() {
        if !order.contains(&group) {
            // Nothing but ones: it goes where its neighbour in the result goes.
            let at = order.iter().position(|g| *g + 1 == group).map_or(0, |at| at + 1);
            order.insert(at, group);
        }
    }
    let axes: Vec<usize> = order.iter().flat_map(|group| groups[*group].to.clone()).collect();
    let dims = axes.iter().map(|axis| to[*axis].clone()).collect();
    Some((dims, Perm::new(axes)?.inverse()))
}

fn through_elementwise(
    g: &mut Rewriter<'_>,
    id: NodeId,
    perm: &Perm,
    done: &mut BTreeSet<NodeId>,
) -> Result<(), Declined> {
    let def = g.ops().get(g.node(id).op.as_str());
    if !def.is_some_and(|def| def.traits.elementwise && def.attr("axis").is_none()) {
        return Ok(());
    }
    if g.node(id).results.len() != 1 || g.rank(g.result(id)) != Some(perm.rank()) {
        return Err("the result has another rank than the transpose".into());
    }
    let operands = g.operands(id);
    let mut turned = operands.clone();
    let (mut gone, mut new) = (BTreeSet::new(), 0);
    for operand in turned.iter_mut().flatten() {
        let value = *operand;
        match g.transposed(value) {
            Some((source, found)) if found == *perm => {
                gone.extend(user(g, value).map(|_| value));
                *operand = source;
            }
            _ => {
                let (there, cost) = turned_over(g, value, perm)?;
                *operand = there;
                new += cost;
            }
        }
    }
    let cancels = ends(g, g.result(id), perm);
    if new + usize::from(!cancels) > gone.len() + usize::from(cancels) && (new > 0 || !is_layout(perm)) {
        return Err("there would be more transposes than before".into());
    }
    let fresh = renew(g, id, &turned, None, perm)?;
    if new > 0 {
        done.insert(fresh);
    }
    Ok(())
}

/// A value as it must be before the transpose, and how many transposes at run time that takes.
fn turned_over(g: &mut Rewriter<'_>, value: Value, perm: &Perm) -> Result<(Value, usize), Declined> {
    let dims = g.dims(value).ok_or("a rank is not known")?.to_vec();
    if dims.iter().all(|dim| dim.as_fixed() == Some(1)) {
        return Ok((value, 0));
    }
    if let Some(constant) = constant_turned(g, value, perm)? {
        return Ok((constant, 0));
    }
    if dims.len() != perm.rank() {
        return Err("an operand of lower rank broadcasts".into());
    }
    let back = perm.inverse();
    if back.moves_nothing(&dims) {
        return Ok((reshaped(g, value, &back.apply(&dims))?, 0));
    }
    Ok((g.add(node("Transpose", [("perm", back.attr())]), &[Some(value)])?, 1))
}

/// A constant as it must be before the transpose, with axes of extent 1 in front as needed.
fn constant_turned(g: &mut Rewriter<'_>, value: Value, perm: &Perm) -> Result<Option<Value>, Declined> {
    let Some(tensor) = g.data(value).cloned() else { return Ok(None) };
    let Some(missing) = perm.rank().checked_sub(tensor.dims().len()) else { return Ok(None) };
    let dims = [vec![1; missing], tensor.dims().to_vec()].concat();
    let turned = tensor.reshaped(dims).ok().and_then(|tensor| permuted(&tensor, &perm.inverse()));
    turned.map(|tensor| g.constant(tensor)).transpose()
}

/// The one node that uses a value, however often, if the value is no output.
fn user(g: &Rewriter<'_>, value: Value) -> Option<NodeId> {
    let users: BTreeSet<NodeId> = g.uses(value).into_iter().map(|(user, _)| user).collect();
    let alone = users.len() == 1 && !g.outputs().contains(&value);
    users.first().copied().filter(|_| alone)
}

/// Whether a transpose of this value would meet its inverse soon, through operators that take the
/// shape of their operand.
fn ends(g: &Rewriter<'_>, mut value: Value, perm: &Perm) -> bool {
    for _ in 0..HORIZON {
        let users = g.uses(value);
        let undone = |(user, _): &(NodeId, usize)| undoes(g, g.result(*user), perm);
        if !users.is_empty() && !g.outputs().contains(&value) && users.iter().all(undone) {
            return true;
        }
        let Some(user) = user(g, value) else { return false };
        let elementwise = g.ops().get(g.node(user).op.as_str()).is_some_and(|def| def.traits.elementwise);
        let others = g.operands(user).into_iter().flatten().filter(|v| *v != value);
        if !elementwise || !others.into_iter().all(|v| g.data(v).is_some()) {
            return false;
        }
        value = g.result(user);
    }
    false
}
