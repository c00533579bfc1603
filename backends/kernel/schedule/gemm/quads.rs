//! A left-hand side of bytes: four steps of the depth are one, a quad, which one instruction multiplies and
//! adds up.
//!
//! Everything else is as for `f32`, a quad in the place of a number: a quad of `A` is splat over the
//! columns, a word of a panel holds four steps of one column. The instruction takes `A` without sign and `B`
//! with sign. Bytes of `A` with sign are moved up by 128, which turns one bit of each; whoever asks for the
//! product makes up for it with the sums of the columns.
use super::Writer;
use crate::nest::{Binary, Builder, Reg, Scalar, Ty};
use weft_ir::DType;

/// Steps of the depth that are one.
pub const QUAD: i64 = 4;
/// The highest bit of each byte of a quad.
const SIGNS: i64 = 0x8080_8080_u32 as i32 as i64;

/// Whether elements of `A` are taken by fours.
pub(super) fn are(elem: DType) -> bool {
    matches!(elem, DType::U8 | DType::I8)
}

/// The type of the sums, which is also that of the panels, for elements of `A`.
pub(super) fn sums(elem: DType) -> DType {
    if are(elem) { DType::I32 } else { elem }
}

impl Writer<'_> {
    /// Elements of `A` in a step of the depth.
    pub(super) fn step(&self) -> i64 {
        if self.dtype == DType::I32 { QUAD } else { 1 }
    }

    /// A step of the depth of one row, in all lanes.
    pub(super) fn factor(&self, b: &mut Builder, (at, offset): (Reg, i64)) -> Reg {
        let lanes = self.tile.lanes;
        if self.dtype != DType::I32 {
            let scalar = b.load(self.a, at, offset, 1);
            return b.splat(scalar, lanes);
        }
        let quad = b.load(self.a, at, offset, QUAD as u32);
        let word = b.reinterpret(quad, Ty::scalar(DType::I32));
        let mut words = b.splat(word, lanes);
        if b.elem(self.a) == DType::I8 {
            let signs = b.constant(Ty::vector(DType::I32, lanes), Scalar::Int(SIGNS));
            words = b.binary(Binary::Xor, words, signs);
        }
        b.reinterpret(words, Ty::vector(DType::U8, lanes * QUAD as u32))
    }

    /// A sum with one more product, or four.
    pub(super) fn multiplied(&self, b: &mut Builder, (factor, column): (Reg, Reg), sum: Reg) -> Reg {
        if self.dtype != DType::I32 {
            return b.fma(factor, column, sum);
        }
        let column = b.reinterpret(column, Ty::vector(DType::I8, self.tile.lanes * QUAD as u32));
        b.dot4(factor, column, sum)
    }
}
