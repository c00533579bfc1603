//! Codes of few bits times bytes with sign: a product in integers, group by group.
//!
//! A word of codes is taken apart into quads, four steps of the depth of a column each, with one shift and one
//! mask for all four; the quads are bytes without sign, the rows bytes with sign, and one instruction multiplies
//! and adds up four of each. A chunk of [`DOT_CHUNK`] steps is as many words a column as a code has bits; the
//! first words of all columns of the panel come first, then the second ones, as they are read.
//! The sum of a group of steps begins at minus the zero point times the sum of the row's bytes, so that it ends
//! as `sum(x (q - z))`, exactly; it then is one number of `f32`, times the scale.
use super::codes::{Buffers, Groups, Zeros};
use super::quads::QUAD;
use super::{Place, Writer};
use crate::nest::{Binary, BufferId, Builder, Hint, Reg, Scalar, Ty, Unary, Var};
use weft_ir::{DType, Dim};

/// Steps of the depth in a chunk; the depth is filled up to whole chunks.
pub const DOT_CHUNK: i64 = 32;
/// How many chunks ahead codes are asked for: 8 KB of 4 bits, beyond what a processor looks ahead by itself.
const AHEAD: i64 = 4;

/// Where the bits of quad `quad` of a chunk lie, the same in each byte of the words: word, first bit there, first
/// bit of the code, how many bits. Codes of 3 bits are two words of two bits and one of one.
pub fn dot_field(bits: u32, quad: u32) -> Vec<(u32, u32, u32, u32)> {
    match bits {
        3 => vec![(quad / 4, quad % 4 * 2, 0, 2), (2, quad, 2, 1)],
        _ => {
            let each = 8 / bits;
            vec![(quad / each, quad % each * bits, 0, bits)]
        }
    }
}

/// A tile while it is computed: some rows by some vectors of the panel.
struct Part<'a> {
    right: &'a Buffers,
    /// The sums of each group of the left-hand side.
    row_sums: BufferId,
    /// Where the rows of the left-hand side start.
    rows: &'a [(Reg, i64)],
    /// Where the sums of the rows start.
    sums_of_rows: Vec<Reg>,
    /// The first vector and how many.
    vectors: (u32, u32),
    /// The sums of a group, row by row.
    sums: Vec<Var>,
    /// The sums of all groups so far, in `f32`.
    totals: Vec<Var>,
    /// The panel: its first word of codes, and its first scale.
    panel: (Reg, Reg),
}

