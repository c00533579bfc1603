//! Matrix products.
use super::anchor::Kind;
use super::elementwise::Calc;
use super::skip::mostly_zero;
use super::{Call, Handle, Lowering, Result, View, identity};
use crate::math::Function as F;
use crate::program::{Memory, Weight, WeightData};
use crate::schedule::{Combine, Tile, panel_elements, skipping_tile, tile};
use crate::term::{Index, Term, TermId};
use std::sync::Arc;
use weft_ir::{DType, Dim};

/// An axis of a matrix in memory: its extent and how far apart neighbours are, in elements.
pub(crate) type Axis = (Dim, Dim);

/// The right-hand side of a product: where its elements are, by batch, depth and column.
#[derive(Debug, Clone)]
pub(crate) struct Right {
    /// Which memory.
    pub(crate) memory: Memory,
    /// The first element.
    pub(crate) offset: Dim,
    /// Batch axes.
    pub(crate) batch: Vec<Axis>,
    /// Depth axes.
    pub(crate) depth: Vec<Axis>,
    /// The columns.
    pub(crate) col: Axis,
}

/// The right-hand side as panels.
#[derive(Debug, Clone)]
pub(crate) struct Panels {
    /// Which memory.
    pub(crate) memory: Memory,
    /// How far apart the panels of neighbours on each batch axis are.
    pub(crate) strides: Vec<Dim>,
}

