//! Codes that lie by rows: each step of the depth in one piece over all columns of a wide panel, so that steps can
//! be skipped.
//!
//! A unit is [`UNIT_VECTORS`] vectors of columns of one step. Each lane has a code of every vector, the first in the
//! low bits, which are as many bytes as a code has bits; they lie in pieces of 4, 2 and 1 bytes, each for all
//! lanes. As in [`super::codes`] a code `q` of `b` bits becomes `w = 1 + q / 2^b`, and scales are multiplied by `2^b`.
//!
//! Where there is more than one row, the columns of a tile are decoded part by part of the depth, and are used by
//! all rows: what is copied for numbers (see [`super::blocks`]) is computed here.
use super::codes::{MANTISSA, ONE, UNIT_VECTORS};
use super::{Codes, Gemm, Groups, Machine, Place, Tile, Writer, Zeros};
use crate::nest::{Binary, BufferId, Builder, Cache, Reg, Scalar, Stmt, Ty};
use weft_ir::{DType, Dim};

/// Bytes of a cache line.
pub(super) const LINE_BYTES: i64 = 64;
/// Columns of a panel, about: a row of them is long enough that skipping it saves its way from memory, and there
/// are several tasks.
const WIDE: i64 = 1408;
/// The same where there are fewer than [`MANY`] columns.
const NARROW: i64 = 512;
const MANY: i64 = 2048;

/// The bytes of the pieces in which the codes of a lane of a unit lie.
pub fn pieces(bits: u32) -> &'static [u32] {
    match bits {
        2 => &[2],
        3 => &[2, 1],
        4 => &[4],
        _ => &[4, 4],
    }
}

/// The tile of a product with codes by rows.
pub fn code_rows_tile(machine: &Machine, cols: i64) -> Tile {
    let lanes = machine.lanes(DType::F32);
    let vectors = if machine.registers >= 32 { 4 } else { 2 };
    let unit = i64::from(UNIT_VECTORS * lanes);
    let wide = if cols < MANY { NARROW } else { WIDE };
    // An even number of panels is the same work for two threads.
    let panels = match cols / wide {
        ..=1 => 1,
        some => some.div_euclid(2) * 2,
    };
    let units = (cols.max(1) as u64).div_ceil((panels * unit) as u64) as u32;
    Tile { rows: 6, vectors, lanes, beside: units * (UNIT_VECTORS / vectors) }
}

/// The buffers of codes that lie by rows.
#[derive(Debug, Clone)]
pub(super) struct CodeRows {
    pub(super) bits: u32,
    pub(super) groups: Groups,
    pub(super) zeros: Zeros,
    /// The scales: those of each step beside each other where columns share them, else by panel, group and
    /// column.
    pub(super) scales: BufferId,
    /// Zero points that differ.
    pub(super) zero_points: Option<BufferId>,
    /// Columns of a panel.
    pub(super) panel: i64,
    /// Columns of a unit.
    pub(super) unit: i64,
}

/// Whether codes lie by rows.
pub(super) fn by_rows(what: &Gemm) -> Option<&Codes> {
    what.codes.as_ref().filter(|_| what.tile.beside > 1)
}

impl CodeRows {
    pub(super) fn new(what: &Gemm, buffers: &[BufferId]) -> Option<Self> {
        let codes = by_rows(what)?;
        let zero_points =
            if let Zeros::Each(zeros) = codes.zeros { Some(buffers[zeros.0 as usize]) } else { None };
        Some(Self {
            bits: codes.bits,
            groups: codes.groups,
            zeros: codes.zeros,
            scales: buffers[codes.scales.0.0 as usize],
            zero_points,
            panel: what.tile.panel(),
            unit: i64::from(UNIT_VECTORS * what.tile.lanes),
        })
    }

    /// Bytes of a unit.
    pub(super) fn unit_bytes(&self) -> i64 {
        self.unit / 8 * i64::from(self.bits)
    }

    /// Bytes of a row of a panel.
    pub(super) fn row_bytes(&self) -> i64 {
        self.panel / 8 * i64::from(self.bits)
    }

    /// How many groups of columns a panel has, and how many columns they are.
    pub(super) fn slots(&self) -> (i64, i64) {
        match self.groups {
            Groups::Columns(slots) => (slots.into(), self.panel / i64::from(slots)),
            Groups::Depth(_) => (1, self.panel),
        }
    }
}

