//! Arithmetic on registers.
use super::value::{Value, of_int, to_int};
use super::{Fault, Result};
use crate::nest::{Binary, Compare, Reduce, Ty, Unary};
use weft_ir::{DType, types::Kind};

/// Whether it can be computed with: 16-bit floats are only loaded, stored and cast.
fn is_float(elem: DType) -> bool {
    matches!(elem, DType::F32 | DType::F64)
}

fn undefined(op: &dyn std::fmt::Debug, elem: DType) -> Fault {
    Fault::Form(format!("{op:?} is not defined for `{elem}`"))
}

pub(super) fn unary(op: Unary, a: &Value) -> Result<Value> {
    let elem = a.ty.elem;
    if is_float(elem) {
        let sign = 1u64 << (elem.bits() - 1);
        return match op {
            Unary::Neg => Ok(a.map(elem, |x| x ^ sign)),
            Unary::Abs => Ok(a.map(elem, |x| x & !sign)),
            Unary::Not => Err(undefined(&op, elem)),
            _ => rounded(op, a),
        };
    }
    let f: fn(i128) -> i128 = match (op, elem.kind()) {
        (Unary::Neg, Kind::Signed | Kind::Unsigned) => |x| -x,
        (Unary::Abs, Kind::Signed | Kind::Unsigned) => i128::abs,
        (Unary::Not, Kind::Signed | Kind::Unsigned) => |x| !x,
        (Unary::Not, Kind::Bool) => |x| 1 - x,
        _ => return Err(undefined(&op, elem)),
    };
    Ok(a.map(elem, |x| of_int(elem, f(to_int(elem, x)))))
}

fn rounded(op: Unary, a: &Value) -> Result<Value> {
    let f: fn(f64) -> f64 = match op {
        Unary::Sqrt => f64::sqrt,
        Unary::Floor => f64::floor,
        Unary::Ceil => f64::ceil,
        Unary::Trunc => f64::trunc,
        _ => f64::round_ties_even,
    };
    Ok(floats(a, a, &|x, _| f(x)))
}

/// A float operation lane by lane, by way of `f64`: sums, products, quotients, remainders and roots of `f32`
/// come out rounded right.
fn floats(a: &Value, b: &Value, f: &dyn Fn(f64, f64) -> f64) -> Value {
    let elem = a.ty.elem;
    if elem == DType::F64 {
        return a.zip_all(b, elem, |x, y| f(f64::from_bits(x), f64::from_bits(y)).to_bits());
    }
    let single = |bits: u64| f64::from(f32::from_bits(bits as u32));
    a.zip_all(b, elem, |x, y| u64::from((f(single(x), single(y)) as f32).to_bits()))
}

pub(super) fn binary(op: Binary, a: &Value, b: &Value) -> Result<Value> {
    let elem = a.ty.elem;
    if a.ty != b.ty {
        return Err(Fault::Form(format!("operands are {} and {}", a.ty, b.ty)));
    }
    if is_float(elem) {
        let f = float_operation(op).ok_or_else(|| undefined(&op, elem))?;
        return Ok(floats(a, b, &f));
    }
    if elem.is_float() || elem.kind() == Kind::String {
        return Err(undefined(&op, elem));
    }
    let logical = matches!(op, Binary::And | Binary::Or | Binary::Xor | Binary::Min | Binary::Max);
    if elem == DType::Bool && !logical {
        return Err(undefined(&op, elem));
    }
    a.zip(b, elem, |x, y| Ok(of_int(elem, int_operation(op, elem, to_int(elem, x), to_int(elem, y))?)))
}

fn float_operation(op: Binary) -> Option<fn(f64, f64) -> f64> {
    Some(match op {
        Binary::Add => |x, y| x + y,
        Binary::Sub => |x, y| x - y,
        Binary::Mul => |x, y| x * y,
        Binary::Div => |x, y| x / y,
        Binary::Rem => |x, y| x % y,
        Binary::Min => |x, y| if x < y { x } else { y },
        Binary::Max => |x, y| if x > y { x } else { y },
        _ => return None,
    })
}

