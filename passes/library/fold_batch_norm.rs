//! Draws batch normalisations into the weights before them.
//!
//! Before: `%c = Conv(%x, %w)`, `%y = BatchNormalization(%c, %s, %b, %m, %v)`. After:
//! `%y = Conv(%x, %w, %bias)` with other weights. One that follows no `Conv`, `ConvTranspose`,
//! `Gemm` or `MatMul` becomes `Mul` and `Add` with one constant per channel.
//!
//! A normalisation in training mode and one with parameters that are not constant are left alone.
//! The numbers agree up to rounding; the new weights are computed in double precision.
use weft_ir::{NodeId, Stage, Value};
use weft_passes::{Channels, Declined, EachNode, PassInfo, PassKind, Rewriter, absorb, floats, node};

pub(crate) const INFO: PassInfo = PassInfo {
    name: "fold-batch-norm",
    summary: "draws batch normalisations into the weights before them",
    options: &[],
    kind: PassKind::Exact,
    accepts: (Stage::Canonical, Stage::Lowered),
    build: &|_| Ok(Box::new(EachNode(fold))),
};

fn fold(g: &mut Rewriter<'_>, id: NodeId) -> Result<(), Declined> {
    if !g.applies(id, "BatchNormalization") {
        return Ok(());
    }
    let attrs = g.attrs(id).ok_or("the operator is not known")?;
    if attrs.flag("training_mode") || g.node(id).results.len() > 1 {
        return Err("it is in training mode".into());
    }
    let epsilon = f64::from(attrs.float("epsilon"));
    let x = g.operand(id, 0).ok_or("it has no operand")?;
    let change = channels(g, id, epsilon)?;
    let replaced = match before(g, x, &change)? {
        Some(linear) => linear,
        None => scale_and_shift(g, x, &change)?,
    };
    g.replace(g.result(id), replaced);
    Ok(())
}

/// The normalisation as one factor and one summand per channel.
fn channels(g: &Rewriter<'_>, id: NodeId, epsilon: f64) -> Result<Channels, Declined> {
    let parameter = |i| {
        let data = g.operand(id, i).and_then(|v| g.data(v));
        data.and_then(|tensor| tensor.to_f64s()).ok_or("the parameters are not constant")
    };
    let (scale, bias, mean, variance) = (parameter(1)?, parameter(2)?, parameter(3)?, parameter(4)?);
    let factors: Vec<f64> = scale.iter().zip(&variance).map(|(s, v)| s / (v + epsilon).sqrt()).collect();
    let shift = bias.iter().zip(&mean).zip(&factors).map(|((b, m), f)| b - m * f).collect();
    Ok(Channels { scale: Some(factors), shift: Some(shift) })
}

/// The linear operator before, changed, if there is one that can be.
fn before(g: &mut Rewriter<'_>, x: Value, change: &Channels) -> Result<Option<Value>, Declined> {
    let per_row = g.applies(x.node, "Gemm") && g.rank(x) == Some(2);
    if per_row || g.applies(x.node, "Conv") || g.applies(x.node, "ConvTranspose") {
        // A linear operator that cannot take the change still leaves the cheaper `Mul` and `Add`.
        return Ok(absorb(g, x, change).unwrap_or(None));
    }
    Ok(None)
}

fn scale_and_shift(g: &mut Rewriter<'_>, x: Value, change: &Channels) -> Result<Value, Declined> {
    let (dtype, rank) = (g.dtype(x), g.rank(x).ok_or("the rank is not known")?);
    let mut value = x;
    for (op, numbers) in [("Mul", &change.scale), ("Add", &change.shift)] {
        let numbers = numbers.as_deref().unwrap_or_default();
        let mut dims = vec![1; rank.max(2) - 1];
        dims[0] = numbers.len() as u64;
        let constant = g.constant(floats(dtype, &dims, numbers).ok_or("the operand is no float")?)?;
        value = g.add(node(op, []), &[Some(value), Some(constant)])?;
    }
    Ok(value)
}
