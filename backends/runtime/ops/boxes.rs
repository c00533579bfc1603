//! NonMaxSuppression.
#![expect(unsafe_code, reason = "is called by generated code through pointers")]

use crate::abi::SessionHead;
use crate::ops::call::{Call, Stopped, answer};
use crate::ops::order::Entry;

/// How boxes overlap and when they count.
struct Rules {
    is_center: bool,
    most: usize,
    overlap: f32,
    score: Option<f32>,
}

/// A box by its corners.
#[derive(Clone, Copy)]
struct Corners {
    low: [f32; 2],
    high: [f32; 2],
}

/// NonMaxSuppression: per batch and class the best boxes that do not overlap a better one too much.
///
/// `args`: boxes `f32[batches, boxes, 4]`, scores `f32[batches, classes, boxes]`, max_output_boxes_per_class (i64),
/// iou_threshold (f32), score_threshold (f32), result `i64[room, 3]` with room = batches * classes * min(boxes, max);
/// each of the three scalars may be null, which means 0, 0 and no threshold. `params`: batches, classes, boxes,
/// center_point_box. Of equal scores the lower index comes first. Returns how many rows of the result were written.
///
/// # Safety
/// See [`crate::ops`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_rt_nms(
    head: *mut SessionHead,
    args: *const *mut u8,
    params: *const i64,
) -> i64 {
    // SAFETY: as documented.
    let mut call = unsafe { Call::new(head, args, params) };
    // SAFETY: as documented.
    answer(unsafe { suppress(&mut call) })
}

/// # Safety
/// See [`weft_rt_nms`].
unsafe fn suppress(call: &mut Call<'_>) -> Result<usize, Stopped> {
    // SAFETY: as documented.
    let [batches, classes, count, center] = core::array::from_fn(|index| unsafe { call.size(index) });
    // SAFETY: as documented.
    let (boxes, scores) = unsafe {
        (call.input::<[f32; 4]>(0, batches * count), call.input::<f32>(1, batches * classes * count))
    };
    // SAFETY: as documented.
    let (most, overlap, score) =
        unsafe { (call.input::<i64>(2, 1), call.input::<f32>(3, 1), call.input::<f32>(4, 1)) };
    let rules = Rules {
        is_center: center != 0,
        most: most.first().map_or(0, |&most| usize::try_from(most).unwrap_or(0)).min(count),
        overlap: overlap.first().copied().unwrap_or(0.0),
        score: score.first().copied(),
    };
    // SAFETY: as documented.
    let result = unsafe { call.output::<[i64; 3]>(5, batches * classes * rules.most) };
    // SAFETY: entries are integers; this operator takes no other work memory.
    let work = unsafe { call.work::<Entry>(count) }?;
    let mut written = 0;
    if rules.most == 0 {
        return Ok(0);
    }
    for (row, scores) in scores.chunks_exact(count).enumerate() {
        let (batch, class) = (row / classes, row % classes);
        let boxes = &boxes[batch * count..][..count];
        for entry in rules.keep(boxes, scores, work) {
            result[written] = [batch as i64, class as i64, entry.index as i64];
            written += 1;
        }
    }
    Ok(written)
}

impl Rules {
    /// The entries of the boxes kept, the best first.
    fn keep<'a>(&self, boxes: &[[f32; 4]], scores: &[f32], work: &'a mut [Entry]) -> &'a [Entry] {
        let mut candidates = 0;
        for (index, &score) in scores.iter().enumerate() {
            if self.score.is_none_or(|least| score > least) {
                work[candidates] = Entry { key: best_first(score), index: index as u64 };
                candidates += 1;
            }
        }
        work[..candidates].sort_unstable();
        let mut kept = 0;
        for candidate in 0..candidates {
            if kept == self.most {
                break;
            }
            let entry = work[candidate];
            let corners = self.corners(boxes[entry.index as usize]);
            let is_hidden = work[..kept]
                .iter()
                .any(|better| corners.overlap(self.corners(boxes[better.index as usize])) > self.overlap);
            if !is_hidden {
                work[kept] = entry;
                kept += 1;
            }
        }
        &work[..kept]
    }

    fn corners(&self, [a, b, c, d]: [f32; 4]) -> Corners {
        if self.is_center {
            return Corners { low: [a - c / 2.0, b - d / 2.0], high: [a + c / 2.0, b + d / 2.0] };
        }
        Corners { low: [a.min(c), b.min(d)], high: [a.max(c), b.max(d)] }
    }
}

/// A key by which the greatest score comes first, and NaN last.
fn best_first(score: f32) -> u64 {
    let bits = (score + 0.0).to_bits();
    let ascending = if bits >> 31 == 1 { !bits } else { bits | 1 << 31 };
    if score.is_nan() { u64::MAX } else { u64::from(!ascending) }
}

impl Corners {
    fn area(self) -> f32 {
        (self.high[0] - self.low[0]) * (self.high[1] - self.low[1])
    }

    /// The area in common as a part of the area of both.
    fn overlap(self, other: Self) -> f32 {
        let side = |axis: usize| self.high[axis].min(other.high[axis]) - self.low[axis].max(other.low[axis]);
        let (first, second) = (side(0), side(1));
        if first <= 0.0 || second <= 0.0 || self.area() <= 0.0 || other.area() <= 0.0 {
            return 0.0;
        }
        let common = first * second;
        common / (self.area() + other.area() - common)
    }
}
