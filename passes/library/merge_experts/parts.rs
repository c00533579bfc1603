//! Tokens dealt out in parts by a random order, and brought back.
use super::order::{Picked, picked, undone, unshaped};
use weft_ir::{NodeId, Value};
use weft_passes::{Declined, Rewriter};

/// Tokens that come back from where an order put them.
pub(super) struct Partition {
    /// The random order.
    pub(super) order: Value,
    /// Along which axis.
    pub(super) axis: usize,
    /// The tokens in that order, after the experts.
    pub(super) dealt: Value,
}

/// The partition that ends in a node: tokens are picked by the inverse of an order, or scattered by it.
pub(super) fn partition(g: &Rewriter<'_>, id: NodeId) -> Option<Partition> {
    if let Some(Picked { data, indices, axis }) = picked(g, id) {
        return Some(Partition { order: undone(g, indices)?, axis, dealt: data });
    }
    let attrs = g.attrs(id)?;
    let dealt = g.operand(id, 2)?;
    let axis = match g.node(id).op.as_str() {
        "ScatterElements" => attrs.int("axis"),
        "ScatterND" => 0,
        _ => return None,
    };
    let rank = g.rank(dealt)?;
    let axis = usize::try_from(if axis < 0 { axis + rank as i64 } else { axis }).ok()?;
    let base = g.data(g.operand(id, 0)?).and_then(|data| data.as_uniform());
    let overwrites = attrs.str("reduction") == "none";
    let adds_to_nothing = attrs.str("reduction") == "add" && base == Some(0.0);
    let order = unshaped(g, g.operand(id, 1)?);
    let is_order = g.applies(order.node, "TopK") && g.rank(order) == Some(axis + 1) && axis + 1 < rank;
    let fits = is_order && (overwrites || adds_to_nothing) && g.rank(g.result(id)) == Some(rank);
    fits.then_some(Partition { order, axis, dealt })
}

/// The value of every expert that the tokens were joined of, or the one of all.
pub(super) fn end(g: &Rewriter<'_>, dealt: Value) -> Vec<Value> {
    let mut value = dealt;
    let last = |value: Value| g.dims(value).and_then(|dims| dims.last());
    while matches!(
        g.node(value.node).op.as_str(),
        "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" | "Identity"
    ) {
        let Some(inner) = g.operand(value.node, 0) else { break };
        if !last(inner).zip(last(value)).is_some_and(|(a, b)| a.same(b)) {
            break;
        }
        value = inner;
    }
    let parts = g.operands(value.node).into_iter().collect::<Option<Vec<_>>>();
    match parts.filter(|_| g.applies(value.node, "Concat") && !is_last_axis(g, value.node, value)) {
        Some(parts) if parts.len() > 1 => parts,
        _ => vec![value],
    }
}

fn is_last_axis(g: &Rewriter<'_>, id: NodeId, like: Value) -> bool {
    let axis = g.attrs(id).map_or(-1, |attrs| attrs.int("axis"));
    let rank = g.rank(like).unwrap_or(0) as i64;
    axis == -1 || axis == rank - 1
}

/// The tokens before the order was applied, if the lanes are those tokens in equal parts.
pub(super) fn begin(g: &Rewriter<'_>, lanes: &[Value], found: &Partition) -> Result<Option<Value>, Declined> {
    let whole = match lanes {
        [one] => *one,
        [first, ..] => {
            if !lanes.iter().all(|lane| lane.node == first.node) {
                return sliced(g, lanes, found);
            }
            if !g.applies(first.node, "Split") || is_last_axis(g, first.node, *first) {
                return Ok(None);
            }
            let in_turn = lanes.iter().enumerate().all(|(at, lane)| lane.slot as usize == at);
            if !in_turn || !lanes.iter().all(|lane| g.same_type(*lane, *first)) {
                return Err("the experts' parts differ in size".into());
            }
            g.operand(first.node, 0).ok_or("a split has no operand")?
        }
        [] => return Ok(None),
    };
    Ok(shuffled(g, whole, found))
}

/// The tokens of which a value is the shuffled ones, features still last.
fn shuffled(g: &Rewriter<'_>, value: Value, found: &Partition) -> Option<Value> {
    let tokens = picked(g, unshaped(g, value).node)?;
    let last = |value: Value| g.dims(value).and_then(|dims| dims.last());
    let kept = last(value).zip(last(tokens.data)).is_some_and(|(a, b)| a.same(b));
    (kept && tokens.indices == found.order && tokens.axis == found.axis).then_some(tokens.data)
}

/// The same for lanes that are slices, or elements, in turn.
fn sliced(g: &Rewriter<'_>, lanes: &[Value], found: &Partition) -> Result<Option<Value>, Declined> {
    let mut whole = None;
    for (at, lane) in lanes.iter().enumerate() {
        let id = unshaped(g, *lane).node;
        let place = match g.node(id).op.as_str() {
            "Slice" => g.operand(id, 1),
            "Gather" => g.operand(id, 1),
            _ => return Ok(None),
        };
        let from = g.operand(id, 0).and_then(|from| shuffled(g, from, found));
        let Some((place, from)) = place.and_then(|place| g.ints(place)).zip(from) else { return Ok(None) };
        let [start] = place[..] else { return Ok(None) };
        let step = match g.applies(id, "Slice") {
            true => length(g, id).ok_or("the experts' parts have no fixed size")?,
            false => 1,
        };
        if start != step * at as i64 || whole.is_some_and(|known| known != from) {
            return Err("the experts' parts differ in size, or are out of turn".into());
        }
        whole = Some(from);
    }
    Ok(whole)
}

/// How much a slice takes of the only axis it changes, which is not the last one.
fn length(g: &Rewriter<'_>, id: NodeId) -> Option<i64> {
    let (from, to) = (g.dims(g.operand(id, 0)?)?, g.dims(g.result(id))?);
    let changed: Vec<usize> = (0..to.len()).filter(|axis| !from[*axis].same(&to[*axis])).collect();
    match changed[..] {
        [axis] if axis + 1 < to.len() => to[axis].as_fixed(),
        _ => None,
    }
}
