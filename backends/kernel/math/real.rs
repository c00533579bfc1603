//! Arithmetic on floats of one type, as the functions of this folder are written in.
use crate::nest::{Binary, Builder, Compare, Reg, Scalar, Ty, Unary};
use weft_ir::DType;

/// Writes operations on `f32` or `f64` registers with one number of lanes.
///
/// Every function of this folder stays right where the processor has no fused multiply-add and
/// [`Real::fma`] rounds twice.
pub(super) struct Real<'b> {
    /// Where to.
    pub(super) b: &'b mut Builder,
    /// The type of the numbers.
    pub(super) ty: Ty,
}

/// A table of constants for each type.
pub(super) struct Table {
    /// For `f32`.
    pub(super) single: &'static [f64],
    /// For `f64`.
    pub(super) double: &'static [f64],
}

impl<'b> Real<'b> {
    /// Arithmetic on numbers like that one, which must be `f32` or `f64`.
    pub(super) fn like(b: &'b mut Builder, x: Reg) -> Self {
        let ty = b.ty(x);
        Self { b, ty }
    }

    pub(super) fn is_double(&self) -> bool {
        self.ty.elem == DType::F64
    }

    /// One of two things, by the type of the numbers.
    pub(super) fn pick<T>(&self, single: T, double: T) -> T {
        if self.is_double() { double } else { single }
    }

    pub(super) fn table(&self, table: &Table) -> &'static [f64] {
        self.pick(table.single, table.double)
    }

    /// Bits of the fraction of a number.
    pub(super) fn fraction_bits(&self) -> i64 {
        self.pick(23, 52)
    }

    pub(super) fn num(&mut self, x: f64) -> Reg {
        self.b.constant(self.ty, Scalar::Float(x))
    }

    pub(super) fn add(&mut self, x: Reg, y: Reg) -> Reg {
        self.b.binary(Binary::Add, x, y)
    }

    pub(super) fn sub(&mut self, x: Reg, y: Reg) -> Reg {
        self.b.binary(Binary::Sub, x, y)
    }

    pub(super) fn mul(&mut self, x: Reg, y: Reg) -> Reg {
        self.b.binary(Binary::Mul, x, y)
    }

    pub(super) fn div(&mut self, x: Reg, y: Reg) -> Reg {
        self.b.binary(Binary::Div, x, y)
    }

    pub(super) fn fma(&mut self, x: Reg, y: Reg, z: Reg) -> Reg {
        self.b.fma(x, y, z)
    }

    pub(super) fn unary(&mut self, op: Unary, x: Reg) -> Reg {
        self.b.unary(op, x)
    }

    pub(super) fn abs(&mut self, x: Reg) -> Reg {
        self.b.unary(Unary::Abs, x)
    }

    /// `x + c`.
    pub(super) fn add_num(&mut self, x: Reg, c: f64) -> Reg {
        let c = self.num(c);
        self.add(x, c)
    }

    /// `x * c`.
    pub(super) fn mul_num(&mut self, x: Reg, c: f64) -> Reg {
        let c = self.num(c);
        self.mul(x, c)
    }

    /// `c - x`.
    pub(super) fn num_sub(&mut self, c: f64, x: Reg) -> Reg {
        let c = self.num(c);
        self.sub(c, x)
    }

    /// `c / x`.
    pub(super) fn num_div(&mut self, c: f64, x: Reg) -> Reg {
        let c = self.num(c);
        self.div(c, x)
    }

    /// `x * c + y`.
    pub(super) fn fma_num(&mut self, x: Reg, c: f64, y: Reg) -> Reg {
        let c = self.num(c);
        self.fma(x, c, y)
    }

    /// The sum of `coefficients[i] * x^i`.
    pub(super) fn polynomial(&mut self, x: Reg, coefficients: &[f64]) -> Reg {
        let Some((last, rest)) = coefficients.split_last() else { return self.num(0.0) };
        let last = self.num(*last);
        rest.iter().rev().fold(last, |sum, c| {
            let c = self.num(*c);
            self.fma(sum, x, c)
        })
    }

    /// `x` times a quotient of polynomials in `x^2`, no further from 0 than 1. From where `x^2` is `most` and the
    /// result all but 1, the quotient is constant, so that the product reaches 1.
    pub(super) fn saturating_quotient(&mut self, x: Reg, most: f64, (above, below): (&[f64], &[f64])) -> Reg {
        let z = self.mul(x, x);
        let z = self.at_most(z, most);
        let above = self.polynomial(z, above);
        let below = self.polynomial(z, below);
        let above = self.mul(x, above);
        let result = self.div(above, below);
        self.clamp(result, -1.0, 1.0)
    }

    /// `x` brought between two numbers; NaN stays.
    pub(super) fn clamp(&mut self, x: Reg, low: f64, high: f64) -> Reg {
        let below = self.at_most(x, high);
        let low = self.num(low);
        self.b.binary(Binary::Max, low, below)
    }

    /// The smaller of `x` and a number; NaN stays.
    pub(super) fn at_most(&mut self, x: Reg, high: f64) -> Reg {
        let high = self.num(high);
        self.b.binary(Binary::Min, high, x)
    }

    /// Whether `x < c`.
    pub(super) fn below(&mut self, x: Reg, c: f64) -> Reg {
        let c = self.num(c);
        self.b.compare(Compare::Lt, x, c)
    }

    /// Whether `x > c`.
    pub(super) fn above(&mut self, x: Reg, c: f64) -> Reg {
        let c = self.num(c);
        self.b.compare(Compare::Lt, c, x)
    }

    /// Whether `x == c`.
    pub(super) fn equals(&mut self, x: Reg, c: f64) -> Reg {
        let c = self.num(c);
        self.b.compare(Compare::Eq, x, c)
    }

    pub(super) fn select(&mut self, condition: Reg, x: Reg, y: Reg) -> Reg {
        self.b.select(condition, x, y)
    }

    /// `c` where the condition holds, else `x`.
    pub(super) fn replace(&mut self, x: Reg, condition: Reg, c: f64) -> Reg {
        let c = self.num(c);
        self.b.select(condition, c, x)
    }

    /// The bits of a number.
    pub(super) fn bits(&mut self, x: Reg) -> Reg {
        let elem = self.pick(DType::U32, DType::U64);
        self.b.bitcast(x, elem)
    }

    /// The number of these bits.
    pub(super) fn of_bits(&mut self, bits: Reg) -> Reg {
        self.b.bitcast(bits, self.ty.elem)
    }

    /// A bitwise or integer operation of bits with a constant.
    pub(super) fn bits_with(&mut self, op: Binary, bits: Reg, c: i64) -> Reg {
        let c = self.b.constant(self.b.ty(bits), Scalar::Int(c));
        self.b.binary(op, bits, c)
    }

    /// `x`, which is not negative, with the sign of `sign`.
    pub(super) fn with_sign(&mut self, x: Reg, sign: Reg) -> Reg {
        let (x, sign) = (self.bits(x), self.bits(sign));
        let sign = self.bits_with(Binary::And, sign, self.pick(1 << 31, i64::MIN));
        let both = self.b.binary(Binary::Or, x, sign);
        self.of_bits(both)
    }
}
