//! NonZero and Compress.
#![expect(unsafe_code, reason = "is called by generated code through pointers")]

use crate::abi::SessionHead;
use crate::elem::Elem;
use crate::ops::call::{Call, Stopped, answer, elements};

/// How many elements are not zero; also the extent that Compress keeps, for a condition of type bool.
///
/// `args`: data. `params`: elem, count.
///
/// # Safety
/// See [`crate::ops`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_rt_count_nonzero(
    head: *mut SessionHead,
    args: *const *mut u8,
    params: *const i64,
) -> i64 {
    // SAFETY: as documented.
    let mut call = unsafe { Call::new(head, args, params) };
    // SAFETY: as documented.
    let Ok(elem) = (unsafe { call.elem(0) }) else { return -1 };
    // SAFETY: as documented.
    let data = unsafe { call.input::<u8>(0, call.size(1) * elem.bytes()) };
    answer(Ok(indices(elem, data).count()))
}

fn indices(elem: Elem, data: &[u8]) -> impl Iterator<Item = usize> {
    (0..data.len() / elem.bytes()).filter(move |&index| !elem.is_zero(elem.load(data, index)))
}

/// NonZero: the indices of all elements that are not zero, as `i64[rank, count]`.
///
/// `args`: data, result. `params`: elem, count (from `weft_rt_count_nonzero`), rank, extents. Returns the count.
///
/// # Safety
/// See [`crate::ops`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_rt_nonzero(
    head: *mut SessionHead,
    args: *const *mut u8,
    params: *const i64,
) -> i64 {
    // SAFETY: as documented.
    let mut call = unsafe { Call::new(head, args, params) };
    // SAFETY: as documented.
    let (Ok(elem), count, rank) = (unsafe { (call.elem(0), call.size(1), call.size(2)) }) else { return -1 };
    // SAFETY: as documented.
    let extents = unsafe { call.extents(3, rank) };
    // SAFETY: as documented.
    let data = unsafe { call.input::<u8>(0, elements(extents) * elem.bytes()) };
    // SAFETY: as documented.
    let result = unsafe { call.output::<i64>(1, rank * count) };
    for (column, mut index) in indices(elem, data).take(count).enumerate() {
        for (axis, &extent) in extents.iter().enumerate().rev() {
            result[axis * count + column] = index as i64 % extent;
            index /= extent as usize;
        }
    }
    answer(Ok(count))
}

/// Compress: keeps those slices along an axis whose condition holds; the condition may be shorter than the axis.
///
/// `args`: data, condition (bool), result. `params`: bytes per element, outer, axis extent, inner, conditions, kept.
/// Without an axis: outer 1, inner 1, the axis extent is that of all elements. `kept` is the number of true
/// conditions within the axis. Returns it.
///
/// # Safety
/// See [`crate::ops`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_rt_compress(
    head: *mut SessionHead,
    args: *const *mut u8,
    params: *const i64,
) -> i64 {
    // SAFETY: as documented.
    let call = unsafe { Call::new(head, args, params) };
    // SAFETY: as documented.
    answer(unsafe { compress(&call) })
}

/// # Safety
/// See [`weft_rt_compress`].
unsafe fn compress(call: &Call<'_>) -> Result<usize, Stopped> {
    // SAFETY: as documented.
    let [bytes, outer, axis, inner, conditions, kept] = core::array::from_fn(|i| unsafe { call.size(i) });
    let slice = bytes * inner;
    // SAFETY: as documented.
    let data = unsafe { call.input::<u8>(0, outer * axis * slice) };
    // SAFETY: as documented.
    let condition = unsafe { call.input::<u8>(1, conditions.min(axis)) };
    // SAFETY: as documented.
    let result = unsafe { call.output::<u8>(2, outer * kept * slice) };
    if slice == 0 || axis == 0 {
        return Ok(kept);
    }
    let mut room = result.chunks_exact_mut(slice);
    for row in data.chunks_exact(axis * slice) {
        for (from, _) in row.chunks_exact(slice).zip(condition).filter(|(_, holds)| **holds != 0).take(kept) {
            if let Some(to) = room.next() {
                to.copy_from_slice(from);
            }
        }
    }
    Ok(kept)
}
