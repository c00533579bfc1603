//! Puts the branch that is taken in the place of an `If` whose condition is constant.
//!
//! Before: `%y = If(%true, %x)` with the regions `Relu` and `Neg`. After: `%y = Relu(%x)`.
//!
//! A condition that is not constant is left alone. Nodes of the branch keep their names where these
//! are free.
use weft_ir::{NodeId, Stage, Value};
use weft_passes::{Declined, EachNode, PassInfo, PassKind, Rewriter};

pub(crate) const INFO: PassInfo = PassInfo {
    name: "inline-constant-if",
    summary: "puts the branch that is taken in the place of an `If` whose condition is constant",
    options: &[],
    kind: PassKind::Exact,
    accepts: (Stage::Imported, Stage::Lowered),
    build: &|_| Ok(Box::new(EachNode(inline))),
};

fn inline(g: &mut Rewriter<'_>, id: NodeId) -> Result<(), Declined> {
    if !g.applies(id, "If") {
        return Ok(());
    }
    let condition = g.operand(id, 0).and_then(|condition| g.ints(condition)?.first().copied());
    let condition = condition.ok_or("the condition is not constant")?;
    let branch = usize::from(condition == 0);
    let region = g.node(id).regions.get(branch).cloned().ok_or("the branch is missing")?;
    let captured = g.operands(id).split_off(1);
    let outputs = g.inline(&region, &captured)?;
    for (slot, output) in outputs.into_iter().enumerate().take(g.node(id).results.len()) {
        g.replace(Value { node: id, slot: slot as u32 }, output);
    }
    Ok(())
}
