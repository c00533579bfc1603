//! Every `f32` function against `f64`, over all exponents.
mod harness;

use harness::apply;
use std::f64::consts::FRAC_2_SQRT_PI;
use weft_kernel::math::Function as F;

/// One function: the reference, the bound in ulp, the size up to which it holds.
type Line = (F, fn(f64) -> f64, f64, f64);

const LINES: &[Line] = &[
    (F::Sqrt, f64::sqrt, 0.5, f64::MAX),
    (F::Exp, f64::exp, 0.9, f64::MAX),
    (F::Sigmoid, |x| 1.0 / (1.0 + (-x).exp()), 2.5, f64::MAX),
    (F::Log, f64::ln, 0.9, f64::MAX),
    (F::Sin, f64::sin, 2.0, 1e8),
    (F::Cos, f64::cos, 2.0, 1e8),
    (F::Tan, f64::tan, 3.5, 1e8),
    (F::Asin, f64::asin, 2.4, f64::MAX),
    (F::Acos, f64::acos, 1.3, f64::MAX),
    (F::Atan, f64::atan, 2.6, f64::MAX),
    (F::Sinh, f64::sinh, 1.7, f64::MAX),
    (F::Cosh, f64::cosh, 1.4, f64::MAX),
    (F::Tanh, f64::tanh, 5.5, f64::MAX),
    (F::Asinh, f64::asinh, 2.2, f64::MAX),
    (
        F::Acosh,
        |x| if x < 1.0 { f64::NAN } else { ((x - 1.0) + ((x - 1.0) * (x + 1.0)).sqrt()).ln_1p() },
        2.2,
        f64::MAX,
    ),
    (F::Atanh, |x| x.signum() * 0.5 * (2.0 * x.abs() / (1.0 - x.abs())).ln_1p(), 2.4, f64::MAX),
    (F::Erf, erf, 6.0, f64::MAX),
];

/// `2/sqrt(pi) exp(-x^2)` times the sum of `2^n x^(2n+1) / (1 3 5 ... (2n+1))`.
fn erf(x: f64) -> f64 {
    if x.is_nan() || x.abs() > 6.0 {
        return x.clamp(-1.0, 1.0);
    }
    let square = x * x;
    let (mut term, mut sum, mut n) = (x, x, 1.0);
    while term.abs() > sum.abs() * 1e-18 {
        term *= 2.0 * square / (2.0 * n + 1.0);
        sum += term;
        n += 1.0;
    }
    FRAC_2_SQRT_PI * (-square).exp() * sum
}

/// All exponents with 40 fractions each, and what lies near 0 in equal steps.
fn arguments() -> Vec<f32> {
    let mut all = vec![0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 1.0, -1.0, 0.5, -0.5];
    let mut seed = 1u32;
    for top in 0..512u32 {
        all.extend([f32::from_bits(top << 23), f32::from_bits(top << 23 | 0x7f_ffff)]);
        for _ in 0..38 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            all.push(f32::from_bits(top << 23 | seed >> 9));
        }
    }
    all.extend((-10_000..10_000).map(|i| i as f32 * 0.0010007));
    all.extend((-1000..1000).map(|i| i as f32 * 0.1));
    all
}

/// The error in units of the last place of the right result.
fn ulps(got: f32, want: f64) -> f64 {
    let rounded = want as f32;
    if got.is_nan() && want.is_nan() || got == rounded {
        return 0.0;
    }
    if !got.is_finite() || !rounded.is_finite() {
        return f64::INFINITY;
    }
    let size = want.abs().max(f32::MIN_POSITIVE.into());
    (f64::from(got) - want).abs() / 2f64.powi(size.log2().floor() as i32 - 23)
}

#[test]
fn every_function_keeps_its_bound() {
    let all = arguments();
    for (function, reference, bound, limit) in LINES {
        let xs: Vec<f32> =
            all.iter().copied().filter(|x| !x.is_finite() || f64::from(x.abs()) <= *limit).collect();
        let results: Vec<f32> = apply(*function, &[&xs]);
        for (x, got) in xs.iter().zip(&results) {
            let want = reference(f64::from(*x));
            // The exponential has no subnormal results.
            if matches!(function, F::Exp | F::Sigmoid) && want < 1.8e-38 && *got == 0.0 {
                continue;
            }
            let error = ulps(*got, want);
            assert!(error <= *bound, "{function:?}({x:e}) = {got:e}, expected {want:e}: {error} ulp");
        }
    }
}

