//! GPTQ: rounding one input after the other, with what rounding broke put right by later inputs.
use crate::cholesky::{NotPositive, inverse_factor};
use crate::grid::{Along, Blocks, Grid, Quantised};
use crate::window::window;
use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, Axis};

/// What is added to the diagonal of the second moments, as a share of its mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dampening(pub f64);

impl Default for Dampening {
    fn default() -> Self {
        Self(0.01)
    }
}

/// Inputs that are rounded before all later ones are put right by one product.
const BATCH: usize = 128;

/// What is to be known of the inputs of a layer to round its matrix: in what order they are taken, and how
/// later ones make up for earlier ones.
#[derive(Debug, Clone)]
pub struct Compensation {
    order: Vec<usize>,
    /// The triangle `U` with `Uᵀ U` the inverse of the second moments.
    upper: Array2<f32>,
}

impl Compensation {
    /// For so many inputs with these second moments (`Xᵀ X`, inputs by inputs). Inputs are rounded in the
    /// order of falling moments.
    ///
    /// # Errors
    /// If the moments are not positive definite in spite of the dampening.
    ///
    /// # Panics
    /// If there is not a moment for every two inputs.
    pub fn new(inputs: usize, moments: &[f32], dampening: Dampening) -> Result<Self, NotPositive> {
        assert_eq!(moments.len(), inputs * inputs, "there is a moment for every two inputs");
        let order = order(moments, inputs);
        let upper = inverse_factor(dampened(moments, &order, dampening))?.mapv(|x| x as f32);
        Ok(Self { order, upper })
    }
}

/// Rounds a matrix, inputs by outputs, row-major, so that its products with inputs such as those the
/// compensation is for change little. Blocks along the inputs keep the levels of the matrix as it was
/// given; blocks along the outputs get theirs when their input's turn comes, so the order breaks none of
/// them. Outputs are rounded each on its own, those of one block along them together.
///
/// Frantar et al., "GPTQ" (ICLR 2023); Kim et al. (ICLR 2024) for blocks along the outputs.
///
/// # Panics
/// If there are not as many weights as the dims say, or the compensation is for another number of inputs.
pub fn gptq(
    weights: &[f32],
    dims: [usize; 2],
    Compensation { order, upper }: &Compensation,
    (blocks, grid): (Blocks, Grid),
) -> Quantised {
    assert_eq!(weights.len(), dims[0] * dims[1], "a matrix has as many elements as its dims say");
    assert_eq!(order.len(), dims[0], "the compensation is for these inputs");
    let mut quantised = Quantised::empty(dims, blocks, grid);
    if blocks.along == Along::Inputs {
        quantised.fit(weights);
    }
    let mut rest = sorted(weights, dims, order);
    let [inputs, outputs] = dims;
    for first in (0..inputs).step_by(BATCH) {
        let end = (first + BATCH).min(inputs);
        let errors = batch(&mut quantised, &mut rest, upper, &order[first..end], first);
        let mut later = window(rest.view_mut(), end..inputs, 0..outputs);
        let factors = window(upper.view(), first..end, end..inputs);
        general_mat_mul(-1.0, &factors.t(), &errors, 1.0, &mut later);
    }
    quantised
}

/// The inputs by falling moment; equal ones as they come.
fn order(moments: &[f32], inputs: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..inputs).collect();
    order.sort_by(|a, b| moments[b * inputs + b].total_cmp(&moments[a * inputs + a]));
    order
}

/// The moments in the order of the inputs, with a little on the diagonal. Inputs that are always
/// zero get a one there: nothing hangs on them.
fn dampened(moments: &[f32], order: &[usize], Dampening(share): Dampening) -> Array2<f64> {
    let n = order.len();
    let at = |(row, column): (usize, usize)| f64::from(moments[order[row] * n + order[column]]);
    let mut matrix = Array2::from_shape_fn((n, n), at);
    let mean = matrix.diag().iter().sum::<f64>() / n.max(1) as f64;
    for diagonal in matrix.diag_mut() {
        *diagonal = if *diagonal == 0.0 { 1.0 } else { *diagonal } + share * mean;
    }
    matrix
}

fn sorted(weights: &[f32], [inputs, outputs]: [usize; 2], order: &[usize]) -> Array2<f32> {
    Array2::from_shape_fn((inputs, outputs), |(row, output)| weights[order[row] * outputs + output])
}

