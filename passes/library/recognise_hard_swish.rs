//! Names the product of a value and its hard sigmoid.
//!
//! Before: `%a = Add(%x, 3)`, `%c = Clip(%a, 0, 6)`, `%m = Mul(%x, %c)`, `%y = Div(%m, 6)`. After:
//! `%y = HardSwish(%x)`; likewise `Mul(%x, HardSigmoid(%x) {alpha = 0.1667})`.
//!
//! Other slopes and limits are left alone, and so are constants that make the result larger than
//! `x`, and a `Clip` that something else uses.
use weft_ir::{NodeId, Stage, Value};
use weft_passes::{Declined, EachNode, PassInfo, PassKind, Polynomial, Rewriter, node};

pub(crate) const INFO: PassInfo = PassInfo {
    name: "recognise-hard-swish",
    summary: "names the product of a value and its hard sigmoid",
    options: &[],
    kind: PassKind::Exact,
    accepts: (Stage::Canonical, Stage::Lowered),
    build: &|_| Ok(Box::new(EachNode(recognise))),
};

fn recognise(g: &mut Rewriter<'_>, id: NodeId) -> Result<(), Declined> {
    let bent = g.result_opt(id);
    let (Some(bent), Some((x, factor))) = (bent, bend(g, id)?) else { return Ok(()) };
    let wanted = Polynomial::new([((1, 1), factor)]);
    let y = g.formula_result(x, bent, &wanted).ok_or("the product around it is not that of a HardSwish")?;
    if !g.same_type(x, y) {
        return Err("the constants make the result larger".into());
    }
    if !g.used_once(bent) {
        return Err("the limited value has other uses".into());
    }
    let swish = g.add(node("HardSwish", []), &[Some(x)])?;
    g.replace(y, swish);
    Ok(())
}

/// The bent value's `x`, and what it must be multiplied with besides `x`.
fn bend(g: &Rewriter<'_>, id: NodeId) -> Result<Option<(Value, f64)>, Declined> {
    if g.applies(id, "HardSigmoid") {
        let attrs = g.attrs(id).ok_or("the operator is not known")?;
        let (alpha, beta) = (f64::from(attrs.float("alpha")), f64::from(attrs.float("beta")));
        let fits = (alpha - 1.0 / 6.0).abs() < 1e-5 && beta == 0.5;
        return Ok(g.operand(id, 0).filter(|_| fits).map(|x| (x, 1.0)));
    }
    if !g.applies(id, "Clip") || limit(g, id, 1) != Some(0.0) || limit(g, id, 2) != Some(6.0) {
        return Ok(None);
    }
    let moved = g.operand(id, 0).and_then(|inside| g.with_scalar(inside, "Add"));
    Ok(moved.filter(|(_, offset)| *offset == 3.0).map(|(x, _)| (x, 1.0 / 6.0)))
}

fn limit(g: &Rewriter<'_>, id: NodeId, position: usize) -> Option<f64> {
    g.scalar(g.operand(id, position)?)
}
