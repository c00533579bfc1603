//! Constant matrices whose numbers are all of 16 bits: the artifact holds them so, at half the size.
//!
//! A model that was trained or exported in `bf16` or `f16` has such weights even where folding made `f32` of them, and
//! so has one whose layers were rounded to `bf16`. A product with few rows takes as long as its weights take to come from
//! memory, which is half as long then; they are widened in registers, exactly. Products that are known to have many
//! rows read `f32`, since they would widen for nothing.
use super::coded::only_multiplies;
use super::contract::{Pack, Panels, Right};
use super::fuse::spreads;
use super::{Call, Handle, Lowering, View, identity};
use crate::program::{Memory, WeightData};
use crate::schedule::Tile;
use crate::term::Term;
use half::{bf16, f16};
use std::sync::Arc;
use weft_ir::{DType, Dim, Graph, Tensor, Value};

/// Operators that take the numbers of such a constant as their right-hand side, see [`Lowering::right_operand`].
const MULTIPLYING: [&str; 4] = ["MatMul", "Gemm", "Conv", "ConvTranspose"];
/// Rows up to which weights are narrow, where the number is known.
const FEW: i64 = 16;
/// Numbers of a constant that is not in a first-level cache.
const LARGE: u64 = 8192;
/// Lanes of `f32` of processors that widen `f16` in one instruction.
const CONVERTING: u32 = 8;

/// The constant of 16 bits that a value is, or is a `Cast` of to `f32`.
fn half_constant(graph: &Graph, value: Value) -> Option<&Arc<Tensor>> {
    let cast = graph.node(value.node).op == "Cast" && graph.ty(value).dtype == DType::F32;
    let from = if cast { graph.operand(value.node, 0)? } else { value };
    graph.constant(from).filter(|tensor| matches!(tensor.dtype(), DType::F16 | DType::Bf16))
}

/// Whether a value is a constant of 16 bits that products alone read: they need no copy of it in memory.
pub(super) fn stays_narrow(graph: &Graph, value: Value) -> bool {
    half_constant(graph, value).is_some() && only_multiplies(graph, value, &MULTIPLYING)
}

impl Lowering<'_> {
    /// A right-hand side that is a constant of 16 bits, as it is or after a `Cast`, as the numbers it stands for.
    pub(super) fn wide_constant(&mut self, call: &Call<'_>) -> Option<Handle> {
        let value = call.graph.operand(call.id, 1)?;
        let tensor = half_constant(call.graph, value)?;
        let numbers: Vec<f32> = tensor.to_f64s()?.into_iter().map(|x| x as f32).collect();
        let numbers = Tensor::from_slice(tensor.dims(), &numbers).ok()?;
        Some(self.placed_numbers(&numbers))
    }

    /// A constant that is met by what repeats on it, in 16 bits where all its numbers are such ones: it is read from memory
    /// for every result.
    pub(super) fn narrow_factor(&mut self, graph: &Graph, value: Value, tensor: &Tensor) -> Option<Handle> {
        let users = graph.uses(value);
        let read = users.iter().all(|(node, _)| spreads(graph, Value { node: *node, slot: 0 }));
        if tensor.dtype() != DType::F32 || tensor.len() < LARGE || users.is_empty() || !read {
            return None;
        }
        let numbers = tensor.to_vec::<f32>()?;
        let dtype = narrow_of(tensor.data(), self.machine.lanes(DType::F32) >= CONVERTING)?;
        let bytes: Vec<u8> = numbers.into_iter().flat_map(|x| half_bytes(dtype, x)).collect();
        let narrow = Tensor::new(dtype, tensor.dims().to_vec(), bytes.into()).ok()?;
        let memory = self.place(&Arc::new(narrow), graph.name_of(value));
        let dims: Vec<Dim> = tensor.dims().iter().map(|n| Dim::fixed(*n as i64)).collect();
        let address = View::whole(memory, &dims).address(&identity(dims.len()));
        let load = Term::Load(self.source(memory), dtype, address);
        let number = self.terms.add(load);
        let number = self.cast_term(number, DType::F32);
        Some(self.lazy(dims, number))
    }

    /// Panels of 16 bits, where all numbers of a constant are such ones and it pays.
    pub(super) fn narrow_panels(
        &mut self,
        right: &Right,
        (dtype, rows): (DType, &Dim),
        tile: Tile,
    ) -> Option<(DType, Panels)> {
        let few = rows.as_fixed().is_none_or(|rows| rows <= FEW);
        let Memory::Weight(weight) = right.memory else { return None };
        let WeightData::Plain(data) = &self.program.weights[weight as usize].data else { return None };
        if dtype != DType::F32 || !few {
            return None;
        }
        let narrow = narrow_of(data, self.machine.lanes(DType::F32) >= CONVERTING)?;
        let panels = self.constant_panels(right, (dtype, narrow), tile)?;
        Some((narrow, panels))
    }
}

/// The type of 16 bits that holds all of some `f32`.
fn narrow_of(data: &[u8], halves: bool) -> Option<DType> {
    let all = |fits: fn(f32) -> bool| {
        data.chunks_exact(4).all(|b| fits(f32::from_le_bytes([b[0], b[1], b[2], b[3]])))
    };
    if all(|x| x.to_bits().trailing_zeros() >= 16) {
        return Some(DType::Bf16);
    }
    (halves && all(|x| f16::from_f32(x).to_f32().to_bits() == x.to_bits())).then_some(DType::F16)
}

/// A number of 16 bits.
fn half_bytes(dtype: DType, number: f32) -> [u8; 2] {
    if dtype == DType::Bf16 {
        bf16::from_f32(number).to_le_bytes()
    } else {
        f16::from_f32(number).to_le_bytes()
    }
}

impl Pack {
    /// An element as it is packed.
    pub(super) fn packed(&self, bytes: &[u8]) -> ([u8; 8], usize) {
        let mut packed = [0; 8];
        let single = || f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        match self.narrow {
            Some(dtype) => packed[..2].copy_from_slice(&half_bytes(dtype, single())),
            None => packed[..self.element].copy_from_slice(bytes),
        }
        (packed, self.size())
    }

    /// Bytes of a packed element.
    pub(super) fn size(&self) -> usize {
        if self.narrow.is_some() { 2 } else { self.element }
    }
}
