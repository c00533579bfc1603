//! What a compiled model says about its inputs and outputs.
#![expect(unsafe_code, reason = "reads the tables of a compiled model")]
use crate::abi::{DLDataType, WeftPort, code};
use std::ffi::{CStr, c_char};
use weft_ir::DType;

/// An input or output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// As the model names it.
    pub name: String,
    /// Element type.
    pub dtype: DType,
    /// Extents: each a number or, in text, an expression of symbols.
    pub dims: Vec<Extent>,
}

/// One extent of a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extent {
    /// A number.
    Fixed(u64),
    /// Anything else, as the compiler printed it.
    Symbolic(String),
}

/// The text at a pointer; empty if there is none.
///
/// # Safety
/// The pointer must be null or a C string.
pub(crate) unsafe fn text(pointer: *const c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: the caller vouches for the pointer.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}

/// As many ports as there are in a table.
///
/// # Safety
/// The table must have that many rows, as a compiled model writes them.
pub(crate) unsafe fn read(table: *const WeftPort, count: usize) -> Result<Vec<Port>, String> {
    // SAFETY: the caller vouches for the table, whose rows vouch for their own.
    (0..count).map(|i| unsafe { read_one(&*table.add(i)) }).collect()
}

/// # Safety
/// The row must be as a compiled model writes it.
unsafe fn read_one(row: &WeftPort) -> Result<Port, String> {
    // SAFETY: the name of a row is a C string.
    let name = unsafe { text(row.name) };
    let dtype = dtype(DLDataType { code: row.dtype, bits: row.bits, lanes: 1 })
        .ok_or_else(|| format!("`{name}` has type code {} of {} bits", row.dtype, row.bits))?;
    let dims = (0..usize::from(row.rank))
        .map(|axis| {
            // SAFETY: a row has as many extents as axes, each with a C string.
            let (dim, text) = unsafe {
                let dim = &*row.dims.add(axis);
                (dim, text(dim.text))
            };
            u64::try_from(dim.fixed).map_or(Extent::Symbolic(text), Extent::Fixed)
        })
        .collect();
    Ok(Port { name, dtype, dims })
}

/// The element type of a type code.
pub(crate) fn dtype(ty: DLDataType) -> Option<DType> {
    DType::ALL.iter().copied().find(|dtype| data_type(*dtype) == Some(ty))
}

/// The type code of an element type.
pub(crate) fn data_type(dtype: DType) -> Option<DLDataType> {
    use weft_ir::types::Kind;
    let code = match dtype {
        DType::Bf16 => code::BFLOAT,
        DType::F64 | DType::F32 | DType::F16 => code::FLOAT,
        DType::Bool => code::BOOL,
        _ if dtype.kind() == Kind::Signed => code::INT,
        _ if dtype.kind() == Kind::Unsigned => code::UINT,
        _ => return None,
    };
    Some(DLDataType { code, bits: dtype.bits() as u8, lanes: 1 })
}
