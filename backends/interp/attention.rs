//! Attention with its masks, windows, caps and caches.
use crate::array::Array;
use crate::call::{Call, Eval, EvalError, wrong};
use crate::norm::softmax;
use weft_ir::{DType, Tensor};

type Results = Result<Vec<Tensor>, EvalError>;

/// The functions of this family.
pub(crate) const EVALS: &[(&str, Eval)] = &[
    ("Attention", attention),
    ("RotaryEmbedding", rotary),
    ("ai.onnx.preview.FlexAttention", flex_attention),
];

/// An array of rank 4 as `[batch, heads, length, features]`, and where its elements are.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Heads {
    batch: usize,
    heads: usize,
    length: usize,
    each: usize,
}

impl Heads {
    fn of(array: &Array<f64>) -> Result<Self, EvalError> {
        match array.dims.as_slice() {
            &[batch, heads, length, each] => Ok(Self { batch, heads, length, each }),
            dims => wrong(format!("shape {dims:?} has no heads")),
        }
    }

    /// The features of one position.
    fn row(self, batch: usize, head: usize, at: usize) -> std::ops::Range<usize> {
        let start = ((batch * self.heads + head) * self.length + at) * self.each;
        start..start + self.each
    }
}

/// `[batch, length, heads * features]` as `[batch, heads, length, features]`.
pub(crate) fn split_heads(array: Array<f64>, heads: i64) -> Result<Array<f64>, EvalError> {
    match *array.dims.as_slice() {
        [batch, length, features] if heads > 0 && features % heads as usize == 0 => {
            let dims = vec![batch, length, heads as usize, features / heads as usize];
            Ok(array.reshaped(dims)?.transposed(&[0, 2, 1, 3]))
        }
        _ => wrong(format!("shape {:?} does not split into {heads} heads", array.dims)),
    }
}

/// The inverse of [`split_heads`].
pub(crate) fn join_heads(array: Array<f64>) -> Result<Array<f64>, EvalError> {
    let Heads { batch, heads, length, each } = Heads::of(&array)?;
    array.transposed(&[0, 2, 1, 3]).reshaped(vec![batch, length, heads * each])
}

fn with_heads(call: &Call<'_>, i: usize, attr: &str) -> Result<Array<f64>, EvalError> {
    let array = call.floats(i)?;
    match array.dims.len() {
        4 => Ok(array),
        _ => split_heads(array, call.attrs.int(attr)),
    }
}

/// The past and the present, one behind the other.
fn appended(past: Option<Array<f64>>, now: Array<f64>) -> Result<Array<f64>, EvalError> {
    let Some(past) = past else { return Ok(now) };
    let (a, b) = (Heads::of(&past)?, Heads::of(&now)?);
    if (a.batch, a.heads, a.each) != (b.batch, b.heads, b.each) {
        return wrong(format!("a past of shape {:?} does not fit a present of {:?}", past.dims, now.dims));
    }
    let mut data = Vec::with_capacity(past.data.len() + now.data.len());
    let (before, behind) = ((a.length * a.each).max(1), (b.length * b.each).max(1));
    let (mut past_rows, mut now_rows) = (past.data.chunks(before), now.data.chunks(behind));
    for _ in 0..a.batch * a.heads {
        data.extend_from_slice(past_rows.next().unwrap_or(&[]));
        data.extend_from_slice(now_rows.next().unwrap_or(&[]));
    }
    Ok(Array::new(vec![a.batch, a.heads, a.length + b.length, a.each], data))
}