impl Lowering<'_> {
    /// Lowers a contraction.
    pub(crate) fn contraction(&mut self, call: &Call<'_>) -> Option<Result<Vec<Handle>>> {
        Some(match call.op() {
            "MatMul" => self.matmul(call).map(|h| vec![h]),
            "Gemm" => self.gemm(call).map(|h| vec![h]),
            "Conv" => self.conv(call).map(|h| vec![h]),
            "ConvTranspose" => self.conv_transpose(call).map(|h| vec![h]),
            _ => return None,
        })
    }

    fn matmul(&mut self, call: &Call<'_>) -> Result<Handle> {
        self.define_symbols(call)?;
        if let Some(product) = self.product_beside(call) {
            return Ok(product);
        }
        let (a, b, dims) = (call.operand(0)?, self.right_operand(call)?, call.dims(0)?);
        let product = self.product_of(a, b, mostly_zero(call))?;
        let product = self.cast(product, call.dtype(0));
        Ok(if self.dims_of(product).len() == dims.len() { product } else { self.reshaped(product, &dims) })
    }

    /// What is multiplied with: the numbers of a constant of 16 bits, which panels are then made of once.
    pub(super) fn right_operand(&mut self, call: &Call<'_>) -> Result<Handle> {
        self.wide_constant(call).map_or_else(|| call.operand(1), Ok)
    }

    fn gemm(&mut self, call: &Call<'_>) -> Result<Handle> {
        let (mut a, mut b, dims) = (call.operand(0)?, self.right_operand(call)?, call.dims(0)?);
        if call.attrs.flag("transA") {
            a = self.permuted(a, &[1, 0])?;
        }
        if call.attrs.flag("transB") {
            b = self.permuted(b, &[1, 0])?;
        }
        let zeros = !call.attrs.flag("transA") && mostly_zero(call);
        let product = self.product_of(a, b, zeros)?;
        let mut term = self.read(product, &identity(2));
        let dtype = self.terms.dtype(term);
        let scale = |cx: &mut Self, term: TermId, by: f32| {
            let mut calc = Calc { terms: &mut cx.terms, attrs: call.attrs, dtype, arg: dtype };
            let by = calc.number(by);
            calc.call(F::Mul, &[term, by])
        };
        if call.attrs.float("alpha") != 1.0 {
            term = scale(self, term, call.attrs.float("alpha"));
        }
        if let Some(c) = call.optional(2) {
            let from = self.dims_of(c);
            self.force(c);
            let at = self.broadcast(&from, &dims);
            let mut bias = self.read(c, &at);
            bias = self.cast_term(bias, dtype);
            if call.attrs.float("beta") != 1.0 {
                bias = scale(self, bias, call.attrs.float("beta"));
            }
            term = self.terms.call(dtype, F::Add, &[term, bias]);
        }
        let term = self.cast_term(term, call.dtype(0));
        Ok(self.lazy(dims, term))
    }

    /// A tensor as another element type.
    pub(crate) fn cast(&mut self, handle: Handle, dtype: DType) -> Handle {
        if self.dtype_of(handle) == dtype {
            return handle;
        }
        let dims = self.dims_of(handle);
        let term = self.read(handle, &identity(dims.len()));
        let term = self.cast_term(term, dtype);
        self.lazy(dims, term)
    }

    /// `A B` over the last two axes, others broadcast; vectors count as matrices of one row or column,
    /// which the result keeps.
    pub(crate) fn product(&mut self, a: Handle, b: Handle) -> Result<Handle> {
        self.product_of(a, b, false)
    }

    /// The same, for an `A` that may be known to be mostly zero.
    fn product_of(&mut self, a: Handle, b: Handle, zeros: bool) -> Result<Handle> {
        let wide = match self.dtype_of(a) {
            DType::F16 | DType::Bf16 => DType::F32,
            same => same,
        };
        let (a, b) = (self.cast(a, wide), self.cast(b, wide));
        let (a, b) = (self.matrix(a, true), self.matrix(b, false));
        if let Some(product) = self.coded_product(a, b, zeros) {
            return Ok(product);
        }
        if !matches!(wide, DType::F32 | DType::F64) {
            return self.product_of_integers(a, b, wide);
        }
        let b = self.decoded(b);
        self.product_of_numbers((a, b), wide, zeros)
    }

    /// The product of two matrices of numbers that a microkernel multiplies.
    fn product_of_numbers(&mut self, (a, b): (Handle, Handle), wide: DType, zeros: bool) -> Result<Handle> {
        let (x, y) = (self.dims_of(a), self.dims_of(b));
        let (dims, batch) = self.product_dims(&x, &y);
        let rank = dims.len();
        let (cols, depth) = (&dims[rank - 1], &x[x.len() - 1]);
        let rows = dims[batch..rank - 1].iter().fold(Dim::fixed(1), |p, d| p.mul(d));
        let tile = tile(&self.machine, wide, (&rows, cols), false);
        let (view, right) = (self.force(a), self.force(b));
        let right = right_side(right, &y, depth, batch > 0);
        let skips = zeros && self.may_skip(&right, wide, &rows);
        let tile = if skips { skipping_tile(&self.machine, wide, cols) } else { tile };
        let (narrow, panels) = match self.narrow_panels(&right, (wide, &rows), tile) {
            Some((narrow, panels)) => (Some(narrow), panels),
            None => (None, self.panels(&right, wide, tile)?),
        };
        let mut at = self.broadcast(&x[..x.len() - 1], &dims[..rank - 1]);
        at.push(Index::axis(rank as u32));
        let load = Term::Load(self.source(view.memory), wide, view.address(&at));
        let mut start = Index::fixed(0);
        let places = self.broadcast(&y[..y.len() - 2], &dims[..rank - 2]);
        for (place, stride) in places.iter().zip(&panels.strides) {
            start = start.add(&place.scale(stride));
        }
        let a = self.terms.add(load);
        let b = self.source(panels.memory);
        let kind = Kind::Gemm {
            batch,
            depth: vec![depth.clone()],
            a,
            b,
            b_start: start,
            tile,
            codes: None,
            narrow,
            skips,
        };
        Ok(self.anchor(kind, wide, dims))
    }

    /// The extents of a product and how many of its axes are batch axes: none where all rows meet the
    /// same right-hand side.
    fn product_dims(&self, x: &[Dim], y: &[Dim]) -> (Vec<Dim>, usize) {
        let shared = y[..y.len() - 2].iter().all(|d| d.as_fixed() == Some(1)) && y.len() <= x.len();
        let mut dims = if shared { x[..x.len() - 2].to_vec() } else { self.batch_dims(x, y) };
        let batch = if shared { 0 } else { dims.len() };
        dims.extend([x[x.len() - 2].clone(), y[y.len() - 1].clone()]);
        (dims, batch)
    }

    fn batch_dims(&self, x: &[Dim], y: &[Dim]) -> Vec<Dim> {
        let (x, y) = (&x[..x.len() - 2], &y[..y.len() - 2]);
        let rank = x.len().max(y.len());
        let one = Dim::fixed(1);
        let at = |dims: &[Dim], i: usize| {
            (i + dims.len()).checked_sub(rank).map_or(one.clone(), |i| dims[i].clone())
        };
        (0..rank)
            .map(|i| match (at(x, i), at(y, i)) {
                (a, b) if b.as_fixed() == Some(1) || a == b => a,
                (a, b) if a.as_fixed() == Some(1) || b.as_fixed().is_some() => b,
                (a, _) => a,
            })
            .collect()
    }

    /// A vector as a matrix of one row (or column), others as they are.
    pub(crate) fn matrix(&mut self, handle: Handle, row: bool) -> Handle {
        let dims = self.dims_of(handle);
        let one = Dim::fixed(1);
        match dims.as_slice() {
            [n] if row => self.reshaped(handle, &[one, n.clone()]),
            [n] => self.reshaped(handle, &[n.clone(), one]),
            _ => handle,
        }
    }

    /// The generic product, for element types without a microkernel.
    fn product_of_integers(&mut self, a: Handle, b: Handle, dtype: DType) -> Result<Handle> {
        let (x, y) = (self.dims_of(a), self.dims_of(b));
        let mut dims = self.batch_dims(&x, &y);
        dims.extend([x[x.len() - 2].clone(), y[y.len() - 1].clone()]);
        let rank = dims.len() as u32;
        let (row, col, depth) = (Index::axis(rank - 2), Index::axis(rank - 1), Index::axis(rank));
        let mut left = self.broadcast(&x[..x.len() - 2], &dims[..dims.len() - 2]);
        left.extend([row, depth.clone()]);
        let mut right = self.broadcast(&y[..y.len() - 2], &dims[..dims.len() - 2]);
        right.extend([depth, col]);
        self.force(a);
        self.force(b);
        let (left, right) = (self.read(a, &left), self.read(b, &right));
        let input = self.terms.call(dtype, F::Mul, &[left, right]);
        let inner = vec![x[x.len() - 1].clone()];
        Ok(self.anchor(Kind::Reduce { inner, input, combine: Combine::Sum }, dtype, dims))
    }

    /// The right-hand side packed into panels: `[batch, panel, depth, column in panel]`, the last panel
    /// filled up with zeros. Constants are packed when the artifact is written.
    pub(crate) fn panels(&mut self, right: &Right, dtype: DType, tile: Tile) -> Result<Panels> {
        let constant = self.constant_panels(right, (dtype, dtype), tile);
        Ok(constant.unwrap_or_else(|| {
            let strides = panel_strides(right, tile);
            Panels { memory: self.pack_at_run_time(right, dtype, tile), strides }
        }))
    }

    /// The same for constants, which may be packed as a narrower type.
    pub(super) fn constant_panels(
        &mut self,
        right: &Right,
        (dtype, packed): (DType, DType),
        tile: Tile,
    ) -> Option<Panels> {
        let Memory::Weight(weight) = right.memory else { return None };
        let WeightData::Plain(data) = self.program.weights[weight as usize].data.clone() else { return None };
        let fixed = |axes: &[Axis]| -> Option<Vec<(i64, i64)>> {
            axes.iter().map(|(d, s)| d.as_fixed().zip(s.as_fixed())).collect()
        };
        let (batch, depth) = (fixed(&right.batch)?, fixed(&right.depth)?);
        let col = fixed(std::slice::from_ref(&right.col))?[0];
        let (offset, size) = (right.offset.as_fixed()?, panel_size(right, tile).as_fixed()?);
        let batches: i64 = batch.iter().map(|(d, _)| d).product();
        let narrow = (packed != dtype).then_some(packed);
        let element = dtype.bits() as usize / 8;
        let pack = Pack { data, element, narrow, offset, batch, depth, col, width: tile.panel() };
        let bytes = usize::try_from(size.checked_mul(batches)?).ok()? * pack.size();
        let (key, strides) = (pack.key(), panel_strides(right, tile));
        if let Some(memory) = self.placed.get(&key) {
            return Some(Panels { memory: *memory, strides });
        }
        let name = self.program.weights[weight as usize].name.clone();
        let data = WeightData::Packed(bytes, Arc::new(move || pack.run()));
        self.program.weights.push(Weight { name, data });
        let memory = Memory::Weight(self.program.weights.len() as u32 - 1);
        self.placed.insert(key, memory);
        Some(Panels { memory, strides })
    }

    fn pack_at_run_time(&mut self, right: &Right, dtype: DType, tile: Tile) -> Memory {
        let width = Dim::fixed(tile.panel());
        let mut dims: Vec<Dim> = right.batch.iter().map(|(d, _)| d.clone()).collect();
        let panels = dims.len() as u32;
        dims.push(right.col.0.div_ceil(&width));
        dims.extend(right.depth.iter().map(|(d, _)| d.clone()));
        dims.push(width.clone());
        let col = Index::axis(panels).scale(&width).add(&Index::axis(dims.len() as u32 - 1));
        let position = self.terms.add(Term::Position(col.clone()));
        let exact = right.col.0.modulo(&width).as_fixed() == Some(0);
        let inside = (!exact).then(|| self.within(position, &right.col.0));
        let col = if exact {
            col
        } else {
            let clamped = self.clamped(position, &right.col.0);
            self.terms.as_index(clamped)
        };
        let mut address = Index::constant(right.offset.clone()).add(&col.scale(&right.col.1));
        for (i, (_, stride)) in right.batch.iter().enumerate() {
            address = address.add(&Index::axis(i as u32).scale(stride));
        }
        for (i, (_, stride)) in right.depth.iter().enumerate() {
            address = address.add(&Index::axis(panels + 1 + i as u32).scale(stride));
        }
        let load = Term::Load(self.source(right.memory), dtype, address);
        let mut term = self.terms.add(load);
        if let Some(inside) = inside {
            let zero = self.zero(dtype);
            term = self.terms.call(dtype, F::Select, &[inside, term, zero]);
        }
        let packed = self.lazy(dims, term);
        self.force_into(packed, None, "panels").memory
    }

    /// Constant data in another order of its axes, columns innermost, packed when the artifact is
    /// written.
    pub(crate) fn packed_rows(&mut self, right: &Right, dtype: DType) -> Option<Memory> {
        let tile =
            Tile { rows: 1, vectors: 1, lanes: u32::try_from(right.col.0.as_fixed()?).ok()?, beside: 1 };
        Some(self.constant_panels(right, (dtype, dtype), tile)?.memory)
    }
}

