//! Weights of few bits: `DequantizeLinear` of constant codes, and products with it.
//!
//! The result stays lazy where only products use it: they read the codes, or, where blocks are of sizes that the
//! schedule cannot read, numbers that were computed when the artifact was made. Anyone else gets the numbers, computed
//! from codes that were widened to a byte each.
use super::anchor::Kind;
use super::bytes::Constant;
use super::code_panels::{Coded, Layout, Numbers};
use super::contract::Right;
use super::decoded::Constants;
use super::{Call, Handle, Lowering, Result, State, View};
use crate::program::{Memory, Weight, WeightData};
use crate::schedule::{self, Codes, Groups, Tile, UNIT_VECTORS, Zeros, prepared_steps};
use crate::term::{Index, Source, Term};
use std::sync::Arc;
use weft_ir::{DType, Dim, Graph, NodeId, Tensor, Value};

/// Bits that codes are packed to.
const WIDTHS: [u32; 4] = [2, 3, 4, 8];

/// A matrix that is constant codes with scales, as the graph has it.
#[derive(Debug, Clone)]
pub(crate) struct Matrix {
    constants: Constants,
    /// The axis along which a block has one scale.
    axis: usize,
    /// How many elements that are.
    block: usize,
    /// Whether rows are columns.
    turned: bool,
}

impl Matrix {
    /// The codes and scales of a `DequantizeLinear` to `f32` of a constant matrix.
    pub(crate) fn of(call: &Call<'_>) -> Option<Self> {
        let constants = Constants::of(call)?;
        let [rows, cols] = *constants.codes.dims() else { return None };
        let extents = [usize::try_from(rows).ok()?, usize::try_from(cols).ok()?];
        let axis = super::movement::place(call.attrs.int("axis"), 2).unwrap_or(0);
        let (axis, block) =
            match (usize::try_from(call.attrs.int("block_size")).ok()?, constants.scales.len()) {
                (_, 1) => (0, extents[0].max(1)),
                // One scale for each index of the axis: a block is all of the other axis.
                (0, _) => (1 - axis, extents[1 - axis].max(1)),
                (block, _) => (axis, block),
            };
        Some(Self { constants, axis, block, turned: false })
    }

    /// Rows for columns.
    pub(crate) fn turned(&self) -> Self {
        Self { turned: !self.turned, ..self.clone() }
    }

    /// Columns of the matrix as it is used.
    fn columns(&self) -> i64 {
        self.constants.codes.dims()[if self.turned { 0 } else { 1 }] as i64
    }

    /// The numbers, the matrix as it is used.
    pub(crate) fn numbers(&self) -> Option<Tensor> {
        let numbers = self.constants.numbers()?;
        let [rows, cols] = [numbers.dims()[0] as usize, numbers.dims()[1] as usize];
        if !self.turned {
            return Some(numbers);
        }
        let all = numbers.to_vec::<f32>()?;
        let turned: Vec<f32> = (0..rows * cols).map(|at| all[at % rows * cols + at / rows]).collect();
        Tensor::from_slice(&[cols as u64, rows as u64], &turned).ok()
    }

    /// The bytes of a matrix with one scale a column, or one for all, as the right-hand side of a product.
    pub(crate) fn columns_of_bytes(&self) -> Option<(Right, Constant, Arc<Tensor>)> {
        let Constants { codes: tensor, scales, zeros, .. } = &self.constants;
        let codes = Numbers::of(tensor)?;
        let zeros = match zeros {
            Some(zeros) => Numbers::of(zeros)?.widened(),
            None => vec![0],
        };
        let [rows, cols] = [tensor.dims()[0] as i64, tensor.dims()[1] as i64];
        let axis = |extent, stride| (Dim::fixed(extent), Dim::fixed(stride));
        let (depth, col) = match self.turned {
            false => (axis(rows, cols), axis(cols, 1)),
            true => (axis(cols, 1), axis(rows, cols)),
        };
        let along = (self.axis == 0) != self.turned;
        let whole = depth.0.as_fixed().is_some_and(|depth| self.block as i64 >= depth);
        let by_column = scales.len() == 1 || (along && whole);
        let dtype = if codes.is_signed() { DType::I8 } else { DType::U8 };
        let right = Right {
            memory: Memory::Weight(0),
            offset: Dim::fixed(0),
            batch: Vec::new(),
            depth: vec![depth],
            col,
        };
        let constant = Constant { data: codes.widened().into(), dtype, zeros: zeros.into() };
        by_column.then(|| (right, constant, scales.clone()))
    }

