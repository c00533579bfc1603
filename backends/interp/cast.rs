//! Changes of the element type.
use crate::array::{Array, extents, is_float};
use crate::call::{Call, Eval, EvalError, wrong};
use crate::number::{Overflow, PowerRounding, encode_power};
use weft_ir::{DType, Tensor};

type Results = Result<Vec<Tensor>, EvalError>;

/// The functions of this family.
pub(crate) const EVALS: &[(&str, Eval)] = &[
    ("BitCast", bit_cast),
    ("Cast", |call| cast(call, call.attrs.dtype("to"))),
    ("CastLike", |call| cast(call, Some(call.dtype(1)?))),
];

fn bit_cast(call: &Call<'_>) -> Results {
    let x = call.need(0)?;
    let Some(to) = call.attrs.dtype("to") else { return wrong("attribute `to` holds no element type") };
    Ok(vec![Tensor::new(to, x.dims().to_vec(), x.data().clone())?])
}

fn cast(call: &Call<'_>, to: Option<DType>) -> Results {
    let x = call.need(0)?;
    let Some(to) = to else { return wrong("attribute `to` holds no element type") };
    Ok(vec![match (x.dtype(), to) {
        (from, to) if from == to => x.clone(),
        (DType::String, _) => from_text(x, to)?,
        (_, DType::String) => to_text(x)?,
        (_, DType::F8E8M0) => to_power(call, x)?,
        (from, _) if is_float(from) => Array::floats(x)?.store_with(to, overflow(call, to))?,
        (_, to) if to.bits() == 8 && is_float(to) => Array::floats(x)?.store_with(to, overflow(call, to))?,
        _ => Array::ints(x)?.store(to)?,
    }])
}

fn overflow(call: &Call<'_>, to: DType) -> Overflow {
    let eight_bits = is_float(to) && to.bits() == 8;
    if eight_bits && call.attrs.flag("saturate") { Overflow::Saturate } else { Overflow::Special }
}

fn to_power(call: &Call<'_>, x: &Tensor) -> Result<Tensor, EvalError> {
    let rounding = match call.attrs.str("round_mode") {
        "up" => PowerRounding::Up,
        "down" => PowerRounding::Down,
        "nearest" => PowerRounding::Nearest,
        other => {
            return wrong(format!("attribute `round_mode` is `{other}`, expected `up`, `down` or `nearest`"));
        }
    };
    let overflow = overflow(call, DType::F8E8M0);
    let bits = Array::floats(x)?.map(|x| encode_power(x, rounding, overflow));
    Ok(Tensor::new(DType::F8E8M0, x.dims().to_vec(), bits.data.into())?)
}

fn from_text(x: &Tensor, to: DType) -> Result<Tensor, EvalError> {
    if to.is_int()
        && let Some(ints) = x.texts().iter().map(|t| t.trim().parse().ok()).collect::<Option<Vec<i128>>>()
    {
        return Array::new(extents(x), ints).store(to);
    }
    let number = |text: &String| match text.trim().parse::<f64>() {
        Ok(number) => Ok(number),
        Err(_) => wrong(format!("`{text}` is no number")),
    };
    let numbers = x.texts().iter().map(number).collect::<Result<Vec<f64>, EvalError>>()?;
    Array::new(extents(x), numbers).store(to)
}

fn to_text(x: &Tensor) -> Result<Tensor, EvalError> {
    let texts = match x.dtype() {
        DType::F64 => Array::floats(x)?.data.into_iter().map(|x| written(x, format!("{x}"))).collect(),
        dtype if is_float(dtype) => {
            let text = |x: f64| written(x, format!("{}", x as f32));
            Array::floats(x)?.data.into_iter().map(text).collect()
        }
        DType::Bool => {
            let text = |x: bool| if x { "True" } else { "False" };
            Array::truths(x)?.data.into_iter().map(|x| text(x).to_string()).collect()
        }
        _ => Array::ints(x)?.data.into_iter().map(|x| x.to_string()).collect(),
    };
    Ok(Tensor::strings(x.dims().to_vec(), texts)?)
}

/// A float as NumPy writes it: with a point, and with an exponent when far from 1.
fn written(x: f64, plain: String) -> String {
    if x.is_nan() {
        return "nan".to_string();
    }
    let magnitude = x.abs();
    if x.is_finite() && x != 0.0 && !(1e-4..1e16).contains(&magnitude) {
        let digits: f64 = plain.parse().unwrap_or(x);
        let short = format!("{digits:e}");
        let (mantissa, exponent) = short.split_once('e').unwrap_or((&short, "0"));
        let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |e| ('-', e));
        return format!("{mantissa}e{sign}{exponent:0>2}");
    }
    if x.is_finite() && !plain.contains('.') { format!("{plain}.0") } else { plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_numpy_does() {
        for (x, expected) in [
            (1.0, "1.0"),
            (0.1, "0.1"),
            (-2.5e-5, "-2.5e-05"),
            (1e16, "1e+16"),
            (1e300, "1e+300"),
            (f64::INFINITY, "inf"),
            (f64::NAN, "nan"),
            (0.0, "0.0"),
        ] {
            assert_eq!(written(x, format!("{x}")), expected);
        }
    }
}
