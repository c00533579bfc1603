//! `Col2Im`: each element of an image is the sum over the places in a block that may have fallen there.
use super::anchor::Kind;
use super::formula::wide;
use super::{Call, Handle, Lowering, Result};
use crate::math::Function as F;
use crate::program::Step;
use crate::schedule::Combine;
use crate::term::{Index, TermId};
use weft_ir::Dim;

/// How blocks lie along one axis of the image.
struct Along {
    /// How many elements a block has.
    block: Dim,
    /// How many blocks there are.
    count: Dim,
    stride: i64,
    dilation: i64,
    before: i64,
}

impl Lowering<'_> {
    /// Lowers `Col2Im`.
    pub(crate) fn columns(&mut self, call: &Call<'_>) -> Option<Result<Vec<Handle>>> {
        (call.op() == "Col2Im").then(|| self.col2im(call).map(|h| vec![h]))
    }

    fn col2im(&mut self, call: &Call<'_>) -> Result<Handle> {
        let (from, dims) = (call.operand(0)?, call.dims(0)?);
        let old = self.dims_of(from);
        let axes = self.blocks(call, &old, &dims)?;
        self.force(from);
        let one = Dim::fixed(1);
        let places = axes.iter().fold(one.clone(), |p, a| p.mul(&a.block));
        let (mut row, mut column) = (Index::axis(1).scale(&places), Index::fixed(0));
        let (mut inside, mut places) = (None, one);
        for (i, axis) in axes.iter().enumerate().rev() {
            let tap = Index::axis((dims.len() + i) as u32);
            row = row.add(&tap.scale(&places));
            places = places.mul(&axis.block);
            let (number, fits) = self.block_at(axis, Index::axis(i as u32 + 2), &tap);
            inside = Some(self.both(inside, fits));
            let step = axes[i + 1..].iter().fold(Dim::fixed(1), |p, a| p.mul(&a.count));
            column = column.add(&number.scale(&step));
        }
        let value = self.read(from, &[Index::axis(0), row, column]);
        let value = self.cast_term(value, wide(call.dtype(0)));
        let zero = self.zero(wide(call.dtype(0)));
        let input = inside.map_or(value, |inside| self.choose(inside, value, zero));
        let inner = axes.into_iter().map(|a| a.block).collect();
        let dtype = self.terms.dtype(input);
        let sum = self.anchor(Kind::Reduce { inner, input, combine: Combine::Sum }, dtype, dims);
        Ok(self.cast(sum, call.dtype(0)))
    }

    /// The blocks along every axis, the extents of the result defined; the run fails where there are
    /// not as many columns as blocks.
    fn blocks(&mut self, call: &Call<'_>, old: &[Dim], dims: &[Dim]) -> Result<Vec<Along>> {
        let (image, block) = (self.sizes(call, 1)?, self.sizes(call, 2)?);
        let places = block.iter().fold(Dim::fixed(1), |p, d| p.mul(d));
        let channels = old[1].div_floor(&places.larger(&Dim::fixed(1)));
        let mut computed = vec![old[0].clone(), channels.clone()];
        computed.extend(image.iter().cloned());
        self.define_extents(dims, &computed);
        self.must_equal(channels.mul(&places), &old[1], "the rows of the columns");
        let list = |name: &str, usual: i64, i: usize| call.attrs.ints(name).get(i).copied().unwrap_or(usual);
        let (mut axes, n) = (Vec::new(), block.len());
        for (i, block) in block.into_iter().enumerate() {
            let (stride, dilation) = (list("strides", 1, i), list("dilations", 1, i));
            let (before, behind) = (list("pads", 0, i), list("pads", 0, n + i));
            let room = image[i].plus(before + behind).sub(&block.plus(-1).scale(dilation)).plus(-1);
            self.at_least(room.clone(), Dim::fixed(0), &format!("blocks are larger than padded axis {i}"));
            let count = self.noted(room.div_floor(&Dim::fixed(stride)).plus(1));
            axes.push(Along { block, count, stride, dilation, before });
        }
        let columns = axes.iter().fold(Dim::fixed(1), |p, a| p.mul(&a.count));
        self.must_equal(columns, &old[2], "the columns");
        Ok(axes)
    }

    fn must_equal(&mut self, left: Dim, right: &Dim, message: &str) {
        if left != *right {
            let (right, message) = (right.clone(), message.to_string());
            self.step(Step::Check { left, right, at_least: false, message });
        }
    }

    /// The number of the block whose place `tap` lies at `at` of the image, and whether there is one.
    fn block_at(&mut self, axis: &Along, at: Index, tap: &Index) -> (Index, TermId) {
        let back = tap.scale(&Dim::fixed(-axis.dilation)).plus(&Dim::fixed(axis.before));
        let start = self.position(at.add(&back));
        let (stride, zero) = (self.integer(axis.stride), self.integer(0));
        let number = self.apply(F::FloorDiv, &[start, stride]);
        let rest = self.apply(F::Mod, &[start, stride]);
        let (whole, within) = (self.test(F::Eq, rest, zero), self.within(number, &axis.count));
        let clamped = self.clamped(number, &axis.count);
        (self.terms.as_index(clamped), self.test(F::And, whole, within))
    }
}
