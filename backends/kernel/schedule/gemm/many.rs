//! A right-hand side of codes for many rows: taken apart once for all of them.
//!
//! A tile of rows takes a code apart in the registers that it is multiplied in; tile after tile of a prompt would do
//! so again, which is a third of the time. Where there are more rows than a few tiles, the codes of a part of the
//! depth become numbers, or bytes, in an array that the first-level cache holds, as many columns as a tile has, and
//! the tiles of all rows read that one, as in [`super::blocks`]; where numbers are [`super::triples`] of bytes and a
//! machine has the instruction for four products of those, a row at a time is as fast. How many rows there are may be
//! known in the run only: a kernel then has both ways.
use super::blocks::{Blocks, LEAST_TILES};
use super::codes::{Buffers, CHUNK, Codes, Groups, UNIT_VECTORS};
use super::tile::Tile;
use super::triples::Triples;
use super::{Machine, Place, Writer};
use crate::nest::{Access, BufferId, Builder, Compare, Reg};
use weft_ir::{DType, Dim};

/// How many rows are computed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Many {
    tile: Tile,
    /// The parts of the depth.
    pub(super) blocks: Blocks,
    /// The sums of all tiles between parts.
    pub(super) sums: BufferId,
    /// The part of the columns that is taken apart.
    pub(super) columns: BufferId,
}

impl Many {
    /// Nothing where there are few rows.
    pub(super) fn new(
        b: &mut Builder,
        (machine, codes): (&Machine, &Codes),
        rows: &Dim,
        depth: i64,
    ) -> Option<Self> {
        let tile = tile_of(machine, codes);
        let few = rows.as_fixed().is_some_and(|rows| rows < least(tile));
        // One instruction for four products makes up for taking codes apart again.
        if few || (machine.dots && Triples::pay(machine, codes)) {
            return None;
        }
        let (length, columns) = match (codes.row_sums, codes.groups) {
            (Some(_), groups) => {
                let group = if let Groups::Depth(group) = groups { group } else { depth };
                let length = length_of_bytes(machine, tile, group).min(round_up(depth, CHUNK));
                (length, b.buffer("columns", DType::U32, Access::Local((length / 4 * tile.cols()) as u32)))
            }
            _ => {
                let length = length_of_numbers(machine, tile, depth);
                (length, b.buffer("columns", DType::F32, Access::Local((length * tile.cols()) as u32)))
            }
        };
        let (blocks, sums) = Blocks::of_steps(length, tile).buffer(b, DType::F32, (tile, rows));
        Some(Self { tile, blocks, sums, columns })
    }

    /// Whether a part of the depth is less than a group of that many steps.
    pub(super) fn cuts(&self, group: i64) -> bool {
        self.blocks.length < group
    }
}

/// The tile: sums of bytes without an instruction for them need some registers more.
fn tile_of(machine: &Machine, codes: &Codes) -> Tile {
    let (rows, vectors) = match (machine.registers >= 32, codes.row_sums) {
        (true, _) => (6, 4),
        (false, None) => (6, 2),
        (false, Some(_)) => (4, 2),
    };
    Tile { rows, vectors, lanes: machine.lanes(DType::F32), beside: UNIT_VECTORS / vectors }
}

/// Rows that make up for the way of what is taken apart to memory and back.
fn least(tile: Tile) -> i64 {
    LEAST_TILES * i64::from(tile.rows)
}

fn round_up(steps: i64, unit: i64) -> i64 {
    (steps.max(1) as u64).next_multiple_of(unit as u64) as i64
}

/// Steps of a part: about equal parts, whole chunks, three quarters of the first-level cache.
fn length_of_numbers(machine: &Machine, tile: Tile, depth: i64) -> i64 {
    let most = (machine.l1 as i64 * 3 / 4 / (tile.cols() * 4) / CHUNK * CHUNK).max(CHUNK);
    let parts = (depth.max(1) as u64).div_ceil(most as u64);
    round_up((depth as u64).div_ceil(parts) as i64, CHUNK).min(most)
}

/// The same for bytes: whole groups, if one is not too long. A group that is not of whole chunks is all of the depth.
fn length_of_bytes(machine: &Machine, tile: Tile, group: i64) -> i64 {
    let most = (machine.l1 as i64 * 3 / 4 / tile.cols() / CHUNK * CHUNK).max(CHUNK);
    if group <= most { round_up(most / group * group, CHUNK) } else { most }
}

impl Writer<'_> {
    /// All rows of one panel of codes.
    pub(super) fn panel_of_rows(
        &self,
        b: &mut Builder,
        (place, end, vectors): (&Place, Reg, u32),
        right: &Buffers,
    ) {
        let few = |b: &mut Builder| match right.row_sums {
            Some(sums) => self.column_of_dots(b, (place, end, vectors), (right, sums)),
            None => self.few_rows(b, (place, end, vectors), right),
        };
        let Some(many) = right.many else { return few(b) };
        if self.plan.rows.as_fixed().is_some() {
            return self.halves(b, (place, end, vectors), (right, many));
        }
        let (rows, least) = (b.sub(end, place.row), b.index(least(many.tile)));
        let enough = b.compare(Compare::Le, least, rows);
        b.when_else(enough, |b| self.halves(b, (place, end, vectors), (right, many)), few);
    }

    /// Rows of numbers: as bytes where that is faster, which for more than one it is not with sums by pairs.
    fn few_rows(&self, b: &mut Builder, (place, end, vectors): (&Place, Reg, u32), right: &Buffers) {
        let tiles = |b: &mut Builder| self.column_of_codes(b, (place, end, vectors), right);
        let Some(triples) = &right.triples else { return tiles(b) };
        let bytes = |b: &mut Builder| self.column_of_triples(b, (place, end, vectors), (right, triples));
        if !right.in_pairs {
            return bytes(b);
        }
        match self.plan.rows.as_fixed() {
            Some(1) => bytes(b),
            Some(_) => tiles(b),
            None => {
                let (rows, one) = (b.sub(end, place.row), b.index(1));
                let single = b.compare(Compare::Le, rows, one);
                b.when_else(single, bytes, tiles);
            }
        }
    }

    /// The tiles side by side in a panel that is taken apart.
    fn halves(
        &self,
        b: &mut Builder,
        (place, end, vectors): (&Place, Reg, u32),
        (right, many): (&Buffers, Many),
    ) {
        for first in (0..vectors).step_by(many.tile.vectors as usize) {
            let offset = b.index((first * many.tile.lanes).into());
            let place = Place { col: b.add(place.col, offset), ..place.clone() };
            let count = many.tile.vectors.min(vectors - first);
            let writer = Writer {
                tile: many.tile,
                columns: Some(many.columns),
                sums: Some((many.blocks, many.sums)),
                codes: Some(Buffers { first, ..right.clone() }),
                ..self.clone()
            };
            match right.row_sums {
                Some(sums) => writer.column_of_bytes(b, (&place, end, count), sums),
                None => writer.column_in_blocks(b, (&place, end, count), (&many.blocks, many.sums)),
            }
        }
    }
}