impl Writer<'_> {
    /// The words that lie in pieces from some byte on: codes of 8 bits have two in a unit, others one.
    pub(super) fn words(&self, b: &mut Builder, at: Reg, pieces: &[u32]) -> Vec<Reg> {
        let lanes = self.tile.lanes;
        let mut start = 0;
        let mut words: Vec<Reg> = Vec::new();
        for size in pieces {
            let bytes = b.load(self.b, at, start, size * lanes);
            let elem = [DType::U8, DType::U16, DType::U32][size.ilog2() as usize];
            let piece = b.reinterpret(bytes, Ty::vector(elem, lanes));
            let mut word = b.cast(piece, DType::U32);
            // What does not fill a word of its own is the upper part of the one before.
            if let (1, Some(low)) = (*size, words.last().copied()) {
                let by = b.constant(Ty::vector(DType::U32, lanes), Scalar::Int(16));
                let high = b.binary(Binary::Shl, word, by);
                word = b.binary(Binary::Or, low, high);
                words.clear();
            }
            words.push(word);
            start += i64::from(size * lanes);
        }
        words
    }

    /// `1 + q / 2^b` of a vector of a unit.
    pub(super) fn weight_of_unit(
        &self,
        b: &mut Builder,
        right: &CodeRows,
        words: &[Reg],
        vector: u32,
    ) -> Reg {
        let ty = Ty::vector(DType::U32, self.tile.lanes);
        let (bit, to) = (vector * right.bits, MANTISSA - right.bits);
        let (word, bit) = (words[bit as usize / 32], bit % 32);
        let mut shifted = |op: Binary, by: u32| {
            let by = b.constant(ty, Scalar::Int(by.into()));
            b.binary(op, word, by)
        };
        let moved = if to >= bit { shifted(Binary::Shl, to - bit) } else { shifted(Binary::Shr, bit - to) };
        self.weight_at_top(b, right, moved)
    }

    /// `1 + q / 2^b` of codes at the top of a mantissa, other bits around them.
    fn weight_at_top(&self, b: &mut Builder, right: &CodeRows, moved: Reg) -> Reg {
        let ty = b.ty(moved);
        let mask = ((1 << right.bits) - 1) << (MANTISSA - right.bits);
        let (mask, one) = (b.constant(ty, Scalar::Int(mask)), b.constant(ty, Scalar::Int(ONE)));
        let code = b.binary(Binary::And, moved, mask);
        let code = b.binary(Binary::Or, code, one);
        b.bitcast(code, DType::F32)
    }

    /// A vector of scales.
    pub(super) fn scale_of_rows(&self, b: &mut Builder, right: &CodeRows, at: (Reg, i64), lanes: u32) -> Reg {
        let scale = b.load(right.scales, at.0, at.1, lanes);
        b.cast(scale, DType::F32)
    }

    /// `1 + z / 2^b` of as many scales.
    pub(super) fn zero_of_rows(&self, b: &mut Builder, right: &CodeRows, at: (Reg, i64), lanes: u32) -> Reg {
        let step = 0.5f32.powi(right.bits as i32);
        match (right.zeros, right.zero_points) {
            (Zeros::Each(_), Some(zeros)) => {
                let zero = b.load(zeros, at.0, at.1, lanes);
                let zero = b.cast(zero, DType::F32);
                let (step, one) = (b.f32(lanes, step), b.f32(lanes, 1.0));
                b.fma(zero, step, one)
            }
            (Zeros::Same(zero), _) => b.f32(lanes, 1.0 + zero as f32 * step),
            (Zeros::Each(_), None) => unreachable!("zero points have a buffer"),
        }
    }

    /// How many scales a step has over all panels.
    pub(super) fn scales_of_step(&self, right: &CodeRows) -> Dim {
        self.plan.cols.div_ceil(&Dim::fixed(right.panel)).scale(right.slots().0)
    }

    /// Where the scales of a panel start, of the first group of steps.
    pub(super) fn scales_of_panel(&self, b: &mut Builder, right: &CodeRows, panel: Reg) -> Reg {
        let apart = match right.groups {
            Groups::Columns(slots) => Dim::fixed(slots.into()),
            Groups::Depth(each) => self.plan.depth.div_ceil(&Dim::fixed(each)).scale(right.panel),
        };
        let apart = b.extent(&apart);
        b.mul(panel, apart)
    }

    /// What decodes the columns of a tile, step by step of the depth.
    pub(super) fn decoder<'c>(&self, b: &mut Builder, right: &'c CodeRows, place: &Place) -> Decoder<'c> {
        let (wide, narrow) = (b.index(right.panel), b.index(self.tile.cols()));
        let (panel, within) = (b.div(place.col, wide), b.rem(place.col, wide));
        let size = b.extent(&self.plan.depth.scale(right.row_bytes()));
        let (start, unit) = (b.mul(panel, size), b.index(right.unit));
        let (number, across) = (b.div(within, unit), b.rem(within, unit));
        let bytes = b.index(right.unit_bytes());
        let offset = b.mul(number, bytes);
        let start = b.add(start, offset);
        // The first bit in a lane: tiles have as many vectors as lie in one word.
        let (tile, bits) = (b.div(across, narrow), b.index(i64::from(right.bits * self.tile.vectors)));
        let bit = b.mul(tile, bits);
        let word = b.index(32);
        let (word, bit) = (b.div(bit, word), b.rem(bit, word));
        let bytes = b.index(i64::from(4 * self.tile.lanes));
        let offset = b.mul(word, bytes);
        let start = b.add(start, offset);
        let scales = self.scales_of_panel(b, right, panel);
        let (_, shared) = right.slots();
        let slots = match right.groups {
            Groups::Depth(_) => vec![b.add(scales, within)],
            Groups::Columns(_) => (0..self.slots_of_tile(right))
                .map(|slot| {
                    let (shift, shared) = (b.index(slot * shared), b.index(shared));
                    let at = b.add(within, shift);
                    let slot = b.div(at, shared);
                    b.add(scales, slot)
                })
                .collect(),
        };
        Decoder { right, start, bit, slots }
    }

    /// How many groups of columns a tile has.
    fn slots_of_tile(&self, right: &CodeRows) -> i64 {
        (self.tile.cols() / right.slots().1).max(1)
    }

    /// The numbers of the columns of a tile at a step of the depth.
    pub(super) fn decoded(&self, b: &mut Builder, from: &Decoder<'_>, step: Reg) -> Vec<Reg> {
        let (right, lanes) = (from.right, self.tile.lanes);
        let row = b.index(right.row_bytes());
        let down = b.mul(step, row);
        let at = b.add(from.start, down);
        b.stmt(Stmt::Prefetch {
            buffer: self.b,
            index: at,
            offset: AHEAD * right.row_bytes(),
            into: Cache::First,
        });
        let ty = Ty::vector(DType::U32, lanes);
        // One of the words, where there are two.
        let pieces = pieces(right.bits);
        let word = self.words(b, at, if right.bits == 8 { &pieces[..1] } else { pieces })[0];
        let first = b.cast(from.bit, DType::U32);
        let first = b.splat(first, lanes);
        let factors = self.factors_of_step(b, from, step);
        (0..self.tile.vectors)
            .map(|vector| {
                let more = b.constant(ty, Scalar::Int((vector * right.bits).into()));
                let by = b.binary(Binary::Add, first, more);
                let code = b.binary(Binary::Shr, word, by);
                let up = b.constant(ty, Scalar::Int((MANTISSA - right.bits).into()));
                let moved = b.binary(Binary::Shl, code, up);
                let weight = self.weight_at_top(b, right, moved);
                let (scale, zero) = factors[vector as usize];
                let centred = b.binary(Binary::Sub, weight, zero);
                b.binary(Binary::Mul, centred, scale)
            })
            .collect()
    }

    /// The scale and `1 + z / 2^b` of each vector of a tile at a step.
    fn factors_of_step(&self, b: &mut Builder, from: &Decoder<'_>, step: Reg) -> Vec<(Reg, Reg)> {
        let (right, lanes) = (from.right, self.tile.lanes);
        let vectors = 0..i64::from(self.tile.vectors);
        if let Groups::Depth(each) = right.groups {
            let (each, width) = (b.index(each), b.index(right.panel));
            let group = b.div(step, each);
            let down = b.mul(group, width);
            let at = b.add(from.slots[0], down);
            let of = |v| (at, v * i64::from(lanes));
            return vectors
                .map(|v| {
                    (self.scale_of_rows(b, right, of(v), lanes), self.zero_of_rows(b, right, of(v), lanes))
                })
                .collect();
        }
        let apart = b.extent(&self.scales_of_step(right));
        let down = b.mul(step, apart);
        let each: Vec<(Reg, Reg)> = from
            .slots
            .iter()
            .map(|slot| {
                let at = (b.add(*slot, down), 0);
                let (scale, zero) = (self.scale_of_rows(b, right, at, 1), self.zero_of_rows(b, right, at, 1));
                (b.splat(scale, lanes), b.splat(zero, lanes))
            })
            .collect();
        vectors.map(|v| each[(v as usize * each.len()) / self.tile.vectors as usize]).collect()
    }
}

/// Steps of the depth that are asked for before they are decoded.
const AHEAD: i64 = 16;

/// Where the columns of a tile are among codes by rows.
pub(super) struct Decoder<'c> {
    right: &'c CodeRows,
    /// The word at step 0.
    start: Reg,
    /// The first bit in it.
    bit: Reg,
    /// Scales at step 0: the first one of each group of columns, or of the first column.
    slots: Vec<Reg>,
}
