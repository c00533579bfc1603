//! Arithmetic on terms, for operators that are composed of many.
use super::{Handle, Lowering, identity};
use crate::math::Function as F;
use crate::nest::Scalar;
use crate::term::{Index, Term, TermId};
use weft_ir::{DType, Dim};

/// The type that elements are computed in: `f32` for 16-bit floats, else their own.
pub(crate) fn wide(dtype: DType) -> DType {
    match dtype {
        DType::F16 | DType::Bf16 => DType::F32,
        same => same,
    }
}

impl Lowering<'_> {
    /// A function whose result has the type of its last argument.
    pub(crate) fn apply(&mut self, f: F, args: &[TermId]) -> TermId {
        let dtype = args.last().map_or(DType::F32, |a| self.terms.dtype(*a));
        self.terms.call(dtype, f, args)
    }

    /// A comparison.
    pub(crate) fn test(&mut self, f: F, a: TermId, b: TermId) -> TermId {
        self.terms.call(DType::Bool, f, &[a, b])
    }

    /// The second where the first is set, else the third.
    pub(crate) fn choose(&mut self, condition: TermId, a: TermId, b: TermId) -> TermId {
        self.apply(F::Select, &[condition, a, b])
    }

    /// The sum.
    pub(crate) fn plus(&mut self, a: TermId, b: TermId) -> TermId {
        self.apply(F::Add, &[a, b])
    }

    /// The difference.
    pub(crate) fn minus(&mut self, a: TermId, b: TermId) -> TermId {
        self.apply(F::Sub, &[a, b])
    }

    /// The product.
    pub(crate) fn times(&mut self, a: TermId, b: TermId) -> TermId {
        self.apply(F::Mul, &[a, b])
    }

    /// The quotient.
    pub(crate) fn over(&mut self, a: TermId, b: TermId) -> TermId {
        self.apply(F::Div, &[a, b])
    }

    /// A number of a type.
    pub(crate) fn value(&mut self, dtype: DType, x: f64) -> TermId {
        let x = if dtype.is_float() { Scalar::Float(x) } else { Scalar::Int(x as i64) };
        self.terms.constant(dtype, x)
    }

    /// An `i64`.
    pub(crate) fn integer(&mut self, x: i64) -> TermId {
        self.terms.constant(DType::I64, Scalar::Int(x))
    }

    /// A truth value.
    pub(crate) fn truth(&mut self, x: bool) -> TermId {
        self.terms.constant(DType::Bool, Scalar::Int(i64::from(x)))
    }

    /// A position as a term.
    pub(crate) fn position(&mut self, index: Index) -> TermId {
        self.terms.add(Term::Position(index))
    }

    /// The position on an axis as a term.
    pub(crate) fn place_on(&mut self, axis: usize) -> TermId {
        self.position(Index::axis(axis as u32))
    }

    /// Both conditions, where the first may be absent.
    pub(crate) fn both(&mut self, a: Option<TermId>, b: TermId) -> TermId {
        a.map_or(b, |a| self.test(F::And, a, b))
    }

    /// Whether two numbers are equal, or both NaN.
    pub(crate) fn same(&mut self, a: TermId, b: TermId) -> TermId {
        let equal = self.test(F::Eq, a, b);
        if !self.terms.dtype(a).is_float() {
            return equal;
        }
        let (x, y) =
            (self.terms.call(DType::Bool, F::IsNan, &[a]), self.terms.call(DType::Bool, F::IsNan, &[b]));
        let neither = self.test(F::And, x, y);
        self.test(F::Or, equal, neither)
    }

    /// The element of a tensor at the place of the result.
    pub(crate) fn here(&mut self, handle: Handle) -> TermId {
        let rank = self.dims_of(handle).len();
        self.read(handle, &identity(rank))
    }

    /// The element of an operand that broadcasts to extents.
    pub(crate) fn spread(&mut self, handle: Handle, to: &[Dim]) -> TermId {
        let from = self.dims_of(handle);
        let at = self.broadcast(&from, to);
        self.read(handle, &at)
    }

    /// The same tensor in memory: for operands that are read at several places.
    pub(crate) fn settled(&mut self, handle: Handle) -> Handle {
        self.force(handle);
        handle
    }
}
