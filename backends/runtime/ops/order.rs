//! TopK, which is also how to sort.
#![expect(unsafe_code, reason = "is called by generated code through pointers")]

use crate::abi::SessionHead;
use crate::elem::Elem;
use crate::ops::call::{Call, Stopped, answer};
use crate::pool::Job;

/// An element by its order, with its place among its equals.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// See [`Elem::key`].
    pub key: u64,
    /// Where the element lies.
    pub index: u64,
}

/// What each task of a TopK needs beside its number.
struct TopK {
    elem: Elem,
    outer: usize,
    axis: usize,
    inner: usize,
    k: usize,
    largest: bool,
    rows_per_task: usize,
}

/// TopK: the `k` largest or smallest along an axis, sorted; of equals the one with the lower index comes first.
/// NaN counts as greater than every number. With `k` equal to the extent this is a stable sort.
///
/// `args`: data, values, indices (i64); values or indices may be null. `params`: elem, outer, axis extent, inner, k,
/// largest (0 or 1). Fails if `k` is negative or exceeds the extent. Returns `k`. Rows are shared by all threads.
///
/// # Safety
/// See [`crate::ops`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_rt_topk(
    head: *mut SessionHead,
    args: *const *mut u8,
    params: *const i64,
) -> i64 {
    // SAFETY: as documented.
    let mut call = unsafe { Call::new(head, args, params) };
    // SAFETY: as documented.
    answer(unsafe { top_k(&mut call, args) })
}

/// # Safety
/// See [`weft_rt_topk`].
unsafe fn top_k(call: &mut Call<'_>, args: *const *mut u8) -> Result<usize, Stopped> {
    // SAFETY: as documented.
    let elem = unsafe { call.elem(0) }?;
    // SAFETY: as documented.
    let [_, outer, axis, inner, k, largest] = core::array::from_fn(|index| unsafe { call.size(index) });
    // SAFETY: as documented.
    let asked = unsafe { call.param(4) };
    if asked < 0 || k > axis {
        return Err(call.stop(crate::abi::fail::VALUE, asked, axis as i64));
    }
    let rows = outer * inner;
    if rows == 0 || k == 0 {
        return Ok(k);
    }
    let tasks = rows.min(4 * call.session().pool.threads());
    let rows_per_task = rows.div_ceil(tasks);
    // SAFETY: entries are integers; this operator takes no other work memory.
    let work = unsafe { call.work::<Entry>(tasks * axis) }?;
    let top = TopK { elem, outer, axis, inner, k, largest: largest != 0, rows_per_task };
    // SAFETY: as documented.
    let [data, values, indices] = core::array::from_fn(|index| unsafe { *args.add(index) });
    let args = [data, values, indices, work.as_mut_ptr().cast(), (&raw const top).cast_mut().cast()];
    let job = Job { kernel: top_k_rows, args: args.as_ptr(), dims: core::ptr::null(), tasks: tasks as i64 };
    // SAFETY: tasks write different rows and work in different entries.
    unsafe { call.session().pool.launch(job) };
    Ok(k)
}

unsafe extern "C" fn top_k_rows(args: *const *mut u8, _: *const i64, begin: i64, end: i64) {
    // SAFETY: `top_k` passes these five arguments.
    let [data, values, indices, work, top] = unsafe { *args.cast::<[*mut u8; 5]>() };
    // SAFETY: `top_k` keeps it alive during the launch.
    let top = unsafe { &*top.cast_const().cast::<TopK>() };
    let bytes = top.elem.bytes();
    // SAFETY: as `weft_rt_topk` documents.
    let data = unsafe { crate::text::slice(data.cast_const(), top.outer * top.axis * top.inner * bytes) };
    for task in begin as usize..end as usize {
        // SAFETY: each task has `axis` entries of its own.
        let work =
            unsafe { core::slice::from_raw_parts_mut(work.cast::<Entry>().add(task * top.axis), top.axis) };
        let rows = top.outer * top.inner;
        for row in (task * top.rows_per_task..rows).take(top.rows_per_task) {
            top.select(row, data, work);
            for (rank, entry) in work[..top.k].iter().enumerate() {
                let at = (row / top.inner * top.k + rank) * top.inner + row % top.inner;
                let from = top.place(row, entry.index as usize);
                // SAFETY: null or room for `outer * k * inner` elements; no other task writes this row's.
                unsafe {
                    if !values.is_null() {
                        data[from * bytes..].as_ptr().copy_to_nonoverlapping(values.add(at * bytes), bytes);
                    }
                    if !indices.is_null() {
                        *indices.cast::<i64>().add(at) = entry.index as i64;
                    }
                }
            }
        }
    }
}

impl TopK {
    fn place(&self, row: usize, index: usize) -> usize {
        (row / self.inner * self.axis + index) * self.inner + row % self.inner
    }

    /// Sorts the entries of a row so that the first `k` are the answer.
    fn select(&self, row: usize, data: &[u8], work: &mut [Entry]) {
        for (index, entry) in work.iter_mut().enumerate() {
            let key = self.elem.key(self.elem.load(data, self.place(row, index)));
            *entry = Entry { key: if self.largest { !key } else { key }, index: index as u64 };
        }
        if self.k < work.len() {
            work.select_nth_unstable(self.k);
        }
        work[..self.k].sort_unstable();
    }
}
