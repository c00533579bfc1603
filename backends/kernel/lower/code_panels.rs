//! Packing of weights of few bits, when the artifact is written.
//!
//! Codes lie as the schedule of [`crate::schedule::Codes`] reads them: panel by panel, in chunks of some
//! steps of the depth; scales and zero points beside them, spread over the slots of a panel.
use crate::schedule::{CHUNK, Groups, QUAD, UNIT_VECTORS, field, pieces, prepared_steps};
use half::f16;
use std::sync::Arc;
use weft_ir::Tensor;
use weft_ir::types::Kind;

/// Integers of at most 8 bits in a constant, by position.
#[derive(Debug, Clone)]
pub(crate) struct Numbers {
    tensor: Arc<Tensor>,
    bits: usize,
    signed: bool,
}

impl Numbers {
    /// Nothing where the elements are wider, or no integers.
    pub(crate) fn of(tensor: &Arc<Tensor>) -> Option<Self> {
        let dtype = tensor.dtype();
        let bits = dtype.bits() as usize;
        (dtype.is_int() && bits <= 8).then(|| Self {
            tensor: tensor.clone(),
            bits,
            signed: dtype.kind() == Kind::Signed,
        })
    }

    /// Element `i` in row-major order.
    pub(crate) fn at(&self, i: usize) -> i32 {
        let data = self.tensor.data();
        let at = i * self.bits;
        let raw = i32::from(data[at / 8] >> (at % 8)) & ((1 << self.bits) - 1);
        if self.signed && raw >> (self.bits - 1) == 1 { raw - (1 << self.bits) } else { raw }
    }

    /// All elements, a byte each.
    pub(crate) fn widened(&self) -> Vec<u8> {
        (0..self.tensor.len() as usize).map(|i| self.at(i) as u8).collect()
    }

    /// The least and the greatest element.
    pub(crate) fn range(&self) -> (i32, i32) {
        let all = (0..self.tensor.len() as usize).map(|i| self.at(i));
        all.fold((i32::MAX, i32::MIN), |(low, high), x| (low.min(x), high.max(x)))
    }

    /// Whether negative numbers can occur.
    pub(crate) fn is_signed(&self) -> bool {
        self.signed
    }
}

/// A matrix of codes with scales and zero points, to be packed.
#[derive(Debug, Clone)]
pub(crate) struct Coded {
    /// The codes.
    pub(crate) codes: Numbers,
    /// The scales.
    pub(crate) scales: Arc<Tensor>,
    /// Whether every packed scale is an `f16` exactly, and is packed as one.
    pub(crate) half: bool,
    /// The zero points; 0 where there are none.
    pub(crate) zeros: Option<Numbers>,
    /// Depth and columns, and how far apart neighbours on each are among the codes.
    pub(crate) depth: (usize, usize),
    /// See `depth`.
    pub(crate) cols: (usize, usize),
    /// Where the columns are those of matrices side by side: how many each has, and how far apart these are.
    pub(crate) beside: Option<(usize, usize)>,
    /// For steps of the depth: how many share a scale, and how far apart the scales are.
    pub(crate) depth_groups: (usize, usize),
    /// The same for columns.
    pub(crate) col_groups: (usize, usize),
    /// What a code of 0 stands for.
    pub(crate) base: i32,
    /// Bits of a packed code.
    pub(crate) bits: u32,
    /// How scales are shared.
    pub(crate) groups: Groups,
    /// Lanes of a vector.
    pub(crate) lanes: usize,
    /// How the codes lie.
    pub(crate) layout: Layout,
}

/// How codes lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Panels, four steps of the depth in each word.
    Quads,
    /// For an `A` that is mostly zero: rows over all of so many columns, which are a panel.
    Rows(usize),
}

impl Coded {
    fn panel(&self) -> usize {
        match self.layout {
            Layout::Rows(panel) => panel,
            Layout::Quads => UNIT_VECTORS as usize * self.lanes,
        }
    }

    fn panels(&self) -> usize {
        self.cols.0.div_ceil(self.panel())
    }

    /// Steps of the depth with those that fill up the last chunk.
    fn steps(&self) -> usize {
        match self.layout {
            Layout::Rows(_) => self.depth.0,
            Layout::Quads => self.depth.0.next_multiple_of(CHUNK as usize),
        }
    }

