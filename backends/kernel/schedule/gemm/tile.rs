//! Tiles of a matrix product, and how its work is cut into tasks.
use super::Machine;
use super::blocks::Blocks;
use weft_ir::{DType, Dim};

/// The part of the result that is held in registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tile {
    /// Rows.
    pub rows: u32,
    /// Vectors in a row.
    pub vectors: u32,
    /// Lanes of a vector.
    pub lanes: u32,
    /// Tiles side by side in a panel: more than one where rows of the panels are to be skipped, which
    /// pays only if a row is long.
    pub beside: u32,
}

impl Tile {
    /// Columns.
    pub fn cols(&self) -> i64 {
        i64::from(self.vectors * self.lanes)
    }

    /// Columns of a panel, which are those of the tiles side by side in it.
    pub fn panel(&self) -> i64 {
        self.cols() * i64::from(self.beside)
    }
}

/// The tile with the fewest cycles for a product of that many rows and columns. `gathered` rows need
/// an address register each.
pub fn tile(machine: &Machine, dtype: DType, (rows, cols): (&Dim, &Dim), gathered: bool) -> Tile {
    let lanes = machine.lanes(dtype);
    let (rows, cols) = (rows.as_fixed().unwrap_or(960).max(1), cols.as_fixed().unwrap_or(960).max(1));
    let columns = (cols as u64).div_ceil(lanes.into()) as i64;
    let most_rows = if gathered { 8 } else { 14 };
    let mut best: Option<(i64, Tile)> = None;
    for vectors in 1..=i64::from(machine.registers / 4).min(6) {
        for tall in 1..=most_rows {
            if tall * vectors + vectors + 2 > i64::from(machine.registers) {
                continue;
            }
            // Cycles for one step of the depth, in sixths: two multiply-adds or two loads a cycle, but not
            // below the latency of four cycles. Tall tiles lose more to their loads, as measured: 6x64
            // and 8x48 reach 97 % of the peak, 12x32 and 14x32 85 %. Columns come from the second-level cache.
            let step = |tall: i64| {
                (3 * tall * vectors).max(3 * (tall + vectors)).max(24) + tall * tall * 3 / 40 + 2 * vectors
            };
            let panels = (columns as u64).div_ceil(vectors as u64) as i64;
            let tail = tails(tall as u32, rows % tall).iter().map(|t| step((*t).into())).sum::<i64>();
            let cycles = panels * (rows / tall * step(tall) + tail);
            let tile = Tile { rows: tall as u32, vectors: vectors as u32, lanes, beside: 1 };
            if best.is_none_or(|(least, _)| cycles < least) {
                best = Some((cycles, tile));
            }
        }
    }
    best.map_or(Tile { rows: 1, vectors: 1, lanes, beside: 1 }, |(_, tile)| tile)
}

/// The heights of the tiles that cover `rest` rows after tiles of `tall` rows.
fn tails(tall: u32, rest: i64) -> Vec<u32> {
    let mut sizes = Vec::new();
    let mut rest = rest;
    for size in tail_sizes(tall) {
        while rest >= i64::from(size) {
            sizes.push(size);
            rest -= i64::from(size);
        }
    }
    sizes
}

/// Heights below `tall`, each half the one before.
pub(crate) fn tail_sizes(tall: u32) -> Vec<u32> {
    std::iter::successors(Some(tall / 2), |size| Some(size / 2)).take_while(|size| *size > 0).collect()
}

/// Elements of the panels of one batch.
pub fn panel_elements(depth: &Dim, cols: &Dim, tile: Tile) -> Dim {
    cols.div_ceil(&Dim::fixed(tile.panel())).scale(tile.panel()).mul(depth)
}

/// Whether tiles of height `tall` occur when `rows` rows are cut into tiles of height `most`, blocks
/// being whole tiles.
pub(crate) fn has_tail(rows: i64, most: u32, tall: u32) -> bool {
    tails(most, rows % i64::from(most)).contains(&tall)
}

/// Multiply-adds of one task, about.
const TASK: i64 = 1 << 20;
/// Tasks that a product of some size should give, so that several threads have something to do.
const TASKS: i64 = 8;

/// The size of blocks of at most about `most` rows, all about equal and of whole tiles.
pub(super) fn even_blocks(rows: &Dim, most: &Dim, tall: i64) -> Dim {
    let blocks = rows.div_ceil(most).larger(&Dim::fixed(1));
    rows.div_ceil(&blocks).div_ceil(&Dim::fixed(tall)).larger(&Dim::fixed(1)).scale(tall)
}

/// How the work is cut.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) rows: Dim,
    pub(crate) cols: Dim,
    pub(crate) depth: Dim,
    pub(crate) rows_per_block: Dim,
    pub(crate) row_blocks: Dim,
    pub(crate) panels: Dim,
    pub(crate) panels_per_block: Dim,
    pub(crate) panel_blocks: Dim,
}

impl Plan {
    /// Each panel is read once a block of rows, so that these are as many as the second-level cache
    /// holds beside the panel: `near` elements of `A`.
    pub(crate) fn new(
        tile: Tile,
        (rows, cols, depth): (&Dim, &Dim, &[Dim]),
        near: i64,
        blocks: Option<&Blocks>,
    ) -> Self {
        let one = Dim::fixed(1);
        // Rows gathered from an image share most of their elements: only the channels count.
        let channels = depth.last().cloned().unwrap_or_else(|| one.clone()).larger(&one);
        let depth = depth.iter().fold(one.clone(), |p, d| p.mul(d));
        let panels = cols.div_ceil(&Dim::fixed(tile.cols()));
        let tall = i64::from(tile.rows);
        let shared = rows.mul(&panels).div_floor(&Dim::fixed(TASKS)).larger(&Dim::fixed(4 * tall));
        let rows_per_block = match blocks {
            Some(blocks) => blocks.rows_of_task(rows, &shared),
            None => {
                let block = Dim::fixed(near).div_floor(&channels).smaller(&Dim::fixed(512)).smaller(&shared);
                even_blocks(rows, &block.larger(&Dim::fixed(4 * tall)), tall)
            }
        };
        let one_panel = rows_per_block.mul(&depth).scale(tile.cols()).larger(&one);
        let panels_per_block = Dim::fixed(TASK).div_floor(&one_panel).larger(&one);
        Self {
            row_blocks: rows.div_ceil(&rows_per_block),
            panel_blocks: panels.div_ceil(&panels_per_block),
            rows: rows.clone(),
            cols: cols.clone(),
            depth,
            rows_per_block,
            panels,
            panels_per_block,
        }
    }
}
