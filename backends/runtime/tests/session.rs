//! Sessions bind inputs, say what is wrong with them, and keep their outputs.
#![expect(unsafe_code, reason = "calls the C interface")]

mod model;

use std::ffi::{CStr, c_void};

use model::{MODEL, open};
use weft_runtime::abi::{DLDataType, DLDevice, DLTensor, WeftModel, WeftOptions, WeftProfile, code};
use weft_runtime::api;
use weft_runtime::session::Session;

/// What a run gave: the sum and the indices.
type Outcome = Result<(Vec<f32>, Vec<i64>, Vec<i64>), String>;

/// A tensor over borrowed memory.
fn tensor<T>(shape: &mut [i64], data: &[T], code: u8) -> DLTensor {
    DLTensor {
        data: data.as_ptr().cast_mut().cast::<c_void>(),
        device: DLDevice { device_type: 1, device_id: 0 },
        ndim: shape.len() as i32,
        dtype: DLDataType { code, bits: size_of::<T>() as u8 * 8, lanes: 1 },
        shape: shape.as_mut_ptr(),
        strides: std::ptr::null_mut(),
        byte_offset: 0,
    }
}

struct Case {
    x: Vec<i64>,
    y: Vec<i64>,
    flags: Vec<i64>,
}

fn case(x: &[i64], y: &[i64], flags: &[i64]) -> Case {
    Case { x: x.to_vec(), y: y.to_vec(), flags: flags.to_vec() }
}

fn count(shape: &[i64]) -> usize {
    shape.iter().map(|&extent| extent.max(0) as usize).product()
}

fn run_with(session: &mut Session, mut case: Case, change: impl Fn(&mut [DLTensor; 3])) -> Outcome {
    let x: Vec<_> = (0..count(&case.x)).map(|index| (index % 3) as f32).collect();
    let y: Vec<_> = (0..count(&case.y)).map(|index| 10.0 * index as f32).collect();
    let flags = vec![1_u8; count(&case.flags)];
    let mut inputs = [
        tensor(&mut case.x, &x, code::FLOAT),
        tensor(&mut case.y, &y, code::FLOAT),
        tensor(&mut case.flags, &flags, code::BOOL),
    ];
    change(&mut inputs);
    let mut outputs = [inputs[0]; 2];
    // SAFETY: the tensors are as they say.
    if unsafe { session.run(&inputs, &mut outputs) }.is_err() {
        return Err(format!("{:?}", session.error));
    }
    // SAFETY: the session has made these outputs.
    unsafe {
        let shape = |tensor: &DLTensor| std::slice::from_raw_parts(tensor.shape, 2).to_vec();
        let (sum, found) = (shape(&outputs[0]), shape(&outputs[1]));
        let sums = std::slice::from_raw_parts(outputs[0].data.cast::<f32>(), count(&sum)).to_vec();
        let indices = std::slice::from_raw_parts(outputs[1].data.cast::<i64>(), count(&found)).to_vec();
        Ok((sums, found, indices))
    }
}

fn run(session: &mut Session, case: Case) -> Outcome {
    run_with(session, case, |_| ())
}

#[test]
fn runs_for_many_extents() {
    for threads in [1, 3] {
        let mut session = open(threads, 0);
        for (n, m) in [(2, 2), (5, 7), (1, 0), (0, 4), (40, 99), (2, 2)] {
            let (sums, found, indices) =
                run(&mut session, case(&[n, m + 1], &[n, 1], &[m])).expect("it fits");
            let x = |at: usize| (at % 3) as f32;
            let expected: Vec<_> =
                (0..sums.len()).map(|at| x(at) + 10.0 * (at as i64 / (m + 1)) as f32).collect();
            assert_eq!(sums, expected);
            let places: Vec<_> = (0..sums.len()).filter(|&at| x(at) != 0.0).map(|at| at as i64).collect();
            assert_eq!(found, [2, places.len() as i64]);
            let rows = places.iter().map(|at| at / (m + 1));
            let expected: Vec<_> = rows.chain(places.iter().map(|at| at % (m + 1))).collect();
            assert_eq!(indices, expected);
        }
    }
}

