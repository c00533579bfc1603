//! Checks the inputs of a run against the model and binds its symbols.
#![expect(unsafe_code, reason = "reads tensors that the caller of the C interface made")]

use core::ffi::c_void;
use core::fmt;

use crate::abi::{DEVICE_CPU, DLDataType, DLDevice, DLTensor, WeftDim, WeftPort, code};
use crate::extent;
use crate::session::{Failed, Session};
use crate::text::{Lossy, c_bytes, c_text, slice};

/// The value of a symbol that no input has bound yet.
const UNBOUND: i64 = -1;

/// Checks all inputs, binds the symbols and takes the inputs' addresses. Symbols that no input binds become zero.
///
/// # Safety
/// The tensors' shapes, strides and data must be as they say.
pub unsafe fn inputs(session: &mut Session, tensors: &[DLTensor]) -> Result<(), Failed> {
    let ports = session.inputs();
    if tensors.len() != ports.len() {
        let (found, expected) = (tensors.len(), ports.len());
        return Err(session.fail(format_args!("found {found} inputs, expected {expected}")));
    }
    session.syms().fill(UNBOUND);
    for (index, (port, tensor)) in ports.iter().zip(tensors).enumerate() {
        check_type(session, port, tensor)?;
        // SAFETY: the caller vouches for the tensor; its rank was checked.
        let shape = unsafe { slice(tensor.shape, usize::from(port.rank)) };
        bind_shape(session, index, shape)?;
        // SAFETY: as above.
        let strides = unsafe { slice(tensor.strides, usize::from(port.rank)) };
        let data = check_data(session, port, tensor, Layout { shape, strides })?;
        session.set_input(index, data);
    }
    for (port, tensor) in ports.iter().zip(tensors) {
        // SAFETY: as above.
        check_expressions(session, port, unsafe { slice(tensor.shape, usize::from(port.rank)) })?;
    }
    for sym in session.syms().iter_mut().filter(|sym| **sym == UNBOUND) {
        *sym = 0;
    }
    Ok(())
}

struct Layout<'a> {
    shape: &'a [i64],
    strides: &'a [i64],
}

fn check_type(session: &mut Session, port: &WeftPort, tensor: &DLTensor) -> Result<(), Failed> {
    let (name, found, expected) = (name(port), tensor.dtype, dtype(port));
    // Writers of DLPack before 0.8 had no boolean and say `uint8`.
    let is_bool = expected.code == code::BOOL && found.code == code::UINT && found.bits == 8;
    if found.lanes != 1 || (found.bits, found.code) != (expected.bits, expected.code) && !is_bool {
        let (found, expected) = (TypeName(found), TypeName(expected));
        return Err(session.fail(format_args!("input `{name}`: found type {found}, expected {expected}")));
    }
    if tensor.ndim != i32::from(port.rank) {
        let (found, expected) = (tensor.ndim, port.rank);
        return Err(session.fail(format_args!("input `{name}`: found {found} axes, expected {expected}")));
    }
    if tensor.device.device_type != DEVICE_CPU {
        let found = tensor.device.device_type;
        return Err(session
            .fail(format_args!("input `{name}`: found device type {found}, expected {DEVICE_CPU} (CPU)")));
    }
    if port.rank > 0 && tensor.shape.is_null() {
        return Err(
            session.fail(format_args!("input `{name}`: found no shape, expected {} extents", port.rank))
        );
    }
    Ok(())
}

