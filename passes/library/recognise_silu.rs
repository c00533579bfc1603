//! Names the product of a value and its sigmoid.
//!
//! Before: `%s = Sigmoid(%x)`, `%y = Mul(%x, %s)`. After: `%y = Swish(%x)`; with a factor inside the
//! sigmoid, `Swish(%x) {alpha = 1.702}`.
//!
//! A sigmoid that something else uses is left alone: it has to be computed anyway.
use weft_ir::{Attr, NodeId, Stage, Value};
use weft_passes::{Declined, EachNode, PassInfo, PassKind, Polynomial, Rewriter, node};

pub(crate) const INFO: PassInfo = PassInfo {
    name: "recognise-silu",
    summary: "names the product of a value and its sigmoid",
    options: &[],
    kind: PassKind::Exact,
    accepts: (Stage::Canonical, Stage::Lowered),
    build: &|_| Ok(Box::new(EachNode(recognise))),
};

fn recognise(g: &mut Rewriter<'_>, id: NodeId) -> Result<(), Declined> {
    if !g.applies(id, "Mul") {
        return Ok(());
    }
    let Some((a, b)) = g.pair(id) else { return Ok(()) };
    let Some((x, sigmoid, alpha)) = factor(g, a, b).or_else(|| factor(g, b, a)) else { return Ok(()) };
    if !g.used_once(sigmoid) {
        return Err("the sigmoid has other uses".into());
    }
    let mut swish = node("Swish", []);
    if alpha != 1.0 {
        swish = swish.with("alpha", Attr::Float(alpha as f32));
    }
    let swish = g.add(swish, &[Some(x)])?;
    g.replace(g.result(id), swish);
    Ok(())
}

/// `x`, its sigmoid, and the factor of `x` within it.
fn factor(g: &Rewriter<'_>, x: Value, sigmoid: Value) -> Option<(Value, Value, f64)> {
    let inside = g.operand(g.made_by(sigmoid, "Sigmoid")?, 0)?;
    let polynomial = Polynomial::of(g, inside, x, None)?;
    let alpha = polynomial.factor(1, 0);
    let linear = polynomial.near(&Polynomial::new([((1, 0), alpha)]));
    (linear && alpha != 0.0 && g.same_type(x, sigmoid)).then_some((x, sigmoid, alpha))
}
