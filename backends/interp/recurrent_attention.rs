//! Attention and convolution as recurrences that carry a state from call to call.
use crate::array::Array;
use crate::attention::{join_heads, split_heads};
use crate::call::{Call, Eval, EvalError, wrong};
use crate::unary::sigmoid;
use weft_ir::Tensor;

type Results = Result<Vec<Tensor>, EvalError>;

/// The functions of this family.
pub(crate) const EVALS: &[(&str, Eval)] =
    &[("CausalConvWithState", causal_conv), ("LinearAttention", linear_attention)];

fn causal_conv(call: &Call<'_>) -> Results {
    let (x, weight) = (call.floats(0)?, call.floats(1)?);
    let (&[batch, channels, length], &[_, _, k]) = (x.dims.as_slice(), weight.dims.as_slice()) else {
        return wrong("the operands are no sequences of channels");
    };
    if weight.dims != [channels, 1, k] || k == 0 {
        return wrong(format!("a kernel of shape {:?} does not fit {channels} channels", weight.dims));
    }
    let before = k - 1;
    let past = match call.floats_opt(3)? {
        Some(past) => past.stretched(&[batch, channels, before])?,
        None => Array::filled(vec![batch, channels, before], 0.0),
    };
    let bias = match call.floats_opt(2)? {
        Some(bias) => bias.stretched(&[channels])?.data,
        None => vec![0.0; channels],
    };
    let activate = |y: f64| if call.attrs.str("activation") == "none" { y } else { y * sigmoid(y) };
    let (mut y, mut state) = (Vec::with_capacity(x.data.len()), Vec::with_capacity(past.data.len()));
    for row in 0..batch * channels {
        let channel = row % channels;
        let now = &x.data[row * length..][..length];
        let all: Vec<f64> = past.data[row * before..][..before].iter().chain(now).copied().collect();
        let kernel = &weight.data[channel * k..][..k];
        let sums = all.windows(k).map(|w| w.iter().zip(kernel).map(|(x, w)| x * w).sum::<f64>());
        y.extend(sums.map(|sum| activate(sum + bias[channel])));
        state.extend_from_slice(&all[all.len() - before..]);
    }
    let dtype = call.dtype(0)?;
    let state = Array::new(vec![batch, channels, before], state);
    Ok(vec![Array::new(x.dims, y).store(dtype)?, state.store(dtype)?])
}

/// The operands of one step of one head.
struct Step<'a> {
    key: &'a [f64],
    value: &'a [f64],
    decay: Option<&'a [f64]>,
    beta: Option<f64>,
}

/// Lets the state `[keys, values]` fade, and writes the value under the key.
fn update(state: &mut [f64], step: &Step<'_>) {
    let width = step.value.len();
    if let Some(decay) = step.decay {
        for (i, row) in state.chunks_exact_mut(width).enumerate() {
            let factor = decay[i % decay.len()].exp();
            row.iter_mut().for_each(|x| *x *= factor);
        }
    }
    let mut value = step.value.to_vec();
    if let Some(beta) = step.beta {
        let known = read(state, step.key, width);
        value.iter_mut().zip(known).for_each(|(v, known)| *v = beta * (*v - known));
    }
    for (row, key) in state.chunks_exact_mut(width).zip(step.key) {
        row.iter_mut().zip(&value).for_each(|(x, v)| *x += key * v);
    }
}

/// What the state holds under a key.
fn read(state: &[f64], key: &[f64], width: usize) -> Vec<f64> {
    let mut found = vec![0.0; width];
    for (row, key) in state.chunks_exact(width).zip(key) {
        found.iter_mut().zip(row).for_each(|(sum, x)| *sum += key * x);
    }
    found
}

/// Checks that a gate has the shape of the keys, but perhaps one number for all heads or features.
fn check_gate(gate: &Array<f64>, keys: &[usize]) -> Result<(), EvalError> {
    let fits = |(axis, (d, n)): (usize, (&usize, &usize))| d == n || (axis % 2 == 1 && *d == 1);
    match gate.dims.iter().zip(keys).enumerate().all(fits) {
        true => Ok(()),
        false => wrong(format!("a gate of shape {:?} does not fit keys of {keys:?}", gate.dims)),
    }
}

