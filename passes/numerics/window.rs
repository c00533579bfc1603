//! Parts of matrices.
use ndarray::{ArrayBase, Axis, Ix2, RawData, Slice};
use std::ops::Range;

/// The part of a view with these rows and columns.
pub(crate) fn window<S: RawData>(
    view: ArrayBase<S, Ix2>,
    rows: Range<usize>,
    columns: Range<usize>,
) -> ArrayBase<S, Ix2> {
    view.slice_axis_move(Axis(0), Slice::from(rows)).slice_axis_move(Axis(1), Slice::from(columns))
}

/// The same with rows and columns from the last to the first.
pub(crate) fn turned<S: RawData>(view: ArrayBase<S, Ix2>) -> ArrayBase<S, Ix2> {
    let back = Slice::new(0, None, -1);
    view.slice_axis_move(Axis(0), back).slice_axis_move(Axis(1), back)
}