fn attention(call: &Call<'_>) -> Results {
    let attrs = call.attrs;
    let q = with_heads(call, 0, "q_num_heads")?;
    let past_length = call.get(4).map_or(0, |past| past.dims().get(2).copied().unwrap_or(0));
    let k = appended(call.floats_opt(4)?, with_heads(call, 1, "kv_num_heads")?)?;
    let v = appended(call.floats_opt(5)?, with_heads(call, 2, "kv_num_heads")?)?;
    let (rows, columns) = (Heads::of(&q)?, Heads::of(&k)?);
    let bias = bias(call, rows, columns, past_length as i64)?;
    let softcap = f64::from(attrs.float("softcap"));
    let cap = |x: f64| if softcap > 0.0 { softcap * (x / softcap).tanh() } else { x };
    let raw = scores(call, &q, &k)?;
    let capped = raw.map(cap);
    let biased = capped.zip(&bias, |x, bias| x + bias)?;
    let mut weights = biased.clone();
    let length = columns.length.max(1);
    for (lane, bias) in weights.data.chunks_exact_mut(length).zip(bias.data.chunks_exact(length)) {
        match bias.iter().all(|b| *b == f64::NEG_INFINITY) {
            true => lane.fill(0.0),
            false => softmax(lane),
        }
    }
    let mut y = weighted(&weights, &v)?;
    if call.need(0)?.dims().len() == 3 {
        y = join_heads(y)?;
    }
    let shown = match attrs.int("qk_matmul_output_mode") {
        0 => raw,
        1 => capped,
        2 => biased,
        3 => weights,
        mode => return wrong(format!("attribute `qk_matmul_output_mode` is {mode}, expected 0 to 3")),
    };
    let (q_type, v_type) = (call.dtype(0)?, call.dtype(2)?);
    Ok(vec![y.store(q_type)?, k.store(q_type)?, v.store(v_type)?, shown.store(q_type)?])
}

fn flex_attention(call: &Call<'_>) -> Results {
    let (q, k, v) = (call.floats(0)?, call.floats(1)?, call.floats(2)?);
    let mut weights = scores(call, &q, &k)?;
    let length = Heads::of(&k)?.length.max(1);
    weights.data.chunks_exact_mut(length).for_each(softmax);
    Ok(vec![weighted(&weights, &v)?.store(call.dtype(2)?)?])
}

/// The scaled products of all queries and keys, `[batch, query heads, queries, keys]`.
fn scores(call: &Call<'_>, q: &Array<f64>, k: &Array<f64>) -> Result<Array<f64>, EvalError> {
    let (rows, columns) = (Heads::of(q)?, Heads::of(k)?);
    if rows.each != columns.each
        || columns.heads == 0
        || rows.heads % columns.heads != 0
        || rows.batch != columns.batch
    {
        return wrong(format!("queries of shape {:?} do not fit keys of {:?}", q.dims, k.dims));
    }
    let scale = call.attrs.float_opt("scale").map_or(1.0 / (rows.each as f64).sqrt(), f64::from);
    let dims = vec![rows.batch, rows.heads, rows.length, columns.length];
    let mut data = Vec::with_capacity(call.room(&dims)?);
    let group = rows.heads / columns.heads;
    for (batch, head, i) in positions(rows) {
        let query = &q.data[rows.row(batch, head, i)];
        data.extend((0..columns.length).map(|j| {
            let key = &k.data[columns.row(batch, head / group, j)];
            scale * query.iter().zip(key).map(|(q, k)| q * k).sum::<f64>()
        }));
    }
    Ok(Array::new(dims, data))
}

fn positions(heads: Heads) -> impl Iterator<Item = (usize, usize, usize)> {
    let Heads { batch, heads, length, .. } = heads;
    (0..batch).flat_map(move |b| (0..heads).flat_map(move |h| (0..length).map(move |i| (b, h, i))))
}

/// The values by their weights, `[batch, query heads, queries, features]`.
fn weighted(weights: &Array<f64>, v: &Array<f64>) -> Result<Array<f64>, EvalError> {
    let (rows, columns) = (Heads::of(weights)?, Heads::of(v)?);
    let grouped = columns.heads > 0 && rows.heads % columns.heads == 0;
    if columns.length != rows.each || columns.batch != rows.batch || !grouped {
        return wrong(format!("weights of shape {:?} do not fit values of {:?}", weights.dims, v.dims));
    }
    let group = (rows.heads / columns.heads).max(1);
    let mut y = Array::filled(vec![rows.batch, rows.heads, rows.length, columns.each], 0.0);
    let out = Heads { each: columns.each, ..rows };
    for (batch, head, i) in positions(rows) {
        let sums = &mut y.data[out.row(batch, head, i)];
        for (j, weight) in weights.data[rows.row(batch, head, i)].iter().enumerate() {
            let value = &v.data[columns.row(batch, head / group, j)];
            sums.iter_mut().zip(value).for_each(|(sum, x)| *sum += weight * x);
        }
    }
    Ok(y)
}

