//! A rounded matrix as tensors, and its place in the graph.
use std::fmt;
use weft_ir::{Attr, DType, Tensor, TensorType, Value};
use weft_numerics::{Along, Quantised, Zero};
use weft_passes::{Declined, Linear, Rewriter, floats, node};

/// The operands of the `DequantizeLinear` that gives a matrix back; or a matrix that becomes `bf16`, whose numbers take
/// the place of the codes and are rounded when they are read, so that they share the memory of the exact ones.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Coded {
    codes: Tensor,
    scales: Tensor,
    zeros: Option<Tensor>,
    along: Along,
    block: usize,
}

impl fmt::Display for Coded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_half() {
            return write!(f, "bf16");
        }
        let way = if self.along == Along::Inputs { "inputs (oc)" } else { "outputs (ic)" };
        write!(f, "{} in blocks of {} along the {way}", self.codes.dtype(), self.block)
    }
}

impl Coded {
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
        let packed = |dims: &[u64], codes: &[i16]| {
            let bits = dtype.bits() as usize;
            let bytes: Vec<u8> = codes.chunks(8 / bits).map(|codes| packed_byte(codes, bits)).collect();
            Tensor::new(dtype, dims.to_vec(), bytes.into()).ok()
        };
        let zeros = match matrix.grid.zero {
            Zero::Free => Some(packed(&blocks, &matrix.zeros)?),
            Zero::Centre => None,
        };
        Some(Self {
            codes: packed(&dims, &matrix.codes)?,
            scales: Tensor::from_slice(&blocks, &matrix.scales).ok()?,
            zeros,
            along: matrix.blocks.along,
            block: matrix.blocks.size,
        })
    }

    /// A matrix of `f32`, inputs by outputs, that becomes `bf16`.
    pub(crate) fn halves(matrix: Tensor) -> Self {
        let scales = Tensor::vector::<f32>(&[]);
        Self { codes: matrix, scales, zeros: None, along: Along::Outputs, block: 1 }
    }

    fn is_half(&self) -> bool {
        self.codes.dtype() == DType::F32
    }

    /// The numbers as `bf16`.
    fn rounded(&self) -> Option<Tensor> {
        floats(DType::Bf16, self.codes.dims(), &self.codes.to_f64s()?)
    }

    /// Whether blocks reach along the inputs.
    pub(crate) fn is_along_inputs(&self) -> bool {
        self.along == Along::Inputs
    }

    /// The matrix that the codes stand for, inputs by outputs.
    pub(crate) fn matrix(&self) -> Option<Tensor> {
        if self.is_half() {
            return floats(DType::F32, self.codes.dims(), &self.rounded()?.to_f64s()?);
        }
        let [_, outputs] = self.codes.dims() else { return None };
        let (outputs, columns) = (*outputs as usize, *self.scales.dims().last()? as usize);
        let scales = self.scales.to_vec::<f32>()?;
        let zeros = match &self.zeros {
            Some(zeros) => zeros.to_i64s()?,
            None => vec![0; scales.len()],
        };
        let number = |(at, code): (usize, i64)| {
            let (input, output) = (at / outputs, at % outputs);
            let block = match self.along {
                Along::Inputs => input / self.block * columns + output,
                Along::Outputs => input * columns + output / self.block,
            };
            (code - zeros[block]) as f32 * scales[block]
        };
        let numbers: Vec<f32> = self.codes.to_i64s()?.into_iter().enumerate().map(number).collect();
        Tensor::from_slice(self.codes.dims(), &numbers).ok()
    }

    /// The types of all that is read for the matrix.
    pub(crate) fn types(&self) -> Vec<TensorType> {
        if self.is_half() {
            return vec![TensorType::fixed(DType::Bf16, self.codes.dims())];
        }
        let tensors = [Some(&self.codes), Some(&self.scales), self.zeros.as_ref()];
        let ty = |tensor: &Tensor| TensorType::fixed(tensor.dtype(), tensor.dims());
        tensors.into_iter().flatten().map(ty).collect()
    }

    /// Adds what gives the matrix back.
    pub(crate) fn add(&self, g: &mut Rewriter<'_>) -> Result<Value, Declined> {
        if self.is_half() {
            let halves = g.constant(self.rounded().ok_or("the matrix does not read back")?)?;
            return g.add(node("Cast", [("to", Attr::Type(DType::F32))]), &[Some(halves)]);
        }
        let codes = g.constant(self.codes.clone())?;
        let scales = g.constant(self.scales.clone())?;
        let zeros = self.zeros.clone().map(|zeros| g.constant(zeros)).transpose()?;
        let axis = if self.along == Along::Inputs { 0 } else { 1 };
        let attrs = [("axis", Attr::Int(axis)), ("block_size", Attr::Int(self.block as i64))];
        g.add(node("DequantizeLinear", attrs), &[Some(codes), Some(scales), zeros])
    }

    /// Gives the layer the matrix, and another input if there is one.
    pub(crate) fn put(
        &self,
        g: &mut Rewriter<'_>,
        layer: &Linear,
        input: Option<Value>,
    ) -> Result<(), Declined> {
        let matrix = self.add(g)?;
        let mut operands = g.operands(layer.node);
        operands[0] = input.or(operands[0]);
        operands[1] = Some(matrix);
        g.set_operands(layer.node, operands);
        if layer.turned {
            g.set_attr(layer.node, "transB", None);
        }
        Ok(())
    }
}

/// Codes of so many bits in a byte, the first in its low end.
fn packed_byte(codes: &[i16], bits: usize) -> u8 {
    let low = |code: i16| code.to_le_bytes()[0] & (0xff >> (8 - bits));
    codes.iter().enumerate().fold(0, |byte, (at, code)| byte | low(*code) << (at * bits))
}
