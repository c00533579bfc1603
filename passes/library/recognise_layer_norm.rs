//! Names the normalisation of the last axes to mean 0 and variance 1.
//!
//! Before: `%d = Sub(%x, ReduceMean(%x))`, `%v = ReduceMean(%d * %d)`,
//! `%n = Div(%d, Sqrt(%v + 0.00001))`, `%y = %n * %gamma + %beta`. After:
//! `%y = LayerNormalization(%x, %gamma, %beta)`.
//!
//! The root may stand in a quotient or, inverted, in a product. Axes that are not the last ones,
//! and reductions that drop their axes, are left alone. Factors and summands that are not one
//! number per normalised element stay behind the new operator.
use weft_ir::{Attr, Dim, NodeId, Stage, Value};
use weft_passes::{Declined, EachNode, Normalised, PassInfo, PassKind, Rewriter, filled, node, normalised};

pub(crate) const INFO: PassInfo = PassInfo {
    name: "recognise-layer-norm",
    summary: "names the normalisation of the last axes to mean 0 and variance 1",
    options: &[],
    kind: PassKind::Exact,
    accepts: (Stage::Canonical, Stage::Lowered),
    build: &|_| Ok(Box::new(EachNode(recognise))),
};

fn recognise(g: &mut Rewriter<'_>, id: NodeId) -> Result<(), Declined> {
    let Some(Normalised { value, axis, epsilon }) = normalised(g, id)? else { return Ok(()) };
    let Some(x) = g.centred(value, axis) else { return Ok(()) };
    if !g.same_type(x, g.result(id)) {
        return Err("the normalised value has another shape".into());
    }
    let dims: Vec<Dim> = g.dims(x).map(|dims| dims[axis..].to_vec()).unwrap_or_default();
    let (scale, mut y) = match g.applied_along(g.result(id), "Mul", &dims)? {
        Some(found) => found,
        None => {
            let extents = dims.iter().map(|d| d.as_fixed().and_then(|d| u64::try_from(d).ok()));
            let extents: Option<Vec<u64>> = extents.collect();
            let ones = extents.and_then(|extents| filled(g.dtype(x), &extents, 1.0));
            (g.constant(ones.ok_or("there is no factor, and how many is not known")?)?, g.result(id))
        }
    };
    let mut operands = vec![Some(x), Some(scale)];
    if let Some((bias, sum)) = g.applied_along(y, "Add", &dims)? {
        operands.push(Some(bias));
        y = sum;
    }
    let norm = add(g, axis, epsilon, &operands)?;
    g.replace(y, norm);
    Ok(())
}

fn add(
    g: &mut Rewriter<'_>,
    axis: usize,
    epsilon: f64,
    operands: &[Option<Value>],
) -> Result<Value, Declined> {
    let rank = operands[0].and_then(|x| g.rank(x)).unwrap_or(0);
    let axis = Attr::Int(axis as i64 - rank as i64);
    let attrs = [("axis", axis), ("epsilon", Attr::Float(epsilon as f32))];
    g.add(node("LayerNormalization", attrs), operands)
}
