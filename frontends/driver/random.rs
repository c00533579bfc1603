//! Random inputs, the same numbers that a compiled program makes from the same seed.
use crate::dims::Dims;
use crate::error::Error;
use crate::ports::Port;
use half::{bf16, f16};
use weft_ir::tensor::element_count;
use weft_ir::types::Kind;
use weft_ir::{DType, Element, Tensor};

/// The most bytes of a random input.
const MOST: u64 = 4 << 30;

/// A random tensor for input number `index`: floats of mean 0 and variance 1, integers and truth
/// values 0 or 1, which are valid as indices and masks nearly everywhere. Extents without a number
/// are 1.
pub(crate) fn tensor(port: &Port, index: usize, seed: u64, given: &Dims) -> Result<Tensor, Error> {
    let Port { name, ty } = port;
    let of = |symbol: &str| Some(given.get(symbol).map_or(1, |n| i64::try_from(*n).unwrap_or(i64::MAX)));
    let dims = ty.dims.as_ref().and_then(|dims| {
        dims.iter().map(|d| d.eval(&of).and_then(|n| u64::try_from(n).ok())).collect::<Option<Vec<u64>>>()
    });
    let dims =
        dims.ok_or_else(|| Error::Inputs(format!("input `{name}`: {ty} has unknown extents, give a file")))?;
    let count = element_count(&dims).filter(|n| ty.dtype.bytes(*n).is_some_and(|bytes| bytes <= MOST));
    let large = || Error::Inputs(format!("input `{name}`: a random tensor of shape {dims:?} is too large"));
    let count = count.ok_or_else(large)?;
    let start = mix(seed ^ mix(index as u64));
    let draw = |i: u64| mix(start.wrapping_add(i.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    let mut data = Vec::new();
    for i in 0..count {
        if !push(ty.dtype, draw(i), &mut data) {
            let dtype = ty.dtype;
            return Err(Error::Inputs(format!("input `{name}`: no random tensor of {dtype}, give a file")));
        }
    }
    Tensor::new(ty.dtype, dims, data.into()).map_err(|error| Error::Inputs(error.to_string()))
}

/// Appends one element made of random bits; false if the type has none.
fn push(dtype: DType, bits: u64, data: &mut Vec<u8>) -> bool {
    let real = bell(bits);
    match dtype {
        DType::F64 => real.write(data),
        DType::F32 => (real as f32).write(data),
        DType::F16 => f16::from_f64(real).write(data),
        DType::Bf16 => bf16::from_f64(real).write(data),
        _ if dtype.bits() < 8 || !matches!(dtype.kind(), Kind::Signed | Kind::Unsigned | Kind::Bool) => {
            return false;
        }
        _ => data.extend_from_slice(&(bits >> 63).to_le_bytes()[..dtype.bits() as usize / 8]),
    }
    true
}

/// The finaliser of SplitMix64.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// The sum of the four 16-bit parts, of which each is uniform, scaled to variance 1.
fn bell(bits: u64) -> f64 {
    let sum: u64 = (0..4).map(|part| (bits >> (16 * part)) & 0xffff).sum();
    (sum as f64 / 65_535.0 - 2.0) * 1.732_050_807_568_877_2
}
