//! Convolutions that are not matrix products: with moved taps, or over a past.
use super::anchor::Kind;
use super::formula::wide;
use super::window::Window;
use super::{Call, Handle, Lowering, Result, View};
use crate::math::Function as F;
use crate::schedule::Combine;
use crate::term::{Index, TermId};
use weft_ir::{DType, Dim};

impl Lowering<'_> {
    /// Lowers unusual convolutions.
    pub(crate) fn unusual_convolution(&mut self, call: &Call<'_>) -> Option<Result<Vec<Handle>>> {
        Some(match call.op() {
            "DeformConv" => self.deform_conv(call).map(|h| vec![h]),
            "CausalConvWithState" => self.causal_conv(call),
            _ => return None,
        })
    }

    /// `DeformConv`: what every tap sees goes to memory first, `[batch, channel, taps.., places..]`.
    fn deform_conv(&mut self, call: &Call<'_>) -> Result<Handle> {
        let (w, dims) = (call.operand(1)?, call.dims(0)?);
        let shape = self.fixed_dims(w, "the weights")?;
        let dtype = wide(call.dtype(0));
        let (axes, groups) = (dims.len() - 2, call.attrs.int("group").max(1));
        let seen = self.seen(call, &shape, dtype)?;
        self.force(w);
        let rank = dims.len() as u32;
        let group = self.quotient(Index::axis(1), &Dim::fixed((shape[0] / groups).max(1)));
        let channel = group.scale(&Dim::fixed(shape[1])).add(&Index::axis(rank));
        let taps = || (0..axes as u32).map(move |a| Index::axis(rank + 1 + a));
        let mut at = vec![Index::axis(0), channel];
        at.extend(taps());
        at.extend((0..axes as u32).map(|a| Index::axis(2 + a)));
        let value = self.read(seen, &at);
        let mut at = vec![Index::axis(1), Index::axis(rank)];
        at.extend(taps());
        let weight = self.read(w, &at);
        let weight = self.cast_term(weight, dtype);
        let input = self.times(value, weight);
        let inner = shape[1..].iter().map(|d| Dim::fixed(*d)).collect();
        let sum = self.anchor(Kind::Reduce { inner, input, combine: Combine::Sum }, dtype, dims.clone());
        let mut term = self.here(sum);
        if let Some(bias) = call.optional(3) {
            self.force(bias);
            let bias = self.read(bias, &[Index::axis(1)]);
            let bias = self.cast_term(bias, dtype);
            term = self.plus(term, bias);
        }
        let term = self.cast_term(term, call.dtype(0));
        Ok(self.lazy(dims, term))
    }

    /// The image between its elements where the taps were moved to, times the mask.
    fn seen(&mut self, call: &Call<'_>, shape: &[i64], dtype: DType) -> Result<Handle> {
        let (x, moves, dims) = (call.operand(0)?, call.operand(2)?, call.dims(0)?);
        let (size, axes) = (self.dims_of(x), dims.len() - 2);
        let window = Window::new(call, &shape[2..])?;
        window.must_fit(self, call, (&size[2..], &window.pads(call, &size[2..])));
        let taps: i64 = window.kernel.iter().product();
        let parts = call.attrs.int("offset_group").max(1);
        let per_part = size[1].div_floor(&Dim::fixed(parts));
        self.force(x);
        self.force(moves);
        let part = self.quotient(Index::axis(1), &per_part);
        let number = part.scale(&Dim::fixed(taps)).add(&tap_number(&window));
        let places = self.moved_places(call, &window, (moves, &number), dtype);
        let mut value = self.between(x, &places, &size, dtype);
        if let Some(mask) = call.optional(4) {
            self.force(mask);
            let weight = self.read(mask, &at_place(number, axes));
            let weight = self.cast_term(weight, dtype);
            value = self.times(value, weight);
        }
        let mut shape_seen = vec![dims[0].clone(), size[1].clone()];
        shape_seen.extend(window.kernel.iter().map(|k| Dim::fixed(*k)));
        shape_seen.extend(dims[2..].iter().cloned());
        let seen = self.lazy(shape_seen, value);
        Ok(self.settled(seen))
    }

    /// Where a tap was moved to on every axis; `number` is that of its moves.
    fn moved_places(
        &mut self,
        call: &Call<'_>,
        window: &Window,
        (moves, number): (Handle, &Index),
        dtype: DType,
    ) -> Vec<TermId> {
        let axes = window.kernel.len();
        let mut places = Vec::new();
        for axis in 0..axes {
            let pad = call.attrs.ints("pads").get(axis).copied().unwrap_or(0);
            let here = Index::axis((2 + axes + axis) as u32).scale(&Dim::fixed(window.strides[axis]));
            let own = Index::axis(2 + axis as u32).scale(&Dim::fixed(window.dilations[axis]));
            let regular = self.position(here.add(&own).plus(&Dim::fixed(-pad)));
            let channel = number.scale(&Dim::fixed(axes as i64)).plus(&Dim::fixed(axis as i64));
            let moved = self.read(moves, &at_place(channel, axes));
            let (regular, moved) = (self.cast_term(regular, dtype), self.cast_term(moved, dtype));
            places.push(self.plus(regular, moved));
        }
        places
    }

    /// A plane at a place between its elements, zero outside.
    fn between(&mut self, x: Handle, places: &[TermId], size: &[Dim], dtype: DType) -> TermId {
        let (one, zero) = (self.value(dtype, 1.0), self.zero(dtype));
        let mut corners: Vec<(Vec<Index>, TermId)> = vec![(vec![Index::axis(0), Index::axis(1)], one)];
        for (axis, place) in places.iter().enumerate() {
            let low = self.apply(F::Floor, &[*place]);
            let ratio = self.minus(*place, low);
            let rest = self.minus(one, ratio);
            let mut next = Vec::new();
            for (offset, share) in [(0, rest), (1, ratio)] {
                let (low, offset) = (self.cast_term(low, DType::I64), self.integer(offset));
                let position = self.plus(low, offset);
                let (inside, clamped) =
                    (self.within(position, &size[2 + axis]), self.clamped(position, &size[2 + axis]));
                let (share, index) = (self.choose(inside, share, zero), self.terms.as_index(clamped));
                for (at, weight) in &corners {
                    let at = at.iter().cloned().chain([index.clone()]).collect();
                    next.push((at, self.times(*weight, share)));
                }
            }
            corners = next;
        }
        let mut sum = zero;
        for (at, weight) in corners {
            let value = self.read(x, &at);
            let value = self.cast_term(value, dtype);
            let part = self.times(value, weight);
            sum = self.plus(sum, part);
        }
        sum
    }

    /// `CausalConvWithState`: a depthwise convolution over past and present.
    fn causal_conv(&mut self, call: &Call<'_>) -> Result<Vec<Handle>> {
        let (x, w, dims) = (call.operand(0)?, call.operand(1)?, call.dims(0)?);
        let kernel = self.dims_of(w)[2].clone();
        let dtype = wide(call.dtype(0));
        let all = self.past_and_present(call, x, &kernel)?;
        self.force(w);
        let at = Index::axis(2).add(&Index::axis(3));
        let value = self.read(all, &[Index::axis(0), Index::axis(1), at]);
        let weight = self.read(w, &[Index::axis(1), Index::fixed(0), Index::axis(3)]);
        let (value, weight) = (self.cast_term(value, dtype), self.cast_term(weight, dtype));
        let input = self.times(value, weight);
        let kind = Kind::Reduce { inner: vec![kernel], input, combine: Combine::Sum };
        let sum = self.anchor(kind, dtype, dims.clone());
        let mut term = self.here(sum);
        if let Some(bias) = call.optional(2) {
            self.force(bias);
            let bias = self.read(bias, &[Index::axis(1)]);
            let bias = self.cast_term(bias, dtype);
            term = self.plus(term, bias);
        }
        if call.attrs.str("activation") != "none" {
            let gate = self.apply(F::Sigmoid, &[term]);
            term = self.times(term, gate);
        }
        let term = self.cast_term(term, call.dtype(0));
        let y = self.lazy(dims.clone(), term);
        let state = self.part(all, 2, (&dims[2], 1), call.dims(1)?);
        Ok(vec![y, state])
    }

    /// The past, or zeros, and the present behind it.
    fn past_and_present(&mut self, call: &Call<'_>, x: Handle, kernel: &Dim) -> Result<Handle> {
        let (dtype, mut dims) = (self.dtype_of(x), self.dims_of(x));
        let before = kernel.plus(-1);
        let mut early = dims.clone();
        early[2] = before.clone();
        dims[2] = dims[2].add(&before);
        let whole = self.allocate(dtype, &dims, "past and present");
        let behind = View { offset: whole.offset.add(&before), ..whole.clone() };
        let past = match call.optional(3) {
            Some(past) => {
                self.force(past);
                self.spread(past, &early)
            }
            None => self.zero(dtype),
        };
        self.write_kernel(past, None, &early, &whole, "past");
        self.force(x);
        self.copy(x, &behind);
        Ok(self.view(dtype, dims, whole))
    }
}

/// The number of a tap, over the axes that count taps.
fn tap_number(window: &Window) -> Index {
    let taps = window.kernel.iter().enumerate();
    taps.fold(Index::fixed(0), |number, (axis, extent)| {
        number.scale(&Dim::fixed(*extent)).add(&Index::axis(2 + axis as u32))
    })
}

/// A channel at the place of the result.
fn at_place(channel: Index, axes: usize) -> Vec<Index> {
    let mut at = vec![Index::axis(0), channel];
    at.extend((0..axes as u32).map(|a| Index::axis((2 + axes) as u32 + a)));
    at
}