    /// A code less what a packed one of 0 stands for.
    fn code(&self, step: usize, col: usize) -> i32 {
        let (each, apart) = self.beside.unwrap_or((self.cols.0, 0));
        let across = col / each * apart + col % each * self.cols.1;
        self.codes.at(step * self.depth.1 + across) - self.base
    }

    fn group(&self, step: usize, col: usize) -> usize {
        step / self.depth_groups.0 * self.depth_groups.1 + col / self.col_groups.0 * self.col_groups.1
    }

    /// Bytes of the packed codes.
    pub(crate) fn code_bytes(&self) -> usize {
        self.panels() * self.steps() * self.panel() * self.bits as usize / 8
    }

    /// The packed codes.
    pub(crate) fn pack_codes(&self) -> Vec<u8> {
        if let Layout::Rows(_) = self.layout { self.pack_rows() } else { self.pack_words() }
    }

    /// For each panel and step units of vectors; each lane of a unit has bytes in pieces that lie apart.
    fn pack_rows(&self) -> Vec<u8> {
        let (bits, vectors) = (self.bits as usize, UNIT_VECTORS as usize);
        let places: Vec<(usize, usize)> = pieces(self.bits)
            .iter()
            .scan(0, |start, size| {
                let (first, size) = (*start * self.lanes, *size as usize);
                *start += size;
                Some((0..size).map(move |byte| (first + byte, size)))
            })
            .flatten()
            .collect();
        let mut packed = vec![0u8; self.code_bytes()];
        for step in 0..self.depth.0 {
            for col in 0..self.cols.0 {
                let code = self.code(step, col);
                let (panel, within) = (col / self.panel(), col % self.panel());
                let (vector, lane) = (within / self.lanes % vectors, within % self.lanes);
                let row = (panel * self.depth.0 + step) * self.panel() * bits / 8;
                let unit = row + within / self.lanes / vectors * self.lanes * bits;
                let (first, code) = (vector * bits / 8, (code as u16) << (vector * bits % 8));
                for (byte, part) in code.to_le_bytes().into_iter().enumerate().filter(|(_, part)| *part > 0) {
                    let (start, apart) = places[first + byte];
                    packed[unit + start + lane * apart] |= part;
                }
            }
        }
        packed
    }