/// A matrix, or matrices, as the right-hand side of a product.
pub(crate) fn right_side(view: View, dims: &[Dim], depth: &Dim, batched: bool) -> Right {
    let rank = dims.len();
    let batch = dims[..rank - 2].iter().cloned().zip(view.strides.iter().cloned());
    Right {
        memory: view.memory,
        offset: view.offset,
        batch: if batched { batch.collect() } else { Vec::new() },
        depth: vec![(depth.clone(), view.strides[rank - 2].clone())],
        col: (dims[rank - 1].clone(), view.strides[rank - 1].clone()),
    }
}

/// Elements of the panels of one batch.
fn panel_size(right: &Right, tile: Tile) -> Dim {
    let depth = right.depth.iter().fold(Dim::fixed(1), |p, (d, _)| p.mul(d));
    panel_elements(&depth, &right.col.0, tile)
}

/// How far apart the panels of neighbours on each batch axis are.
fn panel_strides(right: &Right, tile: Tile) -> Vec<Dim> {
    let mut strides = vec![panel_size(right, tile); right.batch.len()];
    for i in (1..strides.len()).rev() {
        strides[i - 1] = strides[i].mul(&right.batch[i].0);
    }
    strides
}

/// Packing of constant data into panels.
pub(super) struct Pack {
    data: bytes::Bytes,
    /// Bytes of an element.
    pub(super) element: usize,
    /// As what it is packed, if it is not as it is.
    pub(super) narrow: Option<DType>,
    offset: i64,
    batch: Vec<(i64, i64)>,
    depth: Vec<(i64, i64)>,
    col: (i64, i64),
    width: i64,
}

