//! Units of codes: where they lie, and taken apart into quads. See [`super::codes`].
use super::Writer;
use super::codes::{Buffers, CHUNK, field};
use super::quads::QUAD;
use crate::nest::{Binary, Builder, Reg, Scalar, Ty};
use weft_ir::DType;

/// How many steps of the depth ahead codes are asked for: 8 KB of 4 bits. Without, a single row reads weights from memory
/// at half the speed where the processor's own look-ahead ends with a page.
pub(super) const AHEAD: i64 = 4 * CHUNK;

impl Writer<'_> {
    /// Asks for the codes of a unit so many words ahead.
    pub(super) fn ask_codes(&self, b: &mut Builder, right: &Buffers, (at, unit): (Reg, i64), ahead: i64) {
        self.ask(b, self.b, (at, ahead), self.words_of(right, unit));
    }

    /// The words of so many steps of a panel.
    pub(super) fn words_of(&self, right: &Buffers, steps: i64) -> i64 {
        steps * i64::from(right.codes.bits) * self.tile.panel() / CHUNK
    }

    /// Where a unit of so many steps lies that begins at a step.
    pub(super) fn unit_at(
        &self,
        b: &mut Builder,
        (right, panel): (&Buffers, Reg),
        (step, unit): (Reg, i64),
    ) -> Reg {
        let (unit, size) = (b.index(unit), b.index(self.words_of(right, unit)));
        let number = b.div(step, unit);
        let at = b.mul(number, size);
        b.add(panel, at)
    }

    /// Four steps of one vector of codes, as bytes.
    pub(super) fn quad_of_codes(
        &self,
        b: &mut Builder,
        (bits, quad): (u32, u32),
        (at, vector): (Reg, u32),
        loaded: &mut [Option<Reg>],
    ) -> Reg {
        let lanes = self.tile.lanes;
        let ty = Ty::vector(DType::U32, lanes);
        let mut code = None;
        for (word, shift, from, count) in field(bits, quad) {
            let part = self.word(b, (at, vector), word, loaded);
            let part = shifted(b, (Binary::Shr, shift), part);
            let mask = ((1i64 << count) - 1) * 0x0101_0101;
            let part = if count == 8 {
                part
            } else {
                let mask = b.constant(ty, Scalar::Int(mask));
                b.binary(Binary::And, part, mask)
            };
            let part = shifted(b, (Binary::Shl, from), part);
            code = Some(code.map_or(part, |code| b.binary(Binary::Or, code, part)));
        }
        let code = code.unwrap_or_else(|| b.constant(ty, Scalar::Int(0)));
        b.reinterpret(code, Ty::vector(DType::U8, lanes * QUAD as u32))
    }

    /// A word of every column of a vector, loaded once, in the order of the text.
    pub(super) fn word(
        &self,
        b: &mut Builder,
        (at, vector): (Reg, u32),
        word: u32,
        loaded: &mut [Option<Reg>],
    ) -> Reg {
        let lanes = self.tile.lanes;
        *loaded[word as usize].get_or_insert_with(|| {
            let offset = i64::from(vector * lanes) + i64::from(word) * self.tile.panel();
            let word = b.load(self.b, at, offset, lanes);
            b.in_order(word)
        })
    }
}

/// A word of codes shifted, where that changes anything.
fn shifted(b: &mut Builder, (way, by): (Binary, u32), word: Reg) -> Reg {
    if by == 0 {
        return word;
    }
    let by = b.constant(b.ty(word), Scalar::Int(by.into()));
    b.binary(way, word, by)
}
