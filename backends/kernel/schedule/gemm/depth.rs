//! The sums of a tile over the depth.
use super::{Place, Writer};
use crate::nest::{Builder, Cache, Hint, Reg, Stmt, Var};

/// Steps of the depth that are written out.
const UNROLL: i64 = 4;
/// Elements of a cache line, of `f32`.
pub(super) const LINE: i64 = 16;
/// How far ahead of its use a single row asks for numbers of 16 bits, in bytes: two loads of them take as long as one
/// of `f32`, so that the processor's own look-ahead falls behind.
const ROW_AHEAD: i64 = 2 << 10;

/// The end of as many blocks of `length` as fit.
fn whole(b: &mut Builder, (from, end): (Reg, Reg), length: i64) -> Reg {
    let (all, length) = (b.sub(end, from), b.index(length));
    let rest = b.rem(all, length);
    b.sub(end, rest)
}

impl Writer<'_> {
    /// Loops over the depth axes from `axis` on, over that one from where `reach` is to `end`.
    pub(super) fn depth(
        &self,
        b: &mut Builder,
        tile: &Sums<'_>,
        (axis, reach, end): (usize, Reach, Reg),
        place: &Place,
    ) {
        if axis + 1 < self.domain.dims.len() {
            let inner = b.extent(&self.domain.dims[axis + 1]);
            return b.for_each(reach.from, end, 1, Hint::AsWritten, |b, i| {
                let reach = self.within(b, axis, &Reach { from: i, ..reach });
                self.depth(b, tile, (axis + 1, reach, inner), place);
            });
        }
        let (before, stride) = self.steps_before(b, axis, &reach);
        let panel = self.columns_at(b, place, (before, reach.from));
        let starts: Vec<(Reg, i64)> =
            tile.rows.iter().map(|(reg, offset)| (b.add(*reg, reach.at), *offset)).collect();
        let tile = Sums { rows: &starts, ..*tile };
        let mut from = reach.from;
        if let Some(ahead) = tile.ahead {
            let stop = whole(b, (from, end), LINE);
            b.for_each(from, stop, LINE, Hint::AsWritten, |b, k| {
                let line = b.index(LINE);
                let next = b.add(k, line);
                self.look_ahead(b, &tile, ahead, (k, stride));
                b.for_each(k, next, UNROLL, Hint::AsWritten, |b, k| {
                    self.steps(b, &tile, (k, UNROLL), (stride, panel))
                });
            });
            from = stop;
        }
        let stop = whole(b, (from, end), UNROLL);
        b.for_each(from, stop, UNROLL, Hint::AsWritten, |b, k| {
            self.steps(b, &tile, (k, UNROLL), (stride, panel))
        });
        b.for_each(stop, end, 1, Hint::AsWritten, |b, k| self.steps(b, &tile, (k, 1), (stride, panel)));
    }

    /// Asks for what the next tile reads of `A`, and for a share of the next part of the panel, so
    /// that all tiles of a column together ask for the whole of it. Into the second-level cache: rows
    /// a multiple of 4 KB apart share one set of the first, and two tiles of them would not fit it.
    fn look_ahead(&self, b: &mut Builder, tile: &Sums<'_>, ahead: Ahead, (k, stride): (Reg, Reg)) {
        let right = b.mul(k, stride);
        for (reg, offset) in tile.rows {
            let row = b.add(*reg, ahead.rows);
            let index = b.add(row, right);
            b.stmt(Stmt::Prefetch { buffer: self.a, index, offset: *offset, into: Cache::Second });
        }
        let lines = b.index(ahead.lines);
        let done = b.mul(k, lines);
        let index = b.add(ahead.panel, done);
        for line in 0..ahead.lines {
            let offset = line * LINE;
            b.stmt(Stmt::Prefetch { buffer: self.b, index, offset, into: Cache::Second });
        }
    }

    /// Asks for as many elements of the panel, some way ahead of a place.
    fn ask_ahead(&self, b: &mut Builder, index: Reg, count: i64) {
        let bits = i64::from(b.elem(self.b).bits());
        let (line, ahead) = (512 / bits, ROW_AHEAD * 8 / bits);
        for offset in (0..count).step_by(line as usize) {
            let offset = ahead + offset;
            b.stmt(Stmt::Prefetch { buffer: self.b, index, offset, into: Cache::First });
        }
    }

    /// How far apart the columns of one step of the depth and the next are.
    fn apart(&self) -> i64 {
        if self.columns.is_some() { self.tile.cols() } else { self.tile.panel() }
    }

    /// Where the columns of step 0 are, or would be: in the panel, or in the array that they were
    /// copied to from step `from` on.
    fn columns_at(&self, b: &mut Builder, place: &Place, (before, from): (Reg, Reg)) -> Reg {
        let width = b.index(self.apart());
        match self.columns {
            None => {
                let panel = b.mul(before, width);
                b.add(place.panel, panel)
            }
            Some(_) => {
                let (skipped, none) = (b.mul(from, width), b.index(0));
                b.sub(none, skipped)
            }
        }
    }

    /// How many steps of the depth lie before the first one of `axis`, and how far apart its
    /// elements are in `A`.
    pub(super) fn steps_before(&self, b: &mut Builder, axis: usize, reach: &Reach) -> (Reg, Reg) {
        let extent = b.extent(&self.domain.dims[axis]);
        (b.mul(reach.step, extent), b.extent(&self.a_index.factor(axis as u32)))
    }

    /// From a position on `axis` to the first one on the next axis.
    pub(super) fn within(&self, b: &mut Builder, axis: usize, reach: &Reach) -> Reach {
        let (before, stride) = self.steps_before(b, axis, reach);
        let distance = b.mul(reach.from, stride);
        Reach { at: b.add(reach.at, distance), step: b.add(before, reach.from), from: b.index(0) }
    }

    /// `count` steps of the depth from `k` on.
    fn steps(&self, b: &mut Builder, tile: &Sums<'_>, (k, count): (Reg, i64), (stride, panel): (Reg, Reg)) {
        let (columns, apart, lanes) = (self.columns.unwrap_or(self.b), self.apart(), self.tile.lanes);
        let width = b.index(apart);
        let (down, right) = (b.mul(k, width), b.mul(k, stride));
        let panel = b.add(panel, down);
        // Rows that differ by a constant share one register.
        let mut starts: Vec<(Reg, Reg)> = Vec::new();
        for (reg, _) in tile.rows {
            if !starts.iter().any(|(from, _)| from == reg) {
                starts.push((*reg, b.add(*reg, right)));
            }
        }
        let fixed = b.known(stride);
        if self.asks && tile.rows.len() == 1 && b.elem(columns).bits() == 16 {
            self.ask_ahead(b, panel, count * apart);
        }
        for step in 0..count {
            let columns: Vec<Reg> = (0..tile.vectors)
                .map(|v| {
                    let column = b.load(columns, panel, step * apart + i64::from(v * lanes), lanes);
                    b.cast(column, self.dtype)
                })
                .collect();
            for (row, (reg, offset)) in tile.rows.iter().enumerate() {
                let start = starts.iter().find(|(from, _)| from == reg).map_or(*reg, |(_, to)| *to);
                let splat = match fixed {
                    Some(stride) => self.factor(b, (start, offset + step * stride)),
                    None => {
                        let step = b.index(step);
                        let distance = b.mul(step, stride);
                        let at = b.add(start, distance);
                        self.factor(b, (at, *offset))
                    }
                };
                for (vector, column) in columns.iter().enumerate() {
                    let var = tile.sums[row * tile.vectors as usize + vector];
                    let sum = b.get(var);
                    let sum = self.multiplied(b, (splat, *column), sum);
                    b.set(var, sum);
                }
            }
        }
    }
}

/// The registers of a tile.
#[derive(Clone, Copy)]
pub(super) struct Sums<'a> {
    /// Where the rows of `A` start.
    pub(super) rows: &'a [(Reg, i64)],
    /// The sums, row by row.
    pub(super) sums: &'a [Var],
    /// Vectors in a row.
    pub(super) vectors: u32,
    /// What is needed soon.
    pub(super) ahead: Option<Ahead>,
}

/// What is needed soon after a tile.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ahead {
    /// How far behind its rows those of the next tile are.
    pub(super) rows: Reg,
    /// Where the tile's share of the next part of the panel starts, less the steps before this part.
    pub(super) panel: Reg,
    /// Cache lines of that share, for as many steps as a line has elements.
    pub(super) lines: i64,
}

/// A position in the depth.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reach {
    /// The offset into `A` of the axes outside.
    pub(super) at: Reg,
    /// The joint number of the position on the axes outside.
    pub(super) step: Reg,
    /// The position on the axis itself.
    pub(super) from: Reg,
}

impl Reach {
    /// The first position of all.
    pub(super) fn start(b: &mut Builder) -> Self {
        let zero = b.index(0);
        Self { at: zero, step: zero, from: zero }
    }
}
