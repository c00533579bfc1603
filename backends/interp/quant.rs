//! Quantisation: numbers of few bits with scales and zero points.
use crate::array::{Array, axis, is_float};
use crate::call::{Call, Eval, EvalError, wrong};
use crate::number::{Overflow, int_range, round_to};
use weft_ir::{DType, Tensor};

type Results = Result<Vec<Tensor>, EvalError>;

/// The functions of this family.
pub(crate) const EVALS: &[(&str, Eval)] =
    &[("DequantizeLinear", dequantize), ("DynamicQuantizeLinear", dynamic), ("QuantizeLinear", quantize)];

/// A scale or zero point so that it broadcasts to `dims`: single, per index of the axis, or per block.
fn spread(call: &Call<'_>, values: Array<f64>, dims: &[usize]) -> Result<Array<f64>, EvalError> {
    let block = usize::try_from(call.attrs.int("block_size")).unwrap_or(0);
    if values.data.len() == 1 {
        return Ok(Array::new(Vec::new(), values.data));
    }
    let axis = axis(call.attrs.int("axis"), dims.len())?;
    if block == 0 {
        let mut shape = vec![1; dims.len()];
        shape[axis] = values.data.len();
        return values.reshaped(shape);
    }
    let mut expected = dims.to_vec();
    expected[axis] = dims[axis].div_ceil(block);
    if values.dims != expected {
        return wrong(format!("blocked scales have shape {:?}, expected {expected:?}", values.dims));
    }
    let inner: usize = dims[axis + 1..].iter().product();
    let (full, blocks) = (dims[axis], expected[axis]);
    let source = |i: usize| {
        let (outer, at, rest) = (i / (inner * full), i / inner % full, i % inner);
        (outer * blocks + at / block) * inner + rest
    };
    let count: usize = dims.iter().product();
    Ok(Array::new(dims.to_vec(), (0..count).map(|i| values.data[source(i)]).collect()))
}

fn spread_operand(call: &Call<'_>, i: usize, dims: &[usize]) -> Result<Option<Array<f64>>, EvalError> {
    call.floats_opt(i)?.map(|values| spread(call, values, dims)).transpose()
}

fn quantize(call: &Call<'_>) -> Results {
    let x = call.floats(0)?;
    let scale = spread(call, call.floats(1)?, &x.dims)?;
    let zero = spread_operand(call, 2, &x.dims)?.unwrap_or_else(|| Array::filled(Vec::new(), 0.0));
    let given = call.get(2).map(Tensor::dtype).or(call.attrs.dtype("output_dtype"));
    let to = given.unwrap_or(DType::U8);
    let scale_type = Some(call.dtype(1)?).filter(|t| is_float(*t) && *t != DType::F8E8M0);
    let precision = call.attrs.dtype("precision").or(scale_type).unwrap_or(DType::F32);
    let quotient = x.zip(&scale, |x, scale| round_to(x / scale, precision))?;
    Ok(vec![if is_float(to) {
        let overflow = if call.attrs.flag("saturate") { Overflow::Saturate } else { Overflow::Special };
        quotient.zip(&zero, |x, zero| x + zero)?.store_with(to, overflow)?
    } else {
        let (low, high) = int_range(to);
        let move_in = |x: f64, zero: f64| (x.round_ties_even() + zero).clamp(low as f64, high as f64);
        quotient.zip(&zero, move_in)?.store(to)?
    }])
}

fn dequantize(call: &Call<'_>) -> Results {
    let x = call.floats(0)?;
    let scale = spread(call, call.floats(1)?, &x.dims)?;
    let plain = if call.dtype(1)? == DType::F8E8M0 { DType::F32 } else { call.dtype(1)? };
    let to = call.attrs.dtype("output_dtype").unwrap_or(plain);
    let moved = match spread_operand(call, 2, &x.dims)? {
        Some(zero) => x.zip(&zero, |x, zero| x - zero)?,
        None => x,
    };
    let product = |x: f64, scale: f64| round_to(round_to(x, DType::F32) * scale, DType::F32);
    let exact = |x: f64, scale: f64| x * scale;
    Ok(vec![match to {
        DType::F64 => moved.zip(&scale, exact)?.store(to)?,
        _ => moved.zip(&scale, product)?.store(to)?,
    }])
}

fn dynamic(call: &Call<'_>) -> Results {
    let x = call.floats(0)?;
    let single = |x: f64| round_to(x, DType::F32);
    let high = x.data.iter().copied().fold(0.0, f64::max);
    let low = x.data.iter().copied().fold(0.0, f64::min);
    let scale = if high == low { 1.0 } else { single(single(high - low) / 255.0) };
    let zero = single(-low / scale).clamp(0.0, 255.0).round_ties_even();
    let y = x.map(|x| (single(x / scale).round_ties_even() + zero).clamp(0.0, 255.0)).store(DType::U8)?;
    Ok(vec![y, Tensor::scalar(scale as f32), Tensor::scalar(zero as u8)])
}
