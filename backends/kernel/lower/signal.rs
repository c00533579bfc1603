//! Fourier transforms by their definition, windows, and mel filters.
use super::anchor::Kind;
use super::movement::place;
use super::named::either;
use super::runtime::known_integers;
use super::{Call, Handle, Lowering, Result, identity};
use crate::math::Function as F;
use crate::schedule::Combine;
use crate::term::{Index, TermId};
use std::f64::consts::{LN_10, PI, TAU};
use weft_ir::{DType, Dim};

const F64: DType = DType::F64;

/// The sums of a Fourier transform.
struct Transform {
    /// How many elements are transformed.
    length: Dim,
    /// Whether it is the inverse.
    inverse: bool,
}

impl Lowering<'_> {
    /// Lowers the operators of signal processing.
    pub(crate) fn signal(&mut self, call: &Call<'_>) -> Option<Result<Vec<Handle>>> {
        Some(match call.op() {
            "HannWindow" | "HammingWindow" | "BlackmanWindow" => self.window(call).map(|h| vec![h]),
            "DFT" => self.dft(call).map(|h| vec![h]),
            "STFT" => self.stft(call).map(|h| vec![h]),
            "MelWeightMatrix" => self.mel_weight_matrix(call).map(|h| vec![h]),
            _ => return None,
        })
    }

    /// A number that an operand holds, known or read.
    fn only_integer(&mut self, call: &Call<'_>, operand: usize) -> Result<Dim> {
        let found = match known_integers(call, operand) {
            Some(known) => known,
            None => return self.measured(call.operand(operand)?),
        };
        found.first().cloned().ok_or_else(|| format!("operand {operand} is empty"))
    }

    fn window(&mut self, call: &Call<'_>) -> Result<Handle> {
        let dims = call.dims(0)?;
        let size = self.only_integer(call, 0)?;
        self.define_extents(&dims, std::slice::from_ref(&size));
        let whole = if call.attrs.flag("periodic") { size } else { size.plus(-1) };
        let (i, whole) = (self.place_on(0), self.number(&whole));
        let (i, whole) = (self.cast_term(i, F64), self.cast_term(whole, F64));
        let turn = self.over(i, whole);
        // (constant, factor of the cosine, factor of the cosine of twice the angle)
        let (a, b, c) = match call.op() {
            "HannWindow" => (0.5, -0.5, 0.0),
            "HammingWindow" => (25.0 / 46.0, -21.0 / 46.0, 0.0),
            _ => (0.42, -0.5, 0.08),
        };
        let mut sum = self.value(F64, a);
        for (factor, angle) in [(b, 2.0 * PI), (c, 4.0 * PI)] {
            let (factor, angle) = (self.value(F64, factor), self.value(F64, angle));
            let angle = self.times(turn, angle);
            let cos = self.apply(F::Cos, &[angle]);
            let part = self.times(factor, cos);
            sum = self.plus(sum, part);
        }
        let term = self.cast_term(sum, call.dtype(0));
        Ok(self.lazy(dims, term))
    }

    /// Factors of the parts of the result: `[part of the result, part of the operand, turn]`, in memory.
    fn turns(&mut self, transform: &Transform, dtype: DType) -> Handle {
        let (turn, length) = (self.place_on(2), self.number(&transform.length));
        let (turn, length) = (self.cast_term(turn, F64), self.cast_term(length, F64));
        let tau = self.value(F64, TAU);
        let angle = self.times(turn, tau);
        let angle = self.over(angle, length);
        let (cos, sin) = (self.apply(F::Cos, &[angle]), self.apply(F::Sin, &[angle]));
        let sin = if transform.inverse { sin } else { self.apply(F::Neg, &[sin]) };
        let minus = self.apply(F::Neg, &[sin]);
        // The real part is `re cos - im sin`, the imaginary one `re sin + im cos`.
        let (to, from) = (self.place_on(0), self.place_on(1));
        let (same, zero) = (self.test(F::Eq, to, from), self.integer(0));
        let real = self.test(F::Eq, to, zero);
        let crossed = self.choose(real, minus, sin);
        let mut factor = self.choose(same, cos, crossed);
        if transform.inverse {
            factor = self.over(factor, length);
        }
        let term = self.cast_term(factor, dtype);
        let two = Dim::fixed(2);
        let table = self.lazy(vec![two.clone(), two, transform.length.clone()], term);
        self.settled(table)
    }

    /// The sum over all elements of a signal: `element(part)` gives part 0 or 1 of the element whose number
    /// is on the axis behind those of the result, `frequency` and `part` are axes of the result.
    fn transformed(
        &mut self,
        transform: &Transform,
        (dims, dtype): (Vec<Dim>, DType),
        (frequency, part): (usize, Index),
        element: &mut dyn FnMut(&mut Self, Index) -> Vec<TermId>,
    ) -> Handle {
        let turns = self.turns(transform, dtype);
        let inner = Index::axis(dims.len() as u32);
        let (n, k) = (self.position(inner.clone()), self.place_on(frequency));
        let (product, length) = (self.times(n, k), self.number(&transform.length));
        let turn = self.apply(F::Fmod, &[product, length]);
        let turn = self.terms.as_index(turn);
        let mut input = None;
        for (i, value) in element(self, inner).into_iter().enumerate() {
            let factor = self.read(turns, &[part.clone(), Index::fixed(i as i64), turn.clone()]);
            let summand = self.times(value, factor);
            input = Some(input.map_or(summand, |sum| self.plus(sum, summand)));
        }
        let input = input.unwrap_or_else(|| self.zero(dtype));
        let inner = vec![transform.length.clone()];
        self.anchor(Kind::Reduce { inner, input, combine: Combine::Sum }, dtype, dims)
    }

    fn dft(&mut self, call: &Call<'_>) -> Result<Handle> {
        let (x, dims) = (call.operand(0)?, call.dims(0)?);
        let rank = dims.len();
        let axis = match call.optional(2) {
            Some(_) => self.integers(call, 2)?.pop().ok_or("the axis is missing")?,
            None => Dim::fixed(rank as i64 - 2),
        };
        match axis.as_fixed() {
            Some(axis) => self.dft_along(call, x, place(axis, rank)?, &dims),
            None => self.dft_along_named(call, x, &axis, &dims),
        }
    }

    /// A transform along an axis that only the run knows: the signal is a block of rows along it.
    fn dft_along_named(&mut self, call: &Call<'_>, x: Handle, axis: &Dim, dims: &[Dim]) -> Result<Handle> {
        let old = self.dims_of(x);
        let (parts, signals) = old.split_last().ok_or("a scalar has no axis")?;
        // Axes count from the end of all of them, the parts of the numbers included.
        let mut flags = self.named(std::slice::from_ref(axis), old.len())?.flags();
        let among_parts = flags.pop().unwrap_or_else(|| Dim::fixed(0));
        self.at_least(Dim::fixed(0), among_parts, "the axis holds the parts of the numbers");
        let mut block = self.around_named(signals, &flags).to_vec();
        block.push(parts.clone());
        let x = self.reshaped(x, &block);
        let length = self.transform_length(call, &block[1])?;
        let bins = self.noted(result_bins(call, &length));
        let computed: Vec<Dim> =
            signals.iter().zip(&flags).map(|(dim, flag)| either(flag, &bins, dim)).collect();
        self.define_extents(dims, &computed);
        block[1] = bins;
        block[3] = dims.last().cloned().ok_or("a scalar has no axis")?;
        let transformed = self.dft_along(call, x, 1, &block)?;
        Ok(self.reshaped(transformed, dims))
    }

    /// How many elements are transformed.
    fn transform_length(&mut self, call: &Call<'_>, extent: &Dim) -> Result<Dim> {
        let real = call.attrs.flag("inverse") && call.attrs.flag("onesided");
        match call.optional(1) {
            Some(_) => self.only_integer(call, 1),
            None if real => Ok(extent.plus(-1).scale(2)),
            None => Ok(extent.clone()),
        }
    }

    fn dft_along(&mut self, call: &Call<'_>, x: Handle, axis: usize, dims: &[Dim]) -> Result<Handle> {
        let (old, dims) = (self.dims_of(x), dims.to_vec());
        let rank = old.len();
        let (inverse, onesided) = (call.attrs.flag("inverse"), call.attrs.flag("onesided"));
        let real = inverse && onesided;
        let length = self.transform_length(call, &old[axis])?;
        let mut computed = dims.clone();
        computed[axis] = result_bins(call, &length);
        self.define_extents(&dims, &computed);
        self.force(x);
        let parts = old[rank - 1].as_fixed().ok_or("the number of parts is known only at run time")?;
        let part = if real { Index::fixed(0) } else { Index::axis(rank as u32 - 1) };
        let transform = Transform { length: length.clone(), inverse };
        let whole = (dims.clone(), super::formula::wide(call.dtype(0)));
        let sum = self.transformed(&transform, whole, (axis, part), &mut |cx, n| {
            let take = |cx: &mut Self, n: Index| -> Vec<TermId> {
                let mut at = identity(rank);
                at[axis] = n;
                (0..parts).map(|p| cx.element_or_zero(x, (axis, p), at.clone())).collect()
            };
            if real { cx.mirrored(n, &length, &take) } else { take(cx, n) }
        });
        let term = self.here(sum);
        let term = self.cast_term(term, call.dtype(0));
        Ok(self.lazy(dims, term))
    }

    /// Part `p` of an element, zero behind the end of the axis.
    fn element_or_zero(&mut self, x: Handle, (axis, p): (usize, i64), mut at: Vec<Index>) -> TermId {
        let extent = self.dims_of(x)[axis].clone();
        let position = self.position(at[axis].clone());
        let (within, clamped) = (self.within(position, &extent), self.clamped(position, &extent));
        at[axis] = self.terms.as_index(clamped);
        let last = at.len() - 1;
        at[last] = Index::fixed(p);
        let value = self.read(x, &at);
        let dtype = super::formula::wide(self.terms.dtype(value));
        let (value, zero) = (self.cast_term(value, dtype), self.zero(dtype));
        self.choose(within, value, zero)
    }

    /// An element of the whole spectrum of a real signal, of which one half is given.
    fn mirrored(
        &mut self,
        n: Index,
        length: &Dim,
        take: &dyn Fn(&mut Self, Index) -> Vec<TermId>,
    ) -> Vec<TermId> {
        let middle = self.number(&length.div_floor(&Dim::fixed(2)));
        let (k, whole) = (self.position(n.clone()), self.number(length));
        let beyond = self.test(F::Lt, middle, k);
        let partner = self.minus(whole, k);
        let source = self.choose(beyond, partner, k);
        let source = self.terms.as_index(source);
        let parts = take(self, source);
        let [re, im] = parts.as_slice() else { return parts };
        let (minus, zero) = (self.apply(F::Neg, &[*im]), self.zero(self.terms.dtype(*im)));
        let folded = self.choose(beyond, minus, *im);
        // What has no partner is real.
        let doubled = self.plus(k, k);
        let nothing = self.integer(0);
        let (first, alone) = (self.test(F::Eq, k, nothing), self.test(F::Eq, doubled, whole));
        let unpaired = self.test(F::Or, first, alone);
        vec![*re, self.choose(unpaired, zero, folded)]
    }

    fn stft(&mut self, call: &Call<'_>) -> Result<Handle> {
        let (x, dims) = (call.operand(0)?, call.dims(0)?);
        let old = self.dims_of(x);
        let step = self.only_integer(call, 1)?;
        let window = call.optional(2);
        let length = match (call.optional(3), window) {
            (Some(_), _) => self.only_integer(call, 3)?,
            (None, Some(window)) => self.dims_of(window)[0].clone(),
            (None, None) => old[1].clone(),
        };
        let frames = old[1].sub(&length).div_floor(&step).plus(1);
        let bins = if call.attrs.flag("onesided") {
            length.div_floor(&Dim::fixed(2)).plus(1)
        } else {
            length.clone()
        };
        self.define_extents(&dims, &[old[0].clone(), frames, bins, Dim::fixed(2)]);
        self.force(x);
        let parts =
            if old.len() > 2 { old[2].as_fixed().ok_or("the number of parts is not known")? } else { 1 };
        let transform = Transform { length, inverse: false };
        let dtype = super::formula::wide(call.dtype(0));
        let sum = self.transformed(&transform, (dims.clone(), dtype), (2, Index::axis(3)), &mut |cx, n| {
            let weight = window.map(|window| {
                cx.force(window);
                let weight = cx.read(window, std::slice::from_ref(&n));
                cx.cast_term(weight, dtype)
            });
            let sample = Index::axis(1).scale(&step).add(&n);
            let one = |p: i64| {
                let mut at = vec![Index::axis(0), sample.clone()];
                at.extend((old.len() > 2).then(|| Index::fixed(p)));
                let value = cx.read(x, &at);
                let value = cx.cast_term(value, dtype);
                weight.map_or(value, |weight| cx.times(value, weight))
            };
            (0..parts).map(one).collect()
        });
        let term = self.here(sum);
        let term = self.cast_term(term, call.dtype(0));
        Ok(self.lazy(dims, term))
    }

    /// The frequency bin at which a triangle of the mel filters begins.
    fn mel_bin(&mut self, [length, rate, low, step]: [TermId; 4], i: TermId) -> TermId {
        let place = self.times(i, step);
        let mel = self.plus(low, place);
        let scale = self.value(F64, LN_10 / 2595.0);
        let power = self.times(mel, scale);
        let power = self.apply(F::Exp, &[power]);
        let (one, base) = (self.value(F64, 1.0), self.value(F64, 700.0));
        let less = self.minus(power, one);
        let hertz = self.times(base, less);
        let points = self.plus(length, one);
        let bin = self.times(points, hertz);
        let bin = self.over(bin, rate);
        self.apply(F::Floor, &[bin])
    }

    fn mel_weight_matrix(&mut self, call: &Call<'_>) -> Result<Handle> {
        let dims = call.dims(0)?;
        let (bands, length) = (self.only_integer(call, 0)?, self.only_integer(call, 1)?);
        self.define_extents(&dims, &[length.div_floor(&Dim::fixed(2)).plus(1), bands.clone()]);
        let mut numbers = Vec::new();
        for operand in 2..5 {
            let number = self.single(call.operand(operand)?);
            numbers.push(self.cast_term(number, F64));
        }
        let [low, high] = [numbers[1], numbers[2]].map(|hertz| {
            let (one, base) = (self.value(F64, 1.0), self.value(F64, 700.0));
            let ratio = self.over(hertz, base);
            let sum = self.plus(one, ratio);
            let (log, scale) = (self.apply(F::Log, &[sum]), self.value(F64, 2595.0 / LN_10));
            self.times(log, scale)
        });
        let (width, count) = (self.minus(high, low), self.number(&bands.plus(2)));
        let count = self.cast_term(count, F64);
        let step = self.over(width, count);
        let length = self.number(&length);
        let length = self.cast_term(length, F64);
        let i = self.place_on(0);
        let i = self.cast_term(i, F64);
        let edge = self.mel_bin([length, numbers[0], low, step], i);
        let edges = self.lazy(vec![bands.plus(2)], edge);
        self.force(edges);
        let term = self.triangle(edges);
        let term = self.cast_term(term, call.dtype(0));
        Ok(self.lazy(dims, term))
    }

    /// The weight of bin (axis 0) in band (axis 1): a triangle over three edges.
    fn triangle(&mut self, edges: Handle) -> TermId {
        let here = self.place_on(0);
        let here = self.cast_term(here, F64);
        let [low, centre, high] = [0, 1, 2].map(|i| self.read(edges, &[Index::axis(1).plus(&Dim::fixed(i))]));
        let (one, zero) = (self.value(F64, 1.0), self.value(F64, 0.0));
        let (up, rise) = (self.minus(here, low), self.minus(centre, low));
        let (down, fall) = (self.minus(high, here), self.minus(high, centre));
        let (rising, falling) = (self.over(up, rise), self.over(down, fall));
        let (begun, before) = (self.test(F::Le, low, here), self.test(F::Lt, here, centre));
        let (behind, open) = (self.test(F::Lt, centre, here), self.test(F::Lt, here, high));
        let (left, right) = (self.test(F::And, begun, before), self.test(F::And, behind, open));
        let rest = self.choose(right, falling, zero);
        let sides = self.choose(left, rising, rest);
        let top = self.test(F::Eq, here, centre);
        self.choose(top, one, sides)
    }
}

/// How many numbers a transform of that length gives.
fn result_bins(call: &Call<'_>, length: &Dim) -> Dim {
    match call.attrs.flag("onesided") && !call.attrs.flag("inverse") {
        true => length.div_floor(&Dim::fixed(2)).plus(1),
        false => length.clone(),
    }
}
