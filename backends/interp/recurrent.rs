//! Recurrent networks, step by step.
use crate::array::Array;
use crate::call::{Call, Eval, EvalError, wrong};
use crate::place::facts;
use crate::unary::{sigmoid, softplus};
use weft_ir::Tensor;

type Results = Result<Vec<Tensor>, EvalError>;

/// The functions of this family.
pub(crate) const EVALS: &[(&str, Eval)] = &[
    ("GRU", |call| recurrent(call, 3, &["Sigmoid", "Tanh"], gru_step)),
    ("LSTM", |call| recurrent(call, 4, &["Sigmoid", "Tanh", "Tanh"], lstm_step)),
    ("RNN", |call| recurrent(call, 1, &["Tanh"], rnn_step)),
];

/// What a gate is put through.
#[derive(Clone)]
struct Activation {
    name: String,
    alpha: f64,
    beta: f64,
}

impl Activation {
    fn apply(&self, x: f64) -> f64 {
        let (alpha, beta) = (self.alpha, self.beta);
        match self.name.as_str() {
            "sigmoid" => sigmoid(x),
            "tanh" => x.tanh(),
            "relu" => x.max(0.0),
            "affine" => alpha * x + beta,
            "leakyrelu" if x < 0.0 => alpha * x,
            "leakyrelu" => x,
            "thresholdedrelu" if x < alpha => 0.0,
            "thresholdedrelu" => x,
            "scaledtanh" => alpha * (beta * x).tanh(),
            "hardsigmoid" => (alpha * x + beta).clamp(0.0, 1.0),
            "elu" if x < 0.0 => alpha * x.exp_m1(),
            "elu" => x,
            "softsign" => x / (1.0 + x.abs()),
            _ => softplus(x),
        }
    }

    /// The usual `alpha` and `beta`, where the function has one.
    fn defaults(name: &str) -> (Option<f64>, Option<f64>) {
        match name {
            "affine" => (Some(1.0), Some(0.0)),
            "leakyrelu" => (Some(0.01), None),
            "thresholdedrelu" | "elu" => (Some(1.0), None),
            "scaledtanh" => (Some(1.0), Some(1.0)),
            "hardsigmoid" => (Some(0.2), Some(0.5)),
            _ => (None, None),
        }
    }
}

/// The activations of all directions, one after another; each takes the next `alpha` and `beta` if
/// it has such.
fn activations(call: &Call<'_>, usual: &[&str], directions: usize) -> Vec<Activation> {
    let mut names = call.attrs.strs("activations").to_vec();
    if names.is_empty() {
        let all = usual.iter().cycle().take(usual.len() * directions);
        names = all.map(|name| (*name).to_string()).collect();
    }
    let mut alphas = call.attrs.floats("activation_alpha").iter();
    let mut betas = call.attrs.floats("activation_beta").iter();
    let mut made = Vec::new();
    for name in names {
        let name = name.to_ascii_lowercase();
        let (alpha, beta) = Activation::defaults(&name);
        let alpha = alpha.map_or(0.0, |usual| alphas.next().map_or(usual, |a| f64::from(*a)));
        let beta = beta.map_or(0.0, |usual| betas.next().map_or(usual, |b| f64::from(*b)));
        made.push(Activation { name, alpha, beta });
    }
    made
}

/// One direction of a network.
struct Net<'a> {
    hidden: usize,
    inputs: usize,
    w: &'a [f64],
    r: &'a [f64],
    w_bias: Vec<f64>,
    r_bias: Vec<f64>,
    /// Weights of the cell state on the input, output and forget gates.
    peepholes: Vec<f64>,
    activations: &'a [Activation],
    clip: f64,
    flag: bool,
}