    /// What is packed, where the schedule can do with it.
    pub(crate) fn coded(&self, lanes: usize, layout: Layout) -> Option<Coded> {
        let (scales, (codes, zeros)) = (&self.constants.scales, self.constants.parts()?);
        let extents: Vec<usize> = self.constants.codes.dims().iter().map(|d| *d as usize).collect();
        let single = scales.len() == 1;
        let blocks = extents[self.axis].div_ceil(self.block);
        let grid = if self.axis == 0 { [blocks, extents[1]] } else { [extents[0], blocks] };
        let mut axes: Vec<_> = [(0, extents[1], grid[1]), (1, 1, 1)]
            .into_iter()
            .map(|(axis, step, apart)| {
                let shared = if axis == self.axis { self.block } else { 1 };
                let apart = if single || grid[axis] == 1 { 0 } else { apart };
                ((extents[axis], step), (shared, apart))
            })
            .collect();
        if self.turned {
            axes.swap(0, 1);
        }
        let ([(depth, depth_groups), (cols, col_groups)], along) = ([axes[0], axes[1]], self.axis == 0);
        let (along, extents) = (along != self.turned, (depth.0, cols.0));
        let mut fitting = widths(&codes, zeros.as_ref());
        let grouped =
            |(bits, base)| Some((bits, base, groups(along, (self.block, layout, bits), extents, lanes)?));
        let (bits, base, groups) = fitting.find_map(grouped)?;
        let mut coded = Coded {
            codes,
            scales: scales.clone(),
            half: false,
            zeros,
            depth,
            cols,
            beside: None,
            depth_groups,
            col_groups,
            base,
            bits,
            groups,
            lanes,
            layout,
        };
        // Processors with narrow vectors lack the conversion.
        coded.half = lanes >= 8 && coded.scales_fit_half();
        Some(coded)
    }
}

/// Products of matrices.
const PRODUCTS: [&str; 2] = ["MatMul", "Gemm"];

/// Whether a value is nothing but the right-hand side of some operators.
pub(super) fn only_multiplies(graph: &Graph, value: Value, operators: &[&str]) -> bool {
    let product =
        |(node, operand): (NodeId, usize)| operand == 1 && operators.contains(&graph.node(node).op.as_str());
    let uses = graph.uses(value);
    !graph.outputs().contains(&value) && !uses.is_empty() && uses.into_iter().all(product)
}

/// How the schedule shares scales: steps that are prepared together and vectors of columns must have one each.
pub(super) fn groups(
    along_depth: bool,
    (block, layout, bits): (usize, Layout, u32),
    (depth, cols): (usize, usize),
    lanes: usize,
) -> Option<Groups> {
    let unit = UNIT_VECTORS as usize * lanes;
    let (panel, steps) = match layout {
        Layout::Rows(panel) => (panel, 1),
        Layout::Quads => (unit, prepared_steps(bits) as usize),
    };
    if along_depth {
        let whole = block.is_multiple_of(steps) || block >= depth;
        return whole.then(|| Groups::Depth(block.min(depth.next_multiple_of(steps)).max(1) as i64));
    }
    let slot = match block {
        _ if block >= cols => panel,
        // Whole units.
        _ if block.is_multiple_of(unit) => common(block, panel),
        // The largest power of two that divides both.
        _ => unit.min(1 << block.trailing_zeros()),
    };
    slot.is_multiple_of(lanes).then(|| Groups::Columns((panel / slot) as u32))
}

/// The greatest common divisor.
fn common(a: usize, b: usize) -> usize {
    if b == 0 { a } else { common(b, a % b) }
}

/// Bits that all codes fit, the fewest first, and what a code of 0 stands for.
pub(super) fn widths(codes: &Numbers, zeros: Option<&Numbers>) -> impl Iterator<Item = (u32, i32)> + use<> {
    let ((low, high), signed) = (codes.range(), codes.is_signed());
    let (least, greatest) = zeros.map_or((0, 0), Numbers::range);
    WIDTHS.into_iter().filter_map(move |bits| {
        let base = if signed { -(1 << (bits - 1)) } else { 0 };
        let fits = low >= base && high < base + (1 << bits) && least >= base && greatest < base + 256;
        fits.then_some((bits, base))
    })
}

