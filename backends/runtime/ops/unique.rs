//! Unique.
#![expect(unsafe_code, reason = "is called by generated code through pointers")]

use core::cmp::Ordering;

use crate::abi::SessionHead;
use crate::elem::Elem;
use crate::ops::call::{Call, Stopped, answer};
use crate::ops::order::Entry;

/// The slices of a tensor along an axis.
#[derive(Clone, Copy)]
struct Slices<'a> {
    elem: Elem,
    data: &'a [u8],
    outer: usize,
    axis: usize,
    inner: usize,
}

impl Slices<'_> {
    /// The key of one element of a slice.
    fn key(&self, slice: u64, element: usize) -> u64 {
        let at = (element / self.inner * self.axis + slice as usize) * self.inner + element % self.inner;
        self.elem.key(self.elem.load(self.data, at))
    }

    /// The order of two slices, the first element first. Entries hold the keys of the first elements.
    fn compare(&self, a: &Entry, b: &Entry) -> Ordering {
        let first = a.key.cmp(&b.key);
        (1..self.outer * self.inner).fold(first, |order, element| {
            order.then_with(|| self.key(a.index, element).cmp(&self.key(b.index, element)))
        })
    }
}

/// Unique: the different slices along an axis, in increasing order or in that of their first appearance.
/// NaNs are equal to each other.
///
/// `args`: data, values, indices (i64), inverse (i64), counts (i64); all but data may be null. `params`: elem, outer,
/// axis extent, inner, sorted (0 or 1). Without an axis: outer 1, inner 1, the axis extent is that of all elements.
/// Room: values as large as data, the others as many as the axis. Returns how many slices differ; values are packed
/// as `[outer, count, inner]`.
///
/// # Safety
/// See [`crate::ops`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_rt_unique(
    head: *mut SessionHead,
    args: *const *mut u8,
    params: *const i64,
) -> i64 {
    // SAFETY: as documented.
    let mut call = unsafe { Call::new(head, args, params) };
    // SAFETY: as documented.
    answer(unsafe { unique(&mut call) })
}

/// # Safety
/// See [`weft_rt_unique`].
unsafe fn unique(call: &mut Call<'_>) -> Result<usize, Stopped> {
    // SAFETY: as documented.
    let elem = unsafe { call.elem(0) }?;
    // SAFETY: as documented.
    let [_, outer, axis, inner, sorted] = core::array::from_fn(|index| unsafe { call.size(index) });
    let bytes = outer * axis * inner * elem.bytes();
    // SAFETY: as documented.
    let slices = Slices { elem, data: unsafe { call.input(0, bytes) }, outer, axis, inner };
    // SAFETY: entries are integers; this operator takes no other work memory.
    let (entries, rest) = unsafe { call.work::<Entry>(3 * axis) }?.split_at_mut(axis);
    let (groups, ranks) = rest.split_at_mut(axis);
    let count = group(&slices, entries, groups);
    if sorted == 0 {
        groups[..count].sort_unstable_by_key(|group| group.index);
        renumber(entries, &groups[..count], ranks);
    }
    // SAFETY: as documented.
    let values = unsafe { call.output::<u8>(1, bytes) };
    // SAFETY: as documented.
    let [indices, inverse, counts] =
        core::array::from_fn(|index| unsafe { call.output::<i64>(2 + index, axis) });
    for (to, group) in indices.iter_mut().zip(&groups[..count]) {
        *to = group.index as i64;
    }
    counts.iter_mut().take(count).for_each(|number| *number = 0);
    for entry in entries.iter() {
        if let Some(to) = inverse.get_mut(entry.index as usize) {
            *to = entry.key as i64;
        }
        if let Some(number) = counts.get_mut(entry.key as usize) {
            *number += 1;
        }
    }
    if !values.is_empty() {
        copy(&slices, &groups[..count], values);
    }
    Ok(count)
}

/// Groups equal slices. Afterwards `groups` holds the first slice of each group in increasing order, and the key of each
/// entry is its group. Returns how many groups there are.
fn group(slices: &Slices<'_>, entries: &mut [Entry], groups: &mut [Entry]) -> usize {
    let is_empty = slices.outer * slices.inner == 0;
    for (index, entry) in entries.iter_mut().enumerate() {
        let index = index as u64;
        *entry = Entry { key: if is_empty { 0 } else { slices.key(index, 0) }, index };
    }
    entries.sort_unstable_by(|a, b| slices.compare(a, b).then(a.index.cmp(&b.index)));
    let mut count = 0;
    let mut last: Option<Entry> = None;
    for entry in entries.iter_mut() {
        if !last.is_some_and(|last| slices.compare(&last, entry).is_eq()) {
            // The key says which group of the sorted order it is, the index where it appears first.
            groups[count] = Entry { key: count as u64, index: entry.index };
            count += 1;
        }
        last = Some(*entry);
        entry.key = count as u64 - 1;
    }
    count
}

/// Replaces each entry's group by the rank of that group in `groups`.
fn renumber(entries: &mut [Entry], groups: &[Entry], ranks: &mut [Entry]) {
    for (rank, group) in groups.iter().enumerate() {
        ranks[group.key as usize].key = rank as u64;
    }
    for entry in entries {
        entry.key = ranks[entry.key as usize].key;
    }
}

fn copy(slices: &Slices<'_>, groups: &[Entry], values: &mut [u8]) {
    let bytes = slices.inner * slices.elem.bytes();
    let mut room = values.chunks_exact_mut(bytes.max(1));
    for row in 0..slices.outer {
        for group in groups {
            let from = (row * slices.axis + group.index as usize) * bytes;
            if let Some(to) = room.next() {
                to.copy_from_slice(&slices.data[from..from + bytes]);
            }
        }
    }
}