#[test]
fn what_is_bounded_stays_within() {
    let xs: Vec<f32> = (0..20_000).map(|i| i as f32 * 0.0005).collect();
    for function in [F::Tanh, F::Erf, F::Sigmoid] {
        let results: Vec<f32> = apply(function, &[&xs]);
        let most = results.iter().copied().fold(0.0, f32::max);
        assert!(most <= 1.0, "{function:?}: {most}");
    }
    let far: Vec<f32> = apply(F::Sin, &[&[1e20f32, 3e38, -3e38, 1e15]]);
    assert!(far.iter().all(|x| x.abs() <= 1.0), "{far:?}");
}

#[test]
fn zeros_keep_their_sign() {
    let odd =
        [F::Sin, F::Tan, F::Asin, F::Atan, F::Sinh, F::Tanh, F::Asinh, F::Atanh, F::Erf, F::Neg, F::Sign];
    for function in odd {
        let results: Vec<f32> = apply(function, &[&[0.0f32, -0.0]]);
        let turned = function == F::Neg;
        assert!(results[0] == 0.0 && results[0].is_sign_negative() == turned, "{function:?}: {results:?}");
        assert!(results[1] == 0.0 && results[1].is_sign_negative() != turned, "{function:?}: {results:?}");
    }
}

#[test]
fn powers() {
    let special =
        [0.0f32, -0.0, 1.0, -1.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 2.0, -2.0, 3.0, -3.0, 0.5];
    let more = [-0.5f32, 0.1, -0.1, 1e-30, -1e30, 7.0, 1e9, 1.5, -1.5, 16_777_217.0, 1e-45];
    let values: Vec<f32> = special.into_iter().chain(more).collect();
    let mut pairs: Vec<(f32, f32)> = values.iter().flat_map(|x| values.iter().map(|y| (*x, *y))).collect();
    let mut seed = 7u64;
    for _ in 0..20_000 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let x = f32::from_bits((seed >> 33) as u32 & 0x7fff_ffff);
        let power = (seed >> 20 & 0xffff) as f32 / 65536.0 * 300.0 - 150.0;
        pairs.push((x, power / x.log2()));
    }
    let (xs, ys): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
    let results: Vec<f32> = apply(F::Pow, &[&xs, &ys]);
    for ((x, y), got) in xs.iter().zip(&ys).zip(&results) {
        let want = f64::from(*x).powf((*y).into());
        let error = ulps(*got, want);
        assert!(error <= 0.51, "{x:e} ^ {y:e} = {got:e}, expected {want:e}: {error} ulp");
        assert!(*got != 0.0 || got.is_sign_negative() == want.is_sign_negative(), "{x:e} ^ {y:e} = {got:e}");
    }
}

#[test]
fn whole_powers_are_exact() {
    let pairs: Vec<(f32, f32)> = (1..20).flat_map(|x| (0..6).map(move |y| (x as f32, y as f32))).collect();
    let (xs, ys): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
    let results: Vec<f32> = apply(F::Pow, &[&xs, &ys]);
    let expected: Vec<f32> = xs.iter().zip(&ys).map(|(x, y)| x.powi(*y as i32)).collect();
    assert_eq!(results, expected);
}

#[test]
fn comparisons_and_signs() {
    let nan = f32::NAN;
    let (xs, ys) =
        ([1.0f32, nan, 2.0, nan, -0.0, f32::INFINITY], [2.0f32, 1.0, nan, nan, 0.0, f32::NEG_INFINITY]);
    let bits = |results: Vec<f32>| results.iter().map(|x| x.to_string()).collect::<Vec<_>>().join(" ");
    assert_eq!(bits(apply(F::Min, &[&xs, &ys])), "1 NaN NaN NaN -0 -inf");
    assert_eq!(bits(apply(F::Max, &[&xs, &ys])), "2 NaN NaN NaN -0 inf");
    assert_eq!(bits(apply(F::Sign, &[&xs])), "1 NaN 1 NaN -0 1");
    assert_eq!(apply::<f32, bool>(F::IsNan, &[&xs]), [false, true, false, true, false, false]);
    assert_eq!(apply::<f32, bool>(F::Le, &[&xs, &ys]), [true, false, false, false, true, false]);
    let (xs, ys) = ([5.5f32, -5.5, 5.5, -5.5, 1e30, 6.0], [3.0f32, 3.0, -3.0, -3.0, 7.0, 0.0]);
    assert_eq!(bits(apply(F::Fmod, &[&xs, &ys])), "2.5 -2.5 2.5 -2.5 1 NaN");
    assert_eq!(bits(apply(F::Mod, &[&xs, &ys])), "2.5 0.5 -0.5 -2.5 1 NaN");
    assert_eq!(
        bits(apply(F::Round, &[&[0.5f32, 1.5, -2.5, 1e30]])),
        "0 2 -2 1000000000000000000000000000000"
    );
}
