//! Every operation on every type it is defined on, against Rust's own arithmetic.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]
mod harness;

use harness::cases::{Case, check, processors};
use weft_backend::OptLevel;
use weft_ir::{DType, Tensor};
use weft_kernel::nest::{Binary, Compare, Op, Ty, Unary};

fn unary<T: weft_ir::Element, R: weft_ir::Element>(op: Unary, a: &[T], f: impl Fn(T) -> R) -> Case {
    Case::new(format!("{op:?}"), move |b, r| b.unary(op, r[0]), a.iter().map(|a| f(*a)).collect())
}

fn binary<T: weft_ir::Element>(op: Binary, a: &[T], c: &[T], f: impl Fn(T, T) -> T) -> Case {
    let expected = a.iter().zip(c).map(|(a, c)| f(*a, *c)).collect();
    Case::new(format!("{op:?}"), move |b, r| b.binary(op, r[0], r[1]), expected)
}

fn compare<T: weft_ir::Element>(op: Compare, a: &[T], c: &[T], f: impl Fn(&T, &T) -> bool) -> Case {
    let expected = a.iter().zip(c).map(|(a, c)| f(a, c)).collect();
    Case::new(format!("{op:?}"), move |b, r| b.compare(op, r[0], r[1]), expected)
}

/// All pairs of some values, the number of pairs no multiple of the lanes.
fn pairs<T: Copy>(values: &[T]) -> (Vec<T>, Vec<T>) {
    values.iter().flat_map(|a| values.iter().map(move |c| (*a, *c))).unzip()
}

/// Every processor in the first number of lanes, this one in all of them.
fn everywhere(operands: &[Tensor], lanes: &[u32], cases: &[Case]) {
    processors().into_iter().for_each(|cpu| check(operands, lanes[0], cases, cpu, OptLevel::O2));
    lanes[1..].iter().for_each(|lanes| check(operands, *lanes, cases, "native", OptLevel::O2));
    check(operands, lanes[0], cases, "native", OptLevel::O0);
}

macro_rules! floats {
    ($name:ident, $compared:ident, $ty:ty, $lanes:expr) => {
        #[test]
        fn $name() {
            let values: [$ty; 17] = [
                0.0,
                -0.0,
                1.0,
                -1.0,
                0.5,
                1.5,
                2.5,
                -2.5,
                3.7,
                -3.2,
                1e30,
                -1e-30,
                8388609.0,
                255.5,
                <$ty>::INFINITY,
                <$ty>::NEG_INFINITY,
                <$ty>::NAN,
            ];
            let (a, c) = pairs(&values);
            // Either operand is right where one is NaN; this is the one the instructions give.
            let cases = [
                unary(Unary::Neg, &a, |a| -a),
                unary(Unary::Abs, &a, <$ty>::abs),
                unary(Unary::Sqrt, &a, <$ty>::sqrt),
                unary(Unary::Floor, &a, <$ty>::floor),
                unary(Unary::Ceil, &a, <$ty>::ceil),
                unary(Unary::Trunc, &a, <$ty>::trunc),
                unary(Unary::RoundEven, &a, <$ty>::round_ties_even),
                binary(Binary::Add, &a, &c, |a, c| a + c),
                binary(Binary::Sub, &a, &c, |a, c| a - c),
                binary(Binary::Mul, &a, &c, |a, c| a * c),
                binary(Binary::Div, &a, &c, |a, c| a / c),
                binary(Binary::Rem, &a, &c, |a, c| a % c),
                binary(Binary::Min, &a, &c, |a, c| if a < c { a } else { c }),
                binary(Binary::Max, &a, &c, |a, c| if a > c { a } else { c }),
            ];
            everywhere(&[Tensor::vector(&a), Tensor::vector(&c)], &$lanes, &cases);
        }

        #[test]
        fn $compared() {
            let values: [$ty; 6] = [0.0, -0.0, 1.5, -7.25, <$ty>::INFINITY, <$ty>::NAN];
            let (a, c) = pairs(&values);
            let cases = [
                compare(Compare::Eq, &a, &c, |a, c| a == c),
                compare(Compare::Ne, &a, &c, |a, c| a != c),
                compare(Compare::Lt, &a, &c, |a, c| a < c),
                compare(Compare::Le, &a, &c, |a, c| a <= c),
            ];
            everywhere(&[Tensor::vector(&a), Tensor::vector(&c)], &$lanes, &cases);
            let fused: Vec<$ty> = a.iter().zip(&c).map(|(a, c)| a.mul_add(*c, *a)).collect();
            let fused = [Case::new("Fma", |b, r| b.fma(r[0], r[1], r[0]), fused)];
            check(&[Tensor::vector(&a), Tensor::vector(&c)], $lanes[0], &fused, "x86-64-v3", OptLevel::O2);
        }
    };
}
floats!(f32s, f32s_compared, f32, [16, 8, 1]);
floats!(f64s, f64s_compared, f64, [8, 1]);