/// What is added to every score: the mask, and minus infinity where a query may not look.
fn bias(call: &Call<'_>, rows: Heads, columns: Heads, past: i64) -> Result<Array<f64>, EvalError> {
    let attrs = call.attrs;
    let dims = vec![rows.batch, rows.heads, rows.length, columns.length];
    call.room(&dims)?;
    let mut bias = match call.get(3) {
        Some(mask) => padded_mask(mask, columns.length)?.stretched(&dims)?,
        None => Array::filled(dims, 0.0),
    };
    let valid = call.list_opt(6)?;
    let (causal, left, right) =
        (attrs.flag("is_causal"), attrs.int("left_window_size"), attrs.int("right_window_size"));
    let queries = rows.length as i64;
    for (at, (batch, _, i)) in positions(rows).enumerate() {
        let valid = valid.as_ref().and_then(|v| v.get(batch)).copied();
        let offset = match valid {
            Some(valid) if call.get(4).is_none() => valid.saturating_sub(queries),
            _ => past,
        };
        let position = offset.saturating_add(i as i64);
        let hidden = |j: i64| {
            (causal && j > position)
                || (left >= 0 && j < position.saturating_sub(left))
                || (right >= 0 && j > position.saturating_add(right))
                || valid.is_some_and(|valid| j >= valid)
        };
        let lane = &mut bias.data[at * columns.length..][..columns.length];
        let unseen = lane.iter_mut().enumerate().filter(|(j, _)| hidden(*j as i64));
        unseen.for_each(|(_, bias)| *bias = f64::NEG_INFINITY);
    }
    Ok(bias)
}

/// The mask as numbers to add, its last axis lengthened by minus infinity.
fn padded_mask(mask: &Tensor, length: usize) -> Result<Array<f64>, EvalError> {
    let numbers = match mask.dtype() {
        DType::Bool => Array::truths(mask)?.map(|x| if x { 0.0 } else { f64::NEG_INFINITY }),
        _ => Array::floats(mask)?,
    };
    let Some((last, outer)) = numbers.dims.split_last() else { return Ok(numbers) };
    if *last >= length {
        return Ok(numbers);
    }
    let dims = outer.iter().copied().chain([length]).collect();
    let mut data = Vec::new();
    for row in 0..outer.iter().product() {
        data.extend_from_slice(&numbers.data[row * last..][..*last]);
        data.resize(data.len() + length - last, f64::NEG_INFINITY);
    }
    Ok(Array::new(dims, data))
}

fn rotary(call: &Call<'_>) -> Results {
    let (x, attrs) = (call.floats(0)?, call.attrs);
    let (flat, dtype) = (x.dims.len() == 3, call.dtype(0)?);
    let mut x = if flat { split_heads(x, attrs.int("num_heads"))? } else { x };
    let heads = Heads::of(&x)?;
    let turned = match usize::try_from(attrs.int("rotary_embedding_dim")).unwrap_or(0) {
        0 => heads.each,
        some => some,
    };
    let (cos, sin) = (call.floats(1)?, call.floats(2)?);
    let half = turned / 2;
    if cos.dims != sin.dims || cos.dims.last() != Some(&half) || turned > heads.each {
        return wrong(format!(
            "caches of shape {:?} do not turn {turned} of {} features",
            cos.dims, heads.each
        ));
    }
    let ids = call.list_opt(3)?;
    for (batch, head, i) in positions(heads) {
        let position = batch * heads.length + i;
        let row = match &ids {
            Some(ids) => ids.get(position).and_then(|id| usize::try_from(*id).ok()),
            None => Some(position),
        };
        let angles = row.and_then(|r| cos.data.get(r * half..(r + 1) * half).zip(sin.data.get(r * half..)));
        let Some((cos, sin)) = angles else { return wrong(format!("no angles for position {position}")) };
        turn(&mut x.data[heads.row(batch, head, i)], (cos, sin), attrs.flag("interleaved"));
    }
    let y = if flat { join_heads(x)? } else { x };
    Ok(vec![y.store(dtype)?])
}

/// Turns pairs of features: neighbours, or one of each half.
fn turn(row: &mut [f64], (cos, sin): (&[f64], &[f64]), interleaved: bool) {
    let half = cos.len();
    for (k, (cos, sin)) in cos.iter().zip(sin).enumerate() {
        let (a, b) = if interleaved { (2 * k, 2 * k + 1) } else { (k, k + half) };
        let (x, y) = (row[a], row[b]);
        row[a] = cos * x - sin * y;
        row[b] = sin * x + cos * y;
    }
}
