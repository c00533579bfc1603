//! Integer functions that are defined for all arguments, whatever the processor's instructions are.
use crate::nest::{Binary, Builder, Compare, Hint, Reg, Scalar, Ty, Unary};
use weft_ir::{DType, types::Kind};

/// The quotient towards zero; by zero it is 0, and the least number by -1 is itself.
pub(super) fn div(b: &mut Builder, x: Reg, y: Reg) -> Reg {
    match known(b, y) {
        Some(0) => return constant(b, x, 0),
        Some(1) => return x,
        Some(-1) if is_signed(b, x) => return b.unary(Unary::Neg, x),
        Some(_) => return b.div(x, y),
        None => {}
    }
    let safe = safe_divisor(b, y);
    let quotient = b.binary(Binary::Div, x, safe);
    let zero = constant(b, x, 0);
    let is_zero = b.compare(Compare::Eq, y, zero);
    let quotient = b.select(is_zero, zero, quotient);
    if !is_signed(b, x) {
        return quotient;
    }
    let minus_one = constant(b, x, -1);
    let is_minus_one = b.compare(Compare::Eq, y, minus_one);
    let minus = b.unary(Unary::Neg, x);
    b.select(is_minus_one, minus, quotient)
}

/// The remainder with the sign of the dividend; by zero it is 0.
pub(super) fn rem(b: &mut Builder, x: Reg, y: Reg) -> Reg {
    let safe = safe_divisor(b, y);
    b.rem(x, safe)
}

/// The remainder with the sign of the divisor; by zero it is 0.
pub(super) fn modulo(b: &mut Builder, x: Reg, y: Reg) -> Reg {
    let rest = rem(b, x, y);
    if !is_signed(b, x) || b.constant_of(rest).is_some() {
        return rest;
    }
    let crossed = crossed(b, rest, y);
    let sum = b.binary(Binary::Add, rest, y);
    b.select(crossed, sum, rest)
}

/// The quotient towards minus infinity; by zero it is 0.
pub(super) fn floor_div(b: &mut Builder, x: Reg, y: Reg) -> Reg {
    let quotient = div(b, x, y);
    if !is_signed(b, x) || matches!(known(b, y), Some(-1..=1)) {
        return quotient;
    }
    let rest = rem(b, x, y);
    let crossed = crossed(b, rest, y);
    let one = constant(b, x, 1);
    let less = b.binary(Binary::Sub, quotient, one);
    b.select(crossed, less, quotient)
}

/// Whether a remainder is not zero and has another sign than the divisor.
fn crossed(b: &mut Builder, rest: Reg, y: Reg) -> Reg {
    let zero = constant(b, rest, 0);
    let signs = b.binary(Binary::Xor, rest, y);
    let differ = b.compare(Compare::Lt, signs, zero);
    let some = b.compare(Compare::Ne, rest, zero);
    b.binary(Binary::And, differ, some)
}

/// The divisor, or 1 where the processor could trap: then the remainder is still right.
fn safe_divisor(b: &mut Builder, y: Reg) -> Reg {
    match known(b, y) {
        Some(0 | -1) => return constant(b, y, 1),
        Some(_) => return y,
        None => {}
    }
    let (zero, one) = (constant(b, y, 0), constant(b, y, 1));
    let mut refused = b.compare(Compare::Eq, y, zero);
    if is_signed(b, y) {
        let minus_one = constant(b, y, -1);
        let is_minus_one = b.compare(Compare::Eq, y, minus_one);
        refused = b.binary(Binary::Or, refused, is_minus_one);
    }
    b.select(refused, one, y)
}

/// A shift to the left; by the width or more, or by a negative count, it is 0.
pub(super) fn shift_left(b: &mut Builder, x: Reg, count: Reg) -> Reg {
    let (inside, safe) = safe_count(b, count, 0);
    let shifted = b.binary(Binary::Shl, x, safe);
    let zero = constant(b, x, 0);
    b.select(inside, shifted, zero)
}

/// A shift to the right; by the width or more, or by a negative count, it is 0, or -1 for negative numbers.
pub(super) fn shift_right(b: &mut Builder, x: Reg, count: Reg) -> Reg {
    if is_signed(b, x) {
        let most = i64::from(b.ty(x).elem.bits()) - 1;
        let (_, safe) = safe_count(b, count, most);
        return b.binary(Binary::Shr, x, safe);
    }
    let (inside, safe) = safe_count(b, count, 0);
    let shifted = b.binary(Binary::Shr, x, safe);
    let zero = constant(b, x, 0);
    b.select(inside, shifted, zero)
}

