//! The operators agree with code that is slow and obviously right.
#![expect(unsafe_code, reason = "calls the operators as generated code does")]

mod model;

use model::open;
use weft_runtime::abi::SessionHead;
use weft_runtime::ops::boxes::weft_rt_nms;
use weft_runtime::ops::order::weft_rt_topk;
use weft_runtime::ops::random::{
    Philox, weft_rt_bernoulli, weft_rt_multinomial, weft_rt_random_normal, weft_rt_random_uniform,
};
use weft_runtime::ops::scatter::{weft_rt_scatter_elements, weft_rt_scatter_nd};
use weft_runtime::ops::select::{weft_rt_compress, weft_rt_count_nonzero, weft_rt_nonzero};
use weft_runtime::ops::unique::weft_rt_unique;
use weft_runtime::session::Session;

const F32: i64 = 2 << 8 | 32;
const F64: i64 = 2 << 8 | 64;
const F16: i64 = 2 << 8 | 16;
const I8: i64 = 8;
const I64: i64 = 64;
const BOOL: i64 = 6 << 8 | 8;

type Operator = unsafe extern "C" fn(*mut SessionHead, *const *mut u8, *const i64) -> i64;

fn call(session: &mut Session, operator: Operator, args: &[*mut u8], params: &[i64]) -> i64 {
    // SAFETY: the tests pass what the operators document.
    unsafe { operator((&raw mut *session).cast(), args.as_ptr(), params.as_ptr()) }
}

fn from<T>(values: &[T]) -> *mut u8 {
    values.as_ptr().cast_mut().cast()
}

fn to<T>(values: &mut [T]) -> *mut u8 {
    values.as_mut_ptr().cast()
}

const NONE: *mut u8 = std::ptr::null_mut();

#[test]
fn nonzero_of_floats_and_bytes() {
    let mut session = open(1, 0);
    let data = [0.0_f32, -0.0, 1.0, f32::NAN, 0.0, -2.0];
    assert_eq!(call(&mut session, weft_rt_count_nonzero, &[from(&data)], &[F32, 6]), 3);
    let mut result = [0_i64; 6];
    let params = [F32, 3, 2, 2, 3];
    assert_eq!(call(&mut session, weft_rt_nonzero, &[from(&data), to(&mut result)], &params), 3);
    assert_eq!(result, [0, 1, 1, 2, 0, 2]);
    assert_eq!(call(&mut session, weft_rt_count_nonzero, &[from(&[1_u8, 0, 1])], &[BOOL, 3]), 2);
    assert_eq!(call(&mut session, weft_rt_count_nonzero, &[from(&[0_u8])], &[0x999, 1]), -1);
    assert_eq!(format!("{:?}", session.error), "found element type 0x0999, which the operator does not take");
}

#[test]
fn compress_along_an_axis() {
    let mut session = open(1, 0);
    let data: Vec<i64> = (0..12).collect();
    let mut result = [0_i64; 8];
    // [2, 3, 2] along axis 1; the condition is longer than the axis.
    let args = [from(&data), from(&[1_u8, 0, 1, 1]), to(&mut result)];
    assert_eq!(call(&mut session, weft_rt_compress, &args, &[8, 2, 3, 2, 4, 2]), 2);
    assert_eq!(result, [0, 1, 4, 5, 6, 7, 10, 11]);
}

#[test]
fn topk_agrees_with_a_stable_sort() {
    let mut session = open(3, 0);
    let (outer, axis, inner) = (7, 23, 5);
    let data: Vec<i8> = (0..outer * axis * inner).map(|index| (index * 37 % 19) as i8 - 9).collect();
    for k in [0, 1, 4, 23] {
        for largest in [0, 1] {
            let mut values = vec![0_i8; outer * k * inner];
            let mut indices = vec![0_i64; outer * k * inner];
            let params = [I8, outer as i64, axis as i64, inner as i64, k as i64, largest];
            let args = [from(&data), to(&mut values), to(&mut indices)];
            assert_eq!(call(&mut session, weft_rt_topk, &args, &params), k as i64);
            for (row, column) in (0..outer).flat_map(|row| (0..inner).map(move |column| (row, column))) {
                let at = |index: usize| data[(row * axis + index) * inner + column];
                let mut order: Vec<usize> = (0..axis).collect();
                order.sort_by_key(|&index| if largest == 1 { -at(index) } else { at(index) });
                for (rank, &index) in order.iter().enumerate().take(k) {
                    let place = (row * k + rank) * inner + column;
                    assert_eq!((values[place], indices[place]), (at(index), index as i64));
                }
            }
        }
    }
    let params = [I8, 1, 3, 1, 4, 1];
    assert_eq!(call(&mut session, weft_rt_topk, &[from(&data), NONE, NONE], &params), -1);
}

