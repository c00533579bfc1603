//! What one operator does to a value that is linear in another.
use std::sync::Arc;
use weft_ir::{Tensor, Value};
use weft_passes::{Declined, Rewriter, per_channel};

/// An operator with constants.
pub(super) enum Step {
    /// `alpha * input * matrix + bias`; the matrix is outputs by inputs if it is turned.
    Product { input: Value, matrix: Arc<Tensor>, turned: bool, alpha: f64, bias: Option<Vec<f64>> },
    /// `a + sign * b`
    Sum { operands: [Value; 2], sign: f64 },
    /// A summand for each channel.
    Shift { input: Value, by: Vec<f64> },
    /// A factor for each channel.
    Scale { input: Value, by: Vec<f64> },
}

impl Step {
    /// The values it takes.
    pub(super) fn operands(&self) -> Vec<Value> {
        match self {
            Step::Product { input, .. } | Step::Shift { input, .. } | Step::Scale { input, .. } => {
                vec![*input]
            }
            Step::Sum { operands, .. } => operands.to_vec(),
        }
    }
}

/// What makes a value, if constants do; else what is not constant, where something might have been.
pub(super) fn step(g: &Rewriter<'_>, value: Value) -> Result<Step, Option<Declined>> {
    let id = value.node;
    if value.slot != 0 {
        return Err(None);
    }
    match g.node(id).op.as_str() {
        "MatMul" => {
            let (input, matrix) = g.pair(id).ok_or(None)?;
            let matrix = matrix_of(g, matrix)?;
            Ok(Step::Product { input, matrix, turned: false, alpha: 1.0, bias: None })
        }
        "Gemm" => gemm(g, value),
        "Add" | "Sub" => sum(g, value),
        "Mul" | "Div" => {
            let (input, factor) = g.with_constant(id).ok_or(Some("a factor is not constant".into()))?;
            let mut by = channels(g, factor, value)?;
            if g.applies(id, "Div") {
                by.iter_mut().for_each(|number| *number = 1.0 / *number);
            }
            Ok(Step::Scale { input, by })
        }
        _ => Err(None),
    }
}

fn matrix_of(g: &Rewriter<'_>, value: Value) -> Result<Arc<Tensor>, Option<Declined>> {
    let matrix = g.data(value).ok_or(Some("the weights of a product are not constant".into()))?;
    if matrix.dims().len() == 2 { Ok(matrix.clone()) } else { Err(None) }
}

fn gemm(g: &Rewriter<'_>, value: Value) -> Result<Step, Option<Declined>> {
    let attrs = g.attrs(value.node).filter(|attrs| !attrs.flag("transA")).ok_or(None)?;
    let (input, matrix) = g.pair(value.node).ok_or(None)?;
    let bias = g.operand(value.node, 2).map(|bias| channels(g, bias, value)).transpose()?;
    let beta = f64::from(attrs.float("beta"));
    Ok(Step::Product {
        input,
        matrix: matrix_of(g, matrix)?,
        turned: attrs.flag("transB"),
        alpha: attrs.float("alpha").into(),
        bias: bias.map(|bias| bias.into_iter().map(|number| number * beta).collect()),
    })
}

fn sum(g: &Rewriter<'_>, value: Value) -> Result<Step, Option<Declined>> {
    let sign = if g.applies(value.node, "Sub") { -1.0 } else { 1.0 };
    let Some((input, summand)) = g.with_constant(value.node) else {
        let (a, b) = g.pair(value.node).ok_or(None)?;
        let same = g.same_type(a, value) && g.same_type(b, value) && g.data(a).is_none();
        return if same { Ok(Step::Sum { operands: [a, b], sign }) } else { Err(None) };
    };
    let by = channels(g, summand, value)?.into_iter().map(|number| number * sign);
    Ok(Step::Shift { input, by: by.collect() })
}

/// A constant as one number for each channel of a value, which has no more axes for it.
fn channels(g: &Rewriter<'_>, constant: Value, value: Value) -> Result<Vec<f64>, Option<Declined>> {
    let axis = g.rank(value).and_then(|rank| rank.checked_sub(1)).ok_or(None)?;
    let numbers = per_channel(g, constant, value, axis).ok_or(None)?;
    match (&numbers[..], g.dims(value).and_then(|dims| dims.last()?.as_fixed())) {
        ([number], Some(count)) => Ok(vec![*number; usize::try_from(count).map_err(|_| None)?]),
        _ => Ok(numbers),
    }
}
