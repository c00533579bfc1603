//! A scale and a shift per channel, drawn into the weights of the linear operator before them.
use crate::numbers::{floats, scaled};
use crate::pass::Declined;
use crate::rewriter::Rewriter;
use std::sync::Arc;
use weft_ir::{NodeId, Tensor, Value};

/// `y * scale + shift`, one number per channel or one for all; `None` is 1 or 0.
#[derive(Debug, Clone, Default)]
pub struct Channels {
    /// Factors.
    pub scale: Option<Vec<f64>>,
    /// Summands.
    pub shift: Option<Vec<f64>>,
}

/// The numbers of a constant that broadcasts along one axis of a value: one per channel, or one.
pub fn per_channel(g: &Rewriter<'_>, constant: Value, like: Value, axis: usize) -> Option<Vec<f64>> {
    let (tensor, dims) = (g.data(constant)?, g.dims(like)?);
    let padding = dims.len().checked_sub(tensor.dims().len())?;
    let mut axes = tensor.dims().iter().enumerate().map(|(i, extent)| (i + padding, *extent));
    let fits = axes.all(|(i, extent)| {
        extent == 1 || (i == axis && dims[i].as_fixed().and_then(|d| u64::try_from(d).ok()) == Some(extent))
    });
    if fits { tensor.to_f64s() } else { None }
}

/// How the weights of a linear operator relate to the channels it makes.
struct Linear {
    /// Which operand holds the weights, and its data.
    weights: (usize, Arc<Tensor>),
    /// Output channels.
    channels: usize,
    /// The operand that holds the bias, if the operator has one.
    bias: Option<usize>,
    /// How much of the bias counts.
    beta: f64,
    /// Position in the weights to channel: `(i / inner) % span + (i / outer) * span`.
    inner: usize,
    span: usize,
    outer: usize,
}

impl Linear {
    fn channel(&self, position: usize) -> usize {
        (position / self.inner) % self.span + position / self.outer * self.span
    }

    fn of(g: &Rewriter<'_>, id: NodeId) -> Result<Option<Self>, Declined> {
        let op = g.node(id).op.as_str();
        if !matches!(op, "Conv" | "ConvTranspose" | "Gemm" | "MatMul") {
            return Ok(None);
        }
        let weights = g.operand(id, 1).and_then(|w| g.data(w)).ok_or("the weights are not constant")?;
        let dims: Vec<usize> = weights.dims().iter().map(|d| *d as usize).collect();
        let kernel = dims.iter().skip(2).product::<usize>().max(1);
        let attrs = g.attrs(id).ok_or("the operator is not known")?;
        let whole = usize::MAX;
        let (channels, inner, span, outer) = match op {
            "Conv" => (dims[0], kernel * dims[1], dims[0], whole),
            "ConvTranspose" => {
                let groups = attrs.int("group").max(1) as usize;
                (dims[1] * groups, kernel, dims[1], dims[0] / groups * dims[1] * kernel)
            }
            "Gemm" if attrs.flag("transB") => (dims[0], dims[1], dims[0], whole),
            _ if dims.len() == 2 => (dims[1], 1, dims[1], whole),
            _ => return Err("the weights are no matrix".into()),
        };
        if channels == 0 || weights.is_empty() {
            return Err("there are no weights".into());
        }
        let beta = if op == "Gemm" { f64::from(attrs.float("beta")) } else { 1.0 };
        let bias = (op != "MatMul").then_some(2);
        Ok(Some(Self {
            weights: (1, weights.clone()),
            channels,
            bias,
            beta,
            inner,
            span,
            outer: outer.max(1),
        }))
    }

    /// The bias after the change; `None` if there is none before and after.
    fn bias(&self, g: &Rewriter<'_>, id: NodeId, change: &Channels) -> Result<Option<Tensor>, Declined> {
        let old = self.bias.and_then(|at| g.operand(id, at));
        if old.is_none() && change.shift.is_none() {
            return Ok(None);
        }
        if self.bias.is_none() {
            return Err("the operator takes no bias".into());
        }
        let mut values = vec![0.0; self.channels];
        if let Some(old) = old {
            let tensor = g.data(old).ok_or("the bias is not constant")?;
            let data = tensor.to_f64s().ok_or("the bias is no float")?;
            let last = tensor.dims().last().is_none_or(|extent| *extent == tensor.len());
            if !last || (data.len() != 1 && data.len() != self.channels) {
                return Err("the bias is not one number per channel".into());
            }
            values.iter_mut().enumerate().for_each(|(c, v)| *v = data[c % data.len()] * self.beta);
        }
        let pick =
            |all: &Option<Vec<f64>>, c: usize, none: f64| all.as_ref().map_or(none, |v| v[c % v.len()]);
        let turn = |(c, v): (usize, f64)| v * pick(&change.scale, c, 1.0) + pick(&change.shift, c, 0.0);
        let values: Vec<f64> = values.into_iter().enumerate().map(turn).map(|v| v / self.beta).collect();
        let tensor = floats(self.weights.1.dtype(), &[self.channels as u64], &values);
        Ok(Some(tensor.ok_or("the weights are no floats")?))
    }
}

/// Draws a change of the channels of `linear` into its weights and bias: the value that takes the
/// place of the changed one. `None` if the value is not made by a linear operator.
pub fn absorb(g: &mut Rewriter<'_>, linear: Value, change: &Channels) -> Result<Option<Value>, Declined> {
    let id = linear.node;
    let Some(facts) = Linear::of(g, id)? else { return Ok(None) };
    if !g.used_once(linear) {
        return Err("the value before has other uses".into());
    }
    let fits = |v: &Option<Vec<f64>>| v.as_ref().is_none_or(|v| v.len() == 1 || v.len() == facts.channels);
    if !fits(&change.scale) || !fits(&change.shift) {
        return Err("there is not one number per channel".into());
    }
    if facts.beta == 0.0 {
        return Err("the bias is switched off".into());
    }
    let bias = facts.bias(g, id, change)?;
    let mut operands = g.operands(id);
    if let Some(scale) = &change.scale {
        let factor_of = |i: usize| scale[facts.channel(i) % scale.len()];
        let weights = scaled(&facts.weights.1, &factor_of).ok_or("the weights are no floats")?;
        operands[facts.weights.0] = Some(g.constant(weights)?);
    }
    if let (Some(at), Some(bias)) = (facts.bias, bias) {
        operands.resize(operands.len().max(at + 1), None);
        operands[at] = Some(g.constant(bias)?);
    }
    let mut node = g.node(id).clone();
    node.results.clear();
    Ok(Some(g.add(node, &operands)?))
}
