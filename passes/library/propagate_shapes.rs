//! Infers all types, and writes down every integer that follows from the shapes of the inputs.
//!
//! Before: `%s = Shape(%x)`, `%n = Gather(%s, %0)`, `%t = Concat(%n, %768)`, `%y = Reshape(%h, %t)`.
//! After: `%t = weft.Extents() {value = [N, 768]}`, `%y = Reshape(%h, %t)`; where all extents are
//! numbers, a `Const`.
//!
//! Only the last value of a chain is replaced: what is before it then has no use. Extents that are
//! decided while the program runs stay computed, because the order of nodes is all that tells when
//! they are known.
use weft_ir::{Attr, DType, Dim, NodeId, Stage, Value};
use weft_passes::{
    Declined, Editor, Outcome, Pass, PassContext, PassError, PassInfo, PassKind, Rewriter, integers, node,
};

pub(crate) const INFO: PassInfo = PassInfo {
    name: "propagate-shapes",
    summary: "infers all types and writes down integers that follow from the shapes of the inputs",
    options: &[],
    kind: PassKind::Required,
    accepts: (Stage::Imported, Stage::Lowered),
    build: &|_| Ok(Box::new(PropagateShapes)),
};

struct PropagateShapes;

impl Pass for PropagateShapes {
    fn run(&self, edit: &mut Editor<'_>, _: &PassContext<'_>) -> Result<Outcome, PassError> {
        edit.infer_types()?;
        edit.each_node(write_down)
    }
}

fn write_down(g: &mut Rewriter<'_>, id: NodeId) -> Result<(), Declined> {
    if is_written(g, id) {
        return Ok(());
    }
    for slot in 0..g.node(id).results.len() as u32 {
        let value = Value { node: id, slot };
        let Some(extents) = g.fact(value).and_then(|fact| fact.value.clone()) else { continue };
        if g.rank(value).is_some_and(|rank| rank <= 1) && is_last(g, value) {
            let written = write(g, value, &extents)?;
            g.replace(value, written);
        }
    }
    Ok(())
}

/// Whether the node is one of those this pass makes.
fn is_written(g: &Rewriter<'_>, id: NodeId) -> bool {
    let made = |id: NodeId, ops: &[&str]| ops.iter().any(|op| g.applies(id, op));
    let from = |id: NodeId| g.operand(id, 0).map(|v| v.node);
    made(id, &["Const", "weft.Extents"])
        || (made(id, &["Squeeze", "Cast"]) && from(id).is_some_and(|f| made(f, &["Squeeze", "weft.Extents"])))
}

/// Whether something that is not itself known uses the value.
fn is_last(g: &Rewriter<'_>, value: Value) -> bool {
    let unknown = |id: NodeId| {
        let count = g.node(id).results.len() as u32;
        let mut results = (0..count).map(|slot| Value { node: id, slot });
        results.any(|v| g.fact(v).is_none_or(|fact| fact.value.is_none()))
    };
    g.outputs().contains(&value) || g.uses(value).into_iter().any(|(user, _)| unknown(user))
}

fn write(g: &mut Rewriter<'_>, value: Value, extents: &[Dim]) -> Result<Value, Declined> {
    let (dtype, rank) = (g.dtype(value), g.rank(value).unwrap_or(1));
    let numbers: Option<Vec<i64>> = extents.iter().map(Dim::as_fixed).collect();
    if let Some(numbers) = numbers {
        let dims = vec![numbers.len() as u64; rank];
        let tensor = integers(dtype, &dims, &numbers).ok_or("integers of this width stay computed")?;
        return g.constant(tensor);
    }
    if !extents.iter().all(|dim| g.is_bound(dim)) {
        return Err("the extents are decided at run time".into());
    }
    let mut written = g.add(node("weft.Extents", [("value", Attr::Dims(extents.to_vec()))]), &[])?;
    if rank == 0 {
        written = g.add(node("Squeeze", []), &[Some(written)])?;
    }
    if dtype != DType::I64 {
        written = g.add(node("Cast", [("to", Attr::Type(dtype))]), &[Some(written)])?;
    }
    Ok(written)
}
