//! A right-hand side of few bits: codes with scales, unpacked in registers.
//!
//! A panel is [`UNIT_VECTORS`] vectors wide. A chunk of [`CHUNK`] steps of the depth is as many words a column as a
//! code has bits; the first words of all columns come first, then the second ones, as they are read. A word holds quads,
//! four steps of its column each, the same bits in every byte: so they become bytes for products of integers, see
//! [`super::dots`], with one shift and one mask for all four.
//!
//! A machine that multiplies bytes in one instruction, or a single row by pairs, takes numbers apart into bytes, see
//! [`super::triples`]. Elsewhere a code `q` of `b` bits is moved to the top of the mantissa of a 1, which makes `w = 1 + q / 2^b` of it in two
//! operations and exactly. With `s' = 2^b s`, `s (q - z)` is `s' w - s' (1 + z / 2^b)`:
//!
//! - one scale for some columns in every step: `x' = x s'` is computed once a step and group, and the
//!   sum is `sum(x' w) - sum(x' (1 + z / 2^b))`, where the last sum is one number a row and group;
//! - one scale for some steps in every column: the sum of a group is `sum(x w)`, and what it adds is
//!   `s' (sum(x w) - (1 + z / 2^b) sum(x))`.
use super::many::Many;
use super::triples::Triples;
use super::{Gemm, Machine, Tile};
use crate::nest::{Access, BufferId, Builder};
use crate::term::Source;
use weft_ir::{DType, Dim};

/// Steps of the depth in a chunk; the depth is filled up to whole chunks.
pub const CHUNK: i64 = 32;
/// Vectors of columns in a panel.
pub const UNIT_VECTORS: u32 = 8;
/// Bits of a code whose products with the bytes of a chunk can be added up in 16 bits, in each lane those of half of it.
pub(super) const PAIRED_BITS: u32 = 4;
const _: () = assert!(CHUNK / 2 * ((1 << PAIRED_BITS) - 1) * 128 <= i16::MAX as i64);
/// Registers that hold the sums and the totals of a panel's row.
const MANY_REGISTERS: u32 = 32;
/// The bits of `1.0f32`.
pub(super) const ONE: i64 = 0x3f80_0000;
/// Bits of the mantissa of an `f32`.
pub(super) const MANTISSA: u32 = 23;

/// How codes are read.
#[derive(Debug, Clone)]
pub struct Codes {
    /// Bits of a code: 2, 3, 4 or 8.
    pub bits: u32,
    /// Who shares a scale.
    pub groups: Groups,
    /// The scales, `f32` or `f16`; where codes lie by rows, times two to the power of the bits. With [`Beside`] those of
    /// the left-hand side, by row and group of columns.
    pub scales: (Source, DType),
    /// The zero points.
    pub zeros: Zeros,
    /// Where the left-hand side is bytes with sign: the sum of each group of them, `i32`, by row and group.
    pub row_sums: Option<Source>,
    /// Where these bytes are others for each group of columns.
    pub beside: Option<Beside>,
}

/// A left-hand side of bytes that are others for each group of columns: matrices of codes side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beside {
    /// Columns of a group.
    pub columns: i64,
    /// How far apart the rows of `A` for one group and the next are.
    pub apart: i64,
}

/// Who shares a scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Groups {
    /// That many steps of the depth, a multiple of [`prepared_steps`] or all, in every column. Scales lie by panel, group
    /// and column.
    Depth(i64),
    /// Columns, so that a panel has that many groups, in every step. Scales lie by panel, [`prepared_steps`],
    /// group and step of those.
    Columns(u32),
}

/// The codes that stand for 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zeros {
    /// The same everywhere.
    Same(i32),
    /// Bytes that lie as the scales do.
    Each(Source),
}

/// Where the bits of quad `quad` of a chunk lie, the same in each byte of the words: word, first bit there, first
/// bit of the code, how many bits. Codes of 3 bits are two words of two bits and one of one.
pub fn field(bits: u32, quad: u32) -> Vec<(u32, u32, u32, u32)> {
    match bits {
        3 => vec![(quad / 4, quad % 4 * 2, 0, 2), (2, quad, 2, 1)],
        _ => {
            let each = 8 / bits;
            vec![(quad / each, quad % each * bits, 0, bits)]
        }
    }
}

/// Steps of the depth in a unit: as few as have whole words.
pub(super) fn unit_steps(bits: u32) -> i64 {
    if CHUNK % i64::from(bits) == 0 { CHUNK / i64::from(bits) } else { CHUNK }
}

/// Steps of the depth that are prepared at once for products of numbers: whole units. Groups of steps are so many, or a
/// multiple.
pub fn prepared_steps(bits: u32) -> i64 {
    unit_steps(bits).max(16)
}