impl Pack {
    /// Names the packed data by what it is made of.
    fn key(&self) -> [u8; 32] {
        let element = (self.element, self.narrow);
        let shape = format!("{:?}", (element, self.offset, &self.batch, &self.depth, self.col, self.width));
        let mut hasher = blake3::Hasher::new();
        hasher.update(shape.as_bytes()).update(&self.data);
        *hasher.finalize().as_bytes()
    }

    fn run(&self) -> Vec<u8> {
        let panels = (self.col.0 + self.width - 1) / self.width;
        let mut out = Vec::new();
        for batch in offsets(&self.batch) {
            for panel in 0..panels {
                for depth in offsets(&self.depth) {
                    for col in panel * self.width..(panel + 1) * self.width {
                        let inside = col < self.col.0;
                        let at = (self.offset + batch + depth + col * self.col.1) as usize * self.element;
                        let (packed, size) = match inside {
                            true => self.packed(&self.data[at..at + self.element]),
                            false => ([0; 8], self.size()),
                        };
                        out.extend_from_slice(&packed[..size]);
                    }
                }
            }
        }
        out
    }
}

/// The offsets of all positions on some axes, in row-major order.
pub(crate) fn offsets(axes: &[(i64, i64)]) -> Vec<i64> {
    axes.iter().fold(vec![0], |list, (extent, stride)| {
        list.iter().flat_map(|start| (0..*extent).map(move |i| start + i * stride)).collect()
    })
}
