//! Convolutions of bytes with constant bytes, as products of bytes over rows gathered from an image.
//!
//! The image is padded with its zero point, which adds nothing to any sum. Input channels are filled up to whole
//! quads, so that a step of the depth never leaves a place of the kernel.
use super::anchor::Kind;
use super::bytes::{Constant, Origin, Packed, is_byte};
use super::conv::{Conv, channels_are_last};
use super::{Call, Handle, Lowering, State, View, identity};
use crate::program::{Memory, WeightData};
use crate::schedule::{QUAD, tile};
use crate::term::{Index, TermId};
use bytes::Bytes;
use weft_ir::{DType, Dim};

const I32: DType = DType::I32;

/// A side of a convolution: bytes, and their zero point.
pub(crate) type Side = (Handle, Option<Handle>);

impl Lowering<'_> {
    /// `sum((x - x0) (w - w0))` as `i32`, channels last; nothing where there is no such kernel.
    pub(crate) fn byte_conv(
        &mut self,
        call: &Call<'_>,
        (x, x_zero): Side,
        (w, w_zero): Side,
    ) -> Option<Handle> {
        let groups = call.attrs.int("group").max(1);
        let bytes = is_byte(self.dtype_of(x)) && is_byte(self.dtype_of(w));
        if groups != 1 || !bytes || !padded_by_numbers(call) {
            return None;
        }
        let constant = self.constant_bytes(w, w_zero)?;
        let zero = x_zero.map(|zero| self.single(zero));
        let conv = self.window_over(call, (x, w), zero).ok()?;
        let rank = conv.dims.len();
        let (rows, cols) = conv.dims.split_at(rank - 1);
        let rows = rows.iter().fold(Dim::fixed(1), |p, d| p.mul(d));
        let tile = tile(&self.machine, I32, (&rows, &cols[0]), true);
        let right = self.conv_right(&conv, Vec::new());
        let packed = self.packed_columns(&right, &constant, tile)?;
        let origin = Origin { zero: zero.map(|zero| self.cast_term(zero, I32)), dtype: self.dtype_of(x) };
        let view = self.whole_rows(conv.image, conv.channels.0, QUAD);
        let (a, depth) = self.patches(&conv, &view, (0, rank as u32), (Index::fixed(0), QUAD));
        let rest = self.rest_of_patches(&conv, &view, (&packed, &origin));
        let kind = Kind::Gemm {
            batch: 0,
            depth,
            a,
            b: self.source(packed.panels.memory),
            b_start: Index::fixed(0),
            tile,
            codes: None,
            narrow: None,
            skips: false,
        };
        let product = self.anchor(kind, I32, conv.dims.clone());
        let sum = self.here(product);
        let sum = self.less_origin(sum, &origin, (&packed, &Index::axis(rank as u32 - 1)));
        let sum = rest.map_or(sum, |rest| self.minus(sum, rest));
        Some(self.lazy(conv.dims, sum))
    }

    /// What is left of the weights' zero points times the sums of patches.
    fn rest_of_patches(
        &mut self,
        conv: &Conv,
        view: &View,
        (packed, origin): (&Packed, &Origin),
    ) -> Option<TermId> {
        let rows = conv.dims.len() - 1;
        let (element, inner) = self.patches(conv, view, (0, rows as u32), (Index::fixed(0), 1));
        self.rest_of_zeros(element, (&conv.dims[..rows], inner), (packed, origin))
    }

    /// Constant bytes, with one zero point, or one an output channel.
    fn constant_bytes(&self, w: Handle, zero: Option<Handle>) -> Option<Constant> {
        let State::View(View { memory: Memory::Weight(weight), .. }) = self.state(w) else { return None };
        let WeightData::Plain(data) = &self.program.weights[*weight as usize].data else { return None };
        let zeros = match zero {
            Some(zero) => self.constant_data(zero)?.clone(),
            None => Bytes::from_static(&[0]),
        };
        Some(Constant { data: data.clone(), dtype: self.dtype_of(w), zeros })
    }

    /// A convolution's result with its channels where the operator has them.
    pub(crate) fn channels_placed(&mut self, call: &Call<'_>, y: Handle) -> super::Result<Handle> {
        if channels_are_last(call) { Ok(y) } else { self.channels_first(y) }
    }

    /// The value of a vector over the channels, or of a single number, at a place of a result with channels last.
    pub(crate) fn of_channel(&mut self, values: Handle, rank: usize) -> TermId {
        if Self::elements(&self.dims_of(values)).as_fixed() == Some(1) {
            return self.single(values);
        }
        self.read(values, &[identity(rank)[rank - 1].clone()])
    }
}

/// Whether the padding is a number for each side, and none of them cuts.
fn padded_by_numbers(call: &Call<'_>) -> bool {
    let plain = matches!(call.attrs.str("auto_pad"), "NOTSET" | "VALID");
    plain && call.attrs.ints("pads").iter().all(|pad| *pad >= 0)
}
