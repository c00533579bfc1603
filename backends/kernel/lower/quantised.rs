//! Numbers that are bytes with a scale: `DequantizeLinear` of what is not constant, and products with it.
//!
//! `sum(sx (q - zx) sw (w - zw))` is `sx sw sum((q - zx) (w - zw))`: where the scales do not change along the
//! depth, or change for the weights alone and group by group, the sum is one of integers, which is exact.
//! Scales of the left-hand side are a single one, or one a row.
use super::anchor::Kind;
use super::bytes::is_byte;
use super::code_panels::{Coded, Layout};
use super::coded::Matrix;
use super::{Call, Handle, Lowering, State, View, identity};
use crate::schedule::{self, Combine, Groups};
use crate::term::{Index, Source, Term, TermId};
use std::sync::Arc;
use weft_ir::{DType, Dim, Graph, NodeId, Value};

const F32: DType = DType::F32;

/// Numbers that are bytes, less a zero point, times a scale.
#[derive(Debug, Clone)]
pub(crate) struct Quantised {
    /// The bytes.
    pub(super) codes: Handle,
    /// One number, or one a row.
    pub(super) scale: Handle,
    /// One number, if there is one.
    pub(super) zero: Option<Handle>,
}

/// Bytes by groups of steps of the depth.
#[derive(Debug, Clone)]
pub(crate) struct Grouped {
    /// The bytes, rows filled up to whole groups.
    bytes: View,
    /// The sum of each group, `i32`, by row and group.
    sums: Source,
}

