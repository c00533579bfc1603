//! The inverses of sine, cosine and tangent.
use super::real::{Real, Table};
use crate::nest::{Reg, Unary};

/// `asin(x) / x` as a polynomial in `x^2`, for `|x| <= 1/2`; relative error 2^-27.6 and 2^-55.8.
const ASIN: Table = Table {
    single: &[
        1.0,
        0.16666753590106964,
        0.07495250552892685,
        0.045476581901311874,
        0.0241472776979208,
        0.04222391918301582,
    ],
    double: &[
        1.0,
        0.16666666666666763,
        0.07499999999970074,
        0.04464285717535496,
        0.030381942670010976,
        0.02237221610573848,
        0.01735159103870377,
        0.013981081985672286,
        0.01139669560407151,
        0.010793093064904866,
        0.0036563900571043094,
        0.021832732734433917,
        -0.021181307919209868,
        0.032745619392692334,
    ],
};

/// `atan(x) / x` as a polynomial in `x^2`, for `|x| <= tan(pi / 8)`; relative error 2^-30.4 and 2^-59.4.
const ATAN: Table = Table {
    single: &[
        1.0,
        -0.33333316445350647,
        0.19998525083065033,
        -0.1424429714679718,
        0.10598265379667282,
        -0.0608733706176281,
    ],
    double: &[
        1.0,
        -0.3333333333333319,
        0.19999999999952214,
        -0.14285714280059772,
        0.11111110776680728,
        -0.09090897564078529,
        0.07692056787167739,
        -0.06663065220277643,
        0.05847607408857086,
        -0.05038036215246354,
        0.03803235417989136,
        -0.01787194684420254,
    ],
};

/// The inverse sine: a polynomial up to 1/2, above `pi/2 - 2 asin(sqrt((1 - x) / 2))`. At most 2.4 ulp
/// (`f64`: 3).
pub(super) fn asin(m: &mut Real<'_>, x: Reg) -> Reg {
    let (asin, large) = half_asin(m, x);
    let quarter = m.num(std::f64::consts::FRAC_PI_2);
    let outer = m.fma_num(asin, -2.0, quarter);
    let result = m.select(large, outer, asin);
    m.with_sign(result, x)
}

/// The inverse cosine, by the same polynomial. At most 1.3 ulp (`f64`: 2).
pub(super) fn acos(m: &mut Real<'_>, x: Reg) -> Reg {
    let (asin, large) = half_asin(m, x);
    let twice = m.add(asin, asin);
    let negative = m.below(x, 0.0);
    let mirrored = m.num_sub(std::f64::consts::PI, twice);
    let outer = m.select(negative, mirrored, twice);
    let signed = m.with_sign(asin, x);
    let inner = m.num_sub(std::f64::consts::FRAC_PI_2, signed);
    m.select(large, outer, inner)
}

/// `asin(|x|)` where `|x| <= 1/2`, else `asin(sqrt((1 - |x|) / 2))`; and where.
fn half_asin(m: &mut Real<'_>, x: Reg) -> (Reg, Reg) {
    let size = m.abs(x);
    let large = m.above(size, 0.5);
    let square = m.mul(size, size);
    let half = m.num(0.5);
    let other = m.fma_num(size, -0.5, half);
    let z = m.select(large, other, square);
    let root = m.unary(Unary::Sqrt, other);
    let s = m.select(large, root, size);
    let tail = m.polynomial(z, &m.table(&ASIN)[1..]);
    let cube = m.mul(s, z);
    (m.fma(cube, tail, s), large)
}

/// The inverse tangent: the argument is turned by 45 or 90 degrees until it is below `tan(pi / 8)`. At
/// most 2.6 ulp (`f64`: 3).
pub(super) fn atan(m: &mut Real<'_>, x: Reg) -> Reg {
    let size = m.abs(x);
    let (middle, large) = (m.above(size, 0.414213562373095), m.above(size, 2.414213562373095));
    let (less, more, one) = (m.add_num(size, -1.0), m.add_num(size, 1.0), m.num(1.0));
    let (above, below) = (m.select(middle, less, size), m.select(middle, more, one));
    let minus_one = m.num(-1.0);
    let (above, below) = (m.select(large, minus_one, above), m.select(large, size, below));
    let t = m.div(above, below);
    let zero = m.num(0.0);
    let base = m.replace(zero, middle, std::f64::consts::FRAC_PI_4);
    let base = m.replace(base, large, std::f64::consts::FRAC_PI_2);
    let z = m.mul(t, t);
    let tail = m.polynomial(z, &m.table(&ATAN)[1..]);
    let cube = m.mul(t, z);
    let result = m.fma(cube, tail, t);
    let result = m.add(base, result);
    m.with_sign(result, x)
}
