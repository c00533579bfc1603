//! Products of bytes with constant bytes: integer matrices and images, sums in `i32`.
//!
//! `sum((a - a0) (b - b0))` is `sum(a w) - a0 sum(w)` with `w = b - b0`, which is packed where it fits an `i8`;
//! `sum(w)` is one constant a column. The schedule moves bytes of `A` with sign up by 128, and so is `a0`. Where
//! `w` does not fit, `b` is packed moved to where it does, and what is left of `b0` times `sum(a - a0)` is taken off.
use super::anchor::Kind;
use super::byte_panels::Columns;
use super::contract::{Panels, Right, right_side};
use super::quant::Side;
use super::{Handle, Lowering, State, View, identity};
use crate::program::{Memory, Weight, WeightData};
use crate::schedule::{Combine, QUAD, Tile, panel_elements, tile};
use crate::term::{Index, Term, TermId};
use bytes::Bytes;
use std::sync::Arc;
use weft_ir::{DType, Dim};

const I32: DType = DType::I32;

/// Constant bytes, packed for a product.
#[derive(Debug, Clone)]
pub(crate) struct Packed {
    /// The panels.
    pub(crate) panels: Panels,
    /// The sum of each column, by batch and column.
    sums: Memory,
    /// What is left of the zero points, by column, where they were not taken off.
    rest: Option<Memory>,
}

/// A zero point of the left-hand side, over the axes of the product.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    /// The zero point as it is, `i32`.
    pub(crate) zero: Option<TermId>,
    /// The type of the elements.
    pub(crate) dtype: DType,
}

/// Elements that the schedule takes by fours.
pub(crate) fn is_byte(dtype: DType) -> bool {
    matches!(dtype, DType::U8 | DType::I8)
}

/// Constant bytes as the right-hand side of a product.
#[derive(Debug, Clone)]
pub(crate) struct Constant {
    /// The bytes.
    pub(crate) data: Bytes,
    /// `u8` or `i8`.
    pub(crate) dtype: DType,
    /// The zero points: one, or one a column, by batch.
    pub(crate) zeros: Bytes,
}

