//! Round to nearest.
use crate::grid::{Blocks, Grid, Quantised};

/// Rounds a matrix, inputs by outputs, row-major: the range of every block, zero included, is
/// divided evenly, and each number goes to the nearest level, half to even.
///
/// Kim et al., "Rethinking Channel Dimensions to Isolate Outliers for Low-bit Weight Quantization"
/// (ICLR 2024), with zero in the range as GPTQ has it.
///
/// # Panics
/// If there are not as many weights as the dims say.
pub fn rtn(weights: &[f32], dims: [usize; 2], blocks: Blocks, grid: Grid) -> Quantised {
    assert_eq!(weights.len(), dims[0] * dims[1], "a matrix has as many elements as its dims say");
    let mut quantised = Quantised::empty(dims, blocks, grid);
    quantised.fit(weights);
    let mut rounded = vec![0.0; dims[1]];
    for (input, row) in weights.chunks_exact(dims[1].max(1)).enumerate() {
        quantised.round_row(input, row, &mut rounded);
    }
    quantised
}

#[cfg(test)]
mod tests {
    use super::rtn;
    use crate::grid::{Along, Blocks, Grid, Zero};

    const FREE: Grid = Grid { bits: 2, zero: Zero::Free };

    #[test]
    fn blocks_along_the_inputs() {
        // Two outputs; the blocks of three inputs are the columns' first three and last one.
        let weights = [0.0, -1.0, 1.0, 0.5, 3.0, 2.0, 6.0, -3.0];
        let found = rtn(&weights, [4, 2], Blocks { along: Along::Inputs, size: 3 }, FREE);
        assert_eq!(found.scales, [1.0, 1.0, 2.0, 1.0]);
        assert_eq!(found.zeros, [0, 1, 0, 3]);
        // One half goes to zero, the even one.
        assert_eq!(found.codes, [0, 0, 1, 1, 3, 3, 3, 0]);
        assert_eq!(found.numbers(), [0.0, -1.0, 1.0, 0.0, 3.0, 2.0, 6.0, -3.0]);
    }

    #[test]
    fn blocks_along_the_outputs() {
        let weights = [0.0, 1.0, 3.0, -3.0, -2.0, 0.0];
        let found = rtn(&weights, [2, 3], Blocks { along: Along::Outputs, size: 2 }, FREE);
        assert_eq!(found.scale_dims(), [2, 2]);
        assert_eq!(found.scales, [1.0 / 3.0, 1.0, 1.0, 1e-5 / 3.0]);
        assert_eq!(found.codes, [0, 3, 3, 0, 1, 0]);
        assert_eq!(found.numbers(), [0.0, 1.0, 3.0, -3.0, -2.0, 0.0]);
    }

    #[test]
    fn zero_in_the_centre() {
        let grid = Grid { bits: 3, zero: Zero::Centre };
        let found = rtn(&[-3.0, 1.4, 0.2, 2.6], [1, 4], Blocks { along: Along::Outputs, size: 4 }, grid);
        assert_eq!(found.codes, [-3, 1, 0, 3]);
        assert_eq!((found.scales, found.zeros), (vec![1.0], vec![0]));
    }
}