#[test]
fn says_what_is_wrong() {
    let mut session = open(1, 0);
    let good = || case(&[2, 3], &[2, 1], &[2]);
    for (case, expected) in [
        (
            case(&[2, 3], &[4, 1], &[2]),
            "input `y`, axis 0: found extent 4, expected 2, which an earlier axis gave to `N`",
        ),
        (case(&[2, 3], &[2, 5], &[2]), "input `y`, axis 1: found extent 5, expected 1"),
        (case(&[2, 3], &[2, 1], &[5]), "input `x`, axis 1: found extent 3, expected M+1 = 6"),
        (case(&[2, 3, 1], &[2, 1], &[2]), "input `x`: found 3 axes, expected 2"),
        (case(&[-2, 3], &[2, 1], &[2]), "input `x`, axis 0: found negative extent -2"),
        (
            case(&[1, 14], &[1, 1], &[13]),
            "at `add`: found index 13, expected one within an axis of extent 12",
        ),
    ] {
        assert_eq!(run(&mut session, case).unwrap_err(), expected);
    }
    let fails = |session: &mut Session, change: fn(&mut [DLTensor; 3])| {
        run_with(session, case(&[2, 3], &[2, 1], &[2]), change).unwrap_err()
    };
    let error = fails(&mut session, |inputs| inputs[0].dtype.code = code::INT);
    assert_eq!(error, "input `x`: found type i32, expected f32");
    let error = fails(&mut session, |inputs| inputs[0].dtype.lanes = 4);
    assert_eq!(error, "input `x`: found type f32x4, expected f32");
    let error = fails(&mut session, |inputs| inputs[1].data = std::ptr::null_mut());
    assert_eq!(error, "input `y`: found no data, expected 8 bytes");
    let error = fails(&mut session, |inputs| inputs[1].device.device_type = 2);
    assert_eq!(error, "input `y`: found device type 2, expected 1 (CPU)");
    let error = fails(&mut session, |inputs| inputs[0].byte_offset = 1);
    assert_eq!(error, "input `x`: found data not aligned to 4 bytes");
    let error =
        fails(&mut session, |inputs| inputs[0].strides = Box::leak(Box::new([1_i64, 2])).as_mut_ptr());
    assert_eq!(error, "input `x`: found strides [1, 2], expected a row-major tensor");
    let flags = |inputs: &mut [DLTensor; 3]| inputs[2].dtype.code = code::UINT;
    assert!(run_with(&mut session, good(), flags).is_ok(), "a boolean may be called `uint8`");
    // SAFETY: no tensors are given.
    assert!(unsafe { session.run(&[], &mut []) }.is_err());
    assert_eq!(format!("{:?}", session.error), "found 0 inputs, expected 3");
    assert!(run(&mut session, good()).is_ok());
    assert_eq!(format!("{:?}", session.error), "");
}

#[test]
fn c_interface() {
    // SAFETY: the model is a valid one, and so are the arguments.
    unsafe {
        let options = WeftOptions { size: 12, threads: 2, profile: 1 };
        let session = api::weft_rt_open(&raw const MODEL.0, &raw const options, std::ptr::null_mut(), 0);
        assert!(!session.is_null());
        let mut count = 0;
        let inputs = api::weft_rt_inputs(&raw const MODEL.0, &raw mut count);
        assert_eq!((count, CStr::from_ptr((*inputs).name)), (3, c"x"));
        assert!(run(&mut *session, case(&[2, 3], &[2, 1], &[2])).is_ok());
        assert!(run(&mut *session, case(&[2, 3], &[2, 1], &[2])).is_ok());
        let mut lines = [const {
            WeftProfile { name: std::ptr::null(), schedule: std::ptr::null(), calls: 0, nanoseconds: 0 }
        }; 2];
        assert_eq!(api::weft_rt_profile(session, lines.as_mut_ptr(), 2), 2);
        assert_eq!((CStr::from_ptr(lines[0].name), lines[0].calls), (c"add", 2));
        assert_eq!((CStr::from_ptr(lines[1].name), lines[1].calls), (c"(run)", 2));
        assert_eq!(api::weft_rt_run(session, std::ptr::null(), 0, std::ptr::null_mut(), 0), 1);
        assert_eq!(CStr::from_ptr(api::weft_rt_error(session)), c"found 0 inputs, expected 3");
        api::weft_rt_close(session);
        api::weft_rt_close(std::ptr::null_mut());
    }
}

#[test]
fn other_versions_are_refused() {
    // SAFETY: a model is plain data.
    let mut model = unsafe { std::ptr::read(&raw const MODEL.0) };
    model.abi = 77;
    let mut error = [1; 24];
    let model: *const WeftModel = &raw const model;
    // SAFETY: the buffer is as long as it says.
    let session = unsafe { api::weft_rt_open(model, std::ptr::null(), error.as_mut_ptr(), error.len()) };
    assert!(session.is_null());
    // SAFETY: the text ends in zero.
    assert_eq!(unsafe { CStr::from_ptr(error.as_ptr()) }, c"the model has ABI 77 of");
}

#[test]
fn sessions_run_side_by_side() {
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                let mut session = open(2, 0);
                for n in 1..100 {
                    let (sums, ..) = run(&mut session, case(&[n, 2], &[n, 1], &[1])).expect("it fits");
                    assert_eq!(sums.len() as i64, 2 * n, "thread {thread}");
                }
            });
        }
    });
}
