//! Whether two sides of a rule computed the same.
use weft_ir::{DType, Tensor};

/// How the outputs differ: integers must be the same, floats off by rounding at most, which is
/// relative to the largest element.
pub(crate) fn differ(expected: &[Tensor], found: &[Tensor]) -> Option<String> {
    let pairs = expected.iter().zip(found).enumerate();
    pairs.into_iter().find_map(|(i, (expected, found))| {
        differ_in(expected, found).map(|difference| format!("output {i}: {difference}"))
    })
}

fn differ_in(expected: &Tensor, found: &Tensor) -> Option<String> {
    if (expected.dtype(), expected.dims()) != (found.dtype(), found.dims()) {
        let shown = |t: &Tensor| format!("{}{:?}", t.dtype(), t.dims());
        return Some(format!("the left side is {}, the right side {}", shown(expected), shown(found)));
    }
    if expected == found {
        return None;
    }
    if let (Some(a), Some(b)) = (expected.to_i64s(), found.to_i64s()) {
        let at = a.iter().zip(&b).position(|(a, b)| a != b)?;
        return Some(format!("element {at} is {} on the left side and {} on the right", a[at], b[at]));
    }
    let (Some(a), Some(b)) = (expected.to_f64s(), found.to_f64s()) else {
        return Some("the elements differ".to_string());
    };
    let largest = a.iter().filter(|x| x.is_finite()).fold(1.0f64, |largest, x| largest.max(x.abs()));
    let allowed = tolerance(expected.dtype()) * largest;
    let same = |a: f64, b: f64| a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= allowed;
    let at = a.iter().zip(&b).position(|(a, b)| !same(*a, *b))?;
    Some(format!("element {at} is {} on the left side and {} on the right", a[at], b[at]))
}

/// What rounding may do to numbers around 1.
fn tolerance(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => 1e-10,
        DType::F32 => 2e-5,
        DType::F16 => 2e-2,
        DType::Bf16 => 1e-1,
        _ => 0.0,
    }
}
