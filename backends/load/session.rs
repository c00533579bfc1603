//! A session of a compiled library.
#![expect(unsafe_code, reason = "calls compiled code")]
use crate::abi::{DEVICE_CPU, DLDataType, DLDevice, DLTensor, WeftOptions, WeftProfile};
use crate::error::LoadError;
use crate::library::Model;
use crate::port;
use std::ffi::{c_char, c_void};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use weft_ir::Tensor;

/// How a session is opened.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// How many threads a run may use; 0 for one per processor.
    pub threads: u32,
    /// Whether the time of every kernel is measured.
    pub profile: bool,
}

/// The time that one kernel took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileLine {
    /// The kernel; `(run)` for whole runs.
    pub name: String,
    /// Its schedule.
    pub schedule: String,
    /// How often it was launched.
    pub calls: u64,
    /// All its time.
    pub nanoseconds: u64,
}

/// Threads, memory and results of one model's runs.
#[derive(Debug)]
pub struct Session {
    handle: NonNull<c_void>,
    model: Arc<Model>,
    outputs: Vec<DLTensor>,
}

// SAFETY: a session may be used from any thread, by one at a time, which `&mut` sees to.
unsafe impl Send for Session {}

/// An input in memory that compiled code may read.
struct Input {
    shape: Vec<i64>,
    dtype: DLDataType,
    data: *const u8,
    /// A copy of the bytes where they lay askew.
    _copy: Vec<u64>,
}

impl Session {
    /// Opens a session.
    pub fn open(model: &Arc<Model>, options: Options) -> Result<Self, LoadError> {
        let options = WeftOptions {
            size: size_of::<WeftOptions>() as u32,
            threads: options.threads,
            profile: options.profile.into(),
        };
        let mut reason = [0 as c_char; 1024];
        // SAFETY: options and buffer are alive and as large as they say.
        let handle = unsafe { (model.functions.open)(&raw const options, reason.as_mut_ptr(), reason.len()) };
        let Some(handle) = NonNull::new(handle) else {
            // SAFETY: the library wrote a C string.
            return Err(LoadError::Session(unsafe { port::text(reason.as_ptr()) }));
        };
        let nothing = Input { shape: Vec::new(), dtype: NO_TYPE, data: ptr::null(), _copy: Vec::new() };
        let outputs = vec![nothing.tensor(); model.outputs().len()];
        Ok(Self { handle, model: model.clone(), outputs })
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Results for these inputs, both in the order of the model.
    pub fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, LoadError> {
        self.call(inputs)?;
        self.results()
    }

    /// Runs without copying results; [`Session::results`] gives them.
    pub fn call(&mut self, inputs: &[Tensor]) -> Result<(), LoadError> {
        let inputs: Result<Vec<Input>, _> = inputs.iter().enumerate().map(|(i, t)| Input::of(i, t)).collect();
        let inputs = inputs?;
        let tensors: Vec<DLTensor> = inputs.iter().map(Input::tensor).collect();
        let (given, room) = (tensors.as_ptr(), self.outputs.as_mut_ptr());
        // SAFETY: the session is open, and tensors and room are alive and as many as said.
        let status = unsafe {
            (self.model.functions.run)(self.handle.as_ptr(), given, tensors.len(), room, self.outputs.len())
        };
        if status == 0 {
            return Ok(());
        }
        // SAFETY: the session is open, its error text a C string.
        let reason = unsafe { port::text((self.model.functions.error)(self.handle.as_ptr())) };
        Err(LoadError::Run(reason))
    }

    /// Copies of the results of the last call that succeeded.
    pub fn results(&self) -> Result<Vec<Tensor>, LoadError> {
        self.outputs
            .iter()
            .zip(self.model.outputs())
            .map(|(tensor, port)| copied(tensor, &port.name))
            .collect()
    }

    /// The time every kernel took so far, and whole runs last; empty unless it is measured.
    pub fn profile(&self) -> Vec<ProfileLine> {
        let nothing = WeftProfile { name: ptr::null(), schedule: ptr::null(), calls: 0, nanoseconds: 0 };
        // SAFETY: the session is open; without room nothing is written.
        let count = unsafe { (self.model.functions.profile)(self.handle.as_ptr(), ptr::null_mut(), 0) };
        let mut lines = vec![nothing; count];
        // SAFETY: there is room for as many lines as there are.
        unsafe { (self.model.functions.profile)(self.handle.as_ptr(), lines.as_mut_ptr(), lines.len()) };
        let line = |line: &WeftProfile| ProfileLine {
            // SAFETY: names and schedules are C strings of the library.
            name: unsafe { port::text(line.name) },
            // SAFETY: as above.
            schedule: unsafe { port::text(line.schedule) },
            calls: line.calls,
            nanoseconds: line.nanoseconds,
        };
        lines.iter().map(line).collect()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // SAFETY: the session is open and not used again; the library is still there.
        unsafe { (self.model.functions.close)(self.handle.as_ptr()) }
    }
}

const NO_TYPE: DLDataType = DLDataType { code: 0, bits: 0, lanes: 1 };

impl Input {
    fn of(index: usize, tensor: &Tensor) -> Result<Self, LoadError> {
        let dtype = tensor.dtype();
        let ty = port::data_type(dtype).ok_or(LoadError::Input { index, dtype })?;
        let bytes = tensor.data();
        let alignment = (dtype.bits() as usize / 8).max(1);
        let askew = !bytes.as_ptr().addr().is_multiple_of(alignment);
        let copy: Vec<u64> = if askew { words(bytes) } else { Vec::new() };
        let data = if askew { copy.as_ptr().cast() } else { bytes.as_ptr() };
        let shape = tensor.dims().iter().map(|d| i64::try_from(*d).unwrap_or(i64::MAX)).collect();
        Ok(Self { shape, dtype: ty, data, _copy: copy })
    }

