//! Constants, and operators that pick or place elements by index.
use super::{Row, by, same, with_operands};
use crate::call::{Call, Converted};
use weft_frontend::Cause;
use weft_ir::{Attr, Tensor};

pub(super) const ROWS: &[Row] = &[
    same("Bernoulli", 15),
    same("BlackmanWindow", 17),
    same("Compress", 9),
    by("Constant", 1, constant),
    same("ConstantOfShape", 9),
    same("EyeLike", 9),
    same("Gather", 1),
    same("GatherElements", 11),
    same("GatherND", 11),
    same("HammingWindow", 17),
    same("HannWindow", 17),
    same("MelWeightMatrix", 17),
    same("Multinomial", 7),
    same("NonMaxSuppression", 10),
    same("NonZero", 9),
    same("OneHot", 9),
    same("RandomNormal", 1),
    same("RandomNormalLike", 1),
    same("RandomUniform", 1),
    same("RandomUniformLike", 1),
    same("Range", 11),
    same("ReverseSequence", 10),
    by("Scatter", 9, scatter),
    same("ScatterElements", 11),
    same("ScatterND", 11),
    same("TensorScatter", 24),
    same("TfIdfVectorizer", 9),
    by("TopK", 1, top_k_by_attribute),
    same("TopK", 10),
    same("Unique", 11),
];

/// Constant data in each of its forms.
fn constant(call: &mut Call<'_, '_, '_>) -> Converted {
    let attrs = &call.attrs;
    let tensor = if let Some(tensor) = call.constant_attr("value")? {
        tensor
    } else if let Some(number) = attrs.float("value_float")? {
        Tensor::scalar(number)
    } else if let Some(numbers) = attrs.floats("value_floats")? {
        Tensor::vector(numbers)
    } else if let Some(number) = attrs.int("value_int")? {
        Tensor::scalar(number)
    } else if let Some(numbers) = attrs.ints("value_ints")? {
        Tensor::vector(numbers)
    } else if let Some(text) = attrs.str("value_string")? {
        texts(Vec::new(), vec![text.to_string()])?
    } else if let Some(list) = attrs.strs("value_strings")? {
        texts(vec![list.len() as u64], list)?
    } else if attrs.has("sparse_value") {
        return Err(Cause::unsupported("sparse constants").into());
    } else {
        return Err(Cause::invalid("no value is given").into());
    };
    call.last("Const", &[("value", Attr::Tensor(tensor.into()))], &[])
}

fn texts(dims: Vec<u64>, texts: Vec<String>) -> Result<Tensor, Cause> {
    Tensor::strings(dims, texts).map_err(|e| Cause::Invalid(e.to_string()))
}

/// The older name of `ScatterElements`.
fn scatter(call: &mut Call<'_, '_, '_>) -> Converted {
    with_operands(call, "ScatterElements", call.operands.clone())
}

/// Before opset 10 the number of elements was an attribute.
fn top_k_by_attribute(call: &mut Call<'_, '_, '_>) -> Converted {
    let x = call.need(0)?;
    let k = call.attrs.int("k")?.ok_or_else(|| Cause::invalid("attribute `k` is missing"))?;
    let k = call.ints("k", &[k])?;
    with_operands(call, "TopK", vec![Some(x), Some(k)])
}
