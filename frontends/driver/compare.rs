//! Whether two tensors agree.
use std::fmt;
use weft_ir::{Tensor, TensorType};

/// How far floats may be apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// Relative to what is expected.
    pub rtol: f64,
    /// In any case.
    pub atol: f64,
}

/// How two tensors differ.
#[derive(Debug, Clone, PartialEq)]
pub enum Difference {
    /// They have other types or shapes.
    Type {
        /// What was expected.
        expected: TensorType,
        /// What was found.
        found: TensorType,
    },
    /// They have other elements.
    Elements {
        /// How many differ too much.
        wrong: usize,
        /// How many there are.
        of: usize,
        /// The index of the worst one, row-major.
        worst: usize,
        /// What was expected there and what was found.
        pair: (f64, f64),
    },
    /// They have other elements, which are no numbers.
    Bytes,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::Type { expected, found } => write!(f, "expected {expected}, found {found}"),
            Difference::Elements { wrong, of, worst, pair: (expected, found) } => {
                write!(
                    f,
                    "{wrong} of {of} elements differ, worst is number {worst}: expected {expected}, found {found}"
                )
            }
            Difference::Bytes => f.write_str("the elements differ"),
        }
    }
}

impl Tolerance {
    /// Whether `found` is what was expected; integers and texts must be equal.
    pub fn compare(self, expected: &Tensor, found: &Tensor) -> Result<(), Difference> {
        if (expected.dtype(), expected.dims()) != (found.dtype(), found.dims()) {
            let of = |t: &Tensor| TensorType::fixed(t.dtype(), t.dims());
            return Err(Difference::Type { expected: of(expected), found: of(found) });
        }
        let (Some(left), Some(right)) = (expected.to_f64s(), found.to_f64s()) else {
            return if expected == found { Ok(()) } else { Err(Difference::Bytes) };
        };
        let exact = !expected.dtype().is_float();
        let off = |a: f64, b: f64| match a == b || (a.is_nan() && b.is_nan()) {
            true => 0.0,
            false if exact || !a.is_finite() || !b.is_finite() => f64::INFINITY,
            false => (a - b).abs() / (self.atol + self.rtol * a.abs()),
        };
        let offs: Vec<f64> = left.iter().zip(&right).map(|(a, b)| off(*a, *b)).collect();
        let wrong = offs.iter().filter(|off| **off > 1.0).count();
        if wrong == 0 {
            return Ok(());
        }
        let worst = offs.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(i, _)| i);
        Err(Difference::Elements { wrong, of: offs.len(), worst, pair: (left[worst], right[worst]) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_may_be_a_little_off() {
        let near = Tolerance { rtol: 1e-3, atol: 1e-4 };
        let [a, b, c] = [[1.0f32, f32::NAN], [1.0005, f32::NAN], [1.0, 2.0]].map(|x| Tensor::vector(&x));
        assert_eq!(near.compare(&a, &b), Ok(()));
        let difference = near.compare(&a, &c).unwrap_err().to_string();
        assert!(difference.starts_with("1 of 2 elements differ, worst is number 1"), "{difference}");
    }

    #[test]
    fn integers_may_not() {
        let loose = Tolerance { rtol: 1.0, atol: 1.0 };
        assert!(loose.compare(&Tensor::vector(&[7i64]), &Tensor::vector(&[8i64])).is_err());
        assert!(loose.compare(&Tensor::vector(&[7i64]), &Tensor::vector(&[7i32])).is_err());
    }
}