impl Net<'_> {
    /// `W x + Wb` for all gates.
    fn of_input(&self, x: &[f64]) -> Vec<f64> {
        rows(self.w, &self.w_bias, x)
    }

    /// `R h + Rb` for the gates from `first` on.
    fn of_state(&self, first: usize, h: &[f64]) -> Vec<f64> {
        let skip = first * self.hidden;
        rows(&self.r[skip * self.hidden..], &self.r_bias[skip..], h)
    }

    fn activate(&self, which: usize, x: f64) -> f64 {
        self.activations[which].apply(x.max(-self.clip).min(self.clip))
    }
}

/// A matrix times a vector, plus a bias.
fn rows(matrix: &[f64], bias: &[f64], x: &[f64]) -> Vec<f64> {
    let row = |i: usize| &matrix[i * x.len()..(i + 1) * x.len()];
    let product = |(i, b): (usize, &f64)| b + row(i).iter().zip(x).map(|(m, x)| m * x).sum::<f64>();
    bias.iter().enumerate().map(product).collect()
}

/// The next hidden state (and cell state) from the input and the last ones.
type Step = fn(&Net<'_>, &[f64], &mut [f64], &mut [f64]);

fn rnn_step(net: &Net<'_>, x: &[f64], h: &mut [f64], _: &mut [f64]) {
    let (x, r) = (net.of_input(x), net.of_state(0, h));
    h.iter_mut().zip(x.iter().zip(r)).for_each(|(h, (x, r))| *h = net.activate(0, x + r));
}

fn gru_step(net: &Net<'_>, x: &[f64], h: &mut [f64], _: &mut [f64]) {
    let n = net.hidden;
    let (x, r) = (net.of_input(x), net.of_state(0, h));
    let gate = |i: usize| net.activate(0, x[i] + r[i]);
    let (update, reset): (Vec<f64>, Vec<f64>) = (0..n).map(|i| (gate(i), gate(n + i))).unzip();
    let linear_before_reset = net.flag;
    let kept: Vec<f64> = h.iter().zip(&reset).map(|(h, r)| h * r).collect();
    let late = net.of_state(2, &kept);
    let candidate = |i: usize| {
        let state = if linear_before_reset { reset[i] * r[2 * n + i] } else { late[i] };
        net.activate(1, x[2 * n + i] + state)
    };
    (0..n).for_each(|i| h[i] = (1.0 - update[i]) * candidate(i) + update[i] * h[i]);
}

fn lstm_step(net: &Net<'_>, x: &[f64], h: &mut [f64], c: &mut [f64]) {
    let n = net.hidden;
    let (x, r) = (net.of_input(x), net.of_state(0, h));
    let sum = |gate: usize, i: usize| x[gate * n + i] + r[gate * n + i];
    let input_forget = net.flag;
    for i in 0..n {
        let input = net.activate(0, sum(0, i) + net.peepholes[i] * c[i]);
        let forget = match input_forget {
            true => 1.0 - input,
            false => net.activate(0, sum(2, i) + net.peepholes[2 * n + i] * c[i]),
        };
        c[i] = forget * c[i] + input * net.activate(1, sum(3, i));
        let output = net.activate(0, sum(1, i) + net.peepholes[n + i] * c[i]);
        // The cell state itself is not clipped.
        h[i] = output * net.activations[2].apply(c[i]);
    }
}

/// The operands with the axes in the order steps or directions, batch, features.
struct Operands {
    x: Array<f64>,
    w: Array<f64>,
    r: Array<f64>,
    bias: Array<f64>,
    lengths: Vec<usize>,
    h: Array<f64>,
    c: Array<f64>,
    peepholes: Array<f64>,
}

impl Operands {
    fn of(call: &Call<'_>, gates: usize) -> Result<Self, EvalError> {
        let batch_first = call.attrs.int("layout") == 1;
        let turned = |x: Array<f64>| if batch_first { x.transposed(&[1, 0, 2]) } else { x };
        let (x, w, r) = (turned(call.floats(0)?), call.floats(1)?, call.floats(2)?);
        let (directions, hidden) = (r.dims[0], r.dims[2]);
        let (steps, batch) = (x.dims[0], x.dims[1]);
        let or_zeros = |i: usize, dims: Vec<usize>| {
            call.floats_opt(i).map(|b| b.unwrap_or_else(|| Array::filled(dims, 0.0)))
        };
        let state = |i: usize| match call.floats_opt(i) {
            Ok(Some(given)) => Ok(turned(given)),
            Ok(None) => Ok(Array::filled(vec![directions, batch, hidden], 0.0)),
            Err(error) => Err(error),
        };
        let mut lengths = vec![steps; batch];
        for (length, given) in lengths.iter_mut().zip(call.list_opt(4)?.unwrap_or_default()) {
            *length = match usize::try_from(given).ok().filter(|n| *n <= steps) {
                Some(given) => given,
                None => return wrong(format!("`sequence_lens` holds {given}, expected 0 to {steps}")),
            };
        }
        let bias = or_zeros(3, vec![directions, 2 * gates * hidden])?;
        let peepholes = or_zeros(7, vec![directions, 3 * hidden])?;
        Ok(Self { x, w, r, bias, lengths, h: state(5)?, c: state(6)?, peepholes })
    }
}

fn recurrent(call: &Call<'_>, gates: usize, usual: &[&str], step: Step) -> Results {
    facts(call)?;
    let mut all = Operands::of(call, gates)?;
    let (steps, batch, inputs) = (all.x.dims[0], all.x.dims[1], all.x.dims[2]);
    let (directions, hidden) = (all.r.dims[0], all.r.dims[2]);
    let activations = activations(call, usual, directions);
    let flag = match gates {
        4 => call.attrs.flag("input_forget"),
        3 => call.attrs.flag("linear_before_reset"),
        _ => false,
    };
    let clip = call.attrs.float_opt("clip").map_or(f64::INFINITY, |clip| f64::from(clip).abs());
    let mut y = Array::filled(vec![steps, directions, batch, hidden], 0.0);
    for d in 0..directions {
        let bias = &all.bias.data[d * 2 * gates * hidden..][..2 * gates * hidden];
        let net = Net {
            hidden,
            inputs,
            w: &all.w.data[d * gates * hidden * inputs..],
            r: &all.r.data[d * gates * hidden * hidden..][..gates * hidden * hidden],
            w_bias: bias[..gates * hidden].to_vec(),
            r_bias: bias[gates * hidden..].to_vec(),
            peepholes: all.peepholes.data[d * 3 * hidden..][..3 * hidden].to_vec(),
            activations: &activations[d * usual.len()..],
            clip,
            flag,
        };
        let backwards = d == 1 || call.attrs.str("direction") == "reverse";
        for b in 0..batch {
            let state = (d * batch + b) * hidden..(d * batch + b + 1) * hidden;
            let mut h = all.h.data[state.clone()].to_vec();
            for t in 0..all.lengths[b] {
                let t = if backwards { all.lengths[b] - 1 - t } else { t };
                let x = &all.x.data[(t * batch + b) * inputs..][..net.inputs];
                step(&net, x, &mut h, &mut all.c.data[state.clone()]);
                y.data[((t * directions + d) * batch + b) * hidden..][..hidden].copy_from_slice(&h);
            }
            all.h.data[state].copy_from_slice(&h);
        }
    }
    finished(call, y, [all.h, all.c])
}

/// The results in the layout that is asked for.
fn finished(call: &Call<'_>, mut y: Array<f64>, states: [Array<f64>; 2]) -> Results {
    let (dtype, batch_first) = (call.dtype(0)?, call.attrs.int("layout") == 1);
    if batch_first {
        y = y.transposed(&[2, 0, 1, 3]);
    }
    let mut results = vec![y.store(dtype)?];
    for state in states {
        results.push(if batch_first { state.transposed(&[1, 0, 2]) } else { state }.store(dtype)?);
    }
    Ok(results)
}
