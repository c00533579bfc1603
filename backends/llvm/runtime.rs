//! The runtime's objects, made when this crate was built and carried in it.
use crate::error::Error;

/// What a library is linked with.
const LIBRARY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/weft_runtime.o"));
/// What a program is linked with.
const PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/weft_runtime_exe.o"));

/// The runtime for a library or object.
pub(crate) fn library() -> Result<&'static [u8], Error> {
    present(LIBRARY)
}

/// The runtime for a program, with `main`.
pub(crate) fn program() -> Result<&'static [u8], Error> {
    present(PROGRAM)
}

fn present(object: &'static [u8]) -> Result<&'static [u8], Error> {
    if object.is_empty() { Err(Error::NoRuntime("the target is not x86-64 linux")) } else { Ok(object) }
}
