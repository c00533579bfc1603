//! The layout that a compiled model and this runtime agree on, and nothing else.
//!
//! The code generator includes this very file, so it names no other module. Every table here is read-only
//! data in the artifact; only [`SessionHead`] is written while the model runs.

use core::ffi::{c_char, c_void};

/// The version of everything in this file; a model with another one is refused when it is opened.
pub const ABI_VERSION: u32 = 1;

/// The alignment in bytes of weights and of every buffer that the runtime makes.
pub const ALIGNMENT: u64 = 64;

/// What the code generator emits about one model, exported as `weft_model`.
#[repr(C)]
#[derive(Debug)]
pub struct WeftModel {
    /// [`ABI_VERSION`] of the compiler that made the artifact.
    pub abi: u32,
    /// `sizeof(WeftModel)` in that version.
    pub size: u32,
    /// The model's name.
    pub name: *const c_char,
    /// How many inputs there are.
    pub n_inputs: u32,
    /// How many outputs there are.
    pub n_outputs: u32,
    /// The inputs, in the order of the model.
    pub inputs: *const WeftPort,
    /// The outputs, in the order of the model.
    pub outputs: *const WeftPort,
    /// How many symbols there are.
    pub n_syms: u32,
    /// How many buffers the memory plan places.
    pub n_planned: u32,
    /// How many buffers grow at run time because their size depends on data.
    pub n_grown: u32,
    /// How many kernels there are.
    pub n_kernels: u32,
    /// The names of the symbols.
    pub sym_names: *const *const c_char,
    /// The life of each planned buffer.
    pub lives: *const WeftLife,
    /// The kernels, by kernel id.
    pub kernels: *const WeftKernel,
    /// The packed weights, aligned to [`ALIGNMENT`].
    pub weights: *const u8,
    /// The bytes of `weights`.
    pub weights_len: u64,
    /// Fills `sizes` of the session with the bytes of the planned buffers, from `syms`.
    pub sizes: Option<unsafe extern "C" fn(*mut SessionHead)>,
    /// Runs all steps; zero when they succeeded, else `weft_rt_fail` (or another function) has said why.
    pub run: Option<unsafe extern "C" fn(*mut SessionHead) -> i32>,
}

/// One input or output of a model.
#[repr(C)]
#[derive(Debug)]
pub struct WeftPort {
    /// Its name in the model.
    pub name: *const c_char,
    /// The DLPack type code, see [`code`].
    pub dtype: u8,
    /// The bits of one element.
    pub bits: u8,
    /// How many axes it has.
    pub rank: u16,
    /// The extents of these axes.
    pub dims: *const WeftDim,
}

/// One extent of a port: a number, a symbol, or an expression of symbols.
#[repr(C)]
#[derive(Debug)]
pub struct WeftDim {
    /// The number, or -1.
    pub fixed: i64,
    /// The index of the symbol, or -1.
    pub sym: i32,
    /// The extent as the compiler prints it: `3`, `N`, `N+1`, `?`.
    pub text: *const c_char,
}

/// The steps between which a planned buffer must keep its contents, both included.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeftLife {
    /// The step that writes it first.
    pub first: u32,
    /// The step that reads it last.
    pub last: u32,
}

/// What a profile says about one kernel.
#[repr(C)]
#[derive(Debug)]
pub struct WeftKernel {
    /// The kernel's name.
    pub name: *const c_char,
    /// The schedule it was built by.
    pub schedule: *const c_char,
}

/// The part of a session that generated code sees; the rest of it follows in memory and is private.
///
/// `bufs` is ordered: inputs, outputs, planned, grown.
#[repr(C)]
#[derive(Debug)]
pub struct SessionHead {
    /// The model of the session.
    pub model: *const WeftModel,
    /// One value per symbol: bound by the inputs, or zero until generated code writes it.
    pub syms: *mut i64,
    /// One address per buffer.
    pub bufs: *mut *mut u8,
    /// The bytes of each planned buffer.
    pub sizes: *mut u64,
}