    fn tensor(&self) -> DLTensor {
        DLTensor {
            data: self.data.cast_mut().cast(),
            device: DLDevice { device_type: DEVICE_CPU, device_id: 0 },
            ndim: self.shape.len() as i32,
            dtype: self.dtype,
            shape: self.shape.as_ptr().cast_mut(),
            strides: ptr::null_mut(),
            byte_offset: 0,
        }
    }
}

/// The bytes as aligned words, the last one filled with zeros.
fn words(bytes: &[u8]) -> Vec<u64> {
    let (whole, rest) = bytes.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let last = (!rest.is_empty()).then_some(&last);
    whole.iter().chain(last).map(|word| u64::from_ne_bytes(*word)).collect()
}

fn copied(tensor: &DLTensor, name: &str) -> Result<Tensor, LoadError> {
    let failed = |reason: String| LoadError::Output { name: name.to_string(), reason };
    let dtype = port::dtype(tensor.dtype).ok_or_else(|| failed(format!("found type {:?}", tensor.dtype)))?;
    let rank = usize::try_from(tensor.ndim).unwrap_or_default();
    // SAFETY: the library described an output of its own, which lives until the next run.
    let dims: Vec<u64> = (0..rank).map(|axis| unsafe { *tensor.shape.add(axis) } as u64).collect();
    let bytes = weft_ir::tensor::element_count(&dims).and_then(|n| dtype.bytes(n));
    let bytes = bytes.ok_or_else(|| failed(format!("found shape {dims:?}")))? as usize;
    let data = if bytes == 0 {
        Vec::new()
    } else {
        // SAFETY: as above; an output has as many bytes as its shape says.
        unsafe { std::slice::from_raw_parts(tensor.data.cast::<u8>(), bytes) }.to_vec()
    };
    Tensor::new(dtype, dims, data.into()).map_err(|e| failed(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn words_hold_the_bytes_in_their_order() {
        let bytes: Vec<u8> = (1..=19).collect();
        for count in [0, 5, 8, 19] {
            let held: Vec<u8> = words(&bytes[..count]).into_iter().flat_map(u64::to_ne_bytes).collect();
            let filled = bytes[..count].iter().copied().chain(std::iter::repeat(0)).take(held.len());
            assert_eq!(held, filled.collect::<Vec<u8>>());
            assert_eq!(held.len(), count.next_multiple_of(8));
        }
    }
}
