//! The memory plan: where each planned buffer lies in the one scratch block of a session.
//!
//! Buffers whose lives do not meet may share memory. The largest are placed first, each in the smallest gap
//! between those it lives together with. The plan depends only on lives and sizes, so it is the same every time.

use crate::abi::{ALIGNMENT, WeftLife};
use crate::memory::Array;

/// The arrays that planning needs, made once.
#[derive(Debug)]
pub struct Planner {
    offsets: Array<u64>,
    /// The buffers, the largest first.
    order: Array<u32>,
    /// The placed buffers by increasing offset.
    placed: Array<u32>,
}

/// Where a buffer lies, with its size rounded up.
#[derive(Clone, Copy)]
struct Gap {
    offset: u64,
    size: u64,
}

impl Planner {
    /// A planner for `count` buffers, or nothing when memory is short.
    pub fn new(count: usize) -> Option<Self> {
        Some(Self { offsets: Array::new(count)?, order: Array::new(count)?, placed: Array::new(count)? })
    }

    /// The offsets of the last plan, in the order of the buffers.
    pub fn offsets(&self) -> &[u64] {
        &self.offsets
    }

    /// Assigns an offset to every buffer and returns the bytes needed in all, or nothing when they exceed 63 bits.
    pub fn assign(&mut self, lives: &[WeftLife], sizes: &[u64]) -> Option<u64> {
        let most = i64::MAX as u64;
        if sizes.iter().any(|&size| size > most - ALIGNMENT) {
            return None;
        }
        for (rank, buffer) in self.order.iter_mut().enumerate() {
            *buffer = rank as u32;
        }
        self.order.sort_unstable_by_key(|&buffer| (!sizes[buffer as usize], buffer));
        let mut total = 0_u64;
        for rank in 0..self.order.len() {
            let buffer = self.order[rank] as usize;
            let size = rounded(sizes[buffer]);
            let offset = if size == 0 { 0 } else { self.best_offset(buffer, rank, lives, sizes)? };
            self.offsets[buffer] = offset;
            self.insert(buffer, rank);
            total = total.max(offset.checked_add(size).filter(|&end| end <= most)?);
        }
        Some(total)
    }

    /// The start of the smallest gap that fits `buffer` between those placed that live at the same time.
    fn best_offset(&self, buffer: usize, placed: usize, lives: &[WeftLife], sizes: &[u64]) -> Option<u64> {
        let size = rounded(sizes[buffer]);
        let mut best: Option<Gap> = None;
        let mut end = 0_u64;
        for &other in &self.placed[..placed] {
            let other = other as usize;
            let other_size = rounded(sizes[other]);
            if other_size == 0 || !meet(lives[buffer], lives[other]) {
                continue;
            }
            let gap = Gap { offset: end, size: self.offsets[other].saturating_sub(end) };
            if gap.size >= size && best.is_none_or(|found| gap.size < found.size) {
                best = Some(gap);
            }
            end = end.max(self.offsets[other].checked_add(other_size)?);
        }
        Some(best.map_or(end, |gap| gap.offset))
    }

    fn insert(&mut self, buffer: usize, placed: usize) {
        let offset = self.offsets[buffer];
        let at = self.placed[..placed].partition_point(|&other| self.offsets[other as usize] <= offset);
        self.placed[at..=placed].rotate_right(1);
        self.placed[at] = buffer as u32;
    }
}

fn rounded(size: u64) -> u64 {
    size.next_multiple_of(ALIGNMENT)
}

fn meet(a: WeftLife, b: WeftLife) -> bool {
    a.first <= b.last && b.first <= a.last
}
