//! Random orders of tokens: how they are drawn, applied and undone.
use weft_ir::{NodeId, Value};
use weft_passes::{Declined, Rewriter};

/// How many values are looked at between a sort and the numbers it sorts.
const WIDEST: usize = 64;

/// Operators that give indices another shape, or store them otherwise.
const SHAPES: &[&str] = &["Cast", "Expand", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"];

/// The value before it got its shape and type.
pub(super) fn unshaped(g: &Rewriter<'_>, mut value: Value) -> Value {
    while g.data(value).is_none() && SHAPES.contains(&g.node(value.node).op.as_str()) {
        let Some(operand) = g.operand(value.node, 0) else { break };
        value = operand;
    }
    value
}

/// Tokens that are picked by indices along an axis.
pub(super) struct Picked {
    pub(super) data: Value,
    pub(super) indices: Value,
    pub(super) axis: usize,
}

/// What a node picks whole tokens from, and by which indices.
pub(super) fn picked(g: &Rewriter<'_>, id: NodeId) -> Option<Picked> {
    let (data, indices) = match g.node(id).op.as_str() {
        "Gather" | "GatherElements" | "GatherND" => g.pair(id)?,
        _ => return None,
    };
    let attrs = g.attrs(id)?;
    let rank = g.rank(data)?;
    let axis = if g.applies(id, "GatherND") { attrs.int("batch_dims") } else { attrs.int("axis") };
    let axis = usize::try_from(if axis < 0 { axis + rank as i64 } else { axis }).ok()?;
    let order = unshaped(g, indices);
    let fits = if g.applies(id, "Gather") { 1 } else { axis + 1 };
    (axis + 1 < rank && g.rank(order) == Some(fits)).then_some(Picked { data, indices: order, axis })
}

/// The permutation a value is: the places of all elements along an axis, once they are sorted.
fn sorted(g: &Rewriter<'_>, value: Value) -> Option<Value> {
    if !g.applies(value.node, "TopK") || value.slot != 1 {
        return None;
    }
    let scores = g.operand(value.node, 0)?;
    let dims = g.dims(scores)?;
    let axis = g.attrs(value.node)?.int("axis");
    let axis = usize::try_from(if axis < 0 { axis + dims.len() as i64 } else { axis }).ok()?;
    let taken = g.fact(g.operand(value.node, 1)?)?;
    let all = dims.get(axis)?;
    let is_whole = match &taken.value {
        Some(known) => known.first().is_some_and(|k| k.same(all)),
        None => taken.constant.as_ref().and_then(|k| k.to_i64s()?.first().copied()) == all.as_fixed(),
    };
    is_whole.then_some(scores)
}

/// The permutation that a permutation undoes: `argsort(order)`, or the places scattered by the order.
pub(super) fn undone(g: &Rewriter<'_>, inverse: Value) -> Option<Value> {
    if let Some(order) = sorted(g, inverse) {
        let order = unshaped(g, order);
        let ascends = g.attrs(inverse.node).is_some_and(|attrs| !attrs.flag("largest"));
        return (ascends && sorted(g, order).is_some()).then_some(order);
    }
    let id = g.made_by(inverse, "ScatterElements")?;
    let order = unshaped(g, g.operand(id, 1)?);
    let places = g.ints(unshaped(g, g.operand(id, 2)?))?;
    let counts = places.iter().enumerate().all(|(at, place)| *place == at as i64);
    (counts && sorted(g, order).is_some()).then_some(order)
}

/// Checks that a value orders all tokens, and that chance alone decides how.
pub(super) fn is_random(g: &Rewriter<'_>, order: Value) -> Result<(), Declined> {
    let scores = sorted(g, order).ok_or("the indices are no permutation of all tokens")?;
    let (mut open, mut seen, mut drawn, mut shared) = (vec![scores], 0, false, false);
    let mut given = false;
    while let Some(value) = open.pop() {
        seen += 1;
        shared |= !g.used_once(value) && g.data(value).is_none();
        let node = g.node(value.node);
        let pure = g.ops().get(node.op.as_str()).is_some_and(|def| def.traits.pure);
        if seen > WIDEST {
            return Err("too much stands between the order of the tokens and chance".into());
        }
        if g.is_input(value) {
            given = true;
        } else if node.op.as_str().starts_with("Random") && !pure {
            drawn = true;
        } else if node.op != "Shape" && g.data(value).is_none() {
            open.extend(g.operands(value.node).into_iter().flatten());
        }
    }
    match (given, drawn) {
        (true, _) if shared => Err("the order depends on the tokens: the experts are routed".into()),
        // Numbers from outside that nothing but the sort sees may as well be drawn.
        (true, _) | (_, true) => Ok(()),
        _ => Err("the order is always the same".into()),
    }
}
