//! Matrix products.
use crate::array::{Array, Walk, broadcast, is_float};
use crate::call::{Call, Eval, EvalError, wrong};
use crate::number::int_range;
use crate::ring::Ring;
use weft_ir::{DType, Tensor};

type Results = Result<Vec<Tensor>, EvalError>;

/// The functions of this family.
pub(crate) const EVALS: &[(&str, Eval)] = &[
    ("Det", det),
    ("Gemm", |call| if is_float(call.dtype(0)?) { gemm(call) } else { int_gemm(call) }),
    ("MatMul", |call| if is_float(call.dtype(0)?) { matmul::<f64>(call) } else { matmul::<i64>(call) }),
    ("MatMulInteger", matmul_integer),
    ("QLinearMatMul", qlinear_matmul),
    ("com.microsoft.FusedMatMul", fused_matmul),
    ("com.microsoft.MatMulNBits", matmul_n_bits),
];

fn matmul<T: Ring>(call: &Call<'_>) -> Results {
    let (a, b) = (T::read(call.need(0)?)?, T::read(call.need(1)?)?);
    Ok(vec![T::store(product(&a, &b)?, call.dtype(0)?)?])
}

/// The matrix product over the last two axes; the others broadcast. An operand of rank 1 is a row
/// on the left and a column on the right, and its axis does not appear in the result.
pub(crate) fn product<T: Ring>(a: &Array<T>, b: &Array<T>) -> Result<Array<T>, EvalError> {
    if a.dims.is_empty() || b.dims.is_empty() {
        return wrong("a matrix product takes no operand of rank 0");
    }
    let (row, column) = (a.dims.len() == 1, b.dims.len() == 1);
    let a_dims = if row { vec![1, a.dims[0]] } else { a.dims.clone() };
    let b_dims = if column { vec![b.dims[0], 1] } else { b.dims.clone() };
    let (batch_a, [m, k]) = split_matrix(&a_dims)?;
    let (batch_b, [k_of_b, n]) = split_matrix(&b_dims)?;
    if k != k_of_b {
        return wrong(format!("inner extents differ, found {k} and {k_of_b}"));
    }
    let mut dims = broadcast(&[batch_a, batch_b])?;
    let mut data = vec![T::ZERO; dims.iter().product::<usize>() * m * n];
    let pairs = Walk::broadcast(batch_a, &dims).zip(Walk::broadcast(batch_b, &dims));
    for ((i, j), out) in pairs.zip(data.chunks_exact_mut((m * n).max(1))) {
        multiply(&a.data[i * m * k..][..m * k], &b.data[j * k * n..][..k * n], out, n);
    }
    dims.extend((!row).then_some(m));
    dims.extend((!column).then_some(n));
    Ok(Array::new(dims, data))
}

fn split_matrix(dims: &[usize]) -> Result<(&[usize], [usize; 2]), EvalError> {
    match dims {
        [batch @ .., rows, columns] => Ok((batch, [*rows, *columns])),
        _ => wrong(format!("shape {dims:?} is no matrix")),
    }
}

/// `out += a * b` for row-major matrices, `b` and `out` with `n` columns.
fn multiply<T: Ring>(a: &[T], b: &[T], out: &mut [T], n: usize) {
    let rows = out.len() / n.max(1);
    let k = a.len().checked_div(rows).unwrap_or(0);
    for (row, sums) in out.chunks_exact_mut(n.max(1)).enumerate() {
        for (i, factor) in a[row * k..][..k].iter().enumerate() {
            for (sum, x) in sums.iter_mut().zip(&b[i * n..][..n]) {
                *sum = sum.plus_product(*factor, *x);
            }
        }
    }
}

fn swapped<T: Copy>(array: &Array<T>) -> Array<T> {
    let rank = array.dims.len();
    let mut order: Vec<usize> = (0..rank).collect();
    if rank >= 2 {
        order.swap(rank - 2, rank - 1);
    }
    array.transposed(&order)
}

fn gemm_operands<T: Ring>(call: &Call<'_>) -> Result<Array<T>, EvalError> {
    let (a, b) = (T::read(call.need(0)?)?, T::read(call.need(1)?)?);
    let a = if call.attrs.flag("transA") { swapped(&a) } else { a };
    let b = if call.attrs.flag("transB") { swapped(&b) } else { b };
    product(&a, &b)
}

