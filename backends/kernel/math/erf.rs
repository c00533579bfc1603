//! The error function.
use super::exp;
use super::real::Real;
use crate::nest::Reg;

/// `erf(x) / x` as a quotient of polynomials in `x^2`, `f32`, for `|x| <= 3.925`; relative error 2^-25.4.
/// The last coefficients are such that their quotient is close to `2 / sqrt(pi)`.
const NUMERATOR: [f64; 6] = [
    1.1283838748931885,
    0.19006036221981049,
    0.05270085111260414,
    0.0037501275073736906,
    0.00028441459289751947,
    2.0511420188995544e-06,
];
const DENOMINATOR: [f64; 6] = [
    1.0000041723251343,
    0.5017709136009216,
    0.11396406590938568,
    0.014938408508896828,
    0.0011585535248741508,
    3.8078305806266144e-05,
];

/// `erf(x) / x` as a polynomial in `x^2`, `f64`, for `|x| <= 1`; relative error 2^-56.
const SMALL: [f64; 13] = [
    std::f64::consts::FRAC_2_SQRT_PI,
    -0.3761263890318336,
    0.11283791670937547,
    -0.02686617064197983,
    0.005223977595904967,
    -0.0008548325377567419,
    0.00012055274505655502,
    -1.4924275569990187e-05,
    1.644042870673447e-06,
    -1.6138125540679377e-07,
    1.3269867940365524e-08,
    -6.136611087766011e-10,
    -2.6816628926110467e-11,
];

/// `exp(x^2) (1 - erf(x))` as a polynomial in `(x - 2) / (x + 2)`, for `1 <= x <= 6.05`; times
/// `exp(-x^2)` the error is 2^-58.
const LARGE: [f64; 15] = [
    0.25539567631050575,
    -0.4271858474139584,
    0.24165819424246673,
    -0.07897858101574909,
    0.0037328924041168765,
    0.006997461740284195,
    -0.0008471432254431877,
    -0.0009819769781634566,
    4.355467482070182e-05,
    0.00017435649473374848,
    2.753240336535865e-05,
    -2.7486053519558635e-05,
    -1.3828756296843782e-05,
    9.327438147297952e-07,
    2.2021234938697547e-06,
];

/// The error function, never beyond 1. In `f32` a quotient of polynomials: at most 3.5 ulp below 1/2, 6 ulp (3.6e-7)
/// just below 1. In `f64` a polynomial up to 1, above `1 - exp(-x^2) p((x - 2) / (x + 2))`: at most 3 ulp.
pub(super) fn erf(m: &mut Real<'_>, x: Reg) -> Reg {
    if m.is_double() { erf_double(m, x) } else { erf_single(m, x) }
}

fn erf_single(m: &mut Real<'_>, x: Reg) -> Reg {
    m.saturating_quotient(x, 15.4, (&NUMERATOR, &DENOMINATOR))
}

fn erf_double(m: &mut Real<'_>, x: Reg) -> Reg {
    let size = m.abs(x);
    let size = m.at_most(size, 6.05);
    let z = m.mul(size, size);
    let small = m.polynomial(z, &SMALL);
    let small = m.mul(size, small);
    let (above, below) = (m.add_num(size, -2.0), m.add_num(size, 2.0));
    let t = m.div(above, below);
    let tail = m.polynomial(t, &LARGE);
    let exp = exp::exp_of(m, z, exp::Of::Minus);
    let rest = m.mul(tail, exp);
    let large = m.num_sub(1.0, rest);
    let is_large = m.above(size, 1.0);
    let result = m.select(is_large, large, small);
    m.with_sign(result, x)
}
