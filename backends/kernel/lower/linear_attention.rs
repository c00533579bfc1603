//! `LinearAttention`: a state of keys by values that every position fades, corrects and is read from.
//! One trip of a loop is one position.
use super::formula::wide;
use super::{Call, Handle, Lowering, Result, View, identity};
use crate::math::Function as F;
use crate::program::Step;
use crate::schedule::Combine;
use crate::term::{Index, TermId};
use weft_ir::{DType, Dim};

/// The operands, `[batch, heads, length, features]`, in memory.
struct Operands {
    query: Handle,
    key: Handle,
    value: Handle,
    decay: Option<Handle>,
    beta: Option<Handle>,
    /// The number of the position.
    at: Index,
    dtype: DType,
}

impl Lowering<'_> {
    /// Lowers `LinearAttention`.
    pub(crate) fn linear_attending(&mut self, call: &Call<'_>) -> Option<Result<Vec<Handle>>> {
        (call.op() == "LinearAttention").then(|| self.linear_attention(call))
    }

    /// `[batch, length, heads * features]` as `[batch, heads, length, features]`.
    fn by_heads(&mut self, x: Handle, heads: i64) -> Result<Handle> {
        let dims = self.dims_of(x);
        let [batch, length, features] = dims.as_slice() else {
            return Err("an operand has no heads".to_string());
        };
        let heads = Dim::fixed(heads.max(1));
        let each = features.div_floor(&heads);
        let split = self.reshaped(x, &[batch.clone(), length.clone(), heads, each]);
        self.permuted(split, &[0, 2, 1, 3])
    }

    fn linear_attention(&mut self, call: &Call<'_>) -> Result<Vec<Handle>> {
        let (q_heads, kv_heads) = (call.attrs.int("q_num_heads"), call.attrs.int("kv_num_heads"));
        let (index, count) = self.fresh_symbol("position");
        let gate = |cx: &mut Self, operand: usize| match call.optional(operand) {
            Some(x) => {
                let single = cx.dims_of(x).last().and_then(Dim::as_fixed) == Some(1);
                cx.by_heads(x, if single && operand == 5 { 1 } else { kv_heads }).map(Some)
            }
            None => Ok(None),
        };
        let x = Operands {
            query: self.by_heads(call.operand(0)?, q_heads)?,
            key: self.by_heads(call.operand(1)?, kv_heads)?,
            value: self.by_heads(call.operand(2)?, kv_heads)?,
            decay: gate(self, 4)?,
            beta: gate(self, 5)?,
            at: Index::constant(count),
            dtype: wide(call.dtype(0)),
        };
        let (keys, values) = (self.dims_of(x.key), self.dims_of(x.value));
        let length = keys[2].clone();
        let state_dims = vec![keys[0].clone(), keys[1].clone(), keys[3].clone(), values[3].clone()];
        let state = self.first_state(call, &state_dims, x.dtype);
        let dims = call.dims(0)?;
        let y = self.target(call, 0, &dims);
        self.steps.push(Vec::new());
        self.next_state(&x, state)?;
        self.read_state(call, &x, state, &y)?;
        let body = self.steps.pop().unwrap_or_default();
        self.step(Step::Loop { index, trips: length, condition: None, body });
        let last = self.cast(state, call.dtype(1));
        Ok(vec![self.stored(call, 0, y)?, last])
    }

    /// The state before the first position, in memory of its own.
    fn first_state(&mut self, call: &Call<'_>, dims: &[Dim], dtype: DType) -> Handle {
        let term = match call.optional(3) {
            Some(past) => {
                self.force(past);
                let past = self.spread(past, dims);
                self.cast_term(past, dtype)
            }
            None => self.zero(dtype),
        };
        let view = self.allocate(dtype, dims, "state");
        self.write_kernel(term, None, dims, &view, "state");
        self.view(dtype, dims.to_vec(), view)
    }

    /// A feature of an operand at this position, for the head that `head` is among as many as there are.
    fn feature(&mut self, x: &Operands, handle: Handle, (head, feature): (Index, Index)) -> TermId {
        let dims = self.dims_of(handle);
        let head = if dims[1].as_fixed() == Some(1) { Index::fixed(0) } else { head };
        let feature = if dims[3].as_fixed() == Some(1) { Index::fixed(0) } else { feature };
        let term = self.read(handle, &[Index::axis(0), head, x.at.clone(), feature]);
        self.cast_term(term, x.dtype)
    }

    /// Lets the state fade, and writes the value under the key.
    fn next_state(&mut self, x: &Operands, state: Handle) -> Result<()> {
        let dims = self.dims_of(state);
        let faded = |cx: &mut Self, feature: Index| {
            let now = cx.here(state);
            let Some(decay) = x.decay else { return now };
            let decay = cx.feature(x, decay, (Index::axis(1), feature));
            let factor = cx.apply(F::Exp, &[decay]);
            cx.times(now, factor)
        };
        let now = faded(self, Index::axis(2));
        let mut value = self.feature(x, x.value, (Index::axis(1), Index::axis(3)));
        let key = self.feature(x, x.key, (Index::axis(1), Index::axis(2)));
        if let Some(beta) = x.beta {
            let product = self.times(now, key);
            let known = self.combined(state, product, &[2], Combine::Sum)?;
            self.force(known);
            let mut at = identity(4);
            at[2] = Index::fixed(0);
            let known = self.read(known, &at);
            let rest = self.minus(value, known);
            let beta = self.feature(x, beta, (Index::axis(1), Index::fixed(0)));
            value = self.times(beta, rest);
        }
        let written = self.times(key, value);
        let next = self.plus(now, written);
        let next = self.lazy(dims, next);
        let next = self.settled(next);
        let view = self.force(state);
        self.copy(next, &view);
        Ok(())
    }

    /// What all queries of this position find in the state.
    fn read_state(&mut self, call: &Call<'_>, x: &Operands, state: Handle, y: &View) -> Result<()> {
        let (queries, dims) = (self.dims_of(x.query), self.dims_of(state));
        let each = queries[1].div_floor(&dims[1]);
        let group = self.quotient(Index::axis(1), &each);
        let found = self.read(state, &[Index::axis(0), group, Index::axis(3), Index::axis(2)]);
        let query = self.feature(x, x.query, (Index::axis(1), Index::axis(3)));
        let input = self.times(found, query);
        let out = vec![queries[0].clone(), queries[1].clone(), dims[3].clone()];
        let inner = vec![dims[2].clone()];
        let kind = super::anchor::Kind::Reduce { inner, input, combine: Combine::Sum };
        let sum = self.anchor(kind, x.dtype, out.clone());
        let term = self.here(sum);
        let scale = match call.attrs.float("scale") {
            0.0 => {
                let keys = self.number(&dims[2]);
                let keys = self.cast_term(keys, x.dtype);
                let (root, one) = (self.apply(F::Sqrt, &[keys]), self.value(x.dtype, 1.0));
                self.over(one, root)
            }
            scale => self.value(x.dtype, scale.into()),
        };
        let term = self.times(term, scale);
        let term = self.cast_term(term, call.dtype(0));
        let found = self.lazy(out, term);
        // Heads lie side by side in the row of a position.
        let position = View {
            offset: y.offset.add(&y.strides[1].mul(x.at.base())),
            strides: vec![y.strides[0].clone(), dims[3].clone(), Dim::fixed(1)],
            ..y.clone()
        };
        self.force_into(found, Some(position), "found");
        Ok(())
    }
}
