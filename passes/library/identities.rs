//! Removes operators that give back their operand.
//!
//! Before: `%a = Mul(%x, %one)`, `%b = Reshape(%a, %s)` to the shape it has, `%y = Relu(%b)`. After:
//! `%y = Relu(%x)`.
//!
//! An operator goes only where element type and every extent of operand and result are certainly
//! the same, so broadcasting constants and extents decided at run time are left alone. `x + 0`
//! turns a negative zero positive and `x` does not; nothing else differs.
use weft_ir::{DType, NodeId, Stage, Value};
use weft_passes::{Declined, EachNode, PassInfo, PassKind, Rewriter};

pub(crate) const INFO: PassInfo = PassInfo {
    name: "identities",
    summary: "removes operators that give back their operand",
    options: &[],
    kind: PassKind::Exact,
    accepts: (Stage::Canonical, Stage::Lowered),
    build: &|_| Ok(Box::new(EachNode(remove))),
};

fn remove(g: &mut Rewriter<'_>, id: NodeId) -> Result<(), Declined> {
    if g.node(id).results.is_empty() || !g.node(id).regions.is_empty() {
        return Ok(());
    }
    let result = g.result(id);
    let Some(same) = given_back(g, id) else { return skip_cast(g, id) };
    if !g.same_type(same, result) {
        return Err("operand and result differ in type".into());
    }
    g.replace(result, same);
    Ok(())
}

/// The operand that a node gives back, shape aside.
fn given_back(g: &Rewriter<'_>, id: NodeId) -> Option<Value> {
    let first = g.operand(id, 0)?;
    let alone = g.node(id).arity() == 1;
    let kept = g.same_type(first, g.result(id));
    let gives = match g.node(id).op.as_str() {
        "Identity" => true,
        "Concat" | "Sum" | "Max" | "Min" | "Mean" | "Einsum" => alone && kept,
        "Split" => g.node(id).results.len() == 1,
        "Cast" | "CastLike" | "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" | "Expand" | "Tile" => kept,
        "Transpose" => g.transposed(g.result(id))?.1.is_identity(),
        "Slice" => kept && g.operand(id, 4).is_none_or(|steps| all(g, steps, |step| step > 0)),
        "Pad" => all(g, g.operand(id, 1)?, |pad| pad == 0),
        "Add" | "Mul" | "Sub" | "Div" | "Pow" => return neutral(g, id),
        _ => false,
    };
    gives.then_some(first)
}

fn all(g: &Rewriter<'_>, value: Value, test: fn(i64) -> bool) -> bool {
    g.ints(value).is_some_and(|ints| ints.into_iter().all(test))
}

/// The other operand, if one is all zeros or all ones and that changes nothing.
fn neutral(g: &Rewriter<'_>, id: NodeId) -> Option<Value> {
    let (operand, constant) = g.with_constant(id)?;
    let wanted = if matches!(g.node(id).op.as_str(), "Add" | "Sub") { 0.0 } else { 1.0 };
    let data = g.data(constant)?;
    (data.as_uniform() == Some(wanted) && g.same_type(operand, g.result(id))).then_some(operand)
}

/// `Cast(Cast(x))` where the first one loses nothing.
fn skip_cast(g: &mut Rewriter<'_>, id: NodeId) -> Result<(), Declined> {
    if !g.applies(id, "Cast") {
        return Ok(());
    }
    let inner = g.operand(id, 0).and_then(|v| g.made_by(v, "Cast"));
    let Some(source) = inner.and_then(|inner| g.operand(inner, 0)) else { return Ok(()) };
    let between = g.operand(id, 0).map_or(DType::F32, |v| g.dtype(v));
    if !between.holds(g.dtype(source)) {
        return Err("the first cast rounds".into());
    }
    if g.same_type(source, g.result(id)) {
        g.replace(g.result(id), source);
    } else {
        g.set_operands(id, vec![Some(source)]);
    }
    Ok(())
}