fn int_operation(op: Binary, elem: DType, x: i128, y: i128) -> Result<i128> {
    let bits = i128::from(elem.bits());
    let least = if elem.kind() == Kind::Signed { -1 << (bits - 1) } else { 0 };
    match op {
        Binary::Div | Binary::Rem if y == 0 || (y == -1 && x == least) => Err(Fault::Division),
        Binary::Shl | Binary::Shr if !(0..bits).contains(&y) => Err(Fault::Shift),
        _ => Ok(match op {
            Binary::Add => x + y,
            Binary::Sub => x - y,
            Binary::Mul => x.wrapping_mul(y),
            Binary::Div => x / y,
            Binary::Rem => x % y,
            Binary::Min => x.min(y),
            Binary::Max => x.max(y),
            Binary::And => x & y,
            Binary::Or => x | y,
            Binary::Xor => x ^ y,
            Binary::Shl => x << y,
            Binary::Shr => x >> y,
        }),
    }
}

pub(super) fn fma(a: &Value, b: &Value, c: &Value) -> Result<Value> {
    let elem = a.ty.elem;
    if !is_float(elem) {
        return binary(Binary::Add, &binary(Binary::Mul, a, b)?, c);
    }
    if a.ty != b.ty || a.ty != c.ty {
        return Err(Fault::Form(format!("operands are {}, {} and {}", a.ty, b.ty, c.ty)));
    }
    let mut result = a.zip_all(b, elem, |x, _| x).zip_all(c, elem, |x, _| x);
    for (lane, x) in result.bits.iter_mut().enumerate() {
        let (y, z) = (b.bits[lane], c.bits[lane]);
        *x = match elem {
            DType::F64 => f64::from_bits(*x).mul_add(f64::from_bits(y), f64::from_bits(z)).to_bits(),
            _ => {
                let single = |bits: u64| f32::from_bits(bits as u32);
                single(*x).mul_add(single(y), single(z)).to_bits().into()
            }
        };
    }
    Ok(result)
}

/// Sums of four products of bytes a lane; a lane is undefined where one of its bytes is.
pub(super) fn dot4(a: &Value, b: &Value, c: &Value) -> Result<Value> {
    of_type(DType::I32, &[a, b, c])?;
    neighbours(&products(a, b, c, 4)?, c, 4)
}

/// Sums of two products of bytes a lane, which must fit.
pub(super) fn dot2(a: &Value, b: &Value, c: &Value) -> Result<Value> {
    of_type(DType::I16, &[a, b, c])?;
    let start = c.map(DType::I32, |x| of_int(DType::I32, to_int(DType::I16, x)));
    let sums = neighbours(&products(a, b, c, 2)?, &start, 2)?;
    sums.zip(&sums, DType::I16, |x, _| {
        let sum = to_int(DType::I32, x);
        let fits = (i16::MIN.into()..=i16::MAX.into()).contains(&sum);
        fits.then(|| of_int(DType::I16, sum)).ok_or_else(|| Fault::Form(format!("{sum} is no `i16`")))
    })
}

/// Sums of two lanes.
pub(super) fn pairs(a: &Value, c: &Value) -> Result<Value> {
    of_type(DType::I32, &[a, c])?;
    if a.ty != Ty::vector(DType::I16, 2 * c.ty.lanes) {
        return Err(Fault::Form(format!("operands are {} and {}", a.ty, c.ty)));
    }
    neighbours(&a.map(DType::I32, |x| of_int(DType::I32, to_int(DType::I16, x))), c, 2)
}

/// Whether the last operand, the sums, are of that type.
fn of_type(elem: DType, operands: &[&Value]) -> Result<()> {
    let types: Vec<String> = operands.iter().map(|operand| operand.ty.to_string()).collect();
    let fits = operands.last().is_some_and(|sums| sums.ty.elem == elem);
    fits.then_some(()).ok_or_else(|| Fault::Form(format!("operands are {}", types.join(", "))))
}

