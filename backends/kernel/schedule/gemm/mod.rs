//! `gemm`: matrix products, and convolutions as matrix products with rows gathered from an image.
//!
//! `A` is read in place, element by element, each splat over the columns of a tile; `B` lies in
//! panels of as many columns as a tile has. The tile is held in registers over the whole depth, or
//! over a part of it where the panel is larger than the first-level cache: see [`blocks`]. The order
//! load, splat, multiply-add, row by row, keeps the register allocator from spilling. An `A` of bytes is
//! read four steps of the depth at a time: see [`quads`]. A `B` of few bits is taken apart in registers for few rows,
//! see [`codes`], [`dots`] and [`triples`], and once for all of them where there are [`many`].
mod blocks;
mod bytes;
mod code_rows;
mod code_tiles;
mod codes;
mod depth;
mod dots;
mod many;
mod numbers;
mod quads;
mod rows;
mod skip;
mod skip_codes;
mod streams;
mod tile;
mod triples;
mod units;

pub use code_rows::{code_rows_tile, pieces};
pub use codes::{Beside, CHUNK, Codes, Groups, UNIT_VECTORS, Zeros, code_tile, field, prepared_steps};
pub use quads::QUAD;
pub use skip::{skipping_rows, skipping_tile};
pub use tile::{Tile, panel_elements, tile};

use self::blocks::Blocks;
use self::code_rows::{CodeRows, by_rows};
use self::codes::Buffers as CodeBuffers;
use self::depth::{Reach, Sums};
use self::many::Many;
use self::tile::{Plan, has_tail, tail_sizes};
use super::domain::Domain;
use super::{Machine, Scheduled};
use crate::nest::{Access, Binary, BufferId, Builder, Compare, Hint, Reg, Scalar, Ty, Var};
use crate::term::{Emitter, Index, Point, Source, Term, TermId, Terms};
use weft_ir::{DType, Dim};

/// What to compute: `out[index(axes)] = root(axes)`, where the anchor of `root` is the sum of
/// `a(axes, depth) * b(batch, depth, column)` over the depth axes. The axes are batch axes, row
/// axes and one column axis; depth axes are numbered behind them.
#[derive(Debug, Clone)]
pub struct Gemm {
    /// The extents of batch, row and column axes.
    pub dims: Vec<Dim>,
    /// How many batch axes there are.
    pub batch: usize,
    /// The extents of the depth axes.
    pub depth: Vec<Dim>,
    /// A load over batch, row and depth axes. Where its elements are bytes, a step of the depth is four of
    /// them in a row, and the sums are `i32`.
    pub a: TermId,
    /// The panels; of words of four `i8` each where `A` is bytes.
    pub b: Source,
    /// The first element of the panels, over the batch axes.
    pub b_start: Index,
    /// The tile; see [`super::tile`].
    pub tile: Tile,
    /// How the panels are read where they hold codes of few bits.
    pub codes: Option<Codes>,
    /// The element type of the panels where it is narrower than that of the sums.
    pub narrow: Option<DType>,
    /// What is stored.
    pub root: TermId,
    /// Where it goes.
    pub out: Index,
}

/// Writes the kernel.
pub fn gemm(name: &str, machine: &Machine, terms: &Terms, what: &Gemm) -> Scheduled {
    let mut b = Builder::new(name, &title(what, terms.dtype(what.a)));
    let operands = Operands::new(&mut b, terms, what);
    let mut writer = operands.writer(machine, what);
    let (near, rows) = (blocks::near(machine, writer.dtype), writer.plan.rows.clone());
    let depth = &operands.domain.dims[operands.ends[2]..];
    let by_rows = by_rows(what).is_some();
    let panels = what.codes.as_ref().filter(|_| !by_rows);
    let many = panels.zip(writer.plan.depth.as_fixed());
    let many = many.and_then(|(codes, depth)| Many::new(&mut b, (machine, codes), &rows, depth));
    let blocks = Blocks::new(machine, what, writer.dtype, (&rows, depth));
    let plain = blocks.filter(|_| what.codes.is_none() || by_rows);
    let blocks = many.map(|many| many.blocks).or(plain);
    writer.plan = Plan::new(what.tile, (&rows, &writer.plan.cols, depth), near, blocks.as_ref());
    writer.columns = plain.and_then(|blocks| blocks.columns(&mut b, writer.dtype, what));
    writer.sums = plain.map(|blocks| blocks.buffer(&mut b, writer.dtype, (what.tile, &rows)));
    if !by_rows {
        writer.codes = CodeBuffers::new(&mut b, (machine, what), &operands.buffers, many);
    }
    let batches = operands.product(0..operands.ends[0]);
    let tasks = batches.mul(&writer.plan.row_blocks).mul(&writer.plan.panel_blocks);
    writer.task(&mut b);
    Scheduled { kernel: b.finish(), sources: operands.sources, tasks }
}