impl Lowering<'_> {
    /// The bytes and scales of a `DequantizeLinear` to `f32`, where products can do with them.
    pub(crate) fn quantised_by(&mut self, call: &Call<'_>) -> Option<Quantised> {
        let constant =
            call.graph.operand(call.id, 0).is_some_and(|codes| call.graph.constant(codes).is_some());
        let (codes, scale, zero) = (call.optional(0)?, call.optional(1)?, call.optional(2));
        let plain = is_byte(self.dtype_of(codes)) && self.dtype_of(scale) == F32 && call.dtype(0) == F32;
        let single = |cx: &Self, handle| Self::elements(&cx.dims_of(handle)).as_fixed() == Some(1);
        let scaled = single(self, scale) || self.scale_of_rows(call, codes, scale);
        let fits = !constant && plain && scaled && zero.is_none_or(|zero| single(self, zero));
        fits.then_some(Quantised { codes, scale, zero })
    }

    /// The bytes and scales of a `DequantizeLinear` to `f32` of the constant weights of convolutions: one scale, or
    /// one an output channel, which is the first axis.
    pub(crate) fn kernel_by(&mut self, call: &Call<'_>) -> Option<Quantised> {
        let constant = |i: usize| {
            call.graph.operand(call.id, i).is_none_or(|value| call.graph.constant(value).is_some())
        };
        let (codes, scale, zero) = (call.optional(0)?, call.optional(1)?, call.optional(2));
        let (dims, scales) = (self.dims_of(codes), self.dims_of(scale));
        let one = Self::elements(&scales).as_fixed() == Some(1);
        let first = super::movement::place(call.attrs.int("axis"), dims.len()) == Ok(0);
        let by_channel = scales.len() == 1 && call.attrs.int("block_size") == 0 && first;
        let plain = is_byte(self.dtype_of(codes)) && self.dtype_of(scale) == F32 && call.dtype(0) == F32;
        let fits = dims.len() > 2 && (0..3).all(constant) && plain && (one || by_channel);
        fits.then_some(Quantised { codes, scale, zero })
    }

    /// Whether there is one scale for each row: a block is all of the last axis.
    fn scale_of_rows(&self, call: &Call<'_>, codes: Handle, scale: Handle) -> bool {
        let (dims, scales) = (self.dims_of(codes), self.dims_of(scale));
        let Ok(axis) = super::movement::place(call.attrs.int("axis"), dims.len()) else { return false };
        let one = scales.last().and_then(Dim::as_fixed) == Some(1);
        call.attrs.int("block_size") > 0 && axis + 1 == dims.len() && scales.len() == dims.len() && one
    }

    /// Quantised numbers with their axes in another order, which stay quantised where they have one scale.
    pub(crate) fn turned_bytes(&mut self, from: Handle, perm: &[usize]) -> super::Result<Option<Handle>> {
        let Some(quantised) = self.quantised.get(&from).cloned() else { return Ok(None) };
        let single = Self::elements(&self.dims_of(quantised.scale)).as_fixed() == Some(1);
        if !single || !matches!(self.state(from), State::Lazy(_, None)) {
            return Ok(None);
        }
        let codes = self.permuted(quantised.codes, perm)?;
        let mut at = identity(perm.len());
        perm.iter().enumerate().for_each(|(to, axis)| at[*axis] = Index::axis(to as u32));
        let (term, dims) = (self.read(from, &at), self.dims_of(codes));
        let handle = self.lazy(dims, term);
        self.quantised.insert(handle, Quantised { codes, ..quantised });
        Ok(Some(handle))
    }

    /// Whether quantised numbers need no memory of their own: whoever reads them, reads a byte each. Constant ones
    /// are for the operators that read them so.
    pub(crate) fn stays_quantised(&self, graph: &Graph, value: Value, handle: Handle) -> bool {
        let kept = self.quantised.contains_key(&handle) || of_convolutions(graph, value);
        kept && !graph.outputs().contains(&value) && !self.captured(graph, value)
    }

    /// Whether a graph inside of this one may read the value.
    fn captured(&self, graph: &Graph, value: Value) -> bool {
        let inner = |node: NodeId| graph.node(node).op.as_str();
        graph.uses(value).into_iter().any(|(node, _)| matches!(inner(node), "If" | "Loop" | "Scan"))
    }

    /// The product of quantised numbers and a matrix of codes; nothing where it is none of integers.
    pub(crate) fn quantised_product(&mut self, a: Handle, b: Handle) -> Option<Handle> {
        let (left, matrix) = (self.quantised.get(&a)?.clone(), self.matrices.get(&b)?.clone());
        let symmetric = left.zero.is_none() && self.dtype_of(left.codes) == DType::I8;
        let lanes = self.machine.lanes(F32) as usize;
        let coded = symmetric.then(|| matrix.coded(lanes, Layout::Quads)).flatten();
        match coded.filter(Coded::multiplies_bytes).map(Arc::new) {
            Some(coded) if coded.bits < 8 => self.product_of_dots(&left, &coded),
            coded => {
                let product = self.product_of_bytes(&left, &matrix);
                product.or_else(|| self.product_of_dots(&left, &coded?))
            }
        }
    }

    /// The convolution of quantised numbers with constant bytes of one scale an output channel at most, channels
    /// last; nothing where it is none of integers.
    pub(crate) fn quantised_conv(
        &mut self,
        call: &Call<'_>,
        (x, w): (Handle, Handle),
        bias: Option<Handle>,
    ) -> Option<Handle> {
        let (left, right) = (self.quantised.get(&x)?.clone(), self.kernels.get(&w)?.clone());
        let single = Self::elements(&self.dims_of(left.scale)).as_fixed() == Some(1);
        if !single {
            return None;
        }
        let sum = self.byte_conv(call, (left.codes, left.zero), (right.codes, right.zero))?;
        let dims = self.dims_of(sum);
        let (sum, rows) = (self.here(sum), self.single(left.scale));
        let (sum, columns) = (self.cast_term(sum, F32), self.of_channel(right.scale, dims.len()));
        let scale = self.times(rows, columns);
        let mut y = self.times(sum, scale);
        if let Some(bias) = bias {
            let bias = self.of_channel(bias, dims.len());
            y = self.plus(y, bias);
        }
        Some(self.lazy(dims, y))
    }

    /// A matrix of bytes whose scale is one a column at most.
    fn product_of_bytes(&mut self, left: &Quantised, matrix: &Matrix) -> Option<Handle> {
        let (right, constant, scales) = matrix.columns_of_bytes()?;
        let sum = self.constant_product((left.codes, left.zero), &right, &constant)?;
        let dims = self.dims_of(sum);
        let sum = self.here(sum);
        let sum = self.cast_term(sum, F32);
        let column = if scales.len() == 1 { Index::fixed(0) } else { Index::axis(dims.len() as u32 - 1) };
        let memory = self.place(&scales, "scales");
        let load = Term::Load(self.source(memory), F32, column);
        let (columns, rows) = (self.terms.add(load), self.left_scale(left, &dims));
        let scale = self.times(rows, columns);
        let product = self.times(sum, scale);
        Some(self.lazy(dims, product))
    }

    /// The scale of the left-hand side at the place of a product.
    fn left_scale(&mut self, left: &Quantised, dims: &[Dim]) -> TermId {
        if Self::elements(&self.dims_of(left.scale)).as_fixed() == Some(1) {
            return self.single(left.scale);
        }
        self.force(left.scale);
        let mut at = identity(dims.len() - 1);
        at.push(Index::fixed(0));
        self.read(left.scale, &at)
    }

    /// A matrix of codes in groups along the depth.
    fn product_of_dots(&mut self, left: &Quantised, coded: &Arc<Coded>) -> Option<Handle> {
        let Groups::Depth(group) = coded.groups else { return None };
        let mut dims = self.dims_of(left.codes);
        let (rank, depth) = (dims.len(), coded.depth.0 as i64);
        if rank < 2 || dims[rank - 1].as_fixed() != Some(depth) {
            return None;
        }
        dims[rank - 1] = Dim::fixed(coded.cols.0 as i64);
        let Grouped { bytes, sums } = self.bytes_by_group(left.codes, &dims, (depth, group));
        let a = self.byte_at(&bytes, Index::axis(rank as u32));
        let (b, codes) = self.codes(coded, Some(sums));
        let kind = Kind::Gemm {
            batch: 0,
            depth: vec![Dim::fixed(depth)],
            a,
            b,
            b_start: Index::fixed(0),
            tile: schedule::code_tile(&self.machine),
            codes: Some(codes),
            narrow: None,
            skips: false,
        };
        let product = self.anchor(kind, F32, dims.clone());
        let (sum, scale) = (self.here(product), self.left_scale(left, &dims));
        let product = self.times(sum, scale);
        Some(self.lazy(dims, product))
    }

    /// Bytes by groups, made once for all products that read them here.
    fn bytes_by_group(&mut self, codes: Handle, dims: &[Dim], (depth, group): (i64, i64)) -> Grouped {
        // What one region makes is not there in others.
        let key = (codes, group, [self.scopes.len(), self.regions]);
        if let Some(found) = self.grouped.get(&key) {
            return found.clone();
        }
        // Groups that are not of whole chunks are all of the depth.
        let unit = (group as u64).next_multiple_of(schedule::CHUNK as u64) as i64;
        let bytes = self.whole_rows(codes, depth, unit);
        let last = dims.len() as u32 - 1;
        let step = Index::axis(last).scale(&Dim::fixed(group)).add(&Index::axis(last + 1));
        let element = self.byte_at(&bytes, step);
        let input = self.cast_term(element, DType::I32);
        let mut sums = dims.to_vec();
        sums[dims.len() - 1] = Dim::fixed((depth as u64).div_ceil(group as u64) as i64);
        let kind = Kind::Reduce { inner: vec![Dim::fixed(group)], input, combine: Combine::Sum };
        let sums = self.anchor(kind, DType::I32, sums);
        let view = self.force(sums);
        let grouped = Grouped { bytes, sums: self.source(view.memory) };
        self.grouped.insert(key, grouped.clone());
        grouped
    }

    /// The byte of the row at a step of the depth.
    fn byte_at(&mut self, bytes: &View, step: Index) -> TermId {
        let mut at = identity(bytes.strides.len() - 1);
        at.push(step);
        let load = Term::Load(self.source(bytes.memory), DType::I8, bytes.address(&at));
        self.terms.add(load)
    }
}

/// Whether a value is constants dequantised for convolutions alone, as their weights or their bias.
fn of_convolutions(graph: &Graph, value: Value) -> bool {
    let dequantised = graph.node(value.node).op == "DequantizeLinear";
    let codes = graph.operand(value.node, 0).filter(|_| dequantised);
    let uses = graph.uses(value);
    codes.is_some_and(|codes| graph.constant(codes).is_some())
        && !uses.is_empty()
        && uses.iter().all(|(node, at)| graph.node(*node).op == "Conv" && *at > 0)
}