/// Products of bytes, so many for each sum.
fn products(a: &Value, b: &Value, c: &Value, each: u32) -> Result<Value> {
    let bytes = |elem| Ty::vector(elem, each * c.ty.lanes);
    if a.ty != bytes(DType::U8) || b.ty != bytes(DType::I8) {
        return Err(Fault::Form(format!("operands are {}, {} and {}", a.ty, b.ty, c.ty)));
    }
    a.zip(b, DType::I32, |x, y| {
        let product = to_int(DType::U8, x) * to_int(DType::I8, y);
        Ok(of_int(DType::I32, product))
    })
}

/// Each sum plus as many lanes, side by side.
fn neighbours(lanes: &Value, sums: &Value, each: u32) -> Result<Value> {
    (0..each).try_fold(sums.clone(), |sum, place| {
        let picks: Vec<u32> = (0..sums.ty.lanes).map(|lane| each * lane + place).collect();
        binary(Binary::Add, &sum, &lanes.shuffled(None, &picks)?)
    })
}

pub(super) fn compare(op: Compare, a: &Value, b: &Value) -> Result<Value> {
    let elem = a.ty.elem;
    if a.ty != b.ty || (elem.is_float() && !is_float(elem)) {
        return Err(Fault::Form(format!("{} and {} are compared", a.ty, b.ty)));
    }
    let holds = |order: Option<std::cmp::Ordering>| match op {
        Compare::Eq => order.is_some_and(|o| o.is_eq()),
        Compare::Ne => order.is_none_or(|o| o.is_ne()),
        Compare::Lt => order.is_some_and(|o| o.is_lt()),
        Compare::Le => order.is_some_and(|o| o.is_le()),
    };
    let order = |x: u64, y: u64| match elem {
        DType::F64 => f64::from_bits(x).partial_cmp(&f64::from_bits(y)),
        DType::F32 => f32::from_bits(x as u32).partial_cmp(&f32::from_bits(y as u32)),
        _ => Some(to_int(elem, x).cmp(&to_int(elem, y))),
    };
    Ok(a.zip_all(b, DType::Bool, |x, y| holds(order(x, y)).into()))
}

pub(super) fn select(condition: &Value, a: &Value, b: &Value) -> Result<Value> {
    if a.ty != b.ty || condition.ty != Ty::vector(DType::Bool, a.ty.lanes) {
        return Err(Fault::Form(format!("{} selects from {} and {}", condition.ty, a.ty, b.ty)));
    }
    let mut result = Value::zero(a.ty);
    for lane in 0..a.lanes() {
        let from = if condition.bits[lane] != 0 { a } else { b };
        result.bits[lane] = from.bits[lane];
        if !condition.is_defined(lane) || !from.is_defined(lane) {
            result.mark_undefined(lane);
        }
    }
    Ok(result)
}

/// Folds the upper half into the lower one while there are two, as machine code does.
pub(super) fn reduce(op: Reduce, a: &Value) -> Result<Value> {
    let op = match op {
        Reduce::Add => Binary::Add,
        Reduce::Mul => Binary::Mul,
        Reduce::Min => Binary::Min,
        Reduce::Max => Binary::Max,
        Reduce::And => Binary::And,
        Reduce::Or => Binary::Or,
    };
    let mut folded = a.clone();
    while folded.lanes() > 1 && folded.lanes().is_multiple_of(2) {
        let half = folded.lanes() as u32 / 2;
        let low = folded.shuffled(None, &(0..half).collect::<Vec<_>>())?;
        let high = folded.shuffled(None, &(half..2 * half).collect::<Vec<_>>())?;
        folded = binary(op, &low, &high)?;
    }
    let mut result = folded.shuffled(None, &[0])?;
    for lane in 1..folded.lanes() as u32 {
        result = binary(op, &result, &folded.shuffled(None, &[lane])?)?;
    }
    Ok(result)
}
