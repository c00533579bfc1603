//! Every `f64` function against results made with many digits.
mod harness;

use harness::apply;
use std::collections::BTreeMap;
use weft_kernel::math::Function as F;

const TABLE: &str = include_str!("f64.txt");

/// The function of each name, and its bound in ulp.
const LINES: &[(&str, F, u64)] = &[
    ("exp", F::Exp, 1),
    ("sigmoid", F::Sigmoid, 3),
    ("log", F::Log, 2),
    ("sin", F::Sin, 2),
    ("cos", F::Cos, 2),
    ("tan", F::Tan, 4),
    ("asin", F::Asin, 3),
    ("acos", F::Acos, 2),
    ("atan", F::Atan, 3),
    ("sinh", F::Sinh, 3),
    ("cosh", F::Cosh, 2),
    ("tanh", F::Tanh, 4),
    ("asinh", F::Asinh, 4),
    ("acosh", F::Acosh, 4),
    ("atanh", F::Atanh, 4),
    ("erf", F::Erf, 3),
    ("pow", F::Pow, 1),
];

/// The arguments and the result of each line, by function.
fn table() -> BTreeMap<&'static str, Vec<Vec<f64>>> {
    let mut table: BTreeMap<&str, Vec<Vec<f64>>> = BTreeMap::new();
    for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
        let (name, numbers) = line.split_once(' ').expect("a name and numbers");
        let bits = |text: &str| f64::from_bits(u64::from_str_radix(text, 16).expect("sixteen digits"));
        table.entry(name).or_default().push(numbers.split(' ').map(bits).collect());
    }
    table
}

#[test]
fn every_function_keeps_its_bound() {
    let table = table();
    assert_eq!(table.len(), LINES.len());
    for (name, function, bound) in LINES {
        let rows = &table[name];
        let column = |n: usize| rows.iter().map(|row| row[n]).collect::<Vec<f64>>();
        let arity = rows[0].len() - 1;
        let columns: Vec<Vec<f64>> = (0..arity).map(column).collect();
        let args: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
        let results: Vec<f64> = apply(*function, &args);
        for (row, got) in rows.iter().zip(&results) {
            let want = row[arity];
            let error = got.to_bits().abs_diff(want.to_bits());
            assert!(error <= *bound, "{name}({:?}) = {got:e}, expected {want:e}: {error} ulp", &row[..arity]);
        }
    }
}

#[test]
fn specials() {
    let xs = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, 2.0, -2.0];
    let lines = [
        (F::Exp, "NaN inf 0 1 1 7.38905609893065 0.1353352832366127"),
        (F::Log, "NaN inf NaN -inf -inf 0.6931471805599453 NaN"),
        (F::Sin, "NaN NaN NaN 0 -0 0.9092974268256817 -0.9092974268256817"),
        (F::Asin, "NaN NaN NaN 0 -0 NaN NaN"),
        (F::Acos, "NaN NaN NaN 1.5707963267948966 1.5707963267948966 NaN NaN"),
        (F::Atan, "NaN 1.5707963267948966 -1.5707963267948966 0 -0 1.1071487177940904 -1.1071487177940904"),
        (F::Tanh, "NaN 1 -1 0 -0 0.964027580075817 -0.964027580075817"),
        (F::Sinh, "NaN inf -inf 0 -0 3.6268604078470186 -3.6268604078470186"),
        (F::Cosh, "NaN inf inf 1 1 3.7621956910836314 3.7621956910836314"),
        (F::Asinh, "NaN inf -inf 0 -0 1.4436354751788103 -1.4436354751788103"),
        (F::Acosh, "NaN inf NaN NaN NaN 1.3169578969248166 NaN"),
        (F::Atanh, "NaN NaN NaN 0 -0 NaN NaN"),
        (F::Erf, "NaN 1 -1 0 -0 0.9953222650189527 -0.9953222650189527"),
        (F::Sigmoid, "NaN 1 0 0.5 0.5 0.8807970779778823 0.11920292202211755"),
    ];
    for (function, expected) in lines {
        let results: Vec<f64> = apply(function, &[&xs]);
        for (x, (got, want)) in xs.iter().zip(results.iter().zip(expected.split(' '))) {
            let want: f64 = want.parse().unwrap();
            let close = *got == want || got.to_bits().abs_diff(want.to_bits()) <= 2;
            let same = got.is_nan() && want.is_nan() || close;
            assert!(same, "{function:?}({x}) = {got}, expected {want}");
        }
    }
}

#[test]
fn powers() {
    let values = [
        0.0f64,
        -0.0,
        1.0,
        -1.0,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
        2.0,
        -2.0,
        3.0,
        -3.0,
        0.5,
        -0.5,
        1e200,
    ];
    let pairs: Vec<(f64, f64)> = values.iter().flat_map(|x| values.iter().map(|y| (*x, *y))).collect();
    let (xs, ys): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
    let results: Vec<f64> = apply(F::Pow, &[&xs, &ys]);
    for ((x, y), got) in xs.iter().zip(&ys).zip(&results) {
        let want = x.powf(*y);
        let same = got.is_nan() && want.is_nan() || got.to_bits().abs_diff(want.to_bits()) <= 1;
        assert!(same, "{x:e} ^ {y:e} = {got:e}, expected {want:e}");
    }
}

#[test]
fn whole_powers_are_exact() {
    let pairs: Vec<(i32, u32)> = (-40..40).flat_map(|x| (0..9).map(move |y| (x, y))).collect();
    let xs: Vec<f64> = pairs.iter().map(|(x, _)| f64::from(*x)).collect();
    let ys: Vec<f64> = pairs.iter().map(|(_, y)| f64::from(*y)).collect();
    let expected: Vec<f64> = pairs.iter().map(|(x, y)| i64::from(*x).pow(*y) as f64).collect();
    assert_eq!(apply::<f64, f64>(F::Pow, &[&xs, &ys]), expected);
}
