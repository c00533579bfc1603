//! A matrix as codes of few bits with scales, as tensors.
use std::fmt;
use weft_ir::{Attr, DType, Tensor, TensorType, Value};
use weft_numerics::{Along, Blocks, Quantised, Zero};
use weft_passes::{Declined, PassError, Rewriter, node};

/// The operands of the `DequantizeLinear` that gives a matrix back.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Codes {
    pub(super) codes: Tensor,
    pub(super) scales: Tensor,
    pub(super) zeros: Option<Tensor>,
    pub(super) along: Along,
    pub(super) block: usize,
}

impl fmt::Display for Codes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = if self.along == Along::Inputs { "inputs (oc)" } else { "outputs (ic)" };
        write!(f, "{} in blocks of {} along the {way}", self.codes.dtype(), self.block)
    }
}

impl Codes {
    /// The tensors of a rounded matrix; `None` if it is larger than tensors may be.
    pub(crate) fn new(matrix: &Quantised) -> Option<Self> {
        let dtype = match (matrix.grid.bits, matrix.grid.zero) {
            (..=2, Zero::Free) => DType::U2,
            (..=4, Zero::Free) => DType::U4,
            (_, Zero::Free) => DType::U8,
            (..=2, Zero::Centre) => DType::I2,
            (..=4, Zero::Centre) => DType::I4,
            (_, Zero::Centre) => DType::I8,
        };
        let (dims, blocks) = (matrix.dims.map(|n| n as u64), matrix.scale_dims().map(|n| n as u64));
        let zeros = match matrix.grid.zero {
            Zero::Free => Some(packed(dtype, &blocks, &matrix.zeros)?),
            Zero::Centre => None,
        };
        Some(Self {
            codes: packed(dtype, &dims, &matrix.codes)?,
            scales: Tensor::from_slice(&blocks, &matrix.scales).ok()?,
            zeros,
            along: matrix.blocks.along,
            block: matrix.blocks.size,
        })
    }

    /// What it is, by content.
    pub(super) fn described(&self) -> String {
        let Self { along, block, .. } = self;
        let digests: Vec<&[u8; 32]> = self.tensors().map(Tensor::digest).collect();
        format!("codes {digests:?} in blocks of {block} along {along:?}")
    }

    /// Codes, scales and zero points, if there are any.
    pub(super) fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        [Some(&self.codes), Some(&self.scales), self.zeros.as_ref()].into_iter().flatten()
    }

    /// What [`Codes::tensors`] were of, a matrix of these extents.
    pub(super) fn of_tensors(tensors: &[Tensor], dims: [usize; 2], blocks: Blocks) -> Option<Self> {
        let (codes, scales, zeros) = match tensors {
            [codes, scales] => (codes, scales, None),
            [codes, scales, zeros] => (codes, scales, Some(zeros.clone())),
            _ => return None,
        };
        let fits = codes.dims() == dims.map(|n| n as u64) && scales.dtype() == DType::F32;
        fits.then(|| Self {
            codes: codes.clone(),
            scales: scales.clone(),
            zeros,
            along: blocks.along,
            block: blocks.size,
        })
    }

    /// Whether blocks reach along the inputs.
    pub(crate) fn is_along_inputs(&self) -> bool {
        self.along == Along::Inputs
    }

    /// The matrix that the codes stand for, inputs by outputs.
    pub(crate) fn matrix(&self) -> Result<Tensor, PassError> {
        self.decoded().ok_or_else(|| PassError::Failed("the codes of a matrix do not read back".to_string()))
    }

    fn decoded(&self) -> Option<Tensor> {
        let [_, outputs] = self.codes.dims() else { return None };
        let (outputs, columns) = (*outputs as usize, *self.scales.dims().last()? as usize);
        let scales = self.scales.to_vec::<f32>()?;
        let zeros: Vec<i32> = match &self.zeros {
            Some(zeros) => zeros.to_i64s()?.into_iter().map(|zero| zero as i32).collect(),
            None => vec![0; scales.len()],
        };
        let mut data = vec![0u8; usize::try_from(self.codes.len()).ok()?.checked_mul(4)?];
        let mut codes = vec![0i32; outputs];
        for (input, row) in data.chunks_exact_mut(4 * outputs.max(1)).enumerate() {
            self.unpack(input * outputs, &mut codes);
            match self.along {
                Along::Inputs => {
                    let blocks = input / self.block * columns..(input / self.block + 1) * columns;
                    let levels = zeros[blocks.clone()].iter().zip(&scales[blocks]);
                    write(
                        row,
                        codes.iter().zip(levels).map(|(code, (zero, scale))| (code - zero) as f32 * scale),
                    );
                }
                Along::Outputs => {
                    let levels = zeros[input * columns..].iter().zip(&scales[input * columns..]);
                    let parts = row.chunks_mut(4 * self.block).zip(codes.chunks(self.block)).zip(levels);
                    for ((row, codes), (zero, scale)) in parts {
                        write(row, codes.iter().map(|code| (code - zero) as f32 * scale));
                    }
                }
            }
        }
        Tensor::new(DType::F32, self.codes.dims().to_vec(), data.into()).ok()
    }

    /// Some codes, from the one of that number on.
    fn unpack(&self, first: usize, into: &mut [i32]) {
        let dtype = self.codes.dtype();
        let signed = matches!(dtype, DType::I2 | DType::I4 | DType::I8);
        match dtype.bits() {
            2 => unpacked::<2>(self.codes.data(), (first, signed), into),
            4 => unpacked::<4>(self.codes.data(), (first, signed), into),
            _ => unpacked::<8>(self.codes.data(), (first, signed), into),
        }
    }

    /// The types of all that is read for the matrix.
    pub(super) fn types(&self) -> Vec<TensorType> {
        self.tensors().map(|tensor| TensorType::fixed(tensor.dtype(), tensor.dims())).collect()
    }

    /// Adds what gives the matrix back.
    pub(super) fn add(&self, g: &mut Rewriter<'_>) -> Result<Value, Declined> {
        let codes = g.constant(self.codes.clone())?;
        let scales = g.constant(self.scales.clone())?;
        let zeros = self.zeros.clone().map(|zeros| g.constant(zeros)).transpose()?;
        let axis = if self.along == Along::Inputs { 0 } else { 1 };
        let attrs = [("axis", Attr::Int(axis)), ("block_size", Attr::Int(self.block as i64))];
        g.add(node("DequantizeLinear", attrs), &[Some(codes), Some(scales), zeros])
    }
}