/// The tile of a product with codes.
pub fn code_tile(machine: &Machine) -> Tile {
    let rows = if machine.registers >= 32 { 6 } else { 4 };
    Tile { rows, vectors: UNIT_VECTORS, lanes: machine.lanes(DType::F32), beside: 1 }
}

/// The buffers of a right-hand side of codes.
#[derive(Debug, Clone)]
pub(super) struct Buffers {
    pub(super) codes: Codes,
    pub(super) scales: BufferId,
    pub(super) zeros: Option<BufferId>,
    /// The sums of bytes on the left-hand side.
    pub(super) row_sums: Option<BufferId>,
    /// Rows of the left-hand side, scaled: by row, group and step of a chunk.
    pub(super) scaled: BufferId,
    /// Registers there are.
    pub(super) registers: u32,
    /// How many rows are computed, where there may be many.
    pub(super) many: Option<Many>,
    /// Where numbers are taken apart into bytes, on a machine that multiplies those faster.
    pub(super) triples: Option<Triples>,
    /// The vector of the panel that tiles begin at.
    pub(super) first: u32,
    /// Steps of the depth that share what a sum of integers stands for.
    pub(super) depth_group: i64,
    /// How many such sums a row has.
    pub(super) sums_per_row: Dim,
    /// Whether products of bytes are added up by pairs first: see [`super::dots`].
    pub(super) in_pairs: bool,
    /// Where the totals of a tile are where its sums take the registers and are not the totals themselves.
    pub(super) totals: Option<BufferId>,
}

impl Buffers {
    pub(super) fn new(
        b: &mut Builder,
        (machine, what): (&Machine, &Gemm),
        buffers: &[BufferId],
        many: Option<Many>,
    ) -> Option<Self> {
        let (codes, tile) = (what.codes.as_ref()?, what.tile);
        let of = |source: Source| buffers[source.0 as usize];
        let slots = if let Groups::Columns(slots) = codes.groups { slots } else { 1 };
        let length = tile.rows * slots * prepared_steps(codes.bits) as u32;
        let (depth, columns) =
            (what.depth.iter().fold(Dim::fixed(1), |all, dim| all.mul(dim)), what.dims.last()?);
        let depth_group = match codes.groups {
            Groups::Depth(steps) => steps,
            Groups::Columns(_) => depth.as_fixed()?,
        };
        let sums_per_row = match codes.beside {
            Some(beside) => columns.div_ceil(&Dim::fixed(beside.columns)),
            None => depth.div_ceil(&Dim::fixed(depth_group)),
        };
        let in_pairs = !machine.dots && codes.bits <= PAIRED_BITS;
        let crowded =
            machine.registers < MANY_REGISTERS && codes.row_sums.is_some() && codes.beside.is_none();
        Some(Self {
            codes: codes.clone(),
            scales: of(codes.scales.0),
            zeros: if let Zeros::Each(zeros) = codes.zeros { Some(of(zeros)) } else { None },
            row_sums: codes.row_sums.map(of),
            scaled: b.buffer("scaled", DType::F32, Access::Local(length)),
            registers: machine.registers,
            many,
            triples: Triples::new(b, (machine, codes), what),
            first: 0,
            depth_group,
            sums_per_row,
            in_pairs,
            totals: crowded
                .then(|| b.buffer("totals", DType::F32, Access::Local(tile.rows * tile.panel() as u32))),
        })
    }

    /// Whether sums of bytes leave no registers for totals.
    pub(super) fn is_crowded(&self) -> bool {
        self.registers < MANY_REGISTERS
    }

    /// Vectors of a tile of that height, so that its sums stay in registers.
    pub(super) fn vectors(&self, tall: u32) -> u32 {
        let room = (self.registers - 6) / tall;
        let most = match (self.codes.groups, self.codes.beside) {
            _ if self.row_sums.is_some() && self.is_crowded() => (self.registers - 8) / tall,
            (Groups::Columns(_), None) => room.saturating_sub(1),
            _ => room / 2,
        };
        1 << most.clamp(1, UNIT_VECTORS).ilog2()
    }

    /// Steps of the depth that are prepared at once.
    pub(super) fn prepared(&self) -> i64 {
        prepared_steps(self.codes.bits)
    }

    pub(super) fn slots(&self) -> u32 {
        if let Groups::Columns(slots) = self.codes.groups { slots } else { 1 }
    }

    /// The group of a vector of the panel.
    pub(super) fn slot(&self, vector: u32) -> u32 {
        vector * self.slots() / UNIT_VECTORS
    }
}
