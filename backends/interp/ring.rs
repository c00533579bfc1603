//! What sums of products need of numbers, so that one loop serves floats and integers.
use crate::array::Array;
use crate::call::EvalError;
use weft_ir::{DType, Tensor};

/// Numbers that can be multiplied and added without overflow being an error.
pub(crate) trait Ring: Copy {
    /// Nothing.
    const ZERO: Self;
    /// One.
    const ONE: Self;
    /// `self + a * b`.
    fn plus_product(self, a: Self, b: Self) -> Self;
    /// The elements of a tensor.
    fn read(tensor: &Tensor) -> Result<Array<Self>, EvalError>;
    /// A tensor of a type.
    fn store(array: Array<Self>, dtype: DType) -> Result<Tensor, EvalError>;
}

impl Ring for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    fn plus_product(self, a: Self, b: Self) -> Self {
        self + a * b
    }
    fn read(tensor: &Tensor) -> Result<Array<Self>, EvalError> {
        Array::floats(tensor)
    }
    fn store(array: Array<Self>, dtype: DType) -> Result<Tensor, EvalError> {
        array.store(dtype)
    }
}

/// Integers of all types by their low 64 bits, which sums and products keep.
impl Ring for i64 {
    const ZERO: Self = 0;
    const ONE: Self = 1;
    fn plus_product(self, a: Self, b: Self) -> Self {
        self.wrapping_add(a.wrapping_mul(b))
    }
    fn read(tensor: &Tensor) -> Result<Array<Self>, EvalError> {
        Ok(Array::ints(tensor)?.map(|x| x as i64))
    }
    fn store(array: Array<Self>, dtype: DType) -> Result<Tensor, EvalError> {
        array.map(i128::from).store(dtype)
    }
}