/// Some codes of so many bits, from the one of that number on.
fn unpacked<const BITS: usize>(bytes: &[u8], (first, signed): (usize, bool), into: &mut [i32]) {
    let rest = 32 - BITS;
    for (at, code) in (first..).zip(into) {
        let raw = u32::from(bytes[at * BITS / 8] >> (at * BITS % 8)) << rest;
        *code = if signed { raw as i32 >> rest } else { (raw >> rest) as i32 };
    }
}

/// Writes numbers where there are bytes for them.
fn write(bytes: &mut [u8], numbers: impl Iterator<Item = f32>) {
    bytes
        .chunks_exact_mut(4)
        .zip(numbers)
        .for_each(|(bytes, number)| bytes.copy_from_slice(&number.to_le_bytes()));
}

/// Codes as elements of few bits.
pub(super) fn packed(dtype: DType, dims: &[u64], codes: &[i16]) -> Option<Tensor> {
    let bits = dtype.bits() as usize;
    let bytes: Vec<u8> = codes.chunks(8 / bits).map(|codes| packed_byte(codes, bits)).collect();
    Tensor::new(dtype, dims.to_vec(), bytes.into()).ok()
}

/// Codes of so many bits in a byte, the first in its low end.
fn packed_byte(codes: &[i16], bits: usize) -> u8 {
    let low = |code: i16| code.to_le_bytes()[0] & (0xff >> (8 - bits));
    codes.iter().enumerate().fold(0, |byte, (at, code)| byte | low(*code) << (at * bits))
}

#[cfg(test)]
mod tests {
    use super::Codes;
    use weft_numerics::{Along, Blocks, Grid, Zero, rtn};

    #[test]
    fn codes_give_the_numbers_back() {
        // 7 outputs: rows of few bits begin within bytes, and blocks of 3 leave a rest both ways.
        let dims = [11, 7];
        let weights: Vec<f32> = (0..77).map(|i| (i * 37 % 61) as f32 / 7.0 - 4.0).collect();
        for (bits, zero) in [2, 3, 4, 5, 8].into_iter().flat_map(|n| [(n, Zero::Free), (n, Zero::Centre)]) {
            for along in [Along::Inputs, Along::Outputs] {
                let rounded = rtn(&weights, dims, Blocks { along, size: 3 }, Grid { bits, zero });
                let matrix = Codes::new(&rounded).unwrap().matrix().unwrap();
                assert_eq!(
                    matrix.to_vec::<f32>(),
                    Some(rounded.numbers()),
                    "{bits} bits, {zero:?}, {along:?}"
                );
                assert_eq!(matrix.dims(), [11, 7]);
            }
        }
    }
}