impl Lowering<'_> {
    /// `sum((a - a0) (b - b0))` as `i32`, where `b` and `b0` are constants; nothing where there is no such kernel.
    pub(crate) fn byte_product(
        &mut self,
        left: (Handle, Option<Handle>),
        (b, b_zero): (Handle, Option<Handle>),
    ) -> Option<Handle> {
        let b = self.matrix(b, false);
        let (y, dtype) = (self.dims_of(b), self.dtype_of(b));
        let shared = y[..y.len() - 2].iter().all(|d| d.as_fixed() == Some(1));
        let State::View(view) = self.state(b).clone() else { return None };
        let Memory::Weight(weight) = view.memory else { return None };
        let WeightData::Plain(data) = self.program.weights[weight as usize].data.clone() else { return None };
        let zeros = match b_zero {
            Some(zeros) => self.constant_data(zeros)?.clone(),
            None => Bytes::from_static(&[0]),
        };
        if !shared || !is_byte(dtype) || y.len() > self.dims_of(left.0).len().max(2) {
            return None;
        }
        let right = right_side(view, &y, &y[y.len() - 2], false);
        self.constant_product(left, &right, &Constant { data, dtype, zeros })
    }

    /// The same for a right-hand side without batch axes; its memory is not read.
    pub(crate) fn constant_product(
        &mut self,
        (a, a_zero): (Handle, Option<Handle>),
        right: &Right,
        constant: &Constant,
    ) -> Option<Handle> {
        let (a, dtype, depth) = (self.matrix(a, true), self.dtype_of(a), right.depth[0].0.as_fixed()?);
        let (mut dims, cols) = (self.dims_of(a), right.col.0.clone());
        let rank = dims.len();
        if !is_byte(dtype) || dims[rank - 1].as_fixed() != Some(depth) {
            return None;
        }
        dims[rank - 1] = cols.clone();
        let rows = dims[..rank - 1].iter().fold(Dim::fixed(1), |p, d| p.mul(d));
        let tile = tile(&self.machine, I32, (&rows, &cols), false);
        let packed = self.packed_columns(right, constant, tile)?;
        let left = self.whole_rows(a, depth, QUAD);
        let zero = a_zero.map(|zero| self.aligned(zero, Side::Rows, &dims));
        let origin = Origin { zero: zero.map(|zero| self.cast_term(zero, I32)), dtype };
        let mut at = identity(rank - 1);
        at.push(Index::axis(rank as u32).scale(&Dim::fixed(QUAD)));
        let load = Term::Load(self.source(left.memory), dtype, left.address(&at));
        let kind = Kind::Gemm {
            batch: 0,
            depth: vec![Dim::fixed(quads(depth))],
            a: self.terms.add(load),
            b: self.source(packed.panels.memory),
            b_start: Index::fixed(0),
            tile,
            codes: None,
            narrow: None,
            skips: false,
        };
        let element = Term::Load(self.source(left.memory), dtype, left.address(&identity(rank)));
        let element = self.terms.add(element);
        let rows = (&dims[..rank - 1], vec![Dim::fixed(depth)]);
        let rest = self.rest_of_zeros(element, rows, (&packed, &origin));
        let product = self.anchor(kind, I32, dims.clone());
        let sum = self.here(product);
        let sum = self.less_origin(sum, &origin, (&packed, &Index::axis(rank as u32 - 1)));
        let sum = rest.map_or(sum, |rest| self.minus(sum, rest));
        Some(self.lazy(dims, sum))
    }

    /// A sum less what the zero point of the left-hand side adds to it.
    pub(crate) fn less_origin(
        &mut self,
        sum: TermId,
        origin: &Origin,
        (packed, column): (&Packed, &Index),
    ) -> TermId {
        let moved = (origin.dtype == DType::I8).then(|| self.value(I32, 128.0));
        let zero = match (origin.zero, moved) {
            (Some(zero), Some(moved)) => self.plus(zero, moved),
            (Some(zero), None) => zero,
            (None, Some(moved)) => moved,
            (None, None) => return sum,
        };
        let load = Term::Load(self.source(packed.sums), I32, column.clone());
        let columns = self.terms.add(load);
        let less = self.times(zero, columns);
        self.minus(sum, less)
    }

    /// What is left of the zero points of the columns times the sums of the rows, whose elements are over the
    /// axes of the rows and those of the depth.
    pub(crate) fn rest_of_zeros(
        &mut self,
        element: TermId,
        (rows, depth): (&[Dim], Vec<Dim>),
        (packed, origin): (&Packed, &Origin),
    ) -> Option<TermId> {
        let rest = packed.rest?;
        let input = self.cast_term(element, I32);
        let count = depth.iter().fold(Dim::fixed(1), |p, d| p.mul(d)).as_fixed()?;
        let sums = Kind::Reduce { inner: depth, input, combine: Combine::Sum };
        let sums = self.anchor(sums, I32, rows.to_vec());
        self.force(sums);
        let mut sum = self.read(sums, &identity(rows.len()));
        if let Some(zero) = origin.zero {
            let count = self.value(I32, count as f64);
            let zeros = self.times(count, zero);
            sum = self.minus(sum, zeros);
        }
        let load = Term::Load(self.source(rest), I32, Index::axis(rows.len() as u32));
        let rest = self.terms.add(load);
        Some(self.times(rest, sum))
    }

    /// Bytes in memory whose rows are of a whole number of `unit` bytes, filled up with zeros.
    pub(crate) fn whole_rows(&mut self, a: Handle, depth: i64, unit: i64) -> View {
        if depth % unit == 0 {
            let view = self.force(a);
            let in_row = view.strides.last().and_then(Dim::as_fixed) == Some(1);
            return if in_row { view } else { self.force_whole(a) };
        }
        let (mut dims, dtype) = (self.dims_of(a), self.dtype_of(a));
        let last = dims.len() - 1;
        let filled = (depth as u64).next_multiple_of(unit as u64) as i64;
        dims[last] = Dim::fixed(filled);
        let whole = self.allocate(dtype, &dims, "rows");
        match self.state(a) {
            State::View(_) => self.copy(a, &whole),
            State::Lazy(..) => {
                self.force_into(a, Some(whole.clone()), "rows");
            }
        }
        dims[last] = Dim::fixed(filled - depth);
        let behind = View { offset: whole.offset.plus(depth), ..whole.clone() };
        let zero = self.zero(dtype);
        self.write_kernel(zero, None, &dims, &behind, "fill");
        whole
    }

    /// Constant bytes packed by quads.
    pub(crate) fn packed_columns(
        &mut self,
        right: &Right,
        constant: &Constant,
        tile: Tile,
    ) -> Option<Packed> {
        let columns = Arc::new(Columns::new(right, constant, tile.panel())?);
        let size = panel_elements(&Dim::fixed(columns.quads()), &right.col.0, tile);
        let strides = vec![size; right.batch.len()];
        let memory = self.packed_bytes(&columns, ("panels", columns.panel_bytes()), Columns::panels);
        let sums = self.packed_bytes(&columns, ("sums", columns.sum_bytes()), Columns::sums);
        let rest = columns.has_rest();
        let rest = rest.then(|| self.packed_bytes(&columns, ("rest", columns.sum_bytes()), Columns::rest));
        Some(Packed { panels: Panels { memory, strides }, sums, rest })
    }

    fn packed_bytes(
        &mut self,
        columns: &Arc<Columns>,
        (name, bytes): (&str, usize),
        pack: fn(&Columns) -> Vec<u8>,
    ) -> Memory {
        let key = columns.key(name);
        if let Some(memory) = self.placed.get(&key) {
            return *memory;
        }
        let columns = columns.clone();
        let data = WeightData::Packed(bytes, Arc::new(move || pack(&columns)));
        self.program.weights.push(Weight { name: name.to_string(), data });
        let memory = Memory::Weight(self.program.weights.len() as u32 - 1);
        self.placed.insert(key, memory);
        memory
    }
}

/// How many quads that many bytes are.
pub(crate) fn quads(bytes: i64) -> i64 {
    (bytes as u64).div_ceil(QUAD as u64) as i64
}