/// Rounds a batch of inputs, each put right for those before it; gives their errors, each divided by
/// its pivot.
fn batch(
    quantised: &mut Quantised,
    rest: &mut Array2<f32>,
    upper: &Array2<f32>,
    order: &[usize],
    first: usize,
) -> Array2<f32> {
    let outputs = quantised.dims[1];
    let mut errors = Array2::zeros((order.len(), outputs));
    let mut rounded = vec![0.0; outputs];
    for (step, input) in order.iter().enumerate() {
        let place = first + step;
        let (before, mut after) = rest.view_mut().split_at(Axis(0), place + 1);
        let row = before.row(place);
        let row = row.as_slice().expect("rows of a matrix in standard layout are slices");
        if quantised.blocks.along == Along::Outputs {
            quantised.fit_row(*input, row);
        }
        quantised.round_row(*input, row, &mut rounded);
        let mut error = errors.row_mut(step);
        for (error, (exact, rounded)) in error.iter_mut().zip(row.iter().zip(&rounded)) {
            *error = (exact - rounded) / upper[[place, place]];
        }
        for (later, mut row) in after.rows_mut().into_iter().take(order.len() - step - 1).enumerate() {
            row.scaled_add(-upper[[place, place + 1 + later]], &error);
        }
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::{Compensation, Dampening, gptq};
    use crate::grid::{Along, Blocks, Grid, Quantised, Zero};
    use crate::rtn::rtn;
    use crate::window::window;
    use ndarray::Array2;

    /// Inputs that are mixtures of fewer signals, as those of real layers are.
    fn data(rows: usize, inputs: usize) -> Array2<f32> {
        let mut state = 7u64;
        let mut draw = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 40) as f32 / (1u32 << 23) as f32 - 1.0
        };
        let signals = Array2::from_shape_fn((rows, inputs / 2), |_| draw());
        let mixing = Array2::from_shape_fn((inputs / 2, inputs), |_| draw());
        signals.dot(&mixing) + Array2::from_shape_fn((rows, inputs), |_| 0.1 * draw())
    }

    fn error(x: &Array2<f32>, weights: &Array2<f32>, quantised: &Quantised) -> f32 {
        let numbers = Array2::from_shape_vec(weights.dim(), quantised.numbers()).unwrap();
        let off = x.dot(&(weights - &numbers));
        off.iter().map(|x| x * x).sum()
    }

    #[test]
    fn products_change_less_than_by_rounding_to_nearest() {
        let (x, dims) = (data(600, 160), [160, 48]);
        let weights = data(dims[0], dims[1]);
        let moments = x.t().dot(&x);
        let (flat, seen) = (weights.as_slice().unwrap(), moments.as_standard_layout().into_owned());
        let grid = Grid { bits: 3, zero: Zero::Free };
        for along in [Along::Inputs, Along::Outputs] {
            let blocks = Blocks { along, size: 32 };
            let nearest = rtn(flat, dims, blocks, grid);
            let seen = seen.as_slice().unwrap();
            let inputs = Compensation::new(dims[0], seen, Dampening::default()).unwrap();
            let better = gptq(flat, dims, &inputs, (blocks, grid));
            let ratio = error(&x, &weights, &better) / error(&x, &weights, &nearest);
            assert!(ratio < 0.6, "{along:?}: {ratio}");
        }
    }

    #[test]
    fn outputs_are_rounded_each_on_its_own() {
        let (x, dims) = (data(300, 70), [70, 80]);
        let (weights, moments) = (data(dims[0], dims[1]), x.t().dot(&x));
        let part = |from: usize, to: usize| window(weights.view(), 0..70, from..to).iter().copied().collect();
        let parts: [(Vec<f32>, usize); 3] = [(part(0, 32), 32), (part(32, 64), 32), (part(64, 80), 16)];
        let seen = moments.as_standard_layout().into_owned();
        let inputs = Compensation::new(dims[0], seen.as_slice().unwrap(), Dampening::default()).unwrap();
        for along in [Along::Inputs, Along::Outputs] {
            let how = (Blocks { along, size: 16 }, Grid { bits: 4, zero: Zero::Free });
            let whole = gptq(weights.as_slice().unwrap(), dims, &inputs, how);
            let parts = parts.iter().map(|(part, outputs)| gptq(part, [dims[0], *outputs], &inputs, how));
            assert_eq!(Quantised::beside(parts.collect()), Some(whole), "{along:?}");
        }
    }

    #[test]
    fn inputs_without_correlation_are_rounded_to_nearest() {
        let dims = [4, 3];
        let weights: Vec<f32> = (0..12).map(|i| (i * 7 % 12) as f32 / 5.0 - 1.0).collect();
        let moments: Vec<f32> = (0..16).map(|i| if i % 5 == 0 { 1.0 + i as f32 } else { 0.0 }).collect();
        for along in [Along::Inputs, Along::Outputs] {
            let how = (Blocks { along, size: 2 }, Grid { bits: 2, zero: Zero::Free });
            let inputs = Compensation::new(dims[0], &moments, Dampening::default()).unwrap();
            let found = gptq(&weights, dims, &inputs, how);
            assert_eq!(found, rtn(&weights, dims, how.0, how.1));
        }
    }
}