/// Writes the kernel for rows of `A` that are mostly zero, of which there are [`skipping_rows`] at most. There must be no
/// batch axes.
pub fn gemm_skipping(name: &str, machine: &Machine, terms: &Terms, what: &Gemm) -> Scheduled {
    let codes = what.codes.as_ref().map_or(String::new(), |codes| format!("codes{} ", codes.bits));
    let mut b = Builder::new(name, &format!("{codes}gemv skipping x{}", what.tile.panel()));
    let operands = Operands::new(&mut b, terms, what);
    let writer = operands.writer(machine, what);
    let tasks = writer.plan.cols.div_ceil(&Dim::fixed(what.tile.panel())).mul(&writer.plan.rows);
    writer.panel_of_one_row(&mut b);
    Scheduled { kernel: b.finish(), sources: operands.sources, tasks }
}

/// What the kernel reads and writes, as its parameters.
struct Operands {
    domain: Domain,
    /// Where the groups of axes end: batch, rows, column, depth.
    ends: Vec<usize>,
    sources: Vec<Source>,
    buffers: Vec<BufferId>,
    a: (BufferId, Index),
    b: (BufferId, Index),
    out: BufferId,
    dtype: DType,
    row_step: Option<Dim>,
}

impl Operands {
    fn new(b: &mut Builder, terms: &Terms, what: &Gemm) -> Self {
        let (domain, ends, row_step) = axes(terms, what);
        let Term::Load(a_source, elem, a_index) = domain.terms.get(domain.roots[1]).clone() else {
            unreachable!("`a` is a load")
        };
        let (sources, buffers) = declare(b, &domain, what, (a_source, elem));
        let dtype = if what.codes.is_some() { DType::F32 } else { quads::sums(elem) };
        let out = b.buffer("out", domain.terms.dtype(domain.roots[0]), Access::Write);
        let a = (buffers[a_source.0 as usize], a_index);
        let right = (buffers[what.b.0 as usize], domain.terms.as_index(domain.roots[2]));
        Self { domain, ends, sources, buffers, a, b: right, out, dtype, row_step }
    }

    fn product(&self, axes: std::ops::Range<usize>) -> Dim {
        self.domain.dims[axes].iter().fold(Dim::fixed(1), |p, d| p.mul(d))
    }

    /// Writes tiles, the depth in one part.
    fn writer(&self, machine: &Machine, what: &Gemm) -> Writer<'_> {
        let (rows, cols) = (self.product(self.ends[0]..self.ends[1]), &self.domain.dims[self.ends[1]]);
        let near = blocks::near(machine, self.dtype);
        let plan = Plan::new(what.tile, (&rows, cols, &self.domain.dims[self.ends[2]..]), near, None);
        Writer {
            domain: &self.domain,
            buffers: &self.buffers,
            a: self.a.0,
            b: self.b.0,
            out: self.out,
            sums: None,
            codes: None,
            code_rows: CodeRows::new(what, &self.buffers),
            columns: None,
            a_index: self.a.1.clone(),
            start: self.b.1.clone(),
            ends: self.ends.clone(),
            tile: what.tile,
            plan,
            dtype: self.dtype,
            row_step: self.row_step.clone(),
            asks: machine.asks,
        }
    }
}