/// A kernel: runs the tasks `begin..end` of its grid.
pub type WeftKernelFn = unsafe extern "C" fn(args: *const *mut u8, dims: *const i64, begin: i64, end: i64);

/// How a session is to be opened; fields beyond `size` are taken as zero.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct WeftOptions {
    /// `sizeof(WeftOptions)` as the caller knows it.
    pub size: u32,
    /// How many threads a run may use, the calling one included; 0 means one per available core.
    pub threads: u32,
    /// Non-zero: measure the time of every kernel.
    pub profile: u32,
}

/// One line of a profile.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct WeftProfile {
    /// The kernel's name; `(run)` for the line that sums up whole runs.
    pub name: *const c_char,
    /// The kernel's schedule; empty for `(run)`.
    pub schedule: *const c_char,
    /// How often it was launched.
    pub calls: u64,
    /// The time between launch and end, over all calls.
    pub nanoseconds: u64,
}

/// The causes that generated code passes to `weft_rt_fail`.
///
/// The low 16 bits of its `code` hold one of these; the high 16 bits hold a kernel id plus one, or zero.
pub mod fail {
    /// An index `a` is outside an axis of extent `b`.
    pub const INDEX: u32 = 1;
    /// An extent is `a` where `b` is needed.
    pub const EXTENT: u32 = 2;
    /// A computed extent `a` is negative.
    pub const NEGATIVE: u32 = 3;
    /// `a` bytes of memory cannot be had.
    pub const MEMORY: u32 = 4;
    /// An integer was divided by zero.
    pub const DIVISION: u32 = 5;
    /// The element type `a` is not one that the operator takes.
    pub const ELEMENT: u32 = 6;
    /// A value `a` is outside what the operator allows; `b` is the limit.
    pub const VALUE: u32 = 7;
    /// `a` elements cannot be reshaped to `b` elements.
    pub const RESHAPE: u32 = 8;
    /// Extents `a` and `b` do not broadcast.
    pub const BROADCAST: u32 = 9;
}

/// The type codes of DLPack, with the number of bits they are used with.
pub mod code {
    /// Signed integers.
    pub const INT: u8 = 0;
    /// Unsigned integers.
    pub const UINT: u8 = 1;
    /// IEEE floats.
    pub const FLOAT: u8 = 2;
    /// bfloat16.
    pub const BFLOAT: u8 = 4;
    /// Complex numbers.
    pub const COMPLEX: u8 = 5;
    /// Booleans, one byte each.
    pub const BOOL: u8 = 6;
    /// The eight-bit floats, `FLOAT8_FIRST..=FLOAT8_LAST`.
    pub const FLOAT8_FIRST: u8 = 7;
    /// See [`FLOAT8_FIRST`].
    pub const FLOAT8_LAST: u8 = 14;
}

/// `kDLCPU` of DLPack.
pub const DEVICE_CPU: i32 = 1;

/// `DLDataType` of DLPack.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DLDataType {
    /// One of [`code`].
    pub code: u8,
    /// The bits of one element.
    pub bits: u8,
    /// Always 1 here.
    pub lanes: u16,
}

/// `DLDevice` of DLPack.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DLDevice {
    /// [`DEVICE_CPU`].
    pub device_type: i32,
    /// Always 0 here.
    pub device_id: i32,
}

/// `DLTensor` of DLPack.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct DLTensor {
    /// The first byte, before `byte_offset`.
    pub data: *mut c_void,
    /// Where it lies.
    pub device: DLDevice,
    /// How many axes it has.
    pub ndim: i32,
    /// The element type.
    pub dtype: DLDataType,
    /// The extents.
    pub shape: *mut i64,
    /// The strides in elements, or null for row-major.
    pub strides: *mut i64,
    /// Bytes from `data` to the first element.
    pub byte_offset: u64,
}
