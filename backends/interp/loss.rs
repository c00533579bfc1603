//! Losses of classifiers.
use crate::array::{Array, Lanes, extents};
use crate::call::{Call, Eval, EvalError, wrong};
use crate::norm::{each_lane, log_softmax};
use weft_ir::Tensor;

type Results = Result<Vec<Tensor>, EvalError>;

/// The functions of this family.
pub(crate) const EVALS: &[(&str, Eval)] =
    &[("NegativeLogLikelihoodLoss", likelihood), ("SoftmaxCrossEntropyLoss", cross_entropy)];

fn likelihood(call: &Call<'_>) -> Results {
    Ok(vec![loss(call, &call.floats(0)?)?])
}

fn cross_entropy(call: &Call<'_>) -> Results {
    let mut scores = call.floats(0)?;
    each_lane(&mut scores, 1, log_softmax);
    let loss = loss(call, &scores)?;
    Ok(vec![loss, scores.store(call.dtype(0)?)?])
}

/// Minus the score of the right class of every sample, weighted, then taken together.
fn loss(call: &Call<'_>, scores: &Array<f64>) -> Result<Tensor, EvalError> {
    let labels = call.list(1)?;
    let weights = call.floats_opt(2)?.map(|w| w.data);
    let ignored = call.attrs.int_opt("ignore_index");
    let lanes = Lanes::around(&scores.dims, 1);
    if labels.len() != lanes.outer * lanes.inner {
        return wrong(format!("{} labels for {} samples", labels.len(), lanes.outer * lanes.inner));
    }
    let (mut losses, mut total) = (Vec::with_capacity(labels.len()), 0.0);
    for (label, mut lane) in labels.iter().zip(lanes.iter()) {
        if Some(*label) == ignored {
            losses.push(0.0);
            continue;
        }
        let class = usize::try_from(*label).ok().filter(|c| *c < lanes.len);
        let Some((class, at)) = class.and_then(|c| Some((c, lane.nth(c)?))) else {
            return wrong(format!("label {label} is none of {} classes", lanes.len));
        };
        let weight = match &weights {
            Some(weights) => weights.get(class).copied(),
            None => Some(1.0),
        };
        let Some(weight) = weight else { return wrong(format!("class {class} has no weight")) };
        losses.push(-scores.data[at] * weight);
        total += weight;
    }
    let dtype = call.dtype(0)?;
    let sum: f64 = losses.iter().sum();
    match call.attrs.str("reduction") {
        "none" => Array::new(extents(call.need(1)?), losses).store(dtype),
        "sum" => Array::new(Vec::new(), vec![sum]).store(dtype),
        _ => Array::new(Vec::new(), vec![sum / total]).store(dtype),
    }
}
