//! Names the normalisation of groups of channels.
//!
//! Before: `%r = Reshape(%x)` to `[N, 32, M]`, `%i = InstanceNormalization(%r, %ones, %zeros)`,
//! `%s = Reshape(%i)` back, `%y = %s * %gamma + %beta`. After:
//! `%y = GroupNormalization(%x, %gamma, %beta) {num_groups = 32}`.
//!
//! Scales within the inner normalisation that are not all 1 or 0, reshapes that do not split the
//! channels alone, and channels that the groups do not divide are left alone. Factors and summands
//! that are not one number per channel stay behind the new operator.
use weft_ir::{Attr, NodeId, Stage, Value};
use weft_passes::{Declined, EachNode, PassInfo, PassKind, Rewriter, floats, node, per_channel};

pub(crate) const INFO: PassInfo = PassInfo {
    name: "recognise-group-norm",
    summary: "names the normalisation of groups of channels",
    options: &[],
    kind: PassKind::Exact,
    accepts: (Stage::Canonical, Stage::Lowered),
    build: &|_| Ok(Box::new(EachNode(recognise))),
};

fn recognise(g: &mut Rewriter<'_>, id: NodeId) -> Result<(), Declined> {
    if !g.applies(id, "InstanceNormalization") {
        return Ok(());
    }
    let Some(x) = g.operand(id, 0).filter(|v| g.used_once(*v)).and_then(|v| g.made_by(v, "Reshape")) else {
        return Ok(());
    };
    let Some((x, back)) = g.operand(x, 0).zip(g.only_user(g.result(id))) else { return Ok(()) };
    let back = g.result(back);
    if g.made_by(back, "Reshape").is_none() || !g.same_type(x, back) {
        return Ok(());
    }
    if !uniform(g, id, 1, 1.0) || !uniform(g, id, 2, 0.0) {
        return Err("the groups have scales of their own".into());
    }
    let (groups, channels) =
        split(g, x, g.result(id)).ok_or("the reshape does not split the channels alone")?;
    let (scale, y) = along(g, back, "Mul", channels, 1.0);
    let (bias, y) = along(g, y, "Add", channels, 0.0);
    let vector =
        |numbers: Vec<f64>| floats(g.dtype(x), &[channels], &numbers).ok_or("the operand is no float");
    let (scale, bias) = (vector(scale)?, vector(bias)?);
    let (scale, bias) = (g.constant(scale)?, g.constant(bias)?);
    let epsilon = g.attrs(id).map_or(1e-5, |attrs| attrs.float("epsilon"));
    let attrs = [("epsilon", Attr::Float(epsilon)), ("num_groups", Attr::Int(groups as i64))];
    let norm = g.add(node("GroupNormalization", attrs), &[Some(x), Some(scale), Some(bias)])?;
    g.replace(y, norm);
    Ok(())
}

fn uniform(g: &Rewriter<'_>, id: NodeId, operand: usize, wanted: f64) -> bool {
    let data = g.operand(id, operand).and_then(|v| g.data(v)).and_then(|tensor| tensor.to_f64s());
    data.is_some_and(|data| data.into_iter().all(|number| number == wanted))
}

/// Groups and channels, if `x` has the batch of `rows` and channels that its groups divide.
fn split(g: &Rewriter<'_>, x: Value, rows: Value) -> Option<(u64, u64)> {
    let ([batch, channels, _, ..], [same, groups, _]) = (g.dims(x)?, g.dims(rows)?) else { return None };
    let number = |dim: &weft_ir::Dim| dim.as_fixed().and_then(|n| u64::try_from(n).ok()).filter(|n| *n > 0);
    let (groups, channels) = (number(groups)?, number(channels)?);
    (batch.same(same) && channels % groups == 0).then_some((groups, channels))
}

/// One number per channel and the result, if the only user of a value combines it so; else as many
/// neutral ones and the value.
fn along(g: &Rewriter<'_>, value: Value, op: &str, channels: u64, neutral: f64) -> (Vec<f64>, Value) {
    let found = g.only_user(value).filter(|user| g.applies(*user, op)).and_then(|user| {
        let constant = g.other(user, value)?;
        let numbers = per_channel(g, constant, value, 1)?;
        g.same_type(value, g.result(user)).then(|| (numbers, g.result(user)))
    });
    let (numbers, result) = found.unwrap_or((vec![neutral], value));
    (numbers.iter().copied().cycle().take(channels as usize).collect(), result)
}