#[test]
fn topk_of_floats_puts_nan_on_top() {
    let mut session = open(1, 0);
    let data = [1.0_f32, f32::NAN, -0.0, 0.0, -5.0];
    let mut indices = [0_i64; 5];
    for (largest, expected) in [(1, [1, 0, 2, 3, 4]), (0, [4, 2, 3, 0, 1])] {
        let args = [from(&data), NONE, to(&mut indices)];
        assert_eq!(call(&mut session, weft_rt_topk, &args, &[F32, 1, 5, 1, 5, largest]), 5);
        assert_eq!(indices, expected);
    }
}

#[test]
fn unique_flat_and_along_an_axis() {
    let mut session = open(1, 0);
    let data = [2.0_f32, 1.0, 1.0, 3.0, 4.0, 3.0];
    for (sorted, expected, first, back) in [
        (0, [2.0, 1.0, 3.0, 4.0], [0, 1, 3, 4], [0, 1, 1, 2, 3, 2]),
        (1, [1.0, 2.0, 3.0, 4.0], [1, 0, 3, 4], [1, 0, 0, 2, 3, 2]),
    ] {
        let (mut values, mut indices, mut inverse, mut counts) =
            ([0_f32; 6], [0_i64; 6], [0_i64; 6], [9_i64; 6]);
        let args = [from(&data), to(&mut values), to(&mut indices), to(&mut inverse), to(&mut counts)];
        assert_eq!(call(&mut session, weft_rt_unique, &args, &[F32, 1, 6, 1, sorted]), 4);
        assert_eq!((&values[..4], &indices[..4], inverse), (&expected[..], &first[..], back));
        assert_eq!(counts[..4], if sorted == 1 { [2, 1, 2, 1] } else { [1, 2, 2, 1] });
    }
    // Columns of [2, 4]: (1, 5) (1, 4) (1, 5) (0, 9).
    let data = [1_i64, 1, 1, 0, 5, 4, 5, 9];
    let (mut values, mut inverse) = ([0_i64; 8], [0_i64; 4]);
    let args = [from(&data), to(&mut values), NONE, to(&mut inverse), NONE];
    assert_eq!(call(&mut session, weft_rt_unique, &args, &[I64, 2, 4, 1, 1]), 3);
    assert_eq!((&values[..6], inverse), (&[0, 1, 1, 9, 4, 5][..], [2, 1, 2, 0]));
    assert_eq!(call(&mut session, weft_rt_unique, &[NONE; 5], &[I64, 1, 0, 1, 1]), 0);
}

#[test]
fn nms_keeps_the_best() {
    let mut session = open(1, 0);
    // The example of the ONNX specification.
    let boxes: [[f32; 4]; 6] = [
        [0.0, 0.0, 1.0, 1.0],
        [0.0, 0.1, 1.0, 1.1],
        [0.0, -0.1, 1.0, 0.9],
        [0.0, 10.0, 1.0, 11.0],
        [0.0, 10.1, 1.0, 11.1],
        [0.0, 100.0, 1.0, 101.0],
    ];
    let scores = [0.9_f32, 0.75, 0.6, 0.95, 0.5, 0.3];
    for (most, least, expected) in
        [(3_i64, 0.0_f32, &[3_i64, 0, 5][..]), (2, 0.0, &[3, 0]), (3, 0.4, &[3, 0])]
    {
        let mut result = [[0_i64; 3]; 6];
        let (most, least) = ([most], [least]);
        let args =
            [from(&boxes), from(&scores), from(&most), from(&[0.5_f32]), from(&least), to(&mut result)];
        assert_eq!(call(&mut session, weft_rt_nms, &args, &[1, 1, 6, 0]), expected.len() as i64);
        for (row, &kept) in result.iter().zip(expected) {
            assert_eq!(*row, [0, 0, kept]);
        }
    }
    let args = [from(&boxes), from(&scores), NONE, NONE, NONE, NONE];
    assert_eq!(call(&mut session, weft_rt_nms, &args, &[1, 1, 6, 0]), 0);
}

