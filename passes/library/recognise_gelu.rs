//! Names the Gaussian error linear unit, however its product is written.
//!
//! Before: `%e = Erf(%x / 1.414)`, `%y = 0.5 * %x * (1 + %e)`. After: `%y = Gelu(%x)`. The same with
//! `Tanh(0.798 * (%x + 0.0447 * %x^3))` gives `Gelu(%x) {approximate = "tanh"}`.
//!
//! Both formulas are compared as polynomials in `x` and the error function, so neither the order
//! nor the grouping of factors matters. Factors that are off by more than rounding, and constants
//! that make the result larger than `x`, are left alone.
use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_PI};
use weft_ir::{Attr, NodeId, Stage, Value};
use weft_passes::{Declined, EachNode, PassInfo, PassKind, Polynomial, Rewriter, node};

pub(crate) const INFO: PassInfo = PassInfo {
    name: "recognise-gelu",
    summary: "names the Gaussian error linear unit, however its product is written",
    options: &[],
    kind: PassKind::Exact,
    accepts: (Stage::Canonical, Stage::Lowered),
    build: &|_| Ok(Box::new(EachNode(recognise))),
};

fn recognise(g: &mut Rewriter<'_>, id: NodeId) -> Result<(), Declined> {
    let tanh = g.applies(id, "Tanh");
    if !tanh && !g.applies(id, "Erf") {
        return Ok(());
    }
    let inside = g.operand(id, 0).ok_or("it has no operand")?;
    let root = FRAC_2_PI.sqrt();
    let wanted = match tanh {
        true => Polynomial::new([((1, 0), root), ((3, 0), root * 0.044_715)]),
        false => Polynomial::new([((1, 0), FRAC_1_SQRT_2)]),
    };
    let found = g.formula_inputs(inside).into_iter().find(|x| {
        *x != inside && Polynomial::of(g, inside, *x, None).is_some_and(|found| found.near(&wanted))
    });
    let x = found.ok_or("its operand is not that of a Gelu")?;
    let half = Polynomial::new([((1, 0), 0.5), ((1, 1), 0.5)]);
    let y = g.formula_result(x, g.result(id), &half).ok_or("the product around it is not that of a Gelu")?;
    gelu(g, x, y, tanh)
}

fn gelu(g: &mut Rewriter<'_>, x: Value, y: Value, tanh: bool) -> Result<(), Declined> {
    if !g.same_type(x, y) {
        return Err("the constants make the result larger".into());
    }
    let mut gelu = node("Gelu", []);
    if tanh {
        gelu = gelu.with("approximate", Attr::Str("tanh".to_string()));
    }
    let gelu = g.add(gelu, &[Some(x)])?;
    g.replace(y, gelu);
    Ok(())
}
