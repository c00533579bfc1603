//! When blocks along the outputs err less: only where the range of the weights differs between
//! inputs, and the inputs of small weights are those that are large.
//!
//! Three bits, blocks of 128, 1024 inputs and outputs, rounded to nearest.
use ndarray::Array2;
use weft_numerics::{Along, Blocks, Grid, Zero, rtn};

const N: usize = 1024;
const ROWS: usize = 256;
/// The inputs that are unlike others.
const ODD: [usize; 4] = [17, 273, 529, 785];

/// The relative error of products by blocks along the inputs (oc) and along the outputs (ic).
fn errors(x: &Array2<f32>, weights: &Array2<f32>) -> [f32; 2] {
    let squares = |matrix: &Array2<f32>| matrix.iter().map(|x| x * x).sum::<f32>();
    let all = squares(&x.dot(weights));
    [Along::Inputs, Along::Outputs].map(|along| {
        let (blocks, grid) = (Blocks { along, size: 128 }, Grid { bits: 3, zero: Zero::Free });
        let flat = weights.as_slice().expect("the weights are in standard layout");
        let numbers = rtn(flat, [N, N], blocks, grid).numbers();
        let rounded = Array2::from_shape_vec((N, N), numbers).expect("there are as many numbers");
        squares(&x.dot(&(weights - &rounded))) / all
    })
}

/// Numbers of mean 0 and variance 1, nearly normal.
fn normal(dims: (usize, usize), mut state: u64) -> Array2<f32> {
    let mut draw = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u32 << 24) as f32
    };
    Array2::from_shape_fn(dims, |_| (0..12).map(|_| draw()).sum::<f32>() - 6.0)
}

fn near(found: [f32; 2], expected: [f32; 2]) {
    let fits = found.iter().zip(expected).all(|(found, expected)| (found / expected - 1.0).abs() < 0.15);
    assert!(fits, "expected {expected:?}, found {found:?}");
}

#[test]
fn the_table() {
    let (plain, weights) = (normal((ROWS, N), 3), normal((N, N), 5));
    near(errors(&plain, &weights), [0.0463, 0.0465]);
    let mut loud = plain.clone();
    ODD.iter().for_each(|input| loud.column_mut(*input).mapv_inplace(|x| 20.0 * x));
    near(errors(&loud, &weights), [0.0473, 0.0472]);
    let with_rows = |factor: f32| {
        let mut weights = weights.clone();
        ODD.iter().for_each(|input| weights.row_mut(*input).mapv_inplace(|x| factor * x));
        weights
    };
    // Large inputs meet small weights: along the outputs these have scales of their own.
    near(errors(&loud, &with_rows(0.25)), [0.0958, 0.0467]);
    // Large inputs meet large weights: those take most of the range of the others, and err little.
    near(errors(&loud, &with_rows(4.0)), [0.0080, 0.0472]);
    let mut outputs = weights.clone();
    (0..8).for_each(|block| outputs.column_mut(128 * block + 5).mapv_inplace(|x| 6.0 * x));
    near(errors(&plain, &outputs), [0.0463, 0.0938]);
}
