//! Matrix products.
use super::check::{Types, alike, operand, optional, ranked, same_extent, stretches, typed};
use super::rules::{attr, broadcast, fail, float, int, op, opt, req, shaped};
use crate::dim::Dim;
use crate::infer::Fact;
use crate::op::{AttrDefault, AttrKind, InferCx, InferError, OpDef, OperandDef, one};
use crate::types::{DType, TensorType};

const AB: &[OperandDef] = &[req("A"), req("B")];
const QUANTISED: &[OperandDef] = &[
    req("a"),
    req("a_scale"),
    req("a_zero_point"),
    req("b"),
    req("b_scale"),
    req("b_zero_point"),
    req("y_scale"),
    req("y_zero_point"),
];
const PACKED: &[OperandDef] =
    &[req("A"), req("B"), req("scales"), opt("zero_points"), opt("g_idx"), opt("bias")];

/// The table.
pub(crate) const OPS: &[OpDef] = &[
    op("Det", "The determinant of each matrix in the last two axes.", &[req("X")], det),
    OpDef {
        attrs: &[float("alpha", 1.0), float("beta", 1.0), int("transA", 0), int("transB", 0)],
        ..op("Gemm", "`alpha * a * b + beta * c` of matrices.", &[req("A"), req("B"), opt("C")], gemm)
    },
    op("MatMul", "The matrix product over the last two axes, with broadcasting of the others.", AB, matmul),
    op(
        "MatMulInteger",
        "The matrix product of bytes less their zero points, as 32-bit integers.",
        &[req("A"), req("B"), opt("a_zero_point"), opt("b_zero_point")],
        matmul_integer,
    ),
    op(
        "QLinearMatMul",
        "The matrix product of quantised matrices, quantised again.",
        QUANTISED,
        qlinear_matmul,
    ),
    OpDef {
        attrs: &[
            float("alpha", 1.0),
            int("transA", 0),
            int("transB", 0),
            int("transBatchA", 0),
            int("transBatchB", 0),
        ],
        ..op(
            "com.microsoft.FusedMatMul",
            "`alpha` times the product of transposed operands.",
            AB,
            fused_matmul,
        )
    },
    OpDef {
        attrs: &[
            attr("K", AttrKind::Int, AttrDefault::Required),
            attr("N", AttrKind::Int, AttrDefault::Required),
            int("accuracy_level", 0),
            int("bits", 4),
            attr("block_size", AttrKind::Int, AttrDefault::Required),
        ],
        ..op(
            "com.microsoft.MatMulNBits",
            "The product with a transposed matrix of few bits, quantised in blocks.",
            PACKED,
            matmul_n_bits,
        )
    },
];

fn matmul(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    let (a, b) = (operand(cx, 0, Types::Number)?, operand(cx, 1, Types::Number)?);
    alike(cx, &[0, 1])?;
    one(shaped(a.dtype(), product_of(a, b)?))
}

fn matmul_integer(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    let (a, b) = (operand(cx, 0, Types::Byte)?, operand(cx, 1, Types::Byte)?);
    alike(cx, &[0, 2])?;
    alike(cx, &[1, 3])?;
    one(shaped(DType::I32, product_of(a, b)?))
}

fn qlinear_matmul(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    let (a, b) = (operand(cx, 0, Types::Byte)?, operand(cx, 3, Types::Byte)?);
    for i in [1, 4, 6] {
        operand(cx, i, Types::Float)?;
    }
    alike(cx, &[0, 2])?;
    alike(cx, &[3, 5])?;
    one(shaped(operand(cx, 7, Types::Byte)?.dtype(), product_of(a, b)?))
}

fn product_of(a: &Fact, b: &Fact) -> Result<Option<Vec<Dim>>, InferError> {
    match (a.dims(), b.dims()) {
        (Some(a), Some(b)) => Ok(Some(product(a, b)?)),
        _ => Ok(None),
    }
}

