//! Draws a constant factor or summand per channel into the weights before it.
//!
//! Before: `%c = Conv(%x, %w)`, `%y = Add(%c, %b)` with `%b : f32[64, 1, 1]`. After:
//! `%y = Conv(%x, %w, %b)`. Likewise `Mul`, `Div` and `Sub`, and `ConvTranspose`, `Gemm`, `MatMul`.
//!
//! Summands behind a `MatMul` stay, as it has no operand for them and backends add them on the way
//! out. Constants that broadcast over anything but the channels, weights that are not constant and
//! values with other uses are left alone. The numbers agree up to rounding.
use weft_ir::{NodeId, Stage, Value};
use weft_passes::{Channels, Declined, EachNode, PassInfo, PassKind, Rewriter, absorb, per_channel};

pub(crate) const INFO: PassInfo = PassInfo {
    name: "fold-scale-and-bias",
    summary: "draws a constant factor or summand per channel into the weights before it",
    options: &[],
    kind: PassKind::Exact,
    accepts: (Stage::Canonical, Stage::Lowered),
    build: &|_| Ok(Box::new(EachNode(fold))),
};

fn fold(g: &mut Rewriter<'_>, id: NodeId) -> Result<(), Declined> {
    let op = g.node(id).op.clone();
    if !matches!(op.as_str(), "Add" | "Div" | "Mul" | "Sub") {
        return Ok(());
    }
    let Some((linear, constant)) = g.with_constant(id) else { return Ok(()) };
    let Some(axis) = channel_axis(g, linear) else { return Ok(()) };
    if op == "Add" && g.applies(linear.node, "MatMul") {
        return Ok(());
    }
    let numbers = per_channel(g, constant, linear, axis).ok_or("the constant is not per channel")?;
    let change = match op.as_str() {
        "Add" => Channels { scale: None, shift: Some(numbers) },
        "Sub" => Channels { scale: None, shift: Some(numbers.into_iter().map(|n| -n).collect()) },
        "Div" => Channels { scale: Some(numbers.into_iter().map(|n| 1.0 / n).collect()), shift: None },
        _ => Channels { scale: Some(numbers), shift: None },
    };
    if let Some(changed) = absorb(g, linear, &change)? {
        g.replace(g.result(id), changed);
    }
    Ok(())
}

/// The axis of the channels, if a linear operator makes the value.
fn channel_axis(g: &Rewriter<'_>, value: Value) -> Option<usize> {
    match g.node(value.node).op.as_str() {
        "Conv" | "ConvTranspose" => {
            let last = g.attrs(value.node)?.str("layout") == "nhwc";
            Some(if last { g.rank(value)? - 1 } else { 1 })
        }
        "Gemm" => Some(1),
        "MatMul" => g.rank(value)?.checked_sub(1),
        _ => None,
    }
}