#[test]
fn scatter_elements_with_reductions() {
    let mut session = open(1, 0);
    for (reduction, expected) in [
        (0, [1.0, 9.0, 3.0, 4.0, 5.0, 7.0]),
        (1, [1.0, 19.0, 3.0, 4.0, 5.0, 13.0]),
        (2, [1.0, 144.0, 3.0, 4.0, 5.0, 42.0]),
        (3, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
        (4, [1.0, 9.0, 3.0, 4.0, 5.0, 7.0]),
    ] {
        let mut data = [1.0_f64, 2.0, 3.0, 4.0, 5.0, 6.0];
        // Along axis 1 of [2, 3]: index 1 twice in row 0, index -1 and none else in row 1.
        let args = [to(&mut data), from(&[1_i64, 1]), from(&[8.0_f64, 9.0])];
        assert_eq!(
            call(&mut session, weft_rt_scatter_elements, &args, &[F64, reduction, 1, 2, 2, 3, 1, 2]),
            0
        );
        let args = [to(&mut data[3..]), from(&[-1_i64]), from(&[7.0_f64])];
        assert_eq!(call(&mut session, weft_rt_scatter_elements, &args, &[F64, reduction, 0, 1, 3, 1]), 0);
        assert_eq!(data, expected);
    }
    let mut data = [0_i64; 3];
    let args = [to(&mut data), from(&[3_i64]), from(&[1_i64])];
    assert_eq!(call(&mut session, weft_rt_scatter_elements, &args, &[I64, 0, 0, 1, 3, 1]), -1);
    assert_eq!(format!("{:?}", session.error), "found index 3, expected one within an axis of extent 3");
}

#[test]
fn scatter_nd_writes_slices() {
    const ONE: u16 = 0x3c00;
    const TWO: u16 = 0x4000;
    let mut session = open(1, 0);
    let mut data = [0_u16; 8];
    let args = [to(&mut data), from(&[1_i64, -1, 1, 3]), from(&[ONE, ONE])];
    assert_eq!(call(&mut session, weft_rt_scatter_nd, &args, &[F16, 1, 2, 2, 2, 2, 4]), 0);
    assert_eq!(data, [0, 0, 0, 0, 0, 0, 0, TWO]);
    let args = [to(&mut data), from(&[0_i64]), from(&[ONE; 4])];
    assert_eq!(call(&mut session, weft_rt_scatter_nd, &args, &[F16, 0, 1, 1, 2, 2, 4]), 0);
    assert_eq!(data, [ONE, ONE, ONE, ONE, 0, 0, 0, TWO]);
}

#[test]
fn random_numbers_have_their_distribution() {
    // The known answer of Philox 4x32-10 for an all-zero counter and key.
    assert_eq!(Philox::new(0, 0).block(0), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
    let mut session = open(1, 0);
    let mut data = vec![0_f32; 40_000];
    let bits = |value: f64| value.to_bits() as i64;
    let count = data.len() as i64;
    let params = [F32, count, 5, 1, bits(2.0), bits(4.0)];
    assert_eq!(call(&mut session, weft_rt_random_uniform, &[to(&mut data)], &params), count);
    let mean = |data: &[f32]| data.iter().sum::<f32>() / data.len() as f32;
    assert!(data.iter().all(|value| (2.0..=4.0).contains(value)) && (mean(&data) - 3.0).abs() < 0.02);
    call(&mut session, weft_rt_random_normal, &[to(&mut data)], &params);
    let spread = data.iter().map(|value| (value - 2.0).powi(2)).sum::<f32>() / data.len() as f32;
    assert!((mean(&data) - 2.0).abs() < 0.1 && (spread - 16.0).abs() < 0.6, "{} {spread}", mean(&data));
    let odds = vec![0.25_f32; data.len()];
    call(&mut session, weft_rt_bernoulli, &[to(&mut data), from(&odds)], &[F32, count, 5, 2, F32]);
    assert!((mean(&data) - 0.25).abs() < 0.02);
    let mut drawn = vec![0_i64; 20_000];
    let logits = [0.0_f32, f32::NEG_INFINITY, 3.0_f32.ln()];
    let params = [I64, 20_000, 5, 3, F32, 3, 20_000];
    call(&mut session, weft_rt_multinomial, &[to(&mut drawn), from(&logits)], &params);
    let twos = drawn.iter().filter(|&&class| class == 2).count();
    assert!(!drawn.contains(&1) && (14_500..15_500).contains(&twos), "{twos}");
}
