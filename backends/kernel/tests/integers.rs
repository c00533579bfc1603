//! Integer functions at their edges, for every width.
mod harness;

use harness::{apply, try_apply};
use weft_kernel::math::Function as F;

/// Checks every function of two arguments on all pairs of edges against 128-bit arithmetic.
macro_rules! edges {
    ($($test:ident $ty:ident,)*) => {
        $(#[test]
        fn $test() {
            let edges: Vec<$ty> = [$ty::MIN, $ty::MIN + 1, $ty::MAX, $ty::MAX - 1, $ty::MAX / 2, $ty::MIN / 3]
                .into_iter()
                .chain([0i8, 1, -1, 2, -2, 3, -3, 5, 7, 8, 9, 15, 16, 31, 32, 33, 63, 64, 65, 100, 127].map(|x| x as $ty))
                .collect();
            let pairs: Vec<($ty, $ty)> = edges.iter().flat_map(|x| edges.iter().map(|y| (*x, *y))).collect();
            let (xs, ys): (Vec<$ty>, Vec<$ty>) = pairs.iter().copied().unzip();
            for (function, reference) in REFERENCES {
                let results: Vec<$ty> = apply(*function, &[&xs, &ys]);
                for ((x, y), got) in pairs.iter().zip(results) {
                    let want = reference(i128::from(*x), i128::from(*y), $ty::BITS) as $ty;
                    assert_eq!(got, want, "{function:?} of {x} and {y}");
                }
            }
            let signs: Vec<$ty> = apply(F::Sign, &[&xs]);
            let absolute: Vec<$ty> = apply(F::Abs, &[&xs]);
            for ((x, sign), size) in xs.iter().zip(signs).zip(absolute) {
                assert_eq!(i128::from(sign), i128::from(*x).signum(), "the sign of {x}");
                assert_eq!(size, i128::from(*x).unsigned_abs() as $ty, "the size of {x}");
            }
        })*
    };
}

edges! { i8s i8, i16s i16, i32s i32, i64s i64, u8s u8, u16s u16, u32s u32, u64s u64, }

type Reference = fn(i128, i128, u32) -> i128;

const REFERENCES: &[(F, Reference)] = &[
    (F::Add, |x, y, _| x + y),
    (F::Sub, |x, y, _| x - y),
    (F::Mul, |x, y, _| x.wrapping_mul(y)),
    (F::Div, |x, y, _| if y == 0 { 0 } else { x / y }),
    (F::Fmod, |x, y, _| if y == 0 { 0 } else { x % y }),
    (F::Mod, |x, y, _| if y == 0 { 0 } else { ((x % y) + y) % y }),
    (F::FloorDiv, |x, y, _| if y == 0 { 0 } else { (x - ((x % y) + y) % y) / y }),
    (F::Min, |x, y, _| x.min(y)),
    (F::Max, |x, y, _| x.max(y)),
    (F::And, |x, y, _| x & y),
    (F::Or, |x, y, _| x | y),
    (F::Xor, |x, y, _| x ^ y),
    (F::Shl, |x, y, bits| if (0..bits.into()).contains(&y) { x << y } else { 0 }),
    (F::Shr, |x, y, bits| if (0..bits.into()).contains(&y) { x >> y } else { -i128::from(x < 0) }),
    (F::Pow, power),
];

fn power(x: i128, y: i128, _: u32) -> i128 {
    match (x, y) {
        (1, _) => 1,
        (-1, _) => 1 - 2 * (y & 1),
        (_, ..0) => 0,
        _ => {
            let (mut power, mut square, mut left) = (1i128, x, y);
            while left > 0 {
                if left & 1 == 1 {
                    power = power.wrapping_mul(square);
                }
                square = square.wrapping_mul(square);
                left >>= 1;
            }
            power
        }
    }
}

#[test]
fn nothing_is_undefined() {
    // The interpreter refuses divisions and shifts that a processor does not define.
    let (xs, ys) = ([i32::MIN, 5, 6], [-1, 0, 0]);
    assert_eq!(try_apply::<i32, i32>(F::Div, &[&xs, &ys]), Ok(vec![i32::MIN, 0, 0]));
    assert_eq!(try_apply::<i32, i32>(F::FloorDiv, &[&[-7, 7, -7], &[2, -2, -2]]), Ok(vec![-4, -4, 3]));
}

#[test]
fn truth_values() {
    let (xs, ys) = ([false, false, true, true], [false, true, false, true]);
    assert_eq!(apply::<bool, bool>(F::And, &[&xs, &ys]), [false, false, false, true]);
    assert_eq!(apply::<bool, bool>(F::Xor, &[&xs, &ys]), [false, true, true, false]);
    assert_eq!(apply::<bool, bool>(F::Min, &[&xs, &ys]), [false, false, false, true]);
    assert_eq!(apply::<bool, bool>(F::Lt, &[&xs, &ys]), [false, true, false, false]);
    assert_eq!(apply::<bool, bool>(F::Mul, &[&xs, &ys]), [false, false, false, true]);
    assert_eq!(apply::<bool, bool>(F::Add, &[&xs, &ys]), [false, true, true, true]);
    assert_eq!(apply::<bool, bool>(F::Not, &[&xs]), [true, true, false, false]);
    assert_eq!(apply::<bool, f32>(F::Cast, &[&xs]), [0.0, 0.0, 1.0, 1.0]);
}

#[test]
fn casts() {
    let xs = [f32::NAN, 1e30, -1e30, -1.9, 254.6, 255.9];
    assert_eq!(apply::<f32, u8>(F::Cast, &[&xs]), [0, 255, 0, 0, 254, 255]);
    assert_eq!(apply::<f32, i64>(F::Cast, &[&xs]), [0, i64::MAX, i64::MIN, -1, 254, 255]);
    assert_eq!(apply::<f32, bool>(F::Cast, &[&[0.0, -0.0, f32::NAN, 0.1]]), [false, false, true, true]);
    assert_eq!(apply::<i64, i8>(F::Cast, &[&[255, 128, -129]]), [-1, -128, 127]);
    assert_eq!(apply::<u64, f32>(F::Cast, &[&[u64::MAX, 1 << 24 | 1]]), [18446744073709551615.0, 16777216.0]);
}