fn bind_shape(session: &mut Session, index: usize, shape: &[i64]) -> Result<(), Failed> {
    let port = &session.inputs()[index];
    let name = name(port);
    for (axis, (dim, &found)) in dims(port).iter().zip(shape).enumerate() {
        if found < 0 {
            return Err(
                session.fail(format_args!("input `{name}`, axis {axis}: found negative extent {found}"))
            );
        }
        if dim.fixed >= 0 {
            if dim.fixed != found {
                let expected = dim.fixed;
                return Err(session.fail(format_args!(
                    "input `{name}`, axis {axis}: found extent {found}, expected {expected}"
                )));
            }
            continue;
        }
        let Ok(sym) = usize::try_from(dim.sym) else { continue };
        match session.syms().get_mut(sym) {
            Some(value) if *value == UNBOUND => *value = found,
            Some(&mut expected) if expected != found => {
                let symbol = Lossy(session.sym_name(sym));
                return Err(session.fail(format_args!(
                    "input `{name}`, axis {axis}: found extent {found}, expected {expected}, \
                     which an earlier axis gave to `{symbol}`"
                )));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Checks the extents that are expressions of bound symbols.
fn check_expressions(session: &mut Session, port: &WeftPort, shape: &[i64]) -> Result<(), Failed> {
    for (axis, (dim, &found)) in dims(port).iter().zip(shape).enumerate() {
        if dim.fixed >= 0 || dim.sym >= 0 {
            continue;
        }
        // SAFETY: the text is null or a C string in the model.
        let text = unsafe { c_bytes(dim.text) };
        let expected = extent::evaluate(text, |symbol| value(session, symbol));
        if expected.is_some_and(|expected| expected != found) {
            let (name, text, expected) = (name(port), Lossy(text), expected.unwrap_or_default());
            return Err(session.fail(format_args!(
                "input `{name}`, axis {axis}: found extent {found}, expected {text} = {expected}"
            )));
        }
    }
    Ok(())
}

fn value(session: &Session, symbol: &[u8]) -> Option<i64> {
    let sym = (0..session.model().n_syms as usize).find(|&sym| session.sym_name(sym) == symbol)?;
    session.sym(sym).filter(|&value| value != UNBOUND)
}

fn check_data(
    session: &mut Session,
    port: &WeftPort,
    tensor: &DLTensor,
    layout: Layout<'_>,
) -> Result<*mut u8, Failed> {
    let name = name(port);
    let Some(bytes) = bytes(layout.shape, port.bits) else {
        let shape = layout.shape;
        return Err(session.fail(format_args!("input `{name}`: found impossible extents {shape:?}")));
    };
    if !is_row_major(&layout) {
        let strides = layout.strides;
        return Err(session
            .fail(format_args!("input `{name}`: found strides {strides:?}, expected a row-major tensor")));
    }
    if bytes == 0 {
        return Ok(core::ptr::without_provenance_mut(64));
    }
    if tensor.data.is_null() {
        return Err(session.fail(format_args!("input `{name}`: found no data, expected {bytes} bytes")));
    }
    let data = tensor.data.cast::<u8>().wrapping_add(tensor.byte_offset as usize);
    let alignment = usize::from(port.bits / 8).max(1);
    if data.addr() % alignment != 0 {
        return Err(session.fail(format_args!("input `{name}`: found data not aligned to {alignment} bytes")));
    }
    Ok(data)
}

fn is_row_major(layout: &Layout<'_>) -> bool {
    if layout.shape.contains(&0) {
        return true;
    }
    let mut expected = 1;
    for (&stride, &extent) in layout.strides.iter().zip(layout.shape).rev() {
        if extent != 1 && stride != expected {
            return false;
        }
        expected *= extent;
    }
    true
}

/// The bytes of a tensor of these extents, or nothing when they are negative or too many.
pub fn bytes(shape: &[i64], bits: u8) -> Option<u64> {
    if shape.iter().any(|&extent| extent < 0) {
        return None;
    }
    if shape.contains(&0) {
        return Some(0);
    }
    let elements = shape.iter().try_fold(1_i64, |product, &extent| product.checked_mul(extent))?;
    Some(elements.checked_mul(i64::from(bits))?.checked_add(7)? as u64 / 8)
}

/// The name of a port.
pub fn name<'a>(port: &WeftPort) -> Lossy<'a> {
    // SAFETY: the name is a C string in the model.
    unsafe { c_text(port.name) }
}

/// The extents of a port.
pub fn dims<'a>(port: &WeftPort) -> &'a [WeftDim] {
    // SAFETY: a valid port has `rank` extents.
    unsafe { slice(port.dims, usize::from(port.rank)) }
}

/// The element type of a port.
pub fn dtype(port: &WeftPort) -> DLDataType {
    DLDataType { code: port.dtype, bits: port.bits, lanes: 1 }
}

/// A tensor in the memory of this process.
pub fn tensor(port: &WeftPort, data: *mut u8, shape: *mut i64) -> DLTensor {
    DLTensor {
        data: data.cast::<c_void>(),
        device: DLDevice { device_type: DEVICE_CPU, device_id: 0 },
        ndim: i32::from(port.rank),
        dtype: dtype(port),
        shape,
        strides: core::ptr::null_mut(),
        byte_offset: 0,
    }
}

/// An element type as it is shown: `f32`, `i64`, `bool`.
#[derive(Clone, Copy, Debug)]
pub struct TypeName(pub DLDataType);

impl fmt::Display for TypeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DLDataType { code, bits, lanes } = self.0;
        match code {
            code::BOOL => f.write_str("bool")?,
            code::INT => write!(f, "i{bits}")?,
            code::UINT => write!(f, "u{bits}")?,
            code::FLOAT => write!(f, "f{bits}")?,
            code::BFLOAT => write!(f, "bf{bits}")?,
            code::COMPLEX => write!(f, "c{bits}")?,
            _ => write!(f, "type {code} of {bits} bits")?,
        }
        if lanes == 1 { Ok(()) } else { write!(f, "x{lanes}") }
    }
}
