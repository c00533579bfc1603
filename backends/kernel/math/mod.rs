//! Functions of elements, written into nests by our own polynomials.
use crate::nest::{Binary, Builder, Compare, Reg, Scalar, Ty, Unary};
use weft_ir::DType;

/// A function of elements. Arguments have one type, which is the type of the result unless said
/// otherwise; 16-bit floats are computed in `f32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Function {
    /// `-x`.
    Neg,
    /// `|x|`.
    Abs,
    /// -1, 0 or 1; NaN stays.
    Sign,
    /// Not, bitwise or logical.
    Not,
    /// Square root.
    Sqrt,
    /// Exponential.
    Exp,
    /// Natural logarithm.
    Log,
    /// Sine.
    Sin,
    /// Cosine.
    Cos,
    /// Tangent.
    Tan,
    /// Arc sine.
    Asin,
    /// Arc cosine.
    Acos,
    /// Arc tangent.
    Atan,
    /// Hyperbolic sine.
    Sinh,
    /// Hyperbolic cosine.
    Cosh,
    /// Hyperbolic tangent.
    Tanh,
    /// Inverse hyperbolic sine.
    Asinh,
    /// Inverse hyperbolic cosine.
    Acosh,
    /// Inverse hyperbolic tangent.
    Atanh,
    /// Error function.
    Erf,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// Towards minus infinity.
    Floor,
    /// Towards plus infinity.
    Ceil,
    /// Towards zero.
    Trunc,
    /// To the nearest integer, halves to even.
    Round,
    /// Sum; integers wrap.
    Add,
    /// Difference; integers wrap.
    Sub,
    /// Product; integers wrap.
    Mul,
    /// Quotient; integers round towards zero, and by zero give 0.
    Div,
    /// Remainder with the sign of the divisor; integers by zero give 0.
    Mod,
    /// Remainder with the sign of the dividend; integers by zero give 0.
    Fmod,
    /// Quotient towards minus infinity, of integers; by zero gives 0.
    FloorDiv,
    /// Power; integer powers of integers wrap, negative exponents give 0 but for 1 and -1.
    Pow,
    /// The smaller one; NaN wins.
    Min,
    /// The larger one; NaN wins.
    Max,
    /// And, bitwise or logical.
    And,
    /// Or, bitwise or logical.
    Or,
    /// Exclusive or, bitwise or logical.
    Xor,
    /// Shift to the left; by the width or more gives 0.
    Shl,
    /// Shift to the right; by the width or more gives 0 (or the sign).
    Shr,
    /// Equal; the result is a truth value.
    Eq,
    /// Less; the result is a truth value.
    Lt,
    /// Less or equal; the result is a truth value.
    Le,
    /// Is NaN; the result is a truth value.
    IsNan,
    /// `a * b + c`.
    Fma,
    /// The second argument where the first, a truth value, is set, else the third.
    Select,
    /// Converts to the type of the result; see [`crate::nest::Op::Cast`].
    Cast,
}

/// Writes a function of registers; `dtype` is the type of the result.
pub fn emit(b: &mut Builder, function: Function, dtype: DType, args: &[Reg]) -> Reg {
    let half = |b: &Builder, r: &Reg| matches!(b.ty(*r).elem, DType::F16 | DType::Bf16);
    if function != Function::Cast && args.iter().any(|r| half(b, r)) {
        let wide: Vec<Reg> =
            args.iter().map(|r| if half(b, r) { b.cast(*r, DType::F32) } else { *r }).collect();
        let result = emit(b, function, if dtype.is_float() { DType::F32 } else { dtype }, &wide);
        return b.cast(result, dtype);
    }
    match args {
        [a] => one(b, function, dtype, *a),
        [x, y] => two(b, function, *x, *y),
        [x, y, z] if function == Function::Fma => b.fma(*x, *y, *z),
        [x, y, z] => b.select(*x, *y, *z),
        _ => unreachable_arity(b, dtype),
    }
}

/// No function has another number of arguments; the lowering never asks for one.
fn unreachable_arity(b: &mut Builder, dtype: DType) -> Reg {
    debug_assert!(false, "a function of no or too many arguments");
    b.constant(Ty::scalar(dtype), Scalar::Int(0))
}

fn one(b: &mut Builder, function: Function, dtype: DType, a: Reg) -> Reg {
    match function {
        Function::Neg => b.unary(Unary::Neg, a),
        Function::Abs => b.unary(Unary::Abs, a),
        Function::Not => b.unary(Unary::Not, a),
        Function::Sqrt => b.unary(Unary::Sqrt, a),
        Function::Floor => b.unary(Unary::Floor, a),
        Function::Ceil => b.unary(Unary::Ceil, a),
        Function::Trunc => b.unary(Unary::Trunc, a),
        Function::Round => b.unary(Unary::RoundEven, a),
        Function::IsNan => b.compare(Compare::Ne, a, a),
        Function::Cast => b.cast(a, dtype),
        _ => a,
    }
}

fn two(b: &mut Builder, function: Function, x: Reg, y: Reg) -> Reg {
    match function {
        Function::Add => b.binary(Binary::Add, x, y),
        Function::Sub => b.binary(Binary::Sub, x, y),
        Function::Mul => b.binary(Binary::Mul, x, y),
        Function::Div => b.binary(Binary::Div, x, y),
        Function::Min => b.binary(Binary::Min, x, y),
        Function::Max => b.binary(Binary::Max, x, y),
        Function::And => b.binary(Binary::And, x, y),
        Function::Or => b.binary(Binary::Or, x, y),
        Function::Xor => b.binary(Binary::Xor, x, y),
        Function::Eq => b.compare(Compare::Eq, x, y),
        Function::Lt => b.compare(Compare::Lt, x, y),
        Function::Le => b.compare(Compare::Le, x, y),
        _ => x,
    }
}