/// The axes, merged within batch, rows, columns and depth; where each of these ends; how far apart the rows of
/// `A` are.
fn axes(terms: &Terms, what: &Gemm) -> (Domain, Vec<usize>, Option<Dim>) {
    let rank = what.dims.len();
    let dims = what.dims.iter().chain(&what.depth).cloned().collect();
    let mut domain = Domain::new(terms.clone(), dims, vec![what.root, what.a], what.out.clone());
    // The start of the panels takes part as a position, so that batch axes merge only where it allows.
    let start = domain.terms.add(Term::Position(what.b_start.clone()));
    domain.roots.push(start);
    let row_step = uniform_rows(&domain, what.batch..rank - 1);
    let ends = domain.collapse_groups(&[what.batch, rank - 1, rank, rank + what.depth.len()]);
    (domain, ends, row_step)
}

/// What the schedule is called.
fn title(what: &Gemm, left: DType) -> String {
    let kind = match &what.codes {
        Some(codes) if quads::are(left) => format!("codes{} dot4", codes.bits),
        Some(codes) => format!("codes{}", codes.bits),
        None if quads::are(left) => "dot4".to_string(),
        None => "gemm".to_string(),
    };
    format!("{kind} {}x{}", what.tile.rows, what.tile.cols())
}

/// A buffer for all that is read, in a table by source number.
fn declare(
    b: &mut Builder,
    domain: &Domain,
    what: &Gemm,
    left: (Source, DType),
) -> (Vec<Source>, Vec<BufferId>) {
    let mut typed = right_sources(what, left.1);
    typed.push(left);
    let used: Vec<Source> = typed.iter().map(|(source, _)| *source).collect();
    let sources = sources(domain, &used);
    let buffers = domain.buffers_typed(b, &sources, &typed);
    (sources, buffers)
}

/// What the right-hand side is read from, with its element types.
fn right_sources(what: &Gemm, dtype: DType) -> Vec<(Source, DType)> {
    let Some(codes) = &what.codes else {
        return vec![(what.b, what.narrow.unwrap_or_else(|| quads::sums(dtype)))];
    };
    let element = if by_rows(what).is_some() { DType::U8 } else { DType::U32 };
    let mut sources = vec![(what.b, element), codes.scales];
    if let Zeros::Each(zeros) = codes.zeros {
        sources.push((zeros, DType::U8));
    }
    sources.extend(codes.row_sums.map(|sums| (sums, DType::I32)));
    sources
}

/// The sources of what is stored, and more, in order.
fn sources(domain: &Domain, more: &[Source]) -> Vec<Source> {
    let stored = Domain::new(domain.terms.clone(), Vec::new(), vec![domain.roots[0]], Index::fixed(0));
    let mut all = stored.sources();
    all.extend(more);
    all.sort();
    all.dedup();
    all
}

/// How far apart the rows of `A` are, if all of them are equally far apart.
fn uniform_rows(domain: &Domain, axes: std::ops::Range<usize>) -> Option<Dim> {
    let Term::Load(_, _, index) = domain.terms.get(domain.roots[1]) else { return None };
    let long: Vec<usize> = axes.filter(|a| domain.dims[*a].as_fixed() != Some(1)).collect();
    let factor = |axis: usize| index.factor(axis as u32);
    let even = long.windows(2).all(|w| factor(w[0]) == factor(w[1]).mul(&domain.dims[w[1]]));
    let plain = index.opaques().next().is_none();
    (even && plain).then(|| long.last().map_or(Dim::fixed(0), |a| factor(*a)))
}

#[derive(Clone)]
struct Writer<'a> {
    domain: &'a Domain,
    buffers: &'a [BufferId],
    a: BufferId,
    b: BufferId,
    out: BufferId,
    /// How the depth is cut, and where the sums are between the parts, if it is.
    sums: Option<(Blocks, BufferId)>,
    /// What belongs to the panels where they hold codes.
    codes: Option<CodeBuffers>,
    /// The same where they lie by rows.
    code_rows: Option<CodeRows>,
    /// Where the columns of a tile are copied to before they are used, if they are.
    columns: Option<BufferId>,
    a_index: Index,
    start: Index,
    ends: Vec<usize>,
    tile: Tile,
    plan: Plan,
    dtype: DType,
    /// How far apart the rows of `A` are, where that is the same everywhere.
    row_step: Option<Dim>,
    /// Whether what is read once is asked for ahead.
    asks: bool,
}