impl Lowering<'_> {
    /// An operand of a `DequantizeLinear`: constants of less than a byte are widened to one.
    pub(crate) fn whole_bytes(&mut self, call: &Call<'_>, operand: usize) -> Result<Handle> {
        let handle = call.operand(operand)?;
        if self.dtype_of(handle).bits() >= 8 {
            return Ok(handle);
        }
        let value = call.graph.operand(call.id, operand);
        let tensor = value.and_then(|value| call.graph.constant(value));
        let numbers = tensor.and_then(Numbers::of).ok_or("elements of less than a byte must be constant")?;
        let dims = self.dims_of(handle);
        let bytes = Self::elements(&dims).as_fixed().unwrap_or(0) as usize;
        let dtype = if numbers.is_signed() { DType::I8 } else { DType::U8 };
        let name = value.map_or("codes", |value| call.graph.name_of(value)).to_string();
        let data = WeightData::Packed(bytes, Arc::new(move || numbers.widened()));
        self.program.weights.push(Weight { name, data });
        let memory = Memory::Weight(self.program.weights.len() as u32 - 1);
        Ok(self.view(dtype, dims.clone(), View::whole(memory, &dims)))
    }

    /// The transpose of a matrix of codes, which stays one.
    pub(crate) fn turned_codes(&mut self, from: Handle, perm: &[usize]) -> Option<Handle> {
        let turned = self.matrices.get(&from)?.turned();
        if perm != [1, 0] || !matches!(self.state(from), State::Lazy(..)) {
            return None;
        }
        let mut dims = self.dims_of(from);
        dims.reverse();
        let term = self.read(from, &[Index::axis(1), Index::axis(0)]);
        let handle = self.lazy(dims, term);
        self.matrices.insert(handle, turned);
        Some(handle)
    }

    /// Whether a tensor is a matrix of codes that all its uses read as such.
    pub(crate) fn stays_coded(&self, graph: &Graph, value: Value, handle: Handle) -> bool {
        (self.matrices.contains_key(&handle) && only_multiplies(graph, value, &PRODUCTS))
            || (self.beside.contains_key(&handle) && only_multiplies(graph, value, &PRODUCTS[..1]))
    }

    /// A product with a matrix of codes, of an `A` that may be known to be mostly zero; nothing where the right-hand
    /// side is none that it can read.
    pub(crate) fn coded_product(&mut self, a: Handle, b: Handle, zeros: bool) -> Option<Handle> {
        if let Some(product) = self.quantised_product(a, b) {
            return Some(product);
        }
        let mut dims = self.dims_of(a);
        if self.dtype_of(a) != DType::F32 || dims.len() < 2 {
            return None;
        }
        let skipping = if zeros { self.coded_rows(b, &dims) } else { None };
        let skips = skipping.is_some();
        let lanes = self.machine.lanes(DType::F32) as usize;
        let numbers = || self.matrices.get(&b)?.coded(lanes, Layout::Quads);
        let (coded, tile) = match skipping {
            Some(found) => found,
            None => (numbers()?, schedule::code_tile(&self.machine)),
        };
        let (depth, cols) = (dims.pop()?, Dim::fixed(coded.cols.0 as i64));
        if depth.as_fixed() != Some(coded.depth.0 as i64) {
            return None;
        }
        dims.push(cols);
        let view = self.force_whole(a);
        let rank = dims.len() as u32;
        let mut at: Vec<Index> = (0..rank - 1).map(Index::axis).collect();
        at.push(Index::axis(rank));
        let load = Term::Load(self.source(view.memory), DType::F32, view.address(&at));
        let a = self.terms.add(load);
        let codes = self.codes(&Arc::new(coded), None);
        let b = codes.0;
        let kind = Kind::Gemm {
            batch: 0,
            depth: vec![depth],
            a,
            b,
            b_start: Index::fixed(0),
            tile,
            codes: Some(codes.1),
            narrow: None,
            skips,
        };
        Some(self.anchor(kind, DType::F32, dims))
    }

    /// Codes that lie by rows, where rows may be skipped: there may be few rows of `A`, and zero times any number
    /// is zero.
    fn coded_rows(&self, b: Handle, dims: &[Dim]) -> Option<(Coded, Tile)> {
        let matrix = self.matrices.get(&b)?;
        let rows = dims[..dims.len() - 1].iter().fold(Dim::fixed(1), |p, d| p.mul(d));
        if rows.as_fixed().is_some_and(|rows| rows > schedule::skipping_rows(true)) {
            return None;
        }
        let tile = schedule::code_rows_tile(&self.machine, matrix.columns());
        let lanes = self.machine.lanes(DType::F32) as usize;
        let coded = matrix.coded(lanes, Layout::Rows(tile.panel() as usize))?;
        (coded.depth.0 > 0 && coded.is_finite()).then_some((coded, tile))
    }

    /// The packed codes and all that belongs to them.
    pub(crate) fn codes(&mut self, coded: &Arc<Coded>, row_sums: Option<Source>) -> (Source, Codes) {
        let count = coded.scale_count();
        let codes = self.packed_part(coded, ("codes", coded.code_bytes()), Coded::pack_codes);
        let dtype = if coded.half { DType::F16 } else { DType::F32 };
        let bytes = count * dtype.bits() as usize / 8;
        let scales = (self.packed_part(coded, ("scales", bytes), Coded::pack_scales), dtype);
        let zeros = match &coded.zeros {
            Some(_) => Zeros::Each(self.packed_part(coded, ("zeros", count), Coded::pack_zeros)),
            None => Zeros::Same(-coded.base),
        };
        (codes, Codes { bits: coded.bits, groups: coded.groups, scales, zeros, row_sums, beside: None })
    }

    pub(super) fn packed_part(
        &mut self,
        coded: &Arc<Coded>,
        (name, bytes): (&str, usize),
        pack: fn(&Coded) -> Vec<u8>,
    ) -> Source {
        let key = coded.key(name);
        let memory = self.placed.get(&key).copied().unwrap_or_else(|| {
            let coded = coded.clone();
            let data = WeightData::Packed(bytes, Arc::new(move || pack(&coded)));
            self.program.weights.push(Weight { name: name.to_string(), data });
            Memory::Weight(self.program.weights.len() as u32 - 1)
        });
        self.placed.insert(key, memory);
        self.source(memory)
    }
}
