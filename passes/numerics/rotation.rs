//! Rotations: products of matrices, and the axes along which a matrix spreads. All in `f64`, row-major.
use nalgebra::{DMatrix, SymmetricEigen};
use ndarray::ArrayView2;

/// The product of matrices of `rows x depth` and `depth x cols`.
///
/// # Panics
/// If a matrix has not as many elements as the dims say.
pub fn product(a: &[f64], b: &[f64], [rows, depth, cols]: [usize; 3]) -> Vec<f64> {
    let a = ArrayView2::from_shape((rows, depth), a);
    let b = ArrayView2::from_shape((depth, cols), b);
    match (a, b) {
        (Ok(a), Ok(b)) => a.dot(&b).iter().copied().collect(),
        _ => panic!("a matrix has as many elements as its dims say"),
    }
}

/// A matrix with its axes exchanged.
pub fn transposed(a: &[f64], [rows, cols]: [usize; 2]) -> Vec<f64> {
    (0..rows * cols).map(|i| a[i % rows * cols + i / rows]).collect()
}

/// An orthogonal matrix whose columns are the eigenvectors of a symmetric matrix of `n x n`, those of
/// the largest eigenvalues first. In the new axes the matrix is diagonal. The sign of each is such
/// that its largest element is positive, so that equal matrices give equal axes.
pub fn principal_axes(symmetric: &[f64], n: usize) -> Vec<f64> {
    let found = SymmetricEigen::new(DMatrix::from_row_slice(n, n, symmetric));
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|a, b| found.eigenvalues[*b].total_cmp(&found.eigenvalues[*a]).then(a.cmp(b)));
    let mut axes = vec![0.0; n * n];
    for (to, from) in order.into_iter().enumerate() {
        let axis = found.eigenvectors.column(from);
        let largest =
            axis.iter().copied().fold(0.0, |most: f64, x| if x.abs() > most.abs() { x } else { most });
        for (row, x) in axis.iter().enumerate() {
            axes[row * n + to] = x * largest.signum();
        }
    }
    axes
}

/// The largest element off the diagonal of a symmetric matrix beside the largest on it, 0 for none.
pub fn off_diagonal(symmetric: &[f64], n: usize) -> f64 {
    let largest = |on: bool| {
        let elements = symmetric.iter().enumerate().filter(|(i, _)| (i / n == i % n) == on);
        elements.map(|(_, x)| x.abs()).fold(0.0, f64::max)
    };
    let (on, off) = (largest(true), largest(false));
    if on == 0.0 { 0.0 } else { off / on }
}

#[cfg(test)]
mod tests {
    use super::{off_diagonal, principal_axes, product, transposed};

    #[test]
    fn axes_make_a_matrix_diagonal() {
        let n = 12;
        // Of rank 5.
        let half: Vec<f64> = (0..5 * n).map(|i| ((i * 37 + 11) % 29) as f64 - 14.0).collect();
        let gram = product(&transposed(&half, [5, n]), &half, [n, 5, n]);
        let axes = principal_axes(&gram, n);
        let back = transposed(&axes, [n, n]);
        let unit = product(&back, &axes, [n, n, n]);
        for (i, x) in unit.iter().enumerate() {
            assert!((x - f64::from(u8::from(i / n == i % n))).abs() < 1e-12);
        }
        let diagonal = product(&product(&back, &gram, [n, n, n]), &axes, [n, n, n]);
        assert!(off_diagonal(&diagonal, n) < 1e-12 && off_diagonal(&gram, n) > 0.1);
        let values: Vec<f64> = (0..n).map(|i| diagonal[i * n + i]).collect();
        assert!(values.windows(2).all(|pair| pair[0] >= pair[1] - 1e-9), "{values:?}");
        assert!(values[4] > 1.0 && values[5..].iter().all(|x| x.abs() < 1e-9), "{values:?}");
    }
}
