//! New constants from old ones.
use crate::perm::Perm;
use half::{bf16, f16};
use weft_ir::{DType, Element, Tensor, TensorError};

/// A tensor of floats of any width, each rounded once.
pub fn floats(dtype: DType, dims: &[u64], values: &[f64]) -> Option<Tensor> {
    let tensor = match dtype {
        DType::F64 => Tensor::from_slice(dims, values),
        DType::F32 => Tensor::from_slice(dims, &values.iter().map(|v| *v as f32).collect::<Vec<_>>()),
        DType::F16 => Tensor::from_slice(dims, &values.iter().map(|v| f16::from_f64(*v)).collect::<Vec<_>>()),
        DType::Bf16 => {
            Tensor::from_slice(dims, &values.iter().map(|v| bf16::from_f64(*v)).collect::<Vec<_>>())
        }
        _ => return None,
    };
    tensor.ok()
}

/// A tensor of integers or truth values, if each fits.
pub fn integers(dtype: DType, dims: &[u64], values: &[i64]) -> Option<Tensor> {
    fn narrow<T: TryFrom<i64> + Element>(
        dims: &[u64],
        values: &[i64],
    ) -> Option<Result<Tensor, TensorError>> {
        let values: Vec<T> = values.iter().map(|v| T::try_from(*v).ok()).collect::<Option<_>>()?;
        Some(Tensor::from_slice(dims, &values))
    }
    let tensor = match dtype {
        DType::I64 => Tensor::from_slice(dims, values),
        DType::I32 => narrow::<i32>(dims, values)?,
        DType::I16 => narrow::<i16>(dims, values)?,
        DType::I8 => narrow::<i8>(dims, values)?,
        DType::U64 => narrow::<u64>(dims, values)?,
        DType::U32 => narrow::<u32>(dims, values)?,
        DType::U16 => narrow::<u16>(dims, values)?,
        DType::U8 => narrow::<u8>(dims, values)?,
        DType::Bool => Tensor::from_slice(dims, &values.iter().map(|v| *v != 0).collect::<Vec<_>>()),
        _ => return None,
    };
    tensor.ok()
}

/// A tensor whose elements are all one number.
pub fn filled(dtype: DType, dims: &[u64], value: f64) -> Option<Tensor> {
    let count = usize::try_from(dims.iter().product::<u64>()).ok()?;
    floats(dtype, dims, &vec![value; count])
}

/// The tensor with each element times the factor that `factor_of` has for its position.
pub fn scaled(tensor: &Tensor, factor_of: &dyn Fn(usize) -> f64) -> Option<Tensor> {
    let mut values = tensor.to_f64s()?;
    values.iter_mut().enumerate().for_each(|(i, value)| *value *= factor_of(i));
    floats(tensor.dtype(), tensor.dims(), &values)
}

/// The tensor with its axes permuted; texts are none.
pub fn permuted(tensor: &Tensor, perm: &Perm) -> Option<Tensor> {
    let bits = tensor.dtype().bits() as usize;
    if bits == 0 || perm.rank() != tensor.dims().len() {
        return None;
    }
    let mut strides = vec![1; tensor.dims().len()];
    for axis in (1..strides.len()).rev() {
        strides[axis - 1] = strides[axis] * tensor.dims()[axis] as usize;
    }
    let (dims, strides) = (perm.apply(tensor.dims()), perm.apply(&strides));
    let mut at = vec![0u64; dims.len()];
    let mut out = vec![0; tensor.data().len()];
    for to in 0..tensor.len() as usize {
        let from: usize = at.iter().zip(&strides).map(|(i, stride)| *i as usize * stride).sum();
        copy_element(tensor.data(), &mut out, (from, to), bits)?;
        for axis in (0..dims.len()).rev() {
            at[axis] += 1;
            if at[axis] < dims[axis] {
                break;
            }
            at[axis] = 0;
        }
    }
    Tensor::new(tensor.dtype(), dims, out.into()).ok()
}

/// Copies an element of so many bits; those of less than a byte lie from the low end of each.
fn copy_element(data: &[u8], out: &mut [u8], (from, to): (usize, usize), bits: usize) -> Option<()> {
    match bits / 8 {
        0 => {
            let element = data.get(from * bits / 8)? >> (from * bits % 8) & ((1 << bits) - 1);
            *out.get_mut(to * bits / 8)? |= element << (to * bits % 8);
        }
        size => out
            .get_mut(to * size..(to + 1) * size)?
            .copy_from_slice(data.get(from * size..(from + 1) * size)?),
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::{floats, permuted};
    use crate::perm::Perm;
    use weft_ir::{DType, Tensor};

    #[test]
    fn a_matrix_turns() {
        let matrix = Tensor::from_slice(&[2, 3], &[1i32, 2, 3, 4, 5, 6]).unwrap();
        let turned = permuted(&matrix, &Perm::new(vec![1, 0]).unwrap()).unwrap();
        assert_eq!(turned, Tensor::from_slice(&[3, 2], &[1i32, 4, 2, 5, 3, 6]).unwrap());
        let nibbles = Tensor::new(DType::U4, vec![2, 3], vec![0x21, 0x43, 0x65].into()).unwrap();
        let turned = permuted(&nibbles, &Perm::new(vec![1, 0]).unwrap()).unwrap();
        assert_eq!(turned.to_i64s().unwrap(), [1, 4, 2, 5, 3, 6]);
        assert!(floats(DType::I32, &[1], &[1.0]).is_none());
    }
}