/// Whether a count is below the width, and the count, `instead` where it is not.
fn safe_count(b: &mut Builder, count: Reg, instead: i64) -> (Reg, Reg) {
    let width = constant(b, count, b.ty(count).elem.bits().into());
    let mut inside = b.compare(Compare::Lt, count, width);
    if is_signed(b, count) {
        let zero = constant(b, count, 0);
        let positive = b.compare(Compare::Le, zero, count);
        inside = b.binary(Binary::And, inside, positive);
    }
    let instead = constant(b, count, instead);
    let safe = b.select(inside, count, instead);
    (inside, safe)
}

/// The power, which wraps; negative exponents give what `1 / x^-y` cut towards zero is, of 0 it is 0.
///
/// Squares and multiplies, bit by bit of the exponent: written out where the exponent is a known number,
/// else in a loop over all bits.
pub(super) fn pow(b: &mut Builder, x: Reg, y: Reg) -> Reg {
    if let Some(exponent) = known(b, y).filter(|y| *y >= 0 || !is_signed(b, x)) {
        return known_power(b, x, exponent as u64);
    }
    let bits = i64::from(b.ty(x).elem.bits());
    let one = constant(b, x, 1);
    let (power, square, left) = (b.var(one), b.var(x), b.var(y));
    let (start, end) = (b.index(0), b.index(bits));
    b.for_each(start, end, 1, Hint::AsWritten, |b, _| {
        let (so_far, factor, rest) = (b.get(power), b.get(square), b.get(left));
        let (zero, one) = (constant(b, x, 0), constant(b, x, 1));
        let bit = b.binary(Binary::And, rest, one);
        let is_set = b.compare(Compare::Ne, bit, zero);
        let product = b.binary(Binary::Mul, so_far, factor);
        let next = b.select(is_set, product, so_far);
        b.set(power, next);
        let next = b.binary(Binary::Mul, factor, factor);
        b.set(square, next);
        let next = b.binary(Binary::Shr, rest, one);
        b.set(left, next);
    });
    let power = b.get(power);
    if is_signed(b, x) { negative_power(b, x, y, power) } else { power }
}

fn known_power(b: &mut Builder, x: Reg, exponent: u64) -> Reg {
    let (mut power, mut square, mut left) = (None, x, exponent);
    while left > 0 {
        if left & 1 == 1 {
            power = Some(power.map_or(square, |power| b.binary(Binary::Mul, power, square)));
        }
        left >>= 1;
        if left > 0 {
            square = b.binary(Binary::Mul, square, square);
        }
    }
    power.unwrap_or_else(|| constant(b, x, 1))
}

/// `power` where `y` is not negative; else 1 for 1, and by the last bit of the exponent 1 or -1 for -1.
fn negative_power(b: &mut Builder, x: Reg, y: Reg, power: Reg) -> Reg {
    let (zero, one, minus_one) = (constant(b, x, 0), constant(b, x, 1), constant(b, x, -1));
    let is_one = b.compare(Compare::Eq, x, one);
    let is_minus_one = b.compare(Compare::Eq, x, minus_one);
    let bit = b.binary(Binary::And, y, one);
    let is_odd = b.compare(Compare::Ne, bit, zero);
    let turned = b.select(is_odd, minus_one, one);
    let inverse = b.select(is_one, one, zero);
    let inverse = b.select(is_minus_one, turned, inverse);
    let negative = b.compare(Compare::Lt, y, zero);
    b.select(negative, inverse, power)
}

/// -1, 0 or 1.
pub(super) fn sign(b: &mut Builder, x: Reg) -> Reg {
    let one = constant(b, x, 1);
    let low = if is_signed(b, x) {
        let minus_one = constant(b, x, -1);
        b.binary(Binary::Max, x, minus_one)
    } else {
        x
    };
    b.binary(Binary::Min, low, one)
}

fn known(b: &Builder, x: Reg) -> Option<i64> {
    match b.constant_of(x)? {
        Scalar::Int(number) => Some(number),
        Scalar::Float(_) => None,
    }
}

/// A constant of the type of `like`.
fn constant(b: &mut Builder, like: Reg, number: i64) -> Reg {
    let ty: Ty = b.ty(like);
    b.constant(ty, Scalar::Int(number))
}

fn is_signed(b: &Builder, x: Reg) -> bool {
    let elem: DType = b.ty(x).elem;
    elem.kind() == Kind::Signed
}