/// Where a tile is.
#[derive(Clone)]
struct Place {
    /// The position on the batch axes.
    batch: Vec<Reg>,
    /// Its first row.
    row: Reg,
    /// Its first column.
    col: Reg,
    /// The first element of its panel.
    panel: Reg,
}

impl Writer<'_> {
    fn task(&self, b: &mut Builder) {
        let task = b.task();
        let (panel_blocks, row_blocks) = (b.extent(&self.plan.panel_blocks), b.extent(&self.plan.row_blocks));
        let (rest, panel_block) = (b.div(task, panel_blocks), b.rem(task, panel_blocks));
        let (batch, row_block) = (b.div(rest, row_blocks), b.rem(rest, row_blocks));
        let batch = self.split(b, batch, 0..self.ends[0]);
        let (rows, start_row, end_row) = self.range(b, row_block, &self.plan.rows_per_block, &self.plan.rows);
        let (_, first, last) = self.range(b, panel_block, &self.plan.panels_per_block, &self.plan.panels);
        let panels = self.at(b, &batch, &self.start);
        b.for_each(first, last, 1, Hint::AsWritten, |b, number| {
            let (offset, width) = (self.tile_in_panels(b, number), b.index(self.tile.cols()));
            let (panel_start, col) = (b.add(panels, offset), b.mul(number, width));
            let place = Place { batch: batch.clone(), row: start_row, col, panel: panel_start };
            self.panel(b, &place, end_row);
        });
        let _ = rows;
    }

    /// Where the columns of a tile start, by the number of the tile.
    fn tile_in_panels(&self, b: &mut Builder, number: Reg) -> Reg {
        let size = b.extent(&self.plan.depth.scale(self.tile.panel()));
        let (beside, width) = (b.index(self.tile.beside.into()), b.index(self.tile.cols()));
        let (panel, within) = (b.div(number, beside), b.rem(number, beside));
        let (start, across) = (b.mul(panel, size), b.mul(within, width));
        b.add(start, across)
    }

    /// Block `number` of `size` elements out of `total`: its size, start and end.
    fn range(&self, b: &mut Builder, number: Reg, size: &Dim, total: &Dim) -> (Reg, Reg, Reg) {
        let (size, total) = (b.extent(size), b.extent(total));
        let start = b.mul(number, size);
        let end = b.add(start, size);
        (size, start, b.min(end, total))
    }

    /// All row tiles of one panel: whole ones, then ever smaller ones.
    fn panel(&self, b: &mut Builder, place: &Place, end: Reg) {
        let narrow = match self.plan.cols.as_fixed() {
            Some(cols) => (cols % self.tile.cols()) as u32,
            None => self.tile.cols() as u32,
        };
        let (full, rest) = (self.tile.vectors, narrow.div_ceil(self.tile.lanes));
        if narrow == 0 || rest == full || self.plan.cols.as_fixed().is_none() {
            return self.column(b, place, end, full);
        }
        let cols = b.extent(&self.plan.cols);
        let width = b.index(self.tile.cols());
        let next = b.add(place.col, width);
        let inside = b.compare(Compare::Le, next, cols);
        b.when_else(inside, |b| self.column(b, place, end, full), |b| self.column(b, place, end, rest));
    }

    fn column(&self, b: &mut Builder, place: &Place, end: Reg, vectors: u32) {
        if let Some(codes) = &self.codes {
            return self.panel_of_rows(b, (place, end, vectors), codes);
        }
        let Some((blocks, sums)) = &self.sums else { return self.column_at_once(b, place, end, vectors) };
        let in_blocks = |b: &mut Builder| self.column_in_blocks(b, (place, end, vectors), (blocks, *sums));
        if !self.may_widen_in_registers() {
            return in_blocks(b);
        }
        let (rows, least) = (b.sub(end, place.row), b.index(blocks.least_rows()));
        let enough = b.compare(Compare::Le, least, rows);
        let direct = Writer { columns: None, sums: None, ..self.clone() };
        b.when_else(enough, in_blocks, |b| direct.column_at_once(b, place, end, vectors));
    }

    /// Whether columns are copied only to be widened once, and it is known in the run only for how many rows: few of
    /// them widen columns in registers, where copying takes more time than reading.
    fn may_widen_in_registers(&self) -> bool {
        self.columns.is_some()
            && self.code_rows.is_none()
            && self.tile.beside == 1
            && self.plan.rows.as_fixed().is_none()
    }

    /// All tiles of a column, each over the whole depth.
    fn column_at_once(&self, b: &mut Builder, place: &Place, end: Reg, vectors: u32) {
        self.tiles(b, place, end, &mut |b, place, tall| {
            let sums = self.cleared(b, tall * vectors);
            let rows = self.rows(b, place, tall);
            let all = b.extent(&self.domain.dims[self.ends[2]]);
            let tile = Sums { rows: &rows, sums: &sums, vectors, ahead: None };
            let start = Reach::start(b);
            self.depth(b, &tile, (self.ends[2], start, all), place);
            self.finish(b, place, (tall, vectors), &sums);
        });
    }

    /// The tiles of a column: those of full height, then ever smaller ones.
    fn tiles(
        &self,
        b: &mut Builder,
        place: &Place,
        end: Reg,
        tile: &mut dyn FnMut(&mut Builder, &Place, u32),
    ) {
        let mut start = place.row;
        for (i, tall) in std::iter::once(self.tile.rows).chain(tail_sizes(self.tile.rows)).enumerate() {
            let size = b.index(tall.into());
            let left = b.sub(end, start);
            let rest = b.rem(left, size);
            let stop = b.sub(end, rest);
            let fits = i == 0 || self.plan.rows.as_fixed().is_none_or(|r| has_tail(r, self.tile.rows, tall));
            if fits {
                b.for_each(start, stop, tall.into(), Hint::AsWritten, |b, row| {
                    tile(b, &Place { row, ..place.clone() }, tall);
                });
            }
            start = stop;
        }
    }

    /// Sums that begin at zero.
    fn cleared(&self, b: &mut Builder, count: u32) -> Vec<Var> {
        let zero = b.constant(Ty::vector(self.dtype, self.tile.lanes), Scalar::Float(0.0));
        (0..count).map(|_| b.var(zero)).collect()
    }

    /// What is fused behind the sums of a tile.
    fn finish(&self, b: &mut Builder, place: &Place, (tall, vectors): (u32, u32), sums: &[Var]) {
        self.finish_from(b, place, (tall, 0, vectors), sums);
    }

    /// The same for the vectors of the panel from `first` on.
    fn finish_from(
        &self,
        b: &mut Builder,
        place: &Place,
        (tall, first, vectors): (u32, u32, u32),
        sums: &[Var],
    ) {
        let mut axes = self.axes(b, place);
        for row in 0..tall {
            for vector in 0..vectors {
                let sum = b.get(sums[(row * vectors + vector) as usize]);
                self.store(b, place, &axes, (first + vector, sum));
            }
            if row + 1 < tall {
                self.next_row(b, &mut axes);
            }
        }
    }

    fn store(&self, b: &mut Builder, place: &Place, axes: &[Reg], (vector, sum): (u32, Reg)) {
        let lanes = self.tile.lanes;
        let offset = b.index((vector * lanes).into());
        let col = b.add(place.col, offset);
        let mut axes = axes.to_vec();
        axes[self.ends[1]] = col;
        let whole = self.plan.cols.as_fixed().is_some_and(|c| c % i64::from(lanes) == 0);
        let mask = (!whole).then(|| {
            let cols = b.extent(&self.plan.cols);
            let left = b.binary(Binary::Sub, cols, col);
            b.first_lanes(left, lanes)
        });
        let point =
            Point { axes, shift: None, lanes: (lanes > 1).then_some((self.ends[1] as u32, lanes)), mask };
        let mut emitter = Emitter::new(&self.domain.terms, self.buffers, point).with_anchor(sum);
        let value = emitter.value(b, self.domain.roots[0]);
        emitter.store(b, self.out, &self.domain.out, value);
    }
}
