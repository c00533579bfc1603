//! Triangular factors of symmetric matrices.
use crate::window::{turned, window};
use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayViewMut2, Axis};
use thiserror::Error;

/// Rows that are factored before all later ones are brought up to date by one product.
const PANEL: usize = 64;

/// A matrix is not positive definite.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the second moments are not positive definite at row {0}; more calibration data or dampening help")]
pub struct NotPositive(pub usize);

/// `L` with `L Lᵀ = A`, in the place of `A`; zeros above the diagonal.
pub(crate) fn factor(matrix: &mut Array2<f64>) -> Result<(), NotPositive> {
    let n = matrix.nrows();
    for first in (0..n).step_by(PANEL) {
        let end = (first + PANEL).min(n);
        panel(matrix, first, end)?;
        // What lies behind the panel loses the product of the panel with itself.
        let (left, right) = matrix.view_mut().split_at(Axis(1), end);
        let (below, mut rest) = (window(left, end..n, first..end), window(right, end..n, 0..n - end));
        general_mat_mul(-1.0, &below, &below.t(), 1.0, &mut rest);
    }
    for row in 0..n {
        window(matrix.view_mut(), row..row + 1, row + 1..n).fill(0.0);
    }
    Ok(())
}

/// Factors some columns that earlier panels have been taken off already.
fn panel(matrix: &mut Array2<f64>, first: usize, end: usize) -> Result<(), NotPositive> {
    for column in first..end {
        let left = window(matrix.view(), column..column + 1, first..column).row(0).to_owned();
        let pivot = matrix[[column, column]] - left.dot(&left);
        if !(pivot.is_finite() && pivot > 0.0) {
            return Err(NotPositive(column));
        }
        let root = pivot.sqrt();
        let below = window(matrix.view(), column + 1..matrix.nrows(), first..column).dot(&left);
        for (row, product) in (column + 1..).zip(below) {
            matrix[[row, column]] = (matrix[[row, column]] - product) / root;
        }
        matrix[[column, column]] = root;
    }
    Ok(())
}

/// `L⁻¹` of a lower triangle, in its place.
pub(crate) fn invert(lower: &mut Array2<f64>) {
    let n = lower.nrows();
    for first in (0..n).step_by(PANEL) {
        let end = (first + PANEL).min(n);
        // Rows of the inverse: `X[b] = L[b, b]⁻¹ (I - L[b, ..b] X[..b])`.
        let (above, below) = lower.view_mut().split_at(Axis(0), first);
        let mut rows = window(below, 0..end - first, 0..n);
        let off = window(rows.view(), 0..end - first, 0..first).to_owned();
        let mut left = window(rows.view_mut(), 0..end - first, 0..first);
        general_mat_mul(-1.0, &off, &window(above, 0..first, 0..first), 0.0, &mut left);
        solve_panel(rows, first);
    }
}

/// Multiplies some rows by the inverse of their own triangle, whose place the inverse takes.
fn solve_panel(mut rows: ArrayViewMut2<'_, f64>, first: usize) {
    let count = rows.nrows();
    let own = first..first + count;
    let triangle = window(rows.view(), 0..count, own.clone()).to_owned();
    window(rows.view_mut(), 0..count, own).assign(&Array2::eye(count));
    for row in 0..count {
        let (done, mut rest) = rows.view_mut().split_at(Axis(0), row);
        let mut this = rest.row_mut(0);
        for (earlier, above) in done.rows().into_iter().enumerate() {
            this.scaled_add(-triangle[[row, earlier]], &above);
        }
        this /= triangle[[row, row]];
    }
}

/// The upper triangle `U` with `Uᵀ U = A⁻¹`.
///
/// `A⁻¹ = Uᵀ U` is `A = U⁻¹ U⁻ᵀ`: the factor of `A` from its last row up, inverted.
pub(crate) fn inverse_factor(matrix: Array2<f64>) -> Result<Array2<f64>, NotPositive> {
    let n = matrix.nrows();
    let mut back = turned(matrix).as_standard_layout().into_owned();
    factor(&mut back).map_err(|NotPositive(row)| NotPositive(n - 1 - row))?;
    invert(&mut back);
    Ok(turned(back).as_standard_layout().into_owned())
}

#[cfg(test)]
mod tests {
    use super::{NotPositive, inverse_factor};
    use ndarray::Array2;

    #[test]
    fn the_factor_of_the_inverse() {
        let n = 150;
        let mut state = 1u64;
        let mut draw = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as f64 / f64::from(1u32 << 31) - 0.5
        };
        let x = Array2::from_shape_fn((2 * n, n), |_| draw());
        let moments = x.t().dot(&x);
        let upper = inverse_factor(moments.clone()).unwrap();
        assert!((1..n).all(|row| (0..row).all(|column| upper[[row, column]] == 0.0)));
        let identity = moments.dot(&upper.t().dot(&upper));
        let off = (&identity - &Array2::<f64>::eye(n)).iter().fold(0f64, |most, x| most.max(x.abs()));
        assert!(off < 1e-10, "{off}");
    }

    #[test]
    fn a_matrix_of_rank_one_has_none() {
        let ones = Array2::from_elem((4, 4), 1.0);
        assert!(matches!(inverse_factor(ones), Err(NotPositive(_))));
    }
}
