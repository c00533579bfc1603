//! Matrices of codes side by side: products with groups of columns that each have a left-hand side of bytes.
//!
//! `sum(sx q (w - zw))` with scales of the weights that change from step to step is no sum of integers. Where they are
//! multiplied into the left-hand side before that becomes bytes, there is one row of those for each group of columns,
//! and it is again: `MatMul(%a : [.., G, 1, K], %w : [G, K, n])` of a `%w` with scales of 1. All `G` products are one
//! with `G n` columns here, which reads the codes as those of a single matrix.
use super::anchor::Kind;
use super::code_panels::{Coded, Layout, Numbers};
use super::coded::{groups, widths};
use super::decoded::Constants;
use super::quantised::Quantised;
use super::{Call, Handle, Lowering, View, identity};
use crate::program::{Memory, Weight, WeightData};
use crate::schedule::{self, Beside, Codes, Combine, Zeros};
use crate::term::{Index, Source, Term, TermId};
use std::sync::Arc;
use weft_ir::{DType, Dim, Graph, Tensor, Value};

const F32: DType = DType::F32;

/// Constant codes `[G, K, n]` less zero points of each matrix and step, if there are any.
#[derive(Debug, Clone)]
pub(crate) struct Matrices {
    codes: Arc<Tensor>,
    zeros: Option<Arc<Tensor>>,
}

impl Matrices {
    /// What a `DequantizeLinear` to `f32` with scales of 1 makes.
    pub(crate) fn of(call: &Call<'_>) -> Option<Self> {
        let Constants { codes, scales, zeros, .. } = Constants::of(call)?;
        let [groups, depth, columns] = *codes.dims() else { return None };
        let rows = [groups, depth, 1];
        let one_a_row = zeros
            .as_ref()
            .is_none_or(|zeros| zeros.dims() == rows && call.attrs.int("block_size") >= columns as i64);
        let ones = scales.data().chunks_exact(4).all(|number| number == 1f32.to_le_bytes());
        let fits = ones && !codes.is_empty() && one_a_row;
        fits.then_some(Self { codes, zeros })
    }

    /// What is packed, where the schedule can do with it.
    fn coded(&self, lanes: usize) -> Option<Coded> {
        let [count, depth, columns] = *self.codes.dims() else { return None };
        let [count, depth, columns] = [count as usize, depth as usize, columns as usize];
        let (codes, zeros) = (Numbers::of(&self.codes)?, self.zeros.as_ref().and_then(Numbers::of));
        let all = count * columns;
        let fit = |(bits, base)| {
            let groups = groups(false, (columns, Layout::Quads, bits), (depth, all), lanes)?;
            Some((bits, base, groups))
        };
        let (bits, base, groups) = widths(&codes, zeros.as_ref()).find_map(fit)?;
        let coded = Coded {
            codes,
            scales: Arc::new(Tensor::scalar(1f32)),
            half: false,
            zeros: None,
            depth: (depth, columns),
            cols: (all, 1),
            beside: Some((columns, depth * columns)),
            depth_groups: (depth, 0),
            col_groups: (all, 0),
            base,
            bits,
            groups,
            lanes,
            layout: Layout::Quads,
        };
        coded.multiplies_bytes().then_some(coded)
    }
}

