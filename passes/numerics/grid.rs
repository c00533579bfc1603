//! Grids of few levels, and matrices on them.
use std::ops::Range;

/// Where the zero of a grid lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zero {
    /// Where the range of the numbers wants it; codes count from 0.
    Free,
    /// In the middle; codes have a sign.
    Centre,
}

/// How many levels numbers are rounded to, and where zero is among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// Bits of a code, 2 to 8.
    pub bits: u32,
    /// Where zero is.
    pub zero: Zero,
}

/// The axis of a matrix, inputs by outputs, along which a block reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Along {
    /// Consecutive inputs of one output share a scale: "per output channel" (OC).
    Inputs,
    /// Consecutive outputs of one input share a scale: "per input channel" (IC).
    Outputs,
}

/// How a matrix is cut into blocks that share a scale. The last block along an axis may be shorter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocks {
    /// Which way they reach.
    pub along: Along,
    /// How many elements they have; at least 1.
    pub size: usize,
}

/// The step between levels, and the code of zero.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Level {
    scale: f32,
    zero: f32,
}

/// No scale is smaller than this times the number of levels.
const LEAST_RANGE: f32 = 1e-5;

impl Grid {
    /// The lowest and the highest code.
    pub fn codes(self) -> (i16, i16) {
        match self.zero {
            Zero::Free => (0, (1 << self.bits) - 1),
            Zero::Centre => (1 - (1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1),
        }
    }

    /// The levels that span a range, zero always among them.
    pub(crate) fn level(self, low: f32, high: f32) -> Level {
        let (low, high) = (low.min(0.0), high.max(0.0));
        let most = f32::from(self.codes().1);
        match self.zero {
            Zero::Free => {
                let scale = (high - low).max(LEAST_RANGE) / most;
                Level { scale, zero: (-(low / scale).round_ties_even()).clamp(0.0, most) }
            }
            Zero::Centre => Level { scale: high.max(-low).max(LEAST_RANGE) / most, zero: 0.0 },
        }
    }

    /// The code of the level next to a number, half to even.
    pub(crate) fn code(self, level: Level, number: f32) -> i16 {
        let (least, most) = self.codes();
        let code = (number / level.scale).round_ties_even() + level.zero;
        code.clamp(f32::from(least), f32::from(most)) as i16
    }
}

impl Level {
    /// The number that a code stands for.
    pub(crate) fn number(self, code: i16) -> f32 {
        (f32::from(code) - self.zero) * self.scale
    }
}

/// A matrix, inputs by outputs, row-major, as codes on a grid.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantised {
    /// The grid.
    pub grid: Grid,
    /// The blocks.
    pub blocks: Blocks,
    /// Inputs and outputs.
    pub dims: [usize; 2],
    /// One code an element.
    pub codes: Vec<i16>,
    /// One scale a block: row-major over the matrix with the blocks' axis divided by their size.
    pub scales: Vec<f32>,
    /// The codes of zero, one a block; all zero where zero is in the centre.
    pub zeros: Vec<i16>,
}

impl Quantised {
    /// A matrix whose codes are yet to be set.
    pub(crate) fn empty(dims: [usize; 2], blocks: Blocks, grid: Grid) -> Self {
        let [inputs, outputs] = dims;
        let count = match blocks.along {
            Along::Inputs => inputs.div_ceil(blocks.size) * outputs,
            Along::Outputs => inputs * outputs.div_ceil(blocks.size),
        };
        let codes = vec![0; inputs * outputs];
        Self { grid, blocks, dims, codes, scales: vec![1.0; count], zeros: vec![0; count] }
    }

    /// Inputs and outputs of the matrix of scales.
    pub fn scale_dims(&self) -> [usize; 2] {
        let [inputs, outputs] = self.dims;
        match self.blocks.along {
            Along::Inputs => [inputs.div_ceil(self.blocks.size), outputs],
            Along::Outputs => [inputs, outputs.div_ceil(self.blocks.size)],
        }
    }

