//! Arithmetic of floats, and what is but a comparison or two.
use super::real::Real;
use super::{Function, power};
use crate::nest::{Binary, Builder, Compare, Reg, Scalar, Unary};

/// A function of two `f32` or `f64`.
pub(super) fn two(b: &mut Builder, function: Function, x: Reg, y: Reg) -> Reg {
    match function {
        Function::Add => b.binary(Binary::Add, x, y),
        Function::Sub => b.binary(Binary::Sub, x, y),
        Function::Mul => b.binary(Binary::Mul, x, y),
        Function::Div => b.binary(Binary::Div, x, y),
        Function::Min => extreme(b, Binary::Min, x, y),
        Function::Max => extreme(b, Binary::Max, x, y),
        Function::Fmod => b.binary(Binary::Rem, x, y),
        Function::Mod => modulo(b, x, y),
        Function::FloorDiv => {
            let quotient = b.binary(Binary::Div, x, y);
            b.unary(Unary::Floor, quotient)
        }
        Function::Pow => power::pow(&mut Real::like(b, x), x, y),
        _ => {
            debug_assert!(false, "`{function:?}` is no function of two floats");
            x
        }
    }
}

/// The least or the greatest of two, NaN where one is. The instruction gives its second operand where
/// either one is NaN: next to a constant nothing more is needed.
fn extreme(b: &mut Builder, op: Binary, x: Reg, y: Reg) -> Reg {
    let is_number = |r: Reg| matches!(b.constant_of(r), Some(Scalar::Float(c)) if !c.is_nan());
    if is_number(x) {
        return b.binary(op, x, y);
    }
    if is_number(y) {
        return b.binary(op, y, x);
    }
    // In a reduction the first operand is the result so far, and the test of the second one does not wait
    // for it.
    let result = b.binary(op, y, x);
    let broken = b.compare(Compare::Ne, y, y);
    b.select(broken, y, result)
}

/// The remainder with the sign of the divisor; exact.
fn modulo(b: &mut Builder, x: Reg, y: Reg) -> Reg {
    let rest = b.binary(Binary::Rem, x, y);
    let m = &mut Real::like(b, x);
    let (down, y_down) = (m.below(rest, 0.0), m.below(y, 0.0));
    let differ = m.b.binary(Binary::Xor, down, y_down);
    let zero = m.num(0.0);
    let some = m.b.compare(Compare::Ne, rest, zero);
    let crossed = m.b.binary(Binary::And, differ, some);
    let sum = m.add(rest, y);
    m.select(crossed, sum, rest)
}

/// -1, 0 or 1; NaN and zeros stay.
pub(super) fn sign(m: &mut Real<'_>, x: Reg) -> Reg {
    let (positive, negative) = (m.above(x, 0.0), m.below(x, 0.0));
    let result = m.replace(x, positive, 1.0);
    m.replace(result, negative, -1.0)
}
