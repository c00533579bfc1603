//! Windows over spatial axes, with numbers for extents.
use crate::array::Array;
use crate::call::{Call, EvalError};
use std::ops::Range;
use weft_ir::Dim;
use weft_ir::ops::window::{Layout, Window};

/// A window over the spatial axes of one operand.
#[derive(Debug, Clone)]
pub(crate) struct Slide {
    /// Spatial extents of the operand.
    pub(crate) from: Vec<usize>,
    /// Spatial extents of the result.
    pub(crate) to: Vec<usize>,
    /// Extents of the window.
    pub(crate) kernel: Vec<usize>,
    /// Steps of the window.
    pub(crate) strides: Vec<i64>,
    /// Steps within the window.
    pub(crate) dilations: Vec<i64>,
    /// Pads in front.
    pub(crate) before: Vec<i64>,
    /// Pads behind.
    pub(crate) behind: Vec<i64>,
}

impl Slide {
    /// The window of a node with these extents of kernel, operand and result.
    pub(crate) fn of(
        call: &Call<'_>,
        kernel: &[usize],
        from: &[usize],
        to: &[usize],
    ) -> Result<Self, EvalError> {
        let window = Window::of(&call.attrs, kernel.iter().map(|k| Dim::fixed(*k as i64)).collect())?;
        let pads = from.iter().zip(to).enumerate().map(|(i, (f, t))| window.pads(i, *f as i64, *t as i64));
        let (before, behind) = pads.unzip();
        Ok(Self {
            from: from.to_vec(),
            to: to.to_vec(),
            kernel: kernel.to_vec(),
            strides: window.strides,
            dilations: window.dilations,
            before,
            behind,
        })
    }

    /// Where tap `tap` of the window at `at` lies on an axis of the operand; the first element is 0.
    pub(crate) fn position(&self, axis: usize, at: usize, tap: usize) -> i64 {
        at as i64 * self.strides[axis] + tap as i64 * self.dilations[axis] - self.before[axis]
    }

    /// The part of the result on an axis whose tap `tap` lies within the operand.
    pub(crate) fn inside(&self, axis: usize, tap: usize) -> Range<usize> {
        self.reach(self.position(axis, 0, tap), self.strides[axis], self.from[axis] as i64, self.to[axis])
    }

    /// The taps of the window at `at` that lie within the operand on an axis.
    pub(crate) fn taps(&self, axis: usize, at: usize) -> Range<usize> {
        self.reach(
            self.position(axis, at, 0),
            self.dilations[axis],
            self.from[axis] as i64,
            self.kernel[axis],
        )
    }

    /// How many taps of the window at `at` lie within the operand or its pads on an axis.
    pub(crate) fn padded_taps(&self, axis: usize, at: usize) -> usize {
        let first = self.position(axis, at, 0) + self.before[axis];
        let whole = self.from[axis] as i64 + self.before[axis] + self.behind[axis];
        self.reach(first, self.dilations[axis], whole, self.kernel[axis]).len()
    }

    /// All `i` below `count` for which `first + i * step` lies in `0..end`.
    fn reach(&self, first: i64, step: i64, end: i64, count: usize) -> Range<usize> {
        let ceil = |a: i64| if a <= 0 { 0 } else { (a - 1) / step + 1 };
        let hi = ceil(end - first).min(count as i64);
        ceil(-first).min(hi) as usize..hi as usize
    }
}

/// An array with the channels, which stand where `layout` says, moved before the spatial axes.
pub(crate) fn channels_first(x: Array<f64>, layout: Layout) -> Array<f64> {
    let rank = x.dims.len();
    match layout {
        Layout::First => x,
        Layout::Last => x.transposed(&[&[0, rank - 1], &(1..rank - 1).collect::<Vec<_>>()[..]].concat()),
    }
}

/// The way back from [`channels_first`].
pub(crate) fn channels_back(x: Array<f64>, layout: Layout) -> Array<f64> {
    let rank = x.dims.len();
    match layout {
        Layout::First => x,
        Layout::Last => x.transposed(&[&[0], &(2..rank).collect::<Vec<_>>()[..], &[1]].concat()),
    }
}
