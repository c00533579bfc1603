//! Tensors made out of attributes and extents.
use crate::array::{Array, Elements, is_float};
use crate::call::{Call, Eval, EvalError, wrong};
use crate::place::result_dims;
use weft_ir::{DType, Tensor};

type Results = Result<Vec<Tensor>, EvalError>;

/// The functions of this family.
pub(crate) const EVALS: &[(&str, Eval)] =
    &[("ConstantOfShape", constant_of_shape), ("EyeLike", eye_like), ("Range", range)];

fn constant_of_shape(call: &Call<'_>) -> Results {
    let dims = result_dims(call)?;
    let zero = Tensor::scalar(0f32);
    let fill = call.tensor_attr("value").map_or(&zero, |t| t);
    let count = call.room(&dims)?;
    let element = Elements::of(fill);
    Ok(vec![element.pick(std::iter::repeat_n(0, count)).store(&dims)?])
}

fn eye_like(call: &Call<'_>) -> Results {
    let dims = result_dims(call)?;
    let dtype = call.attrs.dtype("dtype").unwrap_or(call.dtype(0)?);
    let diagonal = i128::from(call.attrs.int("k"));
    let one = |i: usize| i128::from((i % dims[1]) as i128 - (i / dims[1]) as i128 == diagonal);
    let data = (0..dims[0] * dims[1]).map(one).collect();
    Ok(vec![Array::new(dims.clone(), data).store(dtype)?])
}

fn range(call: &Call<'_>) -> Results {
    let dtype = call.dtype(0)?;
    if !is_float(dtype) {
        let dims = result_dims(call)?;
        let first = |i| call.ints(i).map(|a: Array<i128>| a.data.first().copied().unwrap_or(0));
        let (start, delta) = (first(0)?, first(2)?);
        let data = (0..dims[0]).map(|i| start + i as i128 * delta).collect();
        return Ok(vec![Array::new(dims, data).store(dtype)?]);
    }
    let (start, limit, delta) = (call.scalar(0)?, call.scalar(1)?, call.scalar(2)?);
    let count = ((limit - start) / delta).ceil().max(0.0);
    if !count.is_finite() {
        return wrong(format!("a range from {start} to {limit} in steps of {delta} has no end"));
    }
    let count = call.room(&[count as usize])?;
    let at = |i: usize| match dtype {
        // Each product and sum is rounded as hardware does it.
        DType::F32 => f64::from(start as f32 + i as f32 * delta as f32),
        _ => start + i as f64 * delta,
    };
    Ok(vec![Array::new(vec![count], (0..count).map(at).collect()).store(dtype)?])
}