impl Lowering<'_> {
    /// The product of bytes and matrices side by side; nothing where it is none.
    pub(crate) fn product_beside(&mut self, call: &Call<'_>) -> Option<Handle> {
        let (a, b) = (call.optional(0)?, call.optional(1)?);
        let (left, matrices) = (self.quantised.get(&a)?.clone(), self.beside.get(&b)?.clone());
        let dims = self.dims_of(left.codes);
        let coded = Arc::new(matrices.coded(self.machine.lanes(F32) as usize)?);
        let fixed: Vec<Option<i64>> = dims.iter().rev().take(3).map(Dim::as_fixed).collect();
        let [depth, groups] = [coded.depth.0 as i64, matrices.codes.dims()[0] as i64];
        let symmetric = left.zero.is_none() && self.dtype_of(left.codes) == DType::I8;
        let mut scales = dims.clone();
        *scales.last_mut()? = Dim::fixed(1);
        let by_row = symmetric && self.dims_of(left.scale) == scales;
        if dims.len() < 4 || fixed != [Some(depth), Some(1), Some(groups)] || !by_row {
            return None;
        }
        let product = self.bytes_by_columns(&left, &matrices, &coded)?;
        let stays = joins_columns(call.graph, call.result(0), &self.dims_of(product));
        let dims = call.dims(0).ok()?;
        Some(if stays { product } else { self.reshaped(product, &dims) })
    }

    /// The product with all columns on one axis.
    fn bytes_by_columns(
        &mut self,
        left: &Quantised,
        matrices: &Matrices,
        coded: &Arc<Coded>,
    ) -> Option<Handle> {
        let (depth, columns) = (coded.depth.0 as i64, *matrices.codes.dims().last()? as i64);
        let bytes = self.whole_rows(left.codes, depth, schedule::CHUNK);
        let rank = bytes.strides.len();
        let apart = bytes.strides[rank - 3].as_fixed()?;
        let (sums, zero) = self.sums_beside(&bytes, (left, matrices), coded);
        let scales = self.force_whole(left.scale);
        let mut dims: Vec<Dim> = self.dims_of(left.codes);
        dims.truncate(rank - 3);
        dims.push(Dim::fixed(coded.cols.0 as i64));
        let mut at = identity(rank - 3);
        at.extend([Index::fixed(0), Index::fixed(0), Index::axis(dims.len() as u32)]);
        let a = self.byte(&bytes, &at);
        let codes = Codes {
            bits: coded.bits,
            groups: coded.groups,
            scales: (self.source(scales.memory), F32),
            zeros: Zeros::Same(zero),
            row_sums: Some(sums),
            beside: Some(Beside { columns, apart }),
        };
        let kind = Kind::Gemm {
            batch: 0,
            depth: vec![Dim::fixed(depth)],
            a,
            b: self.packed_part(coded, ("codes", coded.code_bytes()), Coded::pack_codes),
            b_start: Index::fixed(0),
            tile: schedule::code_tile(&self.machine),
            codes: Some(codes),
            narrow: None,
            skips: false,
        };
        Some(self.anchor(kind, F32, dims))
    }

    /// By row and group of columns the sum of the bytes, and the zero point that it is taken times; where zero points
    /// change from step to step, they are in the sum.
    fn sums_beside(
        &mut self,
        bytes: &View,
        (left, matrices): (&Quantised, &Matrices),
        coded: &Coded,
    ) -> (Source, i32) {
        let mut dims = self.dims_of(left.codes);
        let rank = dims.len();
        dims.truncate(rank - 2);
        let (group, step) = (Index::axis(rank as u32 - 3), Index::axis(rank as u32 - 2));
        let mut at = identity(rank - 2);
        at.extend([Index::fixed(0), step.clone()]);
        let byte = self.byte(bytes, &at);
        let mut input = self.cast_term(byte, DType::I32);
        let zeros = matrices.zeros.as_ref().and_then(Numbers::of);
        let same = if zeros.is_none() { -coded.base } else { 1 };
        let depth = Dim::fixed(coded.depth.0 as i64);
        if let Some(zeros) = zeros {
            let memory = self.zeros_of_steps(zeros, coded.base);
            let load = Term::Load(self.source(memory), DType::U8, group.scale(&depth).add(&step));
            let zero = self.terms.add(load);
            let zero = self.cast_term(zero, DType::I32);
            input = self.times(input, zero);
        }
        let kind = Kind::Reduce { inner: vec![depth], input, combine: Combine::Sum };
        let sums = self.anchor(kind, DType::I32, dims);
        let view = self.force(sums);
        (self.source(view.memory), same)
    }

    /// Zero points less what a packed code of 0 stands for.
    fn zeros_of_steps(&mut self, zeros: Numbers, base: i32) -> Memory {
        let bytes = zeros.widened().len();
        let less = move || zeros.widened().into_iter().map(|zero| zero.wrapping_sub(base as u8)).collect();
        let data = WeightData::Packed(bytes, Arc::new(less));
        self.program.weights.push(Weight { name: "zeros".to_string(), data });
        Memory::Weight(self.program.weights.len() as u32 - 1)
    }

    /// A byte of the left-hand side.
    fn byte(&mut self, bytes: &View, at: &[Index]) -> TermId {
        let load = Term::Load(self.source(bytes.memory), DType::I8, bytes.address(at));
        self.terms.add(load)
    }

    /// Whether a value is a product that has its columns on one axis already, as its only reader gives them.
    pub(crate) fn is_joined(&self, graph: &Graph, value: Value, handle: Handle) -> bool {
        graph.node(value.node).op == "MatMul" && joins_columns(graph, value, &self.dims_of(handle))
    }
}

/// Whether all that reads a value is a `Reshape` to these extents.
fn joins_columns(graph: &Graph, value: Value, dims: &[Dim]) -> bool {
    let uses = graph.uses(value);
    let [(node, 0)] = uses[..] else { return false };
    let reshaped = graph.ty(Value { node, slot: 0 }).dims.as_deref();
    graph.node(node).op == "Reshape" && !graph.outputs().contains(&value) && reshaped == Some(dims)
}
