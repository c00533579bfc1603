//! Names the normalisation of the last axes to mean square 1.
//!
//! Before: `%v = ReduceMean(%x * %x)`, `%n = Mul(%x, Reciprocal(Sqrt(%v + 0.00001)))`,
//! `%y = Mul(%n, %gamma)`. After: `%y = RMSNormalization(%x, %gamma)`.
//!
//! The root may stand in a quotient or, inverted, in a product. A normalisation around the mean is
//! `recognise-layer-norm`'s; axes that are not the last ones, and one without a factor per
//! normalised element where their number is not known, are left alone.
use weft_ir::{Attr, Dim, NodeId, Stage};
use weft_passes::{Declined, EachNode, Normalised, PassInfo, PassKind, Rewriter, filled, node, normalised};

pub(crate) const INFO: PassInfo = PassInfo {
    name: "recognise-rms-norm",
    summary: "names the normalisation of the last axes to mean square 1",
    options: &[],
    kind: PassKind::Exact,
    accepts: (Stage::Canonical, Stage::Lowered),
    build: &|_| Ok(Box::new(EachNode(recognise))),
};

fn recognise(g: &mut Rewriter<'_>, id: NodeId) -> Result<(), Declined> {
    let Some(Normalised { value: x, axis, epsilon }) = normalised(g, id)? else { return Ok(()) };
    if g.centred(x, axis).is_some() {
        return Err("it is around the mean".into());
    }
    if !g.same_type(x, g.result(id)) {
        return Err("the normalised value has another shape".into());
    }
    let dims: Vec<Dim> = g.dims(x).map(|dims| dims[axis..].to_vec()).unwrap_or_default();
    let (scale, y) = match g.applied_along(g.result(id), "Mul", &dims)? {
        Some(found) => found,
        None => {
            let extents = dims.iter().map(|d| d.as_fixed().and_then(|d| u64::try_from(d).ok()));
            let extents: Option<Vec<u64>> = extents.collect();
            let ones = extents.and_then(|extents| filled(g.dtype(x), &extents, 1.0));
            (g.constant(ones.ok_or("there is no factor, and how many is not known")?)?, g.result(id))
        }
    };
    let from_end = axis as i64 - g.rank(x).unwrap_or(0) as i64;
    let attrs = [("axis", Attr::Int(from_end)), ("epsilon", Attr::Float(epsilon as f32))];
    let norm = g.add(node("RMSNormalization", attrs), &[Some(x), Some(scale)])?;
    g.replace(y, norm);
    Ok(())
}
