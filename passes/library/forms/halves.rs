//! A matrix as numbers of 16 bits.
use half::{bf16, f16};
use std::fmt;
use weft_ir::{Attr, DType, Element, Node, Tensor, TensorType, Value};
use weft_passes::{Declined, Linear, PassError, Rewriter, node};

/// A type of floats of 16 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Half {
    /// The range of `f32`, with 8 bits of precision.
    Bf16,
    /// IEEE's: 11 bits of precision, up to 65504 and, with fewer bits, down to 6e-8.
    F16,
}

impl Half {
    /// The element type.
    pub(crate) fn dtype(self) -> DType {
        match self {
            Half::Bf16 => DType::Bf16,
            Half::F16 => DType::F16,
        }
    }

    /// The other one.
    pub(crate) fn other(self) -> Self {
        match self {
            Half::Bf16 => Half::F16,
            Half::F16 => Half::Bf16,
        }
    }

    /// The largest number that is not infinite.
    pub(crate) fn largest(self) -> f32 {
        match self {
            Half::Bf16 => bf16::MAX.to_f32(),
            Half::F16 => f16::MAX.to_f32(),
        }
    }

    /// The number of the type that is closest, of two the even one.
    pub(crate) fn nearest(self, number: f32) -> f32 {
        match self {
            Half::Bf16 => bf16::from_f32(number).to_f32(),
            Half::F16 => f16::from_f32(number).to_f32(),
        }
    }

    /// `f32`s rounded to the type, and still `f32`; `None` of other tensors.
    pub(crate) fn rounded(self, tensor: &Tensor) -> Option<Tensor> {
        let mut numbers = tensor.to_vec::<f32>()?;
        numbers.iter_mut().for_each(|x| *x = self.nearest(*x));
        Tensor::from_slice(tensor.dims(), &numbers).ok()
    }

    /// `f32`s as numbers of the type; `None` of other tensors.
    pub(crate) fn narrowed(self, tensor: &Tensor) -> Option<Tensor> {
        let numbers = tensor.to_vec::<f32>()?.into_iter();
        match self {
            Half::Bf16 => of(tensor, numbers.map(bf16::from_f32)),
            Half::F16 => of(tensor, numbers.map(f16::from_f32)),
        }
    }
}

fn of<T: Element>(tensor: &Tensor, numbers: impl Iterator<Item = T>) -> Option<Tensor> {
    Tensor::from_slice(tensor.dims(), &numbers.collect::<Vec<_>>()).ok()
}

/// A matrix of `f32`, inputs by outputs, that becomes one of 16 bits. Its numbers are rounded when they are read, so
/// that they share the memory of the exact ones.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Halves {
    matrix: Tensor,
    to: Half,
}

impl fmt::Display for Halves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to.dtype())
    }
}

impl Halves {
    pub(crate) fn new(matrix: Tensor, to: Half) -> Self {
        Self { matrix, to }
    }

    /// What it is, by content.
    pub(super) fn described(&self) -> String {
        format!("{} of {:?}", self.to.dtype(), self.matrix.digest())
    }

    /// The numbers as `f32`.
    pub(super) fn matrix(&self) -> Result<Tensor, PassError> {
        let broken = || PassError::Failed("a matrix does not read back".to_string());
        self.to.rounded(&self.matrix).ok_or_else(broken)
    }

    /// The type of what is read for it.
    pub(super) fn ty(&self) -> TensorType {
        TensorType::fixed(self.to.dtype(), self.matrix.dims())
    }

    /// Adds what gives it back.
    pub(super) fn add(&self, g: &mut Rewriter<'_>) -> Result<Value, Declined> {
        let numbers = self.to.narrowed(&self.matrix).ok_or("the matrix does not read back")?;
        let halves = g.constant(numbers)?;
        g.add(cast(DType::F32), &[Some(halves)])
    }

    /// Adds the same of the layer's own matrix, which is left to be rounded.
    pub(super) fn add_untaken(&self, g: &mut Rewriter<'_>, layer: &Linear) -> Result<Value, Declined> {
        let mut matrix = layer.weight;
        if layer.turned {
            matrix = g.add(node("Transpose", [("perm", Attr::Ints(vec![1, 0]))]), &[Some(matrix)])?;
        }
        let halves = g.add(cast(self.to.dtype()), &[Some(matrix)])?;
        g.add(cast(DType::F32), &[Some(halves)])
    }
}

fn cast(to: DType) -> Node {
    node("Cast", [("to", Attr::Type(to))])
}

#[cfg(test)]
mod tests {
    use super::{Half, Halves};
    use weft_ir::Tensor;

    #[test]
    fn numbers_are_rounded_to_either_type() {
        // Halfway between two of `bf16`, and between two of `f16`; beyond `f16`; below it.
        let exact = Tensor::vector(&[1.0 + 1.0 / 256.0, 1.0 + 3.0 / 2048.0, 70000.0, 1e-8f32]);
        let numbers = |to: Half| Halves::new(exact.clone(), to).matrix().unwrap().to_vec::<f32>().unwrap();
        assert_eq!(numbers(Half::Bf16)[..3], [1.0, 1.0, 70144.0]);
        assert_eq!(numbers(Half::F16), [1.0 + 1.0 / 256.0, 1.0 + 2.0 / 1024.0, f32::INFINITY, 0.0]);
        for to in [Half::Bf16, Half::F16] {
            let narrow = to.narrowed(&exact).unwrap();
            assert_eq!(narrow.dtype(), to.dtype());
            let wide: Vec<f32> = narrow.to_f64s().unwrap().into_iter().map(|x| x as f32).collect();
            assert_eq!(wide, numbers(to));
        }
    }

    #[test]
    fn questions_tell_types_and_numbers_apart() {
        let [one, two] = [1f32, 2.0].map(|x| Tensor::vector(&[x]));
        let all = [(&one, Half::Bf16), (&one, Half::F16), (&two, Half::Bf16)];
        let mut all = all.map(|(tensor, to)| Halves::new(tensor.clone(), to).described());
        all.sort();
        assert!(all.windows(2).all(|pair| pair[0] != pair[1]), "{all:?}");
    }
}
