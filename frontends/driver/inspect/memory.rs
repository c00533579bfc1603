//! The memory plan of a compiled program, in numbers.
use super::number;
use crate::dims::Dims;
use serde::Serialize;
use weft_kernel::program::Program;

/// What a run keeps in memory besides its inputs and outputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MemoryPlan {
    /// Bytes of weights as the kernels want them.
    pub weights: u64,
    /// Buffers that share memory by when they are used.
    pub buffers: usize,
    /// Bytes of these buffers, if none shared.
    pub sum: Option<u64>,
    /// The most bytes of them that are in use at once.
    pub peak: Option<u64>,
    /// Buffers whose size is decided at run time.
    pub grown: usize,
    /// Kernels.
    pub kernels: usize,
    /// Steps.
    pub steps: usize,
}

/// The plan of a program at these extents.
pub fn memory_plan(program: &Program, extents: &Dims) -> MemoryPlan {
    let bytes: Option<Vec<u64>> = program.planned.iter().map(|b| number(&b.bytes, extents)).collect();
    let peak = bytes.as_ref().map(|bytes| {
        let lives = || program.planned.iter().zip(bytes);
        let at =
            |step| lives().filter(|(b, _)| b.first <= step && step <= b.last).map(|(_, n)| n).sum::<u64>();
        program.planned.iter().map(|buffer| at(buffer.first)).max().unwrap_or(0)
    });
    MemoryPlan {
        weights: program.weights.iter().map(|weight| weight.data.len() as u64).sum(),
        buffers: program.planned.len(),
        sum: bytes.map(|bytes| bytes.iter().sum()),
        peak,
        grown: program.grown,
        kernels: program.kernels.len(),
        steps: program.steps.len(),
    }
}