fn gemm(call: &Call<'_>) -> Results {
    let (alpha, beta) = (f64::from(call.attrs.float("alpha")), f64::from(call.attrs.float("beta")));
    let mut sum = gemm_operands::<f64>(call)?.map(|x| x * alpha);
    if let Some(c) = call.floats_opt(2)?.filter(|_| beta != 0.0) {
        let c = c.stretched(&sum.dims)?;
        sum = sum.zip(&c, |x, c| x + c * beta)?;
    }
    Ok(vec![sum.store(call.dtype(0)?)?])
}

fn int_gemm(call: &Call<'_>) -> Results {
    let (alpha, beta) = (call.attrs.float("alpha") as i64, call.attrs.float("beta") as i64);
    let mut sum = gemm_operands::<i64>(call)?.map(|x| x.wrapping_mul(alpha));
    if let Some(c) = call.get(2) {
        let c = <i64 as Ring>::read(c)?.stretched(&sum.dims)?;
        sum = sum.zip(&c, |x, c| x.plus_product(c, beta))?;
    }
    Ok(vec![Ring::store(sum, call.dtype(0)?)?])
}

/// Batch form of the transposition: the first axis moves in front of the last.
fn fused_operand(array: Array<f64>, trans: bool, batch: bool) -> Array<f64> {
    let mut array = array;
    if batch && array.dims.len() > 2 {
        let mut order: Vec<usize> = (0..array.dims.len()).collect();
        let end = order.len() - 1;
        order[..end].rotate_left(1);
        array = array.transposed(&order);
    }
    if trans { swapped(&array) } else { array }
}

fn fused_matmul(call: &Call<'_>) -> Results {
    let attrs = call.attrs;
    let a = fused_operand(call.floats(0)?, attrs.flag("transA"), attrs.flag("transBatchA"));
    let b = fused_operand(call.floats(1)?, attrs.flag("transB"), attrs.flag("transBatchB"));
    let alpha = f64::from(attrs.float("alpha"));
    Ok(vec![product(&a, &b)?.map(|x| x * alpha).store(call.dtype(0)?)?])
}

/// Which operand of a product a scale or zero point belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Rows,
    Columns,
}

/// A scale or zero point so that it broadcasts: a vector is one number per row or per column.
fn aligned(array: Array<f64>, side: Side) -> Array<f64> {
    match array.dims.as_slice() {
        [1] => Array::new(Vec::new(), array.data),
        [n] if side == Side::Rows => Array::new(vec![*n, 1], array.data),
        _ => array,
    }
}

/// A quantised operand less its zero point.
fn centred(call: &Call<'_>, x: usize, zero: usize, side: Side) -> Result<Array<f64>, EvalError> {
    let x = call.floats(x)?;
    match call.floats_opt(zero)? {
        Some(zero) => x.zip(&aligned(zero, side), |x, zero| x - zero),
        None => Ok(x),
    }
}

fn matmul_integer(call: &Call<'_>) -> Results {
    let (a, b) = (centred(call, 0, 2, Side::Rows)?, centred(call, 1, 3, Side::Columns)?);
    // Whole numbers far below 2^53: the sums are exact, and wrap to 32 bits on store.
    Ok(vec![product(&a, &b)?.map(|x| x as i128).store(DType::I32)?])
}

fn qlinear_matmul(call: &Call<'_>) -> Results {
    let (a, b) = (centred(call, 0, 2, Side::Rows)?, centred(call, 3, 5, Side::Columns)?);
    let scale =
        aligned(call.floats(1)?, Side::Rows).zip(&aligned(call.floats(4)?, Side::Columns), |a, b| a * b)?;
    let scale = scale.zip(&aligned(call.floats(6)?, Side::Rows), |ab, y| ab / y)?;
    let zero = aligned(call.floats(7)?, Side::Rows);
    let to = call.dtype(7)?;
    let (low, high) = int_range(to);
    let real = product(&a, &b)?.zip(&scale, |x, scale| (x * scale).round_ties_even())?;
    let moved = real.zip(&zero, |x, zero| (x + zero).clamp(low as f64, high as f64))?;
    Ok(vec![moved.store(to)?])
}

