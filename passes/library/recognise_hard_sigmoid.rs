//! Names a line that is cut off at 0 and 1.
//!
//! Before: `%a = Add(%x, 3)`, `%c = Clip(%a, 0, 6)`, `%y = Div(%c, 6)`. After:
//! `%y = HardSigmoid(%x) {alpha = 0.16666667, beta = 0.5}`.
//!
//! The line may be any product and sum with scalars. A `Clip` of a value as it is stays a `Clip`,
//! and so does one whose limits do not become 0 and 1.
use weft_ir::{Attr, NodeId, Stage, Value};
use weft_passes::{Declined, EachNode, PassInfo, PassKind, Polynomial, Rewriter, node};

pub(crate) const INFO: PassInfo = PassInfo {
    name: "recognise-hard-sigmoid",
    summary: "names a line that is cut off at 0 and 1",
    options: &[],
    kind: PassKind::Exact,
    accepts: (Stage::Canonical, Stage::Lowered),
    build: &|_| Ok(Box::new(EachNode(recognise))),
};

fn recognise(g: &mut Rewriter<'_>, id: NodeId) -> Result<(), Declined> {
    if !g.applies(id, "Clip") {
        return Ok(());
    }
    let (Some(inside), Some(low), Some(high)) = (g.operand(id, 0), limit(g, id, 1), limit(g, id, 2)) else {
        return Ok(());
    };
    let Some((x, slope, offset)) = line(g, inside) else { return Ok(()) };
    if low != 0.0 || high <= 0.0 {
        return Err("the limits do not become 0 and 1".into());
    }
    let clipped = g.result(id);
    let y = if high == 1.0 { clipped } else { scaled_to_one(g, clipped, high)? };
    if !g.same_type(x, y) {
        return Err("the constants make the result larger".into());
    }
    let (alpha, beta) = ((slope / high) as f32, (offset / high) as f32);
    let attrs = [("alpha", Attr::Float(alpha)), ("beta", Attr::Float(beta))];
    let sigmoid = g.add(node("HardSigmoid", attrs), &[Some(x)])?;
    g.replace(y, sigmoid);
    Ok(())
}

fn limit(g: &Rewriter<'_>, id: NodeId, position: usize) -> Option<f64> {
    g.scalar(g.operand(id, position)?)
}

/// `x`, slope and offset, if the value is a line in some `x` but not `x` itself; the farthest `x`
/// there is, to take in all of the line.
fn line(g: &Rewriter<'_>, value: Value) -> Option<(Value, f64, f64)> {
    let line = |x: Value| {
        let found = Polynomial::of(g, value, x, None)?;
        let (slope, offset) = (found.factor(1, 0), found.factor(0, 0));
        let wanted = Polynomial::new([((1, 0), slope), ((0, 0), offset)]);
        (slope != 0.0 && found.near(&wanted)).then_some((x, slope, offset))
    };
    g.formula_inputs(value).into_iter().rev().filter(|x| *x != value).find_map(line)
}

/// The user of the clipped value that divides it by its upper limit.
fn scaled_to_one(g: &Rewriter<'_>, clipped: Value, high: f64) -> Result<Value, Declined> {
    let wanted = Polynomial::new([((0, 1), 1.0 / high)]);
    let user = g.only_user(clipped).map(|user| g.result(user)).ok_or("the upper limit is not 1")?;
    let found = Polynomial::of(g, user, clipped, None)
        .is_some_and(|found| found.near(&Polynomial::new([((1, 0), wanted.factor(0, 1))])));
    if found { Ok(user) } else { Err("the upper limit is not 1".into()) }
}
