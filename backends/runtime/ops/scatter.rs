//! ScatterElements and ScatterND, one update after the other so that duplicates are well defined.
#![expect(unsafe_code, reason = "is called by generated code through pointers")]

use crate::abi::{SessionHead, fail};
use crate::elem::Elem;
use crate::ops::call::{Call, Stopped, answer, elements};

/// How an update meets what is there.
#[derive(Clone, Copy)]
enum Reduction {
    Replace,
    Add,
    Mul,
    Min,
    Max,
}

impl Reduction {
    fn new(code: i64) -> Option<Self> {
        Some(match code {
            0 => Self::Replace,
            1 => Self::Add,
            2 => Self::Mul,
            3 => Self::Min,
            4 => Self::Max,
            _ => return None,
        })
    }

    fn apply(self, elem: Elem, old: u64, new: u64) -> u64 {
        match self {
            Self::Replace => new,
            Self::Add => elem.add(old, new),
            Self::Mul => elem.mul(old, new),
            Self::Min => elem.min(old, new),
            Self::Max => elem.max(old, new),
        }
    }
}

/// # Safety
/// Parameters 0 and 1 must be an element type and a reduction.
unsafe fn how(call: &mut Call<'_>) -> Result<(Elem, Reduction), Stopped> {
    // SAFETY: the caller vouches for it.
    let (elem, code) = unsafe { (call.elem(0)?, call.param(1)) };
    let reduction = Reduction::new(code).ok_or_else(|| call.stop(fail::VALUE, code, 4))?;
    Ok((elem, reduction))
}

/// An index that may count from the end, made one that does not.
fn within(call: &mut Call<'_>, index: i64, extent: i64) -> Result<usize, Stopped> {
    let from_start = if index < 0 { index + extent } else { index };
    if from_start < 0 || from_start >= extent {
        return Err(call.stop(fail::INDEX, index, extent));
    }
    Ok(from_start as usize)
}

/// ScatterElements, in place on a copy of the data.
///
/// `args`: data (read and written), indices (i64), updates. `params`: elem, reduction (0 none, 1 add, 2 mul, 3 min,
/// 4 max), axis, rank, extents of data, extents of indices and updates. Fails on an index outside the axis.
///
/// # Safety
/// See [`crate::ops`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_rt_scatter_elements(
    head: *mut SessionHead,
    args: *const *mut u8,
    params: *const i64,
) -> i64 {
    // SAFETY: as documented.
    let mut call = unsafe { Call::new(head, args, params) };
    // SAFETY: as documented.
    answer(unsafe { scatter_elements(&mut call) })
}

/// # Safety
/// See [`weft_rt_scatter_elements`].
unsafe fn scatter_elements(call: &mut Call<'_>) -> Result<usize, Stopped> {
    // SAFETY: as documented.
    let ((elem, reduction), axis, rank) = unsafe { (how(call)?, call.size(2), call.size(3)) };
    // SAFETY: as documented.
    let (extents, updated) = unsafe { (call.extents(4, rank), call.extents(4 + rank, rank)) };
    let count = elements(updated);
    // SAFETY: as documented.
    let data = unsafe { call.output::<u8>(0, elements(extents) * elem.bytes()) };
    // SAFETY: as documented.
    let (indices, updates) =
        unsafe { (call.input::<i64>(1, count), call.input::<u8>(2, count * elem.bytes())) };
    for (from, &index) in indices.iter().enumerate() {
        let index = within(call, index, extents[axis])?;
        let (mut rest, mut stride, mut to) = (from, 1, 0);
        for dim in (0..rank).rev() {
            let place = rest % updated[dim] as usize;
            to += stride * if dim == axis { index } else { place };
            rest /= updated[dim] as usize;
            stride *= extents[dim] as usize;
        }
        let new = reduction.apply(elem, elem.load(data, to), elem.load(updates, from));
        elem.store(data, to, new);
    }
    Ok(0)
}

/// ScatterND, in place on a copy of the data.
///
/// `args`: data (read and written), indices (i64), updates. `params`: elem, reduction (as for ScatterElements), count
/// of index tuples, length of a tuple, rank, extents of data. Fails on an index outside its axis.
///
/// # Safety
/// See [`crate::ops`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_rt_scatter_nd(
    head: *mut SessionHead,
    args: *const *mut u8,
    params: *const i64,
) -> i64 {
    // SAFETY: as documented.
    let mut call = unsafe { Call::new(head, args, params) };
    // SAFETY: as documented.
    answer(unsafe { scatter_nd(&mut call) })
}

/// # Safety
/// See [`weft_rt_scatter_nd`].
unsafe fn scatter_nd(call: &mut Call<'_>) -> Result<usize, Stopped> {
    // SAFETY: as documented.
    let ((elem, reduction), count, length, rank) =
        unsafe { (how(call)?, call.size(2), call.size(3), call.size(4)) };
    // SAFETY: as documented.
    let extents = unsafe { call.extents(5, rank) };
    if length > rank {
        return Err(call.stop(fail::VALUE, length as i64, rank as i64));
    }
    let inner = elements(&extents[length..]);
    // SAFETY: as documented.
    let data = unsafe { call.output::<u8>(0, elements(extents) * elem.bytes()) };
    // SAFETY: as documented.
    let (indices, updates) =
        unsafe { (call.input::<i64>(1, count * length), call.input::<u8>(2, count * inner * elem.bytes())) };
    for tuple in 0..count {
        let mut slice = 0;
        for (&index, &extent) in indices[tuple * length..][..length].iter().zip(extents) {
            slice = slice * extent as usize + within(call, index, extent)?;
        }
        for element in 0..inner {
            let (from, to) = (tuple * inner + element, slice * inner + element);
            let new = reduction.apply(elem, elem.load(data, to), elem.load(updates, from));
            elem.store(data, to, new);
        }
    }
    Ok(0)
}
