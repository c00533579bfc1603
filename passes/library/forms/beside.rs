//! A matrix whose scales are shared by columns, as matrices of codes side by side.
use super::Codes;
use super::codes::packed;
use half::f16;
use weft_ir::{Attr, Tensor, Value};
use weft_numerics::Along;
use weft_passes::{Declined, Perm, Rewriter, node, permuted};

/// Columns of a group are a multiple of this, the lanes of the widest vectors, or all there are.
const LANES: usize = 16;

/// What a matrix `codes[K, N]` with a scale for each `n` columns of an input is taken apart into, with `G = N / n`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Beside {
    /// The scales, `[G, 1, K]`, as numbers that kernels keep in 16 bits: they are read for every token.
    pub(crate) scales: Tensor,
    /// Codes less zero points, `[G, K, n]`: codes, scales of 1 and zero points, if there are any.
    matrices: [Option<Tensor>; 3],
    /// `n`.
    columns: usize,
}

impl Codes {
    /// How many columns have one scale for each input wherever they begin, which vectors of them can do with.
    pub(crate) fn columns_together(&self) -> Result<usize, Declined> {
        let columns = *self.codes.dims().last().unwrap_or(&0) as usize;
        let each = if self.block >= columns { columns } else { common(self.block, columns) };
        if self.along == Along::Inputs || (each < columns && !each.is_multiple_of(LANES)) {
            let why = format!("{each} of its {columns} columns have scales in common, which are too few");
            return Err(why.into());
        }
        Ok(each)
    }

    /// The matrix with its scales apart from its codes.
    pub(crate) fn beside(&self) -> Result<Beside, Declined> {
        let (depth, each) = (*self.codes.dims().first().unwrap_or(&0) as usize, self.columns_together()?);
        let columns = *self.codes.dims().last().unwrap_or(&0) as usize;
        let parts = [depth, columns / each.max(1), each];
        self.split(parts, &|group| group * each / self.block)
            .ok_or_else(|| "its codes cannot be split".into())
    }

    fn split(&self, [depth, groups, each]: [usize; 3], of_group: &dyn Fn(usize) -> usize) -> Option<Beside> {
        let extents = |dims: [usize; 3]| dims.map(|n| n as u64).to_vec();
        let blocks = *self.scales.dims().last()? as usize;
        let all = self.scales.to_vec::<f32>()?;
        let places = |group| (0..depth).map(move |step| step * blocks + of_group(group));
        let scales: Vec<f32> = (0..groups).flat_map(places).map(|at| all[at]).collect();
        let codes = self.codes.reshaped(extents([depth, groups, each])).ok()?;
        let ones = match &self.zeros {
            Some(_) => Tensor::from_slice(&extents([groups, depth, 1]), &vec![1f32; groups * depth]).ok()?,
            None => Tensor::scalar(1f32),
        };
        let zeros = match &self.zeros {
            Some(zeros) => {
                let all = zeros.to_i64s()?;
                let zeros: Vec<i16> = (0..groups).flat_map(places).map(|at| all[at] as i16).collect();
                Some(packed(self.codes.dtype(), &extents([groups, depth, 1]), &zeros)?)
            }
            None => None,
        };
        Some(Beside {
            scales: Tensor::from_slice(&extents([groups, 1, depth]), &of_few_bits(scales)).ok()?,
            matrices: [permuted(&codes, &Perm::new(vec![1, 0, 2])?), Some(ones), zeros],
            columns: each,
        })
    }
}

impl Beside {
    /// Adds what gives the matrices.
    pub(crate) fn add(&self, g: &mut Rewriter<'_>) -> Result<Value, Declined> {
        let mut operands = Vec::new();
        for tensor in &self.matrices {
            operands.push(tensor.clone().map(|tensor| g.constant(tensor)).transpose()?);
        }
        let blocks = [("axis", Attr::Int(-1)), ("block_size", Attr::Int(self.columns as i64))];
        let attrs = if self.matrices[2].is_some() { &blocks[..] } else { &[] };
        g.add(node("DequantizeLinear", attrs.to_vec()), &operands)
    }
}

/// Numbers rounded to those of `f16`, unless there are some that it has fewer bits for.
fn of_few_bits(numbers: Vec<f32>) -> Vec<f32> {
    let normal = f16::MIN_POSITIVE.to_f32()..=f16::MAX.to_f32();
    let fits = numbers.iter().all(|x| *x == 0.0 || normal.contains(&x.abs()));
    if fits { numbers.into_iter().map(|x| f16::from_f32(x).to_f32()).collect() } else { numbers }
}

/// The greatest common divisor.
fn common(a: usize, b: usize) -> usize {
    if b == 0 { a } else { common(b, a % b) }
}
