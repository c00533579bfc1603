//! A model written by hand: `sum[N, M+1] = x[N, M+1] + y[N, 1]`, and the indices of what is not zero in `x`.
#![expect(unsafe_code, reason = "plays the code that the compiler generates")]

use std::ffi::{CStr, c_char};
use std::ptr::null;

use weft_runtime::abi::{
    ABI_VERSION, SessionHead, WeftDim, WeftKernel, WeftLife, WeftModel, WeftOptions, WeftPort, code, fail,
};
use weft_runtime::host;
use weft_runtime::ops::select::{weft_rt_count_nonzero, weft_rt_nonzero};
use weft_runtime::session::{ErrorText, Session};

const F32: i64 = 2 << 8 | 32;

struct Table<T>(T);

// SAFETY: the tables are only read.
unsafe impl<T> Sync for Table<T> {}

const fn dim(fixed: i64, sym: i32, text: &CStr) -> WeftDim {
    WeftDim { fixed, sym, text: text.as_ptr() }
}

const fn port(name: &CStr, dtype: u8, bits: u8, dims: &'static [WeftDim]) -> WeftPort {
    WeftPort { name: name.as_ptr(), dtype, bits, rank: dims.len() as u16, dims: dims.as_ptr() }
}

static X: Table<[WeftDim; 2]> = Table([dim(-1, 0, c"N"), dim(-1, -1, c"M+1")]);
static Y: Table<[WeftDim; 2]> = Table([dim(-1, 0, c"N"), dim(1, -1, c"1")]);
static Z: Table<[WeftDim; 1]> = Table([dim(-1, 1, c"M")]);
static FOUND: Table<[WeftDim; 2]> = Table([dim(2, -1, c"2"), dim(-1, 2, c"?count")]);
static INPUTS: Table<[WeftPort; 3]> = Table([
    port(c"x", code::FLOAT, 32, &X.0),
    port(c"y", code::FLOAT, 32, &Y.0),
    port(c"flags", code::BOOL, 8, &Z.0),
]);
static OUTPUTS: Table<[WeftPort; 2]> =
    Table([port(c"sum/out:0", code::FLOAT, 32, &X.0), port(c"found", code::INT, 64, &FOUND.0)]);
static SYMS: Table<[*const c_char; 3]> = Table([c"N".as_ptr(), c"M".as_ptr(), c"?count".as_ptr()]);
static LIVES: [WeftLife; 2] = [WeftLife { first: 0, last: 1 }, WeftLife { first: 1, last: 2 }];
static KERNELS: Table<[WeftKernel; 1]> =
    Table([WeftKernel { name: c"add".as_ptr(), schedule: c"map".as_ptr() }]);

/// The model.
pub(crate) static MODEL: Table2 = Table2(WeftModel {
    abi: ABI_VERSION,
    size: size_of::<WeftModel>() as u32,
    name: c"by hand".as_ptr(),
    n_inputs: 3,
    n_outputs: 2,
    inputs: INPUTS.0.as_ptr(),
    outputs: OUTPUTS.0.as_ptr(),
    n_syms: 3,
    n_planned: 2,
    n_grown: 1,
    n_kernels: 1,
    sym_names: SYMS.0.as_ptr(),
    lives: LIVES.as_ptr(),
    kernels: KERNELS.0.as_ptr(),
    weights: null(),
    weights_len: 0,
    sizes: Some(sizes),
    run: Some(run),
});

/// Makes a model fit for a static.
pub(crate) struct Table2(pub(crate) WeftModel);

// SAFETY: the model is only read.
unsafe impl Sync for Table2 {}

unsafe extern "C" fn sizes(head: *mut SessionHead) {
    // SAFETY: three symbols, two sizes.
    unsafe {
        let (n, m) = (*(*head).syms, *(*head).syms.add(1));
        *(*head).sizes = (n * (m + 1) * 4) as u64;
        *(*head).sizes.add(1) = 4;
    }
}

unsafe extern "C" fn run(head: *mut SessionHead) -> i32 {
    // SAFETY: three symbols and eight buffers, in the order inputs, outputs, planned, grown.
    unsafe {
        let (n, m) = (*(*head).syms, *(*head).syms.add(1));
        let dims = [n, m + 1];
        if m == 13 {
            return host::weft_rt_fail(head, fail::INDEX | 1 << 16, 13, 12);
        }
        if host::weft_rt_plan(head) != 0 || host::weft_rt_output(head, 0, dims.as_ptr()) != 0 {
            return 1;
        }
        let buffer = |index: usize| *(*head).bufs.add(index);
        let args = [buffer(0), buffer(1), buffer(5)];
        host::weft_rt_launch(head, add, args.as_ptr(), dims.as_ptr(), n, 0);
        buffer(5).copy_to(buffer(3), (n * (m + 1) * 4) as usize);
        let count = weft_rt_count_nonzero(head, [buffer(0)].as_ptr(), [F32, n * (m + 1)].as_ptr());
        *(*head).syms.add(2) = count;
        if host::weft_rt_output(head, 1, [2, count].as_ptr()) != 0 || host::weft_rt_grow(head, 0, 100) != 0 {
            return 1;
        }
        let args = [buffer(0), *(*head).bufs.add(4)];
        let found = weft_rt_nonzero(head, args.as_ptr(), [F32, count, 2, n, m + 1].as_ptr());
        i32::from(found != count)
    }
}

unsafe extern "C" fn add(args: *const *mut u8, dims: *const i64, begin: i64, end: i64) {
    // SAFETY: `run` passes x, y and the result, and two extents.
    unsafe {
        let [x, y, sum] = *args.cast::<[*mut f32; 3]>();
        let columns = *dims.add(1);
        for row in begin..end {
            for column in 0..columns {
                let at = (row * columns + column) as usize;
                *sum.add(at) = *x.add(at) + *y.add(row as usize);
            }
        }
    }
}

/// Opens a session of the model.
pub(crate) fn open(threads: u32, profile: u32) -> Session {
    let mut error = ErrorText::new();
    let options = WeftOptions { threads, profile, ..WeftOptions::default() };
    // SAFETY: the model is a valid one.
    unsafe { Session::open(&raw const MODEL.0, options, &mut error) }.expect("the model is a valid one")
}
