//! Calls of functions outside weft, which a plugin brings for an operator of its own.
#![expect(unsafe_code, reason = "is called by generated code through pointers")]

use core::ffi::{c_char, c_void};

use crate::abi::SessionHead;
use crate::ops::call::{Call, Stopped};
use crate::text::c_text;

/// A tensor as such a function takes and fills it: `weft_tensor` of `weft_plugin.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ForeignTensor {
    /// The elements, in row-major order.
    pub data: *mut c_void,
    /// The extents.
    pub shape: *const i64,
    /// How many.
    pub rank: u32,
    /// DLPack's code of the element type.
    pub code: u8,
    /// Bits of an element; 0 for an operand that is absent.
    pub bits: u8,
    /// One.
    pub lanes: u16,
}

/// `weft_function` of `weft_plugin.h`.
pub type ForeignFn = unsafe extern "C" fn(*const ForeignTensor, usize, *mut ForeignTensor, usize) -> i32;

/// Calls a function outside weft; `caller` says in a message which and for what. Returns zero, or non-zero if the
/// function does.
///
/// `args`: operands and attributes that are there, results. `params`: how many operands and attributes, how many
/// results, and for each its elem, its rank, its extents; an absent operand has elem 0 and no argument.
///
/// # Safety
/// See [`crate::ops`]. The function must be sound for such tensors, and `caller` a C string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_rt_foreign(
    head: *mut SessionHead,
    function: ForeignFn,
    caller: *const c_char,
    args: *const *mut u8,
    params: *const i64,
) -> i32 {
    // SAFETY: as documented.
    let mut call = unsafe { Call::new(head, args, params) };
    // SAFETY: as documented.
    let Ok((tensors, inputs)) = (unsafe { tensors(&mut call, args, params) }) else { return 1 };
    let (given, taken) = tensors.split_at_mut(inputs);
    // SAFETY: as documented.
    let status = unsafe { function(given.as_ptr(), given.len(), taken.as_mut_ptr(), taken.len()) };
    if status != 0 {
        // SAFETY: as documented.
        let caller = unsafe { c_text(caller) };
        call.session().fail(format_args!("{caller} failed with status {status}"));
    }
    i32::from(status != 0)
}

/// The tensors of a call, and how many of them are operands or attributes.
///
/// # Safety
/// See [`weft_rt_foreign`].
unsafe fn tensors<'a>(
    call: &mut Call<'a>,
    args: *const *mut u8,
    params: *const i64,
) -> Result<(&'a mut [ForeignTensor], usize), Stopped> {
    // SAFETY: as documented.
    let (inputs, results) = unsafe { (call.size(0), call.size(1)) };
    // SAFETY: every bit pattern is such a tensor, and this is the only slice of the work block in use.
    let tensors = unsafe { call.work::<ForeignTensor>(inputs + results) }?;
    let (mut next, mut arg) = (2, 0);
    for tensor in tensors.iter_mut() {
        // SAFETY: as documented: each tensor has as many parameters as its rank says.
        let (elem, rank, shape) = unsafe { (call.param(next), call.size(next + 1), params.add(next + 2)) };
        let absent = elem == 0;
        // SAFETY: as documented: there is an argument for each tensor that is there.
        let data = if absent { core::ptr::null_mut() } else { unsafe { (*args.add(arg)).cast() } };
        let (code, bits) = ((elem >> 8) as u8, elem as u8);
        *tensor = ForeignTensor { data, shape, rank: rank as u32, code, bits, lanes: 1 };
        next += 2 + rank;
        arg += usize::from(!absent);
    }
    Ok((tensors, inputs))
}
