//! Elements of a run-time type order, add and convert as their Rust types do.

use weft_runtime::abi::code;
use weft_runtime::elem::Elem;
use weft_runtime::extent;

fn elem(dtype: u8, bits: u8) -> Elem {
    Elem::new(dtype, bits).expect("the type is known")
}

#[test]
fn keys_order_as_values_do() {
    let values = [f64::NEG_INFINITY, -2.5, -1e-40, 0.0, 1e-45, 0.5, 1.0, 3.0e38, f64::INFINITY, f64::NAN];
    let f32s = elem(code::FLOAT, 32);
    let f64s = elem(code::FLOAT, 64);
    for pair in values.windows(2) {
        assert!(f32s.key(f32s.from_f64(pair[0])) <= f32s.key(f32s.from_f64(pair[1])), "{pair:?}");
        assert!(f64s.key(f64s.from_f64(pair[0])) < f64s.key(f64s.from_f64(pair[1])), "{pair:?}");
    }
    assert_eq!(f32s.key(f32s.from_f64(-0.0)), f32s.key(0));
    for bits in [8, 16, 32, 64] {
        let ints = elem(code::INT, bits);
        let keys = [-128.0, -1.0, 0.0, 1.0, 127.0].map(|value| ints.key(ints.from_f64(value)));
        assert!(keys.is_sorted() && keys[0] < keys[1]);
        assert_eq!(ints.to_i64(ints.from_f64(-100.0)), -100);
    }
}

#[test]
fn halves_round_trip_and_round_to_even() {
    for (dtype, exponent) in [(code::FLOAT, 0x7c00), (code::BFLOAT, 0x7f80)] {
        let half = elem(dtype, 16);
        for raw in 0..0x1_0000_u64 {
            if raw & 0x7fff > exponent {
                assert!(half.is_nan(raw) && half.to_f64(raw).is_nan());
            } else {
                assert_eq!(half.from_f64(half.to_f64(raw)), raw, "{raw:#x}");
            }
        }
    }
    let half = elem(code::FLOAT, 16);
    assert_eq!(half.from_f64(2049.0), half.from_f64(2048.0));
    assert_eq!(half.from_f64(2051.0), half.from_f64(2052.0));
    assert_eq!(half.from_f64(65_519.0), half.from_f64(65_504.0));
    assert_eq!(half.from_f64(65_520.0), 0x7c00);
    assert_eq!(half.from_f64(2.0_f64.powi(-25)), 0);
    assert_eq!(half.from_f64(2.0_f64.powi(-25) * 1.01), 1);
    let brain = elem(code::BFLOAT, 16);
    assert_eq!(brain.from_f64(1.0 + 2.0_f64.powi(-8)), 0x3f80);
    assert_eq!(brain.from_f64(1.0 + 3.0 * 2.0_f64.powi(-8)), 0x3f82);
}

#[test]
fn nan_wins_both_ways() {
    let f32s = elem(code::FLOAT, 32);
    let (nan, one) = (f32s.from_f64(f64::NAN), f32s.from_f64(1.0));
    for (a, b) in [(nan, one), (one, nan)] {
        assert!(f32s.is_nan(f32s.min(a, b)) && f32s.is_nan(f32s.max(a, b)));
    }
}

#[test]
fn extents_are_sums_of_products() {
    let value = |name: &[u8]| match name {
        b"N" => Some(3),
        b"past_len" => Some(10),
        _ => None,
    };
    for (text, expected) in [
        ("N", Some(3)),
        ("2*N+1", Some(7)),
        ("past_len + N", Some(13)),
        ("-N+5", Some(2)),
        ("N*N*past_len-1", Some(89)),
        ("M", None),
        ("(N+1)/2", None),
        ("", None),
        ("9999999999999999999", None),
        ("9223372036854775807*N", None),
    ] {
        assert_eq!(extent::evaluate(text.as_bytes(), value), expected, "{text}");
    }
}