    /// For each panel and chunk as many rows of words as a code has bits.
    fn pack_words(&self) -> Vec<u8> {
        let mut words = vec![0u32; self.code_bytes() / 4];
        for panel in 0..self.panels() {
            let first = panel * self.panel();
            for step in 0..self.depth.0 {
                for col in first..(first + self.panel()).min(self.cols.0) {
                    let code = self.code(step, col);
                    let (vector, lane) = ((col - first) / self.lanes, (col - first) % self.lanes);
                    let (start, fields) = self.place((panel, step), vector);
                    for (word, bit, from, count) in fields {
                        let part = (code as u32 >> from) & ((1 << count) - 1);
                        words[start + word as usize * self.lanes + lane] |= part.rotate_left(bit);
                    }
                }
            }
        }
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// Whether products with bytes can be added up group by group: groups are whole chunks, or all of the depth, and
    /// a sum fits an `i32`.
    pub(crate) fn multiplies_bytes(&self) -> bool {
        let depth = self.depth.0 as i64;
        let steps = match (self.groups, self.beside) {
            (Groups::Depth(steps), _) => steps,
            (Groups::Columns(_), Some(_)) => depth,
            (Groups::Columns(_), None) => return false,
        };
        let whole = steps % CHUNK == 0 || steps >= depth;
        whole && (steps << self.bits) <= i64::from(i32::MAX) / 128
    }

    /// Where a step of a vector of a panel lies: the first of its words, and the parts of a code in those, as
    /// [`field`] has them.
    fn place(&self, (panel, step): (usize, usize), vector: usize) -> (usize, Vec<(u32, u32, u32, u32)>) {
        let (chunk, quad) = (CHUNK as usize, QUAD as usize);
        let size = self.bits as usize * self.panel();
        let start = (panel * (self.steps() / chunk) + step / chunk) * size + vector * self.lanes;
        let mut fields = field(self.bits, (step % chunk / quad) as u32);
        for (word, bit, ..) in &mut fields {
            *word *= UNIT_VECTORS;
            *bit += (step % quad * 8) as u32;
        }
        (start, fields)
    }

    /// Where the scales that the packed form has lie: those of each panel, in its order, or those of each step. Nothing
    /// for steps and columns that only fill up.
    fn slots(&self) -> Vec<Option<usize>> {
        let mut slots = Vec::new();
        let inside = |step: usize, col: usize| {
            (step < self.depth.0 && col < self.cols.0).then(|| self.group(step, col))
        };
        if let (Layout::Rows(panel), Groups::Columns(count)) = (self.layout, self.groups) {
            let all = (0..self.panels() * panel).step_by(panel / count as usize);
            let of_step = |step| all.clone().map(move |col| inside(step, col));
            slots.extend((0..self.depth.0).flat_map(of_step));
            slots.resize(self.scale_count(), None);
            return slots;
        }
        for first in (0..self.panels()).map(|panel| panel * self.panel()) {
            match self.groups {
                Groups::Depth(steps) => {
                    for step in (0..self.depth.0).step_by(steps as usize) {
                        slots.extend((first..first + self.panel()).map(|col| inside(step, col)));
                    }
                }
                Groups::Columns(count) => {
                    let prepared = prepared_steps(self.bits) as usize;
                    for chunk in (0..self.steps()).step_by(prepared) {
                        for col in
                            (0..count as usize).map(|slot| first + slot * self.panel() / count as usize)
                        {
                            slots.extend((chunk..chunk + prepared).map(|step| inside(step, col)));
                        }
                    }
                }
            }
        }
        slots
    }

    /// How many scales the packed form has.
    pub(crate) fn scale_count(&self) -> usize {
        let per_panel = match (self.groups, self.layout) {
            (Groups::Depth(steps), _) => self.depth.0.div_ceil(steps as usize) * self.panel(),
            (Groups::Columns(count), Layout::Rows(_)) => {
                // A whole vector of them is read at once.
                return self.panels() * self.steps() * count as usize + self.lanes;
            }
            (Groups::Columns(count), _) => self.steps() * count as usize,
        };
        self.panels() * per_panel
    }

    /// The packed scales; of rows over the distance of the numbers that the schedule makes of neighbouring codes.
    pub(crate) fn pack_scales(&self) -> Vec<u8> {
        let slots = self.slots().into_iter().map(|at| at.map_or(0.0, |at| self.scale(at)));
        match self.half {
            true => slots.flat_map(|scale| f16::from_f32(scale).to_le_bytes()).collect(),
            false => slots.flat_map(f32::to_le_bytes).collect(),
        }
    }

    /// A scale as it is packed.
    fn scale(&self, at: usize) -> f32 {
        let data = self.scales.data();
        let bytes = [data[at * 4], data[at * 4 + 1], data[at * 4 + 2], data[at * 4 + 3]];
        let scale = f32::from_le_bytes(bytes);
        if self.layout == Layout::Quads { scale } else { scale * (1u32 << self.bits) as f32 }
    }

    /// Whether zero times any number is zero.
    pub(crate) fn is_finite(&self) -> bool {
        (0..self.scales.len() as usize).all(|at| self.scale(at).is_finite())
    }

    /// Whether every packed scale is an `f16` exactly.
    pub(crate) fn scales_fit_half(&self) -> bool {
        let scales = (0..self.scales.len() as usize).map(|at| self.scale(at));
        scales.into_iter().all(|scale| f16::from_f32(scale).to_f32() == scale)
    }

    /// The packed zero points, a byte each, less what a code of 0 stands for.
    pub(crate) fn pack_zeros(&self) -> Vec<u8> {
        let Some(zeros) = &self.zeros else { return Vec::new() };
        self.slots().into_iter().map(|at| at.map_or(0, |at| (zeros.at(at) - self.base) as u8)).collect()
    }

    /// Names the packed data by what it is made of.
    pub(crate) fn key(&self, part: &str) -> [u8; 32] {
        let shape = (self.depth, self.cols, self.depth_groups, self.col_groups, self.base, self.bits);
        let lies = (self.groups, self.lanes, self.layout, self.beside);
        let mut hasher = blake3::Hasher::new();
        hasher.update(format!("{part} {shape:?} {lies:?}").as_bytes());
        hasher.update(self.codes.tensor.digest()).update(self.scales.digest());
        if let Some(zeros) = &self.zeros {
            hasher.update(zeros.tensor.digest());
        }
        *hasher.finalize().as_bytes()
    }
}
