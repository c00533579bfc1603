//! Attention: a product, a softmax over masked rows, and another product.
use super::formula::wide;
use super::{Call, Handle, Lowering, Result, View, identity};
use crate::math::Function as F;
use crate::schedule::Combine;
use crate::term::{Index, TermId};
use weft_ir::{DType, Dim};

/// Which keys a query may look at.
struct Sight {
    /// The extents of the scores: batch, heads, queries, keys.
    dims: Vec<Dim>,
    mask: Option<Handle>,
    /// How many keys stand before the first query.
    past: Dim,
    /// How many keys of each batch count.
    valid: Option<Handle>,
    /// Whether queries stand at the end of what counts.
    at_end: bool,
}

impl Lowering<'_> {
    /// Lowers attention and what belongs to it.
    pub(crate) fn attending(&mut self, call: &Call<'_>) -> Option<Result<Vec<Handle>>> {
        Some(match call.op() {
            "Attention" | "ai.onnx.preview.FlexAttention" => self.attention(call),
            "RotaryEmbedding" => self.rotary(call).map(|h| vec![h]),
            _ => return None,
        })
    }

    /// An operand as `[batch, heads, length, features]`.
    fn with_heads(&mut self, call: &Call<'_>, operand: usize, attr: &str) -> Result<Handle> {
        let x = call.operand(operand)?;
        let dims = self.dims_of(x);
        let [batch, length, features] = dims.as_slice() else { return Ok(x) };
        let heads = Dim::fixed(call.attrs.int(attr).max(1));
        let each = features.div_floor(&heads);
        let split = self.reshaped(x, &[batch.clone(), length.clone(), heads, each]);
        self.permuted(split, &[0, 2, 1, 3])
    }

    /// The past and the present, one behind the other along axis 2.
    fn appended(&mut self, call: &Call<'_>, past: Option<Handle>, now: Handle, slot: u32) -> Result<Handle> {
        let Some(past) = past else { return Ok(now) };
        let (before, mut dims) = (self.dims_of(past)[2].clone(), self.dims_of(now));
        dims[2] = dims[2].add(&before);
        let whole = match (slot as usize) < call.attrs.node.results.len() {
            true => self.target(call, slot, &dims),
            false => self.allocate(self.dtype_of(now), &dims, "cache"),
        };
        let behind = View { offset: whole.offset.add(&whole.strides[2].mul(&before)), ..whole.clone() };
        self.force(past);
        self.force(now);
        self.copy(past, &whole);
        self.copy(now, &behind);
        Ok(self.view(self.dtype_of(now), dims, whole))
    }

    fn attention(&mut self, call: &Call<'_>) -> Result<Vec<Handle>> {
        let plain = call.op() != "Attention";
        let attrs = |name: &str| if plain { 0 } else { call.attrs.int(name) };
        let q = self.with_heads(call, 0, "q_num_heads")?;
        let (k, v) = (self.with_heads(call, 1, "kv_num_heads")?, self.with_heads(call, 2, "kv_num_heads")?);
        let (past_k, past_v) = (call.optional(4), call.optional(5));
        let k = self.appended(call, past_k, k, 1)?;
        let v = self.appended(call, past_v, v, 2)?;
        let past = past_k.map_or(Dim::fixed(0), |h| self.dims_of(h)[2].clone());
        let raw = self.scores(call, q, k)?;
        let dims = self.dims_of(raw);
        let shown = (call.attrs.node.results.len() > 3).then(|| attrs("qk_matmul_output_mode"));
        let mut stages = [None; 4];
        if shown == Some(0) {
            stages[0] = Some(self.settled(raw));
        }
        let capped = self.capped_scores(call, raw, shown == Some(1));
        stages[1] = (shown == Some(1)).then_some(capped);
        let mut term = self.here(capped);
        if !plain {
            let sight = Sight {
                dims: dims.clone(),
                mask: call.optional(3),
                past,
                valid: call.optional(6),
                at_end: call.optional(6).is_some() && past_k.is_none(),
            };
            term = self.hidden(call, &sight, term);
        }
        let biased = self.lazy(dims, term);
        let weights = self.softmax_of_rows(biased)?;
        (stages[2], stages[3]) = (Some(biased), Some(weights));
        let y = self.weighted_values(call, weights, v)?;
        let shown = stages[shown.unwrap_or(3).clamp(0, 3) as usize].unwrap_or(weights);
        let results = [y, k, v, shown].into_iter().enumerate();
        Ok(results.map(|(slot, h)| self.as_result(call, slot, h)).collect())
    }

    /// A tensor in the element type of a result, if there is such a result.
    fn as_result(&mut self, call: &Call<'_>, slot: usize, handle: Handle) -> Handle {
        if slot < call.attrs.node.results.len() { self.cast(handle, call.dtype(slot as u32)) } else { handle }
    }

    /// `[batch, heads, ..]` as `[batch, groups, heads of a group, ..]`.
    fn grouped(&mut self, x: Handle, groups: &Dim) -> Handle {
        let dims = self.dims_of(x);
        let each = dims[1].div_floor(groups);
        self.reshaped(x, &[dims[0].clone(), groups.clone(), each, dims[2].clone(), dims[3].clone()])
    }

    /// The product of queries, or of weights, with keys or values of their group.
    fn grouped_product(&mut self, a: Handle, b: Handle) -> Result<Handle> {
        let (left, right) = (self.dims_of(a), self.dims_of(b));
        if left[1] == right[1] {
            return self.product(a, b);
        }
        let (a, b) = (self.grouped(a, &right[1]), self.grouped(b, &right[1]));
        let product = self.product(a, b)?;
        self.force(product);
        let dims = [left[0].clone(), left[1].clone(), left[2].clone(), right[3].clone()];
        Ok(self.reshaped(product, &dims))
    }

    /// The scaled products of queries and keys, in the type they are computed in.
    fn scores(&mut self, call: &Call<'_>, q: Handle, k: Handle) -> Result<Handle> {
        let keys = self.permuted(k, &[0, 1, 3, 2])?;
        let product = self.grouped_product(q, keys)?;
        let (term, dims) = (self.here(product), self.dims_of(product));
        let dtype = self.terms.dtype(term);
        let scale = match call.attrs.float_opt("scale") {
            Some(scale) => self.value(dtype, scale.into()),
            None => {
                let (each, one) = (self.number(&self.dims_of(q)[3].clone()), self.value(dtype, 1.0));
                let each = self.cast_term(each, dtype);
                let root = self.apply(F::Sqrt, &[each]);
                self.over(one, root)
            }
        };
        let term = self.times(term, scale);
        Ok(self.lazy(dims, term))
    }

    /// Scores bent below a limit, if there is one; in memory if they are shown.
    fn capped_scores(&mut self, call: &Call<'_>, raw: Handle, shown: bool) -> Handle {
        let declared = call.attrs.def.attr("softcap").is_some();
        let cap = if declared { call.attrs.float("softcap") } else { 0.0 };
        let (x, dims) = (self.here(raw), self.dims_of(raw));
        let mut term = x;
        if cap > 0.0 {
            let cap = self.value(self.terms.dtype(x), cap.into());
            let ratio = self.over(x, cap);
            let bent = self.apply(F::Tanh, &[ratio]);
            term = self.times(cap, bent);
        }
        let capped = self.lazy(dims, term);
        if shown { self.settled(capped) } else { capped }
    }

    /// Scores with the mask added, and minus infinity where a query may not look.
    fn hidden(&mut self, call: &Call<'_>, sight: &Sight, mut score: TermId) -> TermId {
        let dtype = self.terms.dtype(score);
        let never = self.value(dtype, f64::NEG_INFINITY);
        let mut visible = None;
        if let Some(mask) = sight.mask {
            score = self.masked(mask, &sight.dims, score);
        }
        let (i, j) = (self.place_on(2), self.place_on(3));
        let valid = sight.valid.map(|valid| {
            self.force(valid);
            let valid = self.read(valid, &[Index::axis(0)]);
            self.cast_term(valid, DType::I64)
        });
        let offset = match valid.filter(|_| sight.at_end) {
            Some(valid) => {
                let queries = self.number(&sight.dims[2]);
                self.minus(valid, queries)
            }
            None => self.number(&sight.past),
        };
        let here = self.plus(i, offset);
        let (left, right) = (call.attrs.int("left_window_size"), call.attrs.int("right_window_size"));
        let causal = call.attrs.flag("is_causal").then_some(0);
        for reach in causal.into_iter().chain((right >= 0).then_some(right)) {
            let reach = self.integer(reach);
            let last = self.plus(here, reach);
            let seen = self.test(F::Le, j, last);
            visible = Some(self.both(visible, seen));
        }
        if left >= 0 {
            let reach = self.integer(left);
            let first = self.minus(here, reach);
            let seen = self.test(F::Le, first, j);
            visible = Some(self.both(visible, seen));
        }
        if let Some(valid) = valid {
            let seen = self.test(F::Lt, j, valid);
            visible = Some(self.both(visible, seen));
        }
        visible.map_or(score, |visible| self.choose(visible, score, never))
    }

    /// Scores with a mask that broadcasts to them; keys beyond the mask are not seen.
    fn masked(&mut self, mask: Handle, dims: &[Dim], score: TermId) -> TermId {
        let (dtype, own) = (self.terms.dtype(score), self.dims_of(mask));
        let never = self.value(dtype, f64::NEG_INFINITY);
        self.force(mask);
        let mut at = self.broadcast(&own, dims);
        let last = own.len() - 1;
        let short = own[last] != dims[3] && own[last].as_fixed() != Some(1);
        let mut inside = None;
        if short {
            let (place, end) = (self.place_on(3), self.number(&own[last]));
            inside = Some(self.test(F::Lt, place, end));
            let clamped = self.clamped(place, &own[last]);
            at[last] = self.terms.as_index(clamped);
        }
        let value = self.read(mask, &at);
        let sum = if self.terms.dtype(value) == DType::Bool {
            self.choose(value, score, never)
        } else {
            let value = self.cast_term(value, dtype);
            self.plus(score, value)
        };
        inside.map_or(sum, |inside| self.choose(inside, sum, never))
    }

    /// The softmax over the last axis; zeros where everything is minus infinity.
    fn softmax_of_rows(&mut self, x: Handle) -> Result<Handle> {
        self.force(x);
        let dims = self.dims_of(x);
        let last = dims.len() - 1;
        let mut at = identity(dims.len());
        at[last] = Index::fixed(0);
        let element = self.here(x);
        let most = self.combined(x, element, &[last], Combine::Max)?;
        self.force(most);
        let most = self.read(most, &at);
        let dtype = self.terms.dtype(most);
        let (zero, never) = (self.zero(dtype), self.value(dtype, f64::NEG_INFINITY));
        let empty = self.test(F::Eq, most, never);
        let most = self.choose(empty, zero, most);
        let element = self.cast_term(element, dtype);
        let difference = self.minus(element, most);
        let exp = self.apply(F::Exp, &[difference]);
        let sum = self.combined(x, exp, &[last], Combine::Sum)?;
        self.force(sum);
        let sum = self.read(sum, &at);
        let (nothing, part) = (self.test(F::Eq, sum, zero), self.over(exp, sum));
        let part = self.choose(nothing, zero, part);
        let weights = self.lazy(dims, part);
        Ok(self.settled(weights))
    }

    /// The values by their weights, in the layout of the queries.
    fn weighted_values(&mut self, call: &Call<'_>, weights: Handle, v: Handle) -> Result<Handle> {
        let values = self.cast(v, wide(self.dtype_of(v)));
        let values = self.cast(values, self.dtype_of(weights));
        let y = self.grouped_product(weights, values)?;
        let dims = call.dims(0)?;
        if dims.len() == 4 {
            return Ok(y);
        }
        let moved = self.permuted(y, &[0, 2, 1, 3])?;
        Ok(self.reshaped(moved, &dims))
    }

    /// `RotaryEmbedding`: pairs of features turned by angles.
    fn rotary(&mut self, call: &Call<'_>) -> Result<Handle> {
        let (x, dims) = (call.operand(0)?, call.dims(0)?);
        self.force(x);
        let heads = Dim::fixed(call.attrs.int("num_heads").max(1));
        let (x, length) = match dims.as_slice() {
            [batch, length, features] => {
                let split = [batch.clone(), length.clone(), heads.clone(), features.div_floor(&heads)];
                (self.reshaped(x, &split), 1)
            }
            _ => (x, 2),
        };
        let split = self.dims_of(x);
        let term = self.turned(call, x, length)?;
        let term = self.cast_term(term, call.dtype(0));
        let y = self.lazy(split, term);
        if dims.len() == 4 {
            return Ok(y);
        }
        self.force(y);
        Ok(self.reshaped(y, &dims))
    }

    /// The features of `x` at the place of the result, turned; axis `length` counts positions.
    fn turned(&mut self, call: &Call<'_>, x: Handle, length: usize) -> Result<TermId> {
        let split = self.dims_of(x);
        let turned = match call.attrs.int("rotary_embedding_dim") {
            0 => split[3].clone(),
            some => Dim::fixed(some),
        };
        let half = turned.div_floor(&Dim::fixed(2));
        let d = self.place_on(3);
        let (pair, other, first) = self.pairing(call, d, &half);
        let [cos, sin] = [1, 2].map(|operand| self.angle(call, operand, (length, pair, &half)));
        let (cos, sin) = (cos?, sin?);
        let dtype = wide(self.dtype_of(x));
        let own = self.here(x);
        let own = self.cast_term(own, dtype);
        let other = self.clamped(other, &split[3]);
        let mut at = identity(4);
        at[3] = self.terms.as_index(other);
        let other = self.read(x, &at);
        let other = self.cast_term(other, dtype);
        let (cos, sin) = (self.cast_term(cos, dtype), self.cast_term(sin, dtype));
        let (straight, across) = (self.times(cos, own), self.times(sin, other));
        let (low, high) = (self.minus(straight, across), self.plus(straight, across));
        let both = self.choose(first, low, high);
        if turned == split[3] {
            return Ok(both);
        }
        let end = self.number(&turned);
        let inside = self.test(F::Lt, d, end);
        Ok(self.choose(inside, both, own))
    }

    /// The number of a feature's pair, the place of its other half, and whether it is the first half.
    fn pairing(&mut self, call: &Call<'_>, d: TermId, half: &Dim) -> (TermId, TermId, TermId) {
        let (zero, one, two) = (self.integer(0), self.integer(1), self.integer(2));
        if call.attrs.flag("interleaved") {
            let (pair, side) = (self.apply(F::FloorDiv, &[d, two]), self.apply(F::Fmod, &[d, two]));
            let (first, other) = (self.test(F::Eq, side, zero), self.apply(F::Xor, &[d, one]));
            return (pair, other, first);
        }
        let half = self.number(half);
        let (up, down) = (self.plus(d, half), self.minus(d, half));
        let first = self.test(F::Lt, d, half);
        (self.choose(first, d, down), self.choose(first, up, down), first)
    }

    /// The cosine or sine for a pair at the place of the result.
    fn angle(
        &mut self,
        call: &Call<'_>,
        operand: usize,
        (length, pair, half): (usize, TermId, &Dim),
    ) -> Result<TermId> {
        let cache = call.operand(operand)?;
        self.force(cache);
        let pair = self.clamped(pair, half);
        let pair = self.terms.as_index(pair);
        let (batch, at) = (Index::axis(0), Index::axis(length as u32));
        let Some(ids) = call.optional(3) else { return Ok(self.read(cache, &[batch, at, pair])) };
        self.force(ids);
        let rows = self.dims_of(cache)[0].clone();
        let id = self.read(ids, &[batch, at]);
        let row = self.bounded(id, &rows);
        Ok(self.read(cache, &[row, pair]))
    }
}
