//! Schedules: how a computation becomes a loop nest.
//!
//! A schedule writes one kernel. What is computed reaches it as terms: it decides the order of the
//! work and keeps out of what the work means.
mod cut;
mod domain;
mod gemm;
mod inside;
mod map;
mod moments;
mod recurrent;
mod reduce;
mod row;
mod scan;
mod transpose;

pub use gemm::{
    Beside, CHUNK, Codes, Gemm, Groups, QUAD, Tile, UNIT_VECTORS, Zeros, code_rows_tile, code_tile, field,
    gemm, gemm_skipping, panel_elements, pieces, prepared_steps, skipping_rows, skipping_tile, tile,
};
pub use map::{Map, map};
pub use moments::Moments;
pub use recurrent::{Activation, Block, Cell, Operand, Recurrent, Role, block, recurrent};
pub use reduce::{Combine, Reduction, reduce};
pub use row::{Norm, Row, row};
pub use scan::{Scan, scan};

use crate::nest::Kernel;
use crate::term::Source;
use weft_ir::{DType, Dim};

/// What a schedule knows of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    /// Bytes of a vector register: 64, 32 or 16.
    pub vector_bytes: u32,
    /// How many vector registers there are.
    pub registers: u32,
    /// Bytes of first-level data cache.
    pub l1: u64,
    /// Bytes of second-level cache.
    pub l2: u64,
    /// Whether what is read once from memory is asked for ahead of its use: see `Target::looks_ahead`.
    pub asks: bool,
    /// Whether one instruction multiplies and adds up four bytes.
    pub dots: bool,
}

impl Machine {
    /// An x86-64 with AVX-512.
    pub const X86_V4: Machine =
        Machine { vector_bytes: 64, registers: 32, l1: 32 << 10, l2: 1 << 20, asks: true, dots: false };
    /// An x86-64 with AVX2.
    pub const X86_V3: Machine =
        Machine { vector_bytes: 32, registers: 16, l1: 32 << 10, l2: 256 << 10, asks: true, dots: false };
    /// Any x86-64.
    pub const X86_V2: Machine =
        Machine { vector_bytes: 16, registers: 16, l1: 32 << 10, l2: 256 << 10, asks: true, dots: false };

    /// Lanes of a vector of that type; sub-byte types and truth values count as bytes.
    pub fn lanes(&self, dtype: DType) -> u32 {
        self.vector_bytes * 8 / dtype.bits().max(8)
    }
}

/// A kernel and how to launch it.
#[derive(Debug, Clone)]
pub struct Scheduled {
    /// The kernel. Its buffer parameters are `sources` in order, then what it writes.
    pub kernel: Kernel,
    /// The tensors it reads.
    pub sources: Vec<Source>,
    /// How many tasks there are.
    pub tasks: Dim,
}