/// Element `i` of numbers of `bits` bits, packed from the low end of each byte.
fn packed_at(bytes: &[u8], i: usize, bits: usize) -> Option<f64> {
    let byte = bytes.get(i * bits / 8)?;
    Some(f64::from((u32::from(*byte) >> (i * bits % 8)) & ((1 << bits) - 1)))
}

/// The matrix of `MatMulNBits` as floats, `[N, K]`.
fn unpacked_weights(call: &Call<'_>) -> Result<Array<f64>, EvalError> {
    let extent = |name: &str| usize::try_from(call.attrs.int(name)).unwrap_or(0);
    let (k, n, bits, block) = (extent("K"), extent("N"), extent("bits"), extent("block_size").max(1));
    let room = call.room(&[n, k])?;
    let blocks = k.div_ceil(block);
    let (row_bytes, zero_bytes) = (blocks * (block * bits).div_ceil(8), (blocks * bits).div_ceil(8));
    let (packed, scales) = (call.need(1)?.data(), call.floats(2)?.data);
    let zeros = call.get(3);
    let float_zeros = zeros.filter(|z| is_float(z.dtype())).map(Array::floats).transpose()?;
    let groups = call.list_opt(4)?;
    let middle = f64::from(1u32 << (bits - 1));
    let at = |row: usize, col: usize| {
        let group = match &groups {
            Some(groups) => usize::try_from(*groups.get(col)?).ok()?,
            None => col / block,
        };
        let block_bytes = (block * bits).div_ceil(8);
        let bytes = packed.get(row * row_bytes + col / block * block_bytes..)?;
        let zero = match (&float_zeros, zeros) {
            (Some(zeros), _) => *zeros.data.get(row * blocks + group)?,
            (None, Some(zeros)) => packed_at(zeros.data().get(row * zero_bytes..)?, group, bits)?,
            (None, None) => middle,
        };
        Some((packed_at(bytes, col % block, bits)? - zero) * scales.get(row * blocks + group)?)
    };
    let mut weights = Vec::with_capacity(room);
    for (row, col) in (0..n).flat_map(|row| (0..k).map(move |col| (row, col))) {
        match at(row, col) {
            Some(weight) => weights.push(weight),
            None => return wrong(format!("operands are too small for a matrix of {n} by {k}")),
        }
    }
    Ok(Array::new(vec![n, k], weights))
}

fn matmul_n_bits(call: &Call<'_>) -> Results {
    let mut sum = product(&call.floats(0)?, &swapped(&unpacked_weights(call)?))?;
    if let Some(bias) = call.floats_opt(5)? {
        sum = sum.zip(&bias, |x, bias| x + bias)?;
    }
    Ok(vec![sum.store(call.dtype(0)?)?])
}

fn det(call: &Call<'_>) -> Results {
    let x = call.floats(0)?;
    let (outer, [n, columns]) = split_matrix(&x.dims)?;
    if n != columns {
        return wrong(format!(
            "a determinant is that of a square matrix, found {n} rows and {columns} columns"
        ));
    }
    let outer = outer.to_vec();
    let count = outer.iter().product::<usize>();
    let data = (0..count).map(|i| determinant(x.data[i * n * n..(i + 1) * n * n].to_vec(), n)).collect();
    Ok(vec![Array::new(outer, data).store(call.dtype(0)?)?])
}

/// By elimination, with the largest element of a column as the pivot.
fn determinant(mut m: Vec<f64>, n: usize) -> f64 {
    let mut product = 1.0;
    for column in 0..n {
        let larger = |a: &usize, b: &usize| m[a * n + column].abs().total_cmp(&m[b * n + column].abs());
        let Some(pivot) = (column..n).max_by(larger) else { return product };
        if m[pivot * n + column] == 0.0 {
            return 0.0;
        }
        if pivot != column {
            (0..n).for_each(|i| m.swap(pivot * n + i, column * n + i));
            product = -product;
        }
        let head = m[column * n + column];
        product *= head;
        for row in column + 1..n {
            let factor = m[row * n + column] / head;
            (column..n).for_each(|i| m[row * n + i] -= factor * m[column * n + i]);
        }
    }
    product
}
