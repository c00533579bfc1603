//! Products beyond ONNX's own domain: transposed and scaled operands, weights of few bits.
use super::{Call, Handle, Lowering, Result};
use crate::math::Function as F;
use crate::term::{Index, TermId};
use weft_ir::{DType, Dim};

impl Lowering<'_> {
    /// Lowers products of other domains, and changes of what bits mean.
    pub(crate) fn packed(&mut self, call: &Call<'_>) -> Option<Result<Vec<Handle>>> {
        Some(match call.op() {
            "com.microsoft.FusedMatMul" => self.fused_matmul(call).map(|h| vec![h]),
            "com.microsoft.MatMulNBits" => self.matmul_n_bits(call).map(|h| vec![h]),
            "BitCast" => self.bit_cast(call).map(|h| vec![h]),
            _ => return None,
        })
    }

    /// An operand after its transpositions: the batch form moves the first axis in front of the last.
    fn fused_operand(&mut self, x: Handle, trans: bool, batch: bool) -> Result<Handle> {
        let mut perm: Vec<usize> = (0..self.dims_of(x).len()).collect();
        let rank = perm.len();
        if batch && rank > 2 {
            perm[..rank - 1].rotate_left(1);
        }
        if trans && rank > 1 {
            perm.swap(rank - 2, rank - 1);
        }
        if perm.is_sorted() { Ok(x) } else { self.permuted(x, &perm) }
    }

    fn fused_matmul(&mut self, call: &Call<'_>) -> Result<Handle> {
        let flag = |name: &str| call.attrs.flag(name);
        let a = self.fused_operand(call.operand(0)?, flag("transA"), flag("transBatchA"))?;
        let b = self.fused_operand(call.operand(1)?, flag("transB"), flag("transBatchB"))?;
        let (mut product, dims) = (self.product(a, b)?, call.dims(0)?);
        if self.dims_of(product).len() != dims.len() {
            product = self.reshaped(product, &dims);
        }
        let term = self.here(product);
        let alpha = self.value(self.terms.dtype(term), call.attrs.float("alpha").into());
        let term = self.times(term, alpha);
        let term = self.cast_term(term, call.dtype(0));
        Ok(self.lazy(dims, term))
    }

    /// `MatMulNBits`: the weights are unpacked to floats first.
    fn matmul_n_bits(&mut self, call: &Call<'_>) -> Result<Handle> {
        let (a, dims) = (call.operand(0)?, call.dims(0)?);
        let weights = self.unpacked(call)?;
        self.force(weights);
        let (mut product, bias) = (self.product(a, weights)?, call.optional(5));
        if self.dims_of(product).len() != dims.len() {
            product = self.reshaped(product, &dims);
        }
        let mut term = self.here(product);
        if let Some(bias) = bias {
            self.force(bias);
            let bias = self.spread(bias, &dims);
            let bias = self.cast_term(bias, self.terms.dtype(term));
            term = self.plus(term, bias);
        }
        let term = self.cast_term(term, call.dtype(0));
        Ok(self.lazy(dims, term))
    }

    /// The matrix as floats, `[K, N]`.
    fn unpacked(&mut self, call: &Call<'_>) -> Result<Handle> {
        let int = |name: &str| call.attrs.int(name);
        let (k, n, bits, block) = (int("K"), int("N"), int("bits"), int("block_size").max(1));
        let (depth, row) = (Index::axis(0), Index::axis(1));
        let blocks = (k + block - 1) / block;
        let block_of = self.quotient(depth.clone(), &Dim::fixed(block));
        let group = match call.optional(4) {
            Some(groups) => {
                self.force(groups);
                let group = self.read(groups, std::slice::from_ref(&depth));
                let group = self.cast_term(group, DType::I64);
                self.terms.as_index(group)
            }
            None => block_of.clone(),
        };
        let block_bytes = (block * bits + 7) / 8;
        let within = depth.add(&block_of.scale(&Dim::fixed(-block)));
        let start =
            row.scale(&Dim::fixed(blocks * block_bytes)).add(&block_of.scale(&Dim::fixed(block_bytes)));
        let packed = self.flat(call.operand(1)?);
        let number = self.few_bits(packed, start, within, bits);
        let scale = row.scale(&Dim::fixed(blocks)).add(&group);
        let scales = self.flat(call.operand(2)?);
        let factor = self.read(scales, std::slice::from_ref(&scale));
        let factor = self.cast_term(factor, DType::F32);
        let zero = match call.optional(3) {
            Some(zeros) if self.dtype_of(zeros).is_float() => {
                let zeros = self.flat(zeros);
                self.read(zeros, &[scale])
            }
            Some(zeros) => {
                let zeros = self.flat(zeros);
                let start = row.scale(&Dim::fixed((blocks * bits + 7) / 8));
                self.few_bits(zeros, start, group, bits)
            }
            None => self.integer(1 << (bits - 1)),
        };
        let (number, zero) = (self.cast_term(number, DType::F32), self.cast_term(zero, DType::F32));
        let centred = self.minus(number, zero);
        let term = self.times(centred, factor);
        Ok(self.lazy(vec![Dim::fixed(k), Dim::fixed(n)], term))
    }

    /// All elements in one row.
    pub(crate) fn flat(&mut self, handle: Handle) -> Handle {
        let count = Self::elements(&self.dims_of(handle));
        self.reshaped(handle, &[count])
    }

    /// Number `i` behind `start`, of a few bits each, packed from the low end of each byte.
    fn few_bits(&mut self, bytes: Handle, start: Index, i: Index, bits: i64) -> TermId {
        let each = 8 / bits;
        let byte_of = self.quotient(i.clone(), &Dim::fixed(each));
        let byte = self.read(bytes, &[start.add(&byte_of)]);
        let byte = self.cast_term(byte, DType::I64);
        let place = i.add(&byte_of.scale(&Dim::fixed(-each)));
        let shift = self.position(place.scale(&Dim::fixed(bits)));
        let mask = self.integer((1 << bits) - 1);
        let moved = self.apply(F::Shr, &[byte, shift]);
        self.apply(F::And, &[moved, mask])
    }

    /// `BitCast`: a copy of the bytes.
    fn bit_cast(&mut self, call: &Call<'_>) -> Result<Handle> {
        let (from, dims, dtype) = (call.operand(0)?, call.dims(0)?, call.dtype(0));
        let bytes = Self::bytes(dtype, &dims);
        let data = self.argument_of(from);
        let to = self.target(call, 0, &dims);
        let room = self.room_for(&to, dtype);
        self.step(crate::program::Step::Copy { from: data, to: room, bytes });
        self.stored(call, 0, to)
    }
}
