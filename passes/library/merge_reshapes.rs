//! Makes one reshape of several in a row.
//!
//! Before: `%a = Reshape(%x, %s)`, `%y = Unsqueeze(%a, %i)`. After: `%y = Reshape(%x, %t)`.
//!
//! `Reshape`, `Flatten`, `Squeeze` and `Unsqueeze` keep the order of elements, so only the last
//! shape counts. A pair whose last shape cannot be written without the values in between is left
//! alone, as is a value in between that something else uses: it has to be made anyway, and views
//! cost nothing.
use weft_ir::{NodeId, Stage};
use weft_passes::{Declined, EachNode, PassInfo, PassKind, Rewriter, reshaped};

pub(crate) const INFO: PassInfo = PassInfo {
    name: "merge-reshapes",
    summary: "makes one reshape of several in a row",
    options: &[],
    kind: PassKind::Exact,
    accepts: (Stage::Canonical, Stage::Lowered),
    build: &|_| Ok(Box::new(EachNode(merge))),
};

fn merge(g: &mut Rewriter<'_>, id: NodeId) -> Result<(), Declined> {
    if !reshapes(g, id) {
        return Ok(());
    }
    let Some(inner) = g.operand(id, 0) else { return Ok(()) };
    if !reshapes(g, inner.node) || !g.used_once(inner) {
        return Ok(());
    }
    let (Some(source), Some(dims)) = (g.operand(inner.node, 0), g.dims(g.result(id))) else { return Ok(()) };
    let dims = dims.to_vec();
    let merged = reshaped(g, source, &dims)?;
    g.replace(g.result(id), merged);
    Ok(())
}

fn reshapes(g: &Rewriter<'_>, id: NodeId) -> bool {
    ["Reshape", "Flatten", "Squeeze", "Unsqueeze"].iter().any(|op| g.applies(id, op))
}