macro_rules! ints {
    ($name:ident, $ty:ty, $lanes:expr, $abs:expr) => {
        #[test]
        fn $name() {
            let values: [$ty; 9] = [0, 1, !0, 3, 7, 100, <$ty>::MAX, <$ty>::MIN, <$ty>::MAX / 2];
            let (a, c) = pairs(&values);
            let divisor = |c: $ty| if c == 0 { 3 } else { c };
            let count = |c: $ty| (c as u32) % <$ty>::BITS;
            let counts = c.iter().map(|c| count(*c) as $ty).collect::<Vec<_>>();
            let divisors = c.iter().map(|c| divisor(*c)).collect::<Vec<_>>();
            let ops = |op, other: usize, f: &dyn Fn($ty, $ty) -> $ty| {
                let with = [&c, &divisors, &counts][other - 1];
                let expected = a.iter().zip(with).map(|(a, c)| f(*a, *c)).collect();
                Case::new(format!("{op:?}"), move |b, r| b.binary(op, r[0], r[other]), expected)
            };
            let cases = [
                unary(Unary::Neg, &a, |a| a.wrapping_neg()),
                unary(Unary::Abs, &a, $abs),
                unary(Unary::Not, &a, |a: $ty| !a),
                ops(Binary::Add, 1, &|a, c| a.wrapping_add(c)),
                ops(Binary::Sub, 1, &|a, c| a.wrapping_sub(c)),
                ops(Binary::Mul, 1, &|a, c| a.wrapping_mul(c)),
                ops(Binary::Div, 2, &|a, c| a.wrapping_div(c)),
                ops(Binary::Rem, 2, &|a, c| a.wrapping_rem(c)),
                ops(Binary::Min, 1, &|a, c| a.min(c)),
                ops(Binary::Max, 1, &|a, c| a.max(c)),
                ops(Binary::And, 1, &|a, c| a & c),
                ops(Binary::Or, 1, &|a, c| a | c),
                ops(Binary::Xor, 1, &|a, c| a ^ c),
                ops(Binary::Shl, 3, &|a, c| a << c),
                ops(Binary::Shr, 3, &|a, c| a >> c),
                compare(Compare::Eq, &a, &c, |a, c| a == c),
                compare(Compare::Ne, &a, &c, |a, c| a != c),
                compare(Compare::Lt, &a, &c, |a, c| a < c),
                compare(Compare::Le, &a, &c, |a, c| a <= c),
            ];
            let operands = [&a, &c, &divisors, &counts].map(|v| Tensor::vector(v));
            everywhere(&operands, &$lanes, &cases);
        }
    };
}
ints!(i8s, i8, [64, 16, 1], |a: i8| a.wrapping_abs());
ints!(i16s, i16, [32, 1], |a: i16| a.wrapping_abs());
ints!(i32s, i32, [16, 4, 1], |a: i32| a.wrapping_abs());
ints!(i64s, i64, [8, 1], |a: i64| a.wrapping_abs());
ints!(u8s, u8, [64, 1], |a: u8| a);
ints!(u16s, u16, [32, 1], |a: u16| a);
ints!(u32s, u32, [16, 1], |a: u32| a);
ints!(u64s, u64, [8, 1], |a: u64| a);

#[test]
fn truth_values() {
    let (a, c) = pairs(&[true, false]);
    let cases = [
        unary(Unary::Not, &a, |a: bool| !a),
        binary(Binary::And, &a, &c, |a, c| a & c),
        binary(Binary::Or, &a, &c, |a, c| a | c),
        binary(Binary::Xor, &a, &c, |a, c| a ^ c),
        binary(Binary::Min, &a, &c, |a, c| a & c),
        binary(Binary::Max, &a, &c, |a, c| a | c),
        compare(Compare::Eq, &a, &c, |a, c| a == c),
        compare(Compare::Ne, &a, &c, |a, c| a != c),
        compare(Compare::Lt, &a, &c, |a, c| a < c),
        compare(Compare::Le, &a, &c, |a, c| a <= c),
    ];
    everywhere(&[Tensor::vector(&a), Tensor::vector(&c)], &[16, 64, 1], &cases);
}

#[test]
fn selections_and_constants() {
    let a: Vec<f32> = (0..37).map(|i| i as f32 - 18.0).collect();
    let expected = a.iter().map(|x| if *x < 0.0 { 0.25 * x } else { *x }).collect();
    let leaky = Case::new(
        "leaky",
        |b, r| {
            let zero = b.f32(b.ty(r[0]).lanes, 0.0);
            let slope = b.f32(b.ty(r[0]).lanes, 0.25);
            let negative = b.compare(Compare::Lt, r[0], zero);
            let scaled = b.binary(Binary::Mul, r[0], slope);
            b.select(negative, scaled, r[0])
        },
        expected,
    );
    let bits = Case::new(
        "bits",
        |b, r| b.bitcast(r[0], DType::U32),
        a.iter().map(|x| x.to_bits()).collect::<Vec<u32>>(),
    );
    let iota = Case::new(
        "iota",
        |b, r| {
            let lanes = b.ty(r[0]).lanes;
            b.op(Ty::vector(DType::I32, lanes), Op::Iota)
        },
        (0..37).map(|i| i % 16).collect::<Vec<i32>>(),
    );
    everywhere(&[Tensor::vector(&a)], &[16], &[leaky, bits, iota]);
}