impl Writer<'_> {
    /// All row tiles of one panel of codes.
    pub(super) fn column_of_dots(
        &self,
        b: &mut Builder,
        (place, end, vectors): (&Place, Reg, u32),
        (right, row_sums): (&Buffers, BufferId),
    ) {
        self.tiles(b, place, end, &mut |b, place, tall| {
            let rows = self.rows(b, place, tall);
            let each = right.vectors(tall);
            for first in (0..vectors).step_by(each as usize) {
                let count = each.min(vectors - first);
                let part = self.part_of_dots(b, place, (right, row_sums), (&rows, (first, count)));
                self.groups(b, &part);
                self.finish_from(b, place, (tall, first, count), &part.totals);
            }
        });
    }

    fn part_of_dots<'a>(
        &self,
        b: &mut Builder,
        place: &Place,
        (right, row_sums): (&'a Buffers, BufferId),
        (rows, vectors): (&'a [(Reg, i64)], (u32, u32)),
    ) -> Part<'a> {
        let count = rows.len() as u32 * vectors.1;
        let none = b.constant(Ty::vector(DType::I32, self.tile.lanes), Scalar::Int(0));
        let groups = b.extent(&self.plan.depth.div_ceil(&Dim::fixed(right.depth_group())));
        let starts = (0..rows.len() as i64).map(|row| {
            let row = b.index(row);
            let row = b.add(place.row, row);
            b.mul(row, groups)
        });
        Part {
            sums_of_rows: starts.collect(),
            right,
            row_sums,
            rows,
            vectors,
            sums: (0..count).map(|_| b.var(none)).collect(),
            totals: self.cleared(b, count),
            panel: self.panel_of_dots(b, place, right),
        }
    }

    /// The first word of codes of a panel, and its first scale.
    fn panel_of_dots(&self, b: &mut Builder, place: &Place, right: &Buffers) -> (Reg, Reg) {
        let width = b.index(self.tile.cols());
        let panel = b.div(place.col, width);
        let chunks = self.plan.depth.div_ceil(&Dim::fixed(DOT_CHUNK));
        let codes = b.extent(&chunks.scale(i64::from(right.codes.bits) * self.tile.cols()));
        let groups = self.plan.depth.div_ceil(&Dim::fixed(right.depth_group()));
        let scales = b.extent(&groups.scale(self.tile.cols()));
        (b.mul(panel, codes), b.mul(panel, scales))
    }

    /// Group by group: the sums of its chunks, then its share of the totals.
    fn groups(&self, b: &mut Builder, part: &Part<'_>) {
        let (zero, depth) = (b.index(0), b.extent(&self.plan.depth));
        let size = part.right.depth_group();
        b.for_each(zero, depth, size, Hint::AsWritten, |b, from| {
            let size = b.index(size);
            let (group, end) = (b.div(from, size), b.add(from, size));
            let (width, end) = (b.index(self.tile.cols()), b.min(end, depth));
            let scales = b.mul(group, width);
            let scales = b.add(part.panel.1, scales);
            self.begin_group(b, part, (group, scales));
            b.for_each(from, end, DOT_CHUNK, Hint::AsWritten, |b, step| self.chunk_of_dots(b, part, step));
            self.end_group(b, part, scales);
        });
    }

    /// Sums begin at minus the zero points times the sum of the row.
    fn begin_group(&self, b: &mut Builder, part: &Part<'_>, (group, scales): (Reg, Reg)) {
        let lanes = self.tile.lanes;
        let ty = Ty::vector(DType::I32, lanes);
        let sums: Vec<Reg> = part
            .sums_of_rows
            .iter()
            .map(|start| {
                let at = b.add(*start, group);
                let sum = b.load(part.row_sums, at, 0, 1);
                b.splat(sum, lanes)
            })
            .collect();
        for vector in 0..part.vectors.1 {
            let zero = match (part.right.codes.zeros, part.right.zeros) {
                (Zeros::Each(_), Some(zeros)) => {
                    let offset = i64::from((part.vectors.0 + vector) * lanes);
                    let zero = b.load(zeros, scales, offset, lanes);
                    let zero = b.cast(zero, DType::I32);
                    b.unary(Unary::Neg, zero)
                }
                (Zeros::Same(zero), _) => b.constant(ty, Scalar::Int((-zero).into())),
                (Zeros::Each(_), None) => unreachable!("zero points have a buffer"),
            };
            for (row, sum) in sums.iter().enumerate() {
                let first = b.binary(Binary::Mul, zero, *sum);
                b.set(part.sums[row * part.vectors.1 as usize + vector as usize], first);
            }
        }
    }

    /// One chunk of codes times the rows.
    fn chunk_of_dots(&self, b: &mut Builder, part: &Part<'_>, step: Reg) {
        let (lanes, bits) = (self.tile.lanes, part.right.codes.bits);
        let words = i64::from(bits) * self.tile.cols();
        let (chunk, size) = (b.index(DOT_CHUNK), b.index(words));
        let number = b.div(step, chunk);
        let at = b.mul(number, size);
        let at = b.add(part.panel.0, at);
        let mut loaded: Vec<Option<Reg>> = vec![None; (part.vectors.1 * bits) as usize];
        let quads = DOT_CHUNK / QUAD;
        for quad in 0..quads as u32 {
            if part.vectors.0 == 0 {
                // Spread over the chunk, so that no more are under way than a processor keeps count of.
                let ahead = AHEAD * words + i64::from(quad) * words / quads;
                self.ask(b, self.b, (at, ahead), words / quads);
            }
            let rows: Vec<Reg> = part
                .rows
                .iter()
                .map(|(start, offset)| {
                    let at = b.add(*start, step);
                    let bytes = b.load(self.a, at, offset + i64::from(quad) * QUAD, QUAD as u32);
                    let word = b.reinterpret(bytes, Ty::scalar(DType::I32));
                    let words = b.splat(word, lanes);
                    b.reinterpret(words, Ty::vector(DType::I8, lanes * QUAD as u32))
                })
                .collect();
            for vector in 0..part.vectors.1 {
                let own = &mut loaded[(vector * bits) as usize..][..bits as usize];
                let first = i64::from((part.vectors.0 + vector) * lanes);
                let codes = self.quad_of_codes(b, (bits, quad), (at, first), own);
                for (row, x) in rows.iter().enumerate() {
                    let var = part.sums[row * part.vectors.1 as usize + vector as usize];
                    let sum = b.get(var);
                    let sum = b.dot4(codes, *x, sum);
                    b.set(var, sum);
                }
            }
        }
    }

    /// Four steps of one vector of codes, as bytes.
    fn quad_of_codes(
        &self,
        b: &mut Builder,
        (bits, quad): (u32, u32),
        (at, first): (Reg, i64),
        loaded: &mut [Option<Reg>],
    ) -> Reg {
        let lanes = self.tile.lanes;
        let ty = Ty::vector(DType::U32, lanes);
        let mut code = None;
        for (word, shift, from, count) in dot_field(bits, quad) {
            let part = *loaded[word as usize]
                .get_or_insert_with(|| b.load(self.b, at, first + i64::from(word) * self.tile.cols(), lanes));
            let part = shifted(b, (Binary::Shr, shift), part);
            let mask = ((1i64 << count) - 1) * 0x0101_0101;
            let part = if count == 8 {
                part
            } else {
                let mask = b.constant(ty, Scalar::Int(mask));
                b.binary(Binary::And, part, mask)
            };
            let part = shifted(b, (Binary::Shl, from), part);
            code = Some(code.map_or(part, |code| b.binary(Binary::Or, code, part)));
        }
        let code = code.unwrap_or_else(|| b.constant(ty, Scalar::Int(0)));
        b.reinterpret(code, Ty::vector(DType::U8, lanes * QUAD as u32))
    }

    /// Adds what a group gives to the totals.
    fn end_group(&self, b: &mut Builder, part: &Part<'_>, scales: Reg) {
        let lanes = self.tile.lanes;
        for vector in 0..part.vectors.1 {
            let offset = i64::from((part.vectors.0 + vector) * lanes);
            self.ask(b, part.right.scales, (scales, self.tile.cols() + offset), lanes.into());
            let scale = b.load(part.right.scales, scales, offset, lanes);
            let scale = b.cast(scale, DType::F32);
            for row in 0..part.rows.len() {
                let number = row * part.vectors.1 as usize + vector as usize;
                let sum = b.get(part.sums[number]);
                let (sum, so_far) = (b.cast(sum, DType::F32), b.get(part.totals[number]));
                let so_far = b.fma(scale, sum, so_far);
                b.set(part.totals[number], so_far);
            }
        }
    }
}

/// A word of codes shifted, where that changes anything.
fn shifted(b: &mut Builder, (way, by): (Binary, u32), word: Reg) -> Reg {
    if by == 0 {
        return word;
    }
    let by = b.constant(b.ty(word), Scalar::Int(by.into()));
    b.binary(way, word, by)
}

impl Buffers {
    /// Steps of the depth that share a scale.
    fn depth_group(&self) -> i64 {
        match self.codes.groups {
            Groups::Depth(steps) => steps,
            Groups::Columns(_) => unreachable!("columns that share scales are not taken by quads"),
        }
    }
}