fn linear_attention(call: &Call<'_>) -> Results {
    let (q_heads, kv_heads) = (call.attrs.int("q_num_heads"), call.attrs.int("kv_num_heads"));
    let q = split_heads(call.floats(0)?, q_heads)?;
    let (k, v) = (split_heads(call.floats(1)?, kv_heads)?, split_heads(call.floats(2)?, kv_heads)?);
    let gate = |i: usize| match call.floats_opt(i)? {
        Some(x) if i == 5 && x.dims.last() == Some(&1) => split_heads(x, 1).map(Some),
        Some(x) => split_heads(x, kv_heads).map(Some),
        None => Ok(None),
    };
    let (decay, beta) = (gate(4)?, gate(5)?);
    let (&[batch, heads, length, keys], &[_, groups, _, width]) = (q.dims.as_slice(), v.dims.as_slice())
    else {
        return wrong("the operands are no sequences of heads");
    };
    if k.dims != [batch, groups, length, keys]
        || v.dims[..3] != k.dims[..3]
        || heads % groups != 0
        || width == 0
    {
        return wrong(format!("shapes {:?}, {:?} and {:?} do not fit", q.dims, k.dims, v.dims));
    }
    let state_dims = vec![batch, groups, keys, width];
    [&decay, &beta].into_iter().flatten().try_for_each(|gate| check_gate(gate, &k.dims))?;
    let mut state = match call.floats_opt(3)? {
        Some(past) => past.stretched(&state_dims)?,
        None => Array::filled(state_dims, 0.0),
    };
    let scale = match call.attrs.float("scale") {
        0.0 => 1.0 / (keys as f64).sqrt(),
        scale => f64::from(scale),
    };
    let mut y = Array::filled(vec![batch, heads, length, width], 0.0);
    let sizes = [heads, groups, length, keys, width];
    for (b, t) in (0..batch).flat_map(|b| (0..length).map(move |t| (b, t))) {
        step_heads(&mut state, &mut y, [&q, &k, &v], [&decay, &beta], (sizes, b, t));
    }
    let y = join_heads(y.map(|x| x * scale))?;
    let state_type = call.get(3).map_or(call.dtype(0)?, Tensor::dtype);
    Ok(vec![y.store(call.dtype(0)?)?, state.store(state_type)?])
}

/// One position of one sequence of the batch: all heads write, then all queries read.
fn step_heads(
    state: &mut Array<f64>,
    y: &mut Array<f64>,
    [q, k, v]: [&Array<f64>; 3],
    [decay, beta]: [&Option<Array<f64>>; 2],
    ([heads, groups, length, keys, width], b, t): ([usize; 5], usize, usize),
) {
    for group in 0..groups {
        let at = (b * groups + group) * length + t;
        let gates = |x: &Array<f64>| {
            let own = if x.dims[1] == 1 { b } else { b * x.dims[1] + group };
            let each = x.dims[3];
            (own * length + t) * each..(own * length + t + 1) * each
        };
        let step = Step {
            key: &k.data[at * keys..][..keys],
            value: &v.data[at * width..][..width],
            decay: decay.as_ref().map(|x| &x.data[gates(x)]),
            beta: beta.as_ref().and_then(|x| x.data[gates(x)].first().copied()),
        };
        let own = &mut state.data[(b * groups + group) * keys * width..][..keys * width];
        update(own, &step);
        for head in group * (heads / groups)..(group + 1) * (heads / groups) {
            let at = (b * heads + head) * length + t;
            let found = read(own, &q.data[at * keys..][..keys], width);
            y.data[at * width..][..width].copy_from_slice(&found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delta_rule_overwrites_what_a_key_held() {
        let mut state = vec![0.0; 4];
        let write = |state: &mut [f64], value: &[f64]| {
            update(state, &Step { key: &[1.0, 0.0], value, decay: None, beta: Some(1.0) });
        };
        write(&mut state, &[3.0, 4.0]);
        write(&mut state, &[5.0, 6.0]);
        assert_eq!(read(&state, &[1.0, 0.0], 2), [5.0, 6.0]);
        assert_eq!(read(&state, &[0.0, 1.0], 2), [0.0, 0.0]);
    }
}