    /// Some matrices of the same inputs as one, the outputs of each behind those of the one before; `None`
    /// if there is none, or they do not fit. Blocks along the outputs must end where a matrix ends.
    pub fn beside(parts: Vec<Self>) -> Option<Self> {
        let first = parts.first()?;
        let (grid, blocks, inputs) = (first.grid, first.blocks, first.dims[0]);
        let whole = |part: &Self| blocks.along == Along::Inputs || part.dims[1].is_multiple_of(blocks.size);
        let alike = |part: &Self| part.grid == grid && part.blocks == blocks && part.dims[0] == inputs;
        if !parts.iter().all(alike) || !parts[..parts.len() - 1].iter().all(whole) {
            return None;
        }
        let rows = first.scale_dims()[0];
        Some(Self {
            grid,
            blocks,
            dims: [inputs, parts.iter().map(|part| part.dims[1]).sum()],
            codes: joined(inputs, parts.iter().map(|part| (&part.codes[..], part.dims[1]))),
            scales: joined(rows, parts.iter().map(|part| (&part.scales[..], part.scale_dims()[1]))),
            zeros: joined(rows, parts.iter().map(|part| (&part.zeros[..], part.scale_dims()[1]))),
        })
    }

    fn block_of(&self, input: usize, output: usize) -> usize {
        let [_, columns] = self.scale_dims();
        match self.blocks.along {
            Along::Inputs => input / self.blocks.size * columns + output,
            Along::Outputs => input * columns + output / self.blocks.size,
        }
    }

    /// The level of the block that an element is in.
    pub(crate) fn level_at(&self, input: usize, output: usize) -> Level {
        let block = self.block_of(input, output);
        Level { scale: self.scales[block], zero: f32::from(self.zeros[block]) }
    }

    pub(crate) fn set_level(&mut self, (input, output): (usize, usize), level: Level) {
        let block = self.block_of(input, output);
        (self.scales[block], self.zeros[block]) = (level.scale, level.zero as i16);
    }

    /// Rounds part of one input's row to the levels that are set; gives what the codes stand for.
    pub(crate) fn round_row(&mut self, input: usize, row: &[f32], into: &mut [f32]) {
        let outputs = self.dims[1];
        for (output, (number, rounded)) in row.iter().zip(into).enumerate() {
            let level = self.level_at(input, output);
            let code = self.grid.code(level, *number);
            self.codes[input * outputs + output] = code;
            *rounded = level.number(code);
        }
    }

    /// Sets the levels of the blocks along the outputs of one input.
    pub(crate) fn fit_row(&mut self, input: usize, row: &[f32]) {
        for (block, part) in row.chunks(self.blocks.size).enumerate() {
            let (low, high) = range(part.iter().copied());
            let level = self.grid.level(low, high);
            self.set_level((input, block * self.blocks.size), level);
        }
    }

    /// Sets the levels of the blocks along a range of inputs, one for each output.
    pub(crate) fn fit_block(&mut self, inputs: Range<usize>, weights: &[f32]) {
        let outputs = self.dims[1];
        let (mut low, mut high) = (vec![0f32; outputs], vec![0f32; outputs]);
        for input in inputs.clone() {
            let row = &weights[input * outputs..][..outputs];
            for (number, (low, high)) in row.iter().zip(low.iter_mut().zip(&mut high)) {
                (*low, *high) = (low.min(*number), high.max(*number));
            }
        }
        for (output, (low, high)) in low.into_iter().zip(high).enumerate() {
            let level = self.grid.level(low, high);
            self.set_level((inputs.start, output), level);
        }
    }

    /// Sets all levels from the numbers that are to be rounded.
    pub(crate) fn fit(&mut self, weights: &[f32]) {
        let ([inputs, outputs], size) = (self.dims, self.blocks.size);
        match self.blocks.along {
            Along::Inputs => {
                for first in (0..inputs).step_by(size) {
                    self.fit_block(first..(first + size).min(inputs), weights);
                }
            }
            Along::Outputs => {
                for (input, row) in weights.chunks_exact(outputs.max(1)).enumerate() {
                    self.fit_row(input, row);
                }
            }
        }
    }

    /// The numbers that the codes stand for.
    pub fn numbers(&self) -> Vec<f32> {
        let outputs = self.dims[1].max(1);
        let number = |(at, code): (usize, &i16)| self.level_at(at / outputs, at % outputs).number(*code);
        self.codes.iter().enumerate().map(number).collect()
    }
}

/// Matrices of so many rows, each with its columns, beside each other.
fn joined<'p, T: Copy + 'p>(rows: usize, parts: impl Iterator<Item = (&'p [T], usize)> + Clone) -> Vec<T> {
    let row = |row: usize| {
        parts.clone().flat_map(move |(numbers, columns)| &numbers[row * columns..(row + 1) * columns])
    };
    (0..rows).flat_map(row).copied().collect()
}

/// The least and the greatest.
fn range(numbers: impl Iterator<Item = f32>) -> (f32, f32) {
    numbers.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)))
}
