//! The error function, which the standard library lacks.

/// Where the continued fraction of [`erfc`] takes over from the series of [`erf`].
const TAIL: f64 = 2.5;

/// The error function.
pub(crate) fn erf(x: f64) -> f64 {
    match x.abs() {
        magnitude if magnitude < TAIL => series(x),
        _ => x.signum() * (1.0 - tail(x.abs())),
    }
}

/// One less the error function, exact in its tail.
pub(crate) fn erfc(x: f64) -> f64 {
    match x {
        _ if x.is_nan() => x,
        _ if x >= TAIL => tail(x),
        _ => 1.0 - erf(x),
    }
}

/// `2/sqrt(pi) * exp(-x^2) * sum of 2^n x^(2n+1) / (1*3*5*...*(2n+1))`: no term is negative.
fn series(x: f64) -> f64 {
    let square = x * x;
    let (mut term, mut sum, mut n) = (x, x, 1.0);
    while term.abs() > sum.abs() * 1e-17 {
        term *= 2.0 * square / (2.0 * n + 1.0);
        sum += term;
        n += 1.0;
    }
    std::f64::consts::FRAC_2_SQRT_PI * (-square).exp() * sum
}

/// `erfc` of a number that is not small, by its continued fraction.
fn tail(x: f64) -> f64 {
    if x > 27.5 {
        return 0.0;
    }
    let depth = (400.0 / (x * x)) as u32 + 12;
    let fraction = (1..=depth).rev().fold(x, |below, n| x + f64::from(n) / 2.0 / below);
    (-x * x).exp() / (std::f64::consts::PI.sqrt() * fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        for (x, expected) in [
            (0.0, 0.0),
            (0.5, 0.520_499_877_813_046_5),
            (1.0, 0.842_700_792_949_714_9),
            (2.4, 0.999_311_486_103_354_9),
            (2.6, 0.999_763_965_583_470_7),
            (4.0, 0.999_999_984_582_742_1),
            (f64::INFINITY, 1.0),
        ] {
            assert!((erf(x) - expected).abs() < 1e-14, "erf({x}) = {}", erf(x));
            assert!((erf(-x) + expected).abs() < 1e-14, "erf(-{x}) = {}", erf(-x));
        }
        assert!((erfc(5.0) / 1.537_459_794_428_034_8e-12 - 1.0).abs() < 1e-12);
        assert!(erf(f64::NAN).is_nan() && erfc(f64::NAN).is_nan());
    }
}
