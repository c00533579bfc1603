//! Makes one transpose of two in a row, and none where they undo each other.
//!
//! Before: `%a = Transpose(%x) {perm = [0, 2, 3, 1]}`, `%y = Transpose(%a) {perm = [0, 3, 1, 2]}`,
//! `%z = Relu(%y)`. After: `%z = Relu(%x)`.
//!
//! A transpose that only moves extents of 1 moves no element and becomes a `Reshape`; one of a
//! constant moves the constant. A transpose with other users stays for them. Extents of 1 must be
//! numbers: a symbol may be 1 in one run and not in the next.
use weft_ir::{NodeId, Stage, Value};
use weft_passes::{Declined, EachNode, PassInfo, PassKind, Perm, Rewriter, permuted, reshaped};

pub(crate) const INFO: PassInfo = PassInfo {
    name: "cancel-transposes",
    summary: "makes one transpose of two in a row, and none where they undo each other",
    options: &[],
    kind: PassKind::Exact,
    accepts: (Stage::Canonical, Stage::Lowered),
    build: &|_| Ok(Box::new(EachNode(cancel))),
};

fn cancel(g: &mut Rewriter<'_>, id: NodeId) -> Result<(), Declined> {
    let result = g.result(id);
    let Some((operand, perm)) = g.transposed(result) else { return Ok(()) };
    if perm.is_identity() {
        g.replace(result, operand);
        return Ok(());
    }
    if let Some((source, first)) = g.transposed(operand) {
        return join(g, result, source, &first.then(&perm));
    }
    if let Some(moved) = g.data(operand).and_then(|tensor| permuted(tensor, &perm)) {
        let moved = g.constant(moved)?;
        g.replace(result, moved);
        return Ok(());
    }
    view(g, result, operand, &perm)
}

fn join(g: &mut Rewriter<'_>, result: Value, source: Value, perm: &Perm) -> Result<(), Declined> {
    if perm.is_identity() {
        g.replace(result, source);
    } else {
        g.set_attr(result.node, "perm", Some(perm.attr()));
        g.set_operands(result.node, vec![Some(source)]);
    }
    Ok(())
}

/// A transpose that moves no element, as a reshape.
fn view(g: &mut Rewriter<'_>, result: Value, operand: Value, perm: &Perm) -> Result<(), Declined> {
    let Some(dims) = g.dims(operand).map(<[_]>::to_vec) else { return Ok(()) };
    if !perm.moves_nothing(&dims) {
        return Ok(());
    }
    let view = reshaped(g, operand, &perm.apply(&dims))?;
    g.replace(result, view);
    Ok(())
}