/// The shape of a matrix product; an operand of rank 1 is a row on the left, a column on the right.
fn product(a: &[Dim], b: &[Dim]) -> Result<Vec<Dim>, InferError> {
    let (Some((k_of_a, left)), Some((last_of_b, right))) = (a.split_last(), b.split_last()) else {
        return fail("a matrix product takes no operand of rank 0".to_string());
    };
    let (k_of_b, columns, batch_b) = match right.split_last() {
        Some((k, batch)) => (k, Some(last_of_b), batch),
        None => (last_of_b, None, right),
    };
    let (rows, batch_a) = left.split_last().map_or((None, left), |(rows, batch)| (Some(rows), batch));
    same_extent(k_of_a, k_of_b, "inner extents")?;
    let mut dims = broadcast(batch_a, batch_b)?;
    dims.extend(rows.into_iter().chain(columns).cloned());
    Ok(dims)
}

fn gemm(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    let (a, b) = (operand(cx, 0, Types::Number)?, operand(cx, 1, Types::Number)?);
    alike(cx, &[0, 1, 2])?;
    ranked(cx, 0, &[2])?;
    ranked(cx, 1, &[2])?;
    let attrs = cx.attrs();
    let (Some([a0, a1]), Some([b0, b1])) = (a.dims(), b.dims()) else {
        return one(shaped(a.dtype(), Some(vec![Dim::unknown(), Dim::unknown()])));
    };
    let (rows, k_of_a) = if attrs.flag("transA") { (a1, a0) } else { (a0, a1) };
    let (k_of_b, columns) = if attrs.flag("transB") { (b1, b0) } else { (b0, b1) };
    same_extent(k_of_a, k_of_b, "inner extents")?;
    let dims = vec![rows.clone(), columns.clone()];
    if let Some(c) = cx.get(2).and_then(|c| c.dims())
        && !stretches(c, &dims)?
    {
        return fail("operand 2 `C` does not broadcast to the product".to_string());
    }
    one(shaped(a.dtype(), Some(dims)))
}

fn swap_last(dims: &mut [Dim]) {
    if let [.., a, b] = dims {
        std::mem::swap(a, b);
    }
}

/// The shape of an operand of `FusedMatMul` after its transpositions: the batch form moves the
/// first axis in front of the last.
fn fused_operand(dims: &[Dim], trans: bool, batch: bool) -> Vec<Dim> {
    let mut dims = dims.to_vec();
    if batch && dims.len() > 2 {
        let end = dims.len() - 1;
        dims[..end].rotate_left(1);
    }
    if trans {
        swap_last(&mut dims);
    }
    dims
}

fn fused_matmul(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    let (a, b) = (operand(cx, 0, Types::Float)?, operand(cx, 1, Types::Float)?);
    alike(cx, &[0, 1])?;
    let attrs = cx.attrs();
    let (Some(x), Some(y)) = (a.dims(), b.dims()) else { return one(shaped(a.dtype(), None)) };
    let x = fused_operand(x, attrs.flag("transA"), attrs.flag("transBatchA"));
    let y = fused_operand(y, attrs.flag("transB"), attrs.flag("transBatchB"));
    one(shaped(a.dtype(), Some(product(&x, &y)?)))
}

fn matmul_n_bits(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    let a = operand(cx, 0, Types::Float)?;
    typed(cx, 1, DType::U8)?;
    alike(cx, &[0, 2, 5])?;
    optional(cx, 4, Types::Index)?;
    let attrs = cx.attrs();
    let (k, n, bits, block) = (attrs.int("K"), attrs.int("N"), attrs.int("bits"), attrs.int("block_size"));
    if k <= 0 || n <= 0 || !(1..=1 << 20).contains(&block) || !matches!(bits, 2 | 4 | 8) {
        return fail(format!(
            "attributes K = {k}, N = {n}, block_size = {block}, bits = {bits} make no matrix"
        ));
    }
    let Some(dims) = a.dims() else { return one(shaped(a.dtype(), None)) };
    let Some((last, batch)) = dims.split_last() else {
        return fail("operand 0 `A` has rank 0, expected at least 1".to_string());
    };
    same_extent(last, &Dim::fixed(k), "inner extents")?;
    one(shaped(a.dtype(), Some(batch.iter().cloned().chain([Dim::fixed(n)]).collect())))
}

fn det(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    let x = operand(cx, 0, Types::Float)?;
    let Some(dims) = x.dims() else { return one(shaped(x.dtype(), None)) };
    let [outer @ .., rows, columns] = dims else {
        return fail(format!("operand 0 `X` has rank {}, expected at least 2", dims.len()));
    };
    same_extent(rows, columns, "extents of a square matrix")?;
    one(TensorType::new(x.dtype(), outer.to_vec()))
}
