//! Functions of elements, written into nests by our own polynomials.
mod arc;
mod basic;
mod erf;
mod exp;
mod hyperbolic;
mod integer;
mod log;
mod power;
mod real;
mod trig;

use crate::nest::{Binary, Builder, Compare, Op, Reg, Scalar, Ty, Unary};
use real::Real;
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
    let bare = matches!(function, Function::Cast | Function::Select);
    if !bare && args.iter().any(|r| is_half(b, *r)) {
        let wide: Vec<Reg> =
            args.iter().map(|r| if is_half(b, *r) { b.cast(*r, DType::F32) } else { *r }).collect();
        let result = emit(b, function, if dtype.is_float() { DType::F32 } else { dtype }, &wide);
        return b.cast(result, dtype);
    }
    match args {
        [x] => one(b, function, dtype, *x),
        [x, y] => two(b, function, *x, *y),
        [x, y, z] if function == Function::Fma => b.fma(*x, *y, *z),
        [x, y, z] => b.select(*x, *y, *z),
        _ => unreachable_arity(b, dtype),
    }
}

/// All lanes to a scalar by a function of two, halves upon halves. Other than [`crate::nest::Op::Reduce`], the least
/// and the greatest of floats are NaN where one lane is.
pub fn across(b: &mut Builder, function: Function, x: Reg) -> Reg {
    let Ty { elem, .. } = b.ty(x);
    let mut folded = x;
    while b.ty(folded).lanes.is_multiple_of(2) {
        let half = b.ty(folded).lanes / 2;
        let ty = Ty::vector(elem, half);
        let low = b.op(ty, Op::Shuffle(folded, folded, (0..half).collect()));
        let high = b.op(ty, Op::Shuffle(folded, folded, (half..2 * half).collect()));
        folded = emit(b, function, elem, &[low, high]);
    }
    let lanes = b.ty(folded).lanes;
    if lanes == 1 {
        return folded;
    }
    let first = b.op(Ty::scalar(elem), Op::Lane(folded, 0));
    (1..lanes).fold(first, |total, lane| {
        let next = b.op(Ty::scalar(elem), Op::Lane(folded, lane));
        emit(b, function, elem, &[total, next])
    })
}

fn is_half(b: &Builder, x: Reg) -> bool {
    matches!(b.ty(x).elem, DType::F16 | DType::Bf16)
}

/// No function has another number of arguments; the lowering never asks for one.
fn unreachable_arity(b: &mut Builder, dtype: DType) -> Reg {
    debug_assert!(false, "a function of no or too many arguments");
    b.constant(Ty::scalar(dtype), Scalar::Int(0))
}

fn one(b: &mut Builder, function: Function, dtype: DType, x: Reg) -> Reg {
    let elem = b.ty(x).elem;
    match function {
        Function::Cast => b.cast(x, dtype),
        Function::Not => b.unary(Unary::Not, x),
        Function::IsNan => b.compare(Compare::Ne, x, x),
        _ if elem.is_float() => float(b, function, x),
        // Truth values and integers are their own roundings.
        Function::Floor | Function::Ceil | Function::Trunc | Function::Round => x,
        Function::Neg | Function::Abs | Function::Sign if elem == DType::Bool => x,
        Function::Neg => b.unary(Unary::Neg, x),
        Function::Abs => b.unary(Unary::Abs, x),
        Function::Sign => integer::sign(b, x),
        _ => {
            let wide = b.cast(x, DType::F64);
            let result = float(b, function, wide);
            b.cast(result, dtype)
        }
    }
}

/// A function of one `f32` or `f64`.
fn float(b: &mut Builder, function: Function, x: Reg) -> Reg {
    let simple = match function {
        Function::Neg => Some(Unary::Neg),
        Function::Abs => Some(Unary::Abs),
        Function::Sqrt => Some(Unary::Sqrt),
        Function::Floor => Some(Unary::Floor),
        Function::Ceil => Some(Unary::Ceil),
        Function::Trunc => Some(Unary::Trunc),
        Function::Round => Some(Unary::RoundEven),
        _ => None,
    };
    if let Some(op) = simple {
        return b.unary(op, x);
    }
    let m = &mut Real::like(b, x);
    match function {
        Function::Exp => exp::exp(m, x),
        Function::Sigmoid => exp::sigmoid(m, x),
        Function::Log => log::log(m, x),
        Function::Sin => trig::sin(m, x),
        Function::Cos => trig::cos(m, x),
        Function::Tan => trig::tan(m, x),
        Function::Asin => arc::asin(m, x),
        Function::Acos => arc::acos(m, x),
        Function::Atan => arc::atan(m, x),
        Function::Sinh => hyperbolic::sinh(m, x),
        Function::Cosh => hyperbolic::cosh(m, x),
        Function::Tanh => hyperbolic::tanh(m, x),
        Function::Asinh => hyperbolic::asinh(m, x),
        Function::Acosh => hyperbolic::acosh(m, x),
        Function::Atanh => hyperbolic::atanh(m, x),
        Function::Erf => erf::erf(m, x),
        Function::Sign => basic::sign(m, x),
        _ => {
            debug_assert!(false, "`{function:?}` is no function of one number");
            x
        }
    }
}

fn two(b: &mut Builder, function: Function, x: Reg, y: Reg) -> Reg {
    let elem = b.ty(x).elem;
    match function {
        Function::And => b.binary(Binary::And, x, y),
        Function::Or => b.binary(Binary::Or, x, y),
        Function::Xor => b.binary(Binary::Xor, x, y),
        Function::Eq => b.compare(Compare::Eq, x, y),
        Function::Lt => b.compare(Compare::Lt, x, y),
        Function::Le => b.compare(Compare::Le, x, y),
        _ if elem.is_float() => basic::two(b, function, x, y),
        Function::Min => b.min(x, y),
        Function::Max => b.max(x, y),
        _ if elem == DType::Bool => {
            let (x, y) = (b.cast(x, DType::U8), b.cast(y, DType::U8));
            let result = integers(b, function, x, y);
            b.cast(result, DType::Bool)
        }
        _ => integers(b, function, x, y),
    }
}

/// A function of two integers.
fn integers(b: &mut Builder, function: Function, x: Reg, y: Reg) -> Reg {
    match function {
        Function::Add => b.add(x, y),
        Function::Sub => b.sub(x, y),
        Function::Mul => b.mul(x, y),
        Function::Div => integer::div(b, x, y),
        Function::Mod => integer::modulo(b, x, y),
        Function::Fmod => integer::rem(b, x, y),
        Function::FloorDiv => integer::floor_div(b, x, y),
        Function::Pow => integer::pow(b, x, y),
        Function::Shl => integer::shift_left(b, x, y),
        Function::Shr => integer::shift_right(b, x, y),
        _ => {
            debug_assert!(false, "`{function:?}` is no function of two integers");
            x
        }
    }
}
