//! Stacks the rows that are multiplied with copies of one matrix.
//!
//! Before: `%e = Expand(%k, [N, 2, 4, T, D])` of `%k : [N, 2, 1, T, D]`, `%r = Reshape(%e, [N, 8, T, D])`,
//! `%y = MatMul(%p, %r)` with `%p : [N, 8, S, T]`. After: `%s = Reshape(%p, [N, 2, 4*S, T])`,
//! `%m = Reshape(%k, [N, 2, T, D])`, `%z = MatMul(%s, %m)`, `%y = Reshape(%z, [N, 8, S, D])`. Likewise where
//! the last two axes of the copies are exchanged on the way.
//!
//! Query heads share keys and values in this way. No copy is made, and each matrix is read once for all
//! rows that meet it. Copies that do not lie next to each other, whose rows would have to change places,
//! and left-hand sides that are repeated themselves are left alone.
use weft_ir::{Dim, NodeId, Stage, Value};
use weft_passes::{Declined, EachNode, PassInfo, PassKind, Perm, Rewriter, node, reshaped};

pub(crate) const INFO: PassInfo = PassInfo {
    name: "stack-rows",
    summary: "stacks the rows that are multiplied with copies of one matrix",
    options: &[],
    kind: PassKind::Exact,
    accepts: (Stage::Canonical, Stage::Lowered),
    build: &|_| Ok(Box::new(EachNode(stack))),
};

fn stack(g: &mut Rewriter<'_>, id: NodeId) -> Result<(), Declined> {
    if !g.applies(id, "MatMul") {
        return Ok(());
    }
    let Some((left, right)) = g.pair(id) else { return Ok(()) };
    let exchange = exchanged(g, right);
    let copies = exchange.as_ref().map_or(right, |(operand, _)| *operand);
    let Some(Copies { of, mut groups, count, matrix }) = copied(g, copies)? else { return Ok(()) };
    let (Some(rows), Some(result)) = (dims(g, left), dims(g, g.result(id))) else { return Ok(()) };
    if !dims(g, right).is_some_and(|right| same(&right[..right.len() - 2], &rows[..rows.len() - 2])) {
        return Err("the left-hand side is repeated, too".into());
    }
    let matrices = reshaped(g, of, &[&groups, &matrix[..]].concat())?;
    let matrices = match exchange {
        Some((_, perm)) => g.add(node("Transpose", [("perm", perm.attr())]), &[Some(matrices)])?,
        None => matrices,
    };
    groups.extend([count.mul(&rows[rows.len() - 2]), rows[rows.len() - 1].clone()]);
    let stacked = reshaped(g, left, &groups)?;
    let product = g.add(node("MatMul", []), &[Some(stacked), Some(matrices)])?;
    let product = reshaped(g, product, &result)?;
    g.replace(g.result(id), product);
    Ok(())
}

/// Matrices of which each is there several times.
struct Copies {
    /// The matrices, each once.
    of: Value,
    /// The axes that tell them apart.
    groups: Vec<Dim>,
    /// How many copies of each there are.
    count: Dim,
    /// The extents of one.
    matrix: [Dim; 2],
}

/// What copies are made of: a new axis behind those that tell the matrices apart, merged with the last of
/// these.
fn copied(g: &Rewriter<'_>, value: Value) -> Result<Option<Copies>, Declined> {
    let found = || {
        let many = g.operand(g.made_by(value, "Reshape")?, 0)?;
        let of = g.operand(g.made_by(many, "Expand")?, 0)?;
        Some((of, dims(g, of)?, dims(g, many)?, dims(g, value)?))
    };
    let Some((of, own, many, merged)) = found() else { return Ok(None) };
    let Some(axis) = many.len().checked_sub(3).filter(|axis| *axis > 0 && own.len() == many.len()) else {
        return Ok(None);
    };
    let copies = own[axis].as_fixed() == Some(1) && same(&own[..axis], &many[..axis]);
    if !copies || !same(&own[axis + 1..], &many[axis + 1..]) {
        return Err("the copies do not lie next to each other".into());
    }
    let mut expected = many.clone();
    let count = expected.remove(axis);
    let groups = expected[..axis].to_vec();
    expected[axis - 1] = expected[axis - 1].mul(&count);
    if !same(&expected, &merged) {
        return Err("more than the copies is merged".into());
    }
    let matrix = [many[axis + 1].clone(), many[axis + 2].clone()];
    Ok(Some(Copies { of, groups, count, matrix }))
}

/// The operand of a transpose that exchanges the last two axes, and what it does.
fn exchanged(g: &Rewriter<'_>, value: Value) -> Option<(Value, Perm)> {
    let (operand, perm) = g.transposed(value)?;
    let rank = perm.rank();
    let mut exchange: Vec<usize> = (0..rank).collect();
    exchange.swap(rank.checked_sub(2)?, rank - 1);
    (perm.axes() == exchange).then_some((operand, perm))
}

fn dims(g: &Rewriter<'_>, value: Value) -> Option<Vec<Dim>> {
    g.dims(value).map(<[Dim]>::to_vec)
}

fn same(a: &[Dim], b: &[Dim]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b))
}
