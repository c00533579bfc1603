//! Elements picked by indices from data, and masks and moves within a shape, all as terms.
use super::movement::place;
use super::runtime::known_integers;
use super::{Call, Handle, Lowering, Result, identity};
use crate::math::Function as F;
use crate::term::Index;
use weft_ir::{DType, Dim};

impl Lowering<'_> {
    /// Lowers operators that read elsewhere.
    pub(crate) fn indexed(&mut self, call: &Call<'_>) -> Option<Result<Vec<Handle>>> {
        let one = |result: Result<Handle>| result.map(|h| vec![h]);
        Some(match call.op() {
            "GatherElements" => one(self.gather_elements(call)),
            "GatherND" => one(self.gather_nd(call)),
            "OneHot" => one(self.one_hot(call)),
            "Trilu" => one(self.trilu(call)),
            "EyeLike" => one(self.eye_like(call)),
            "DepthToSpace" => one(self.depth_to_space(call)),
            "SpaceToDepth" => one(self.space_to_depth(call)),
            "ReverseSequence" => one(self.reverse_sequence(call)),
            _ => return None,
        })
    }

    fn gather_elements(&mut self, call: &Call<'_>) -> Result<Handle> {
        let (from, indices, dims) = (call.operand(0)?, call.operand(1)?, call.dims(0)?);
        let old = self.dims_of(from);
        let axis = place(call.attrs.int("axis"), old.len())?;
        self.force(from);
        self.force(indices);
        let position = self.here(indices);
        let mut at = identity(dims.len());
        at[axis] = self.bounded(position, &old[axis]);
        let term = self.read(from, &at);
        Ok(self.lazy(dims, term))
    }

    fn gather_nd(&mut self, call: &Call<'_>) -> Result<Handle> {
        let (from, indices, dims) = (call.operand(0)?, call.operand(1)?, call.dims(0)?);
        let (old, tuples) = (self.dims_of(from), self.dims_of(indices));
        let batch = call.attrs.int("batch_dims") as usize;
        let outer = tuples.len() - 1;
        let length =
            tuples[outer].as_fixed().ok_or("the length of index tuples is known only at run time")?;
        self.force(from);
        self.force(indices);
        let mut at: Vec<Index> = identity(batch);
        for part in 0..length {
            let mut place = identity(outer);
            place.push(Index::fixed(part));
            let position = self.read(indices, &place);
            let extent = old.get(batch + part as usize).ok_or("index tuples are longer than the shape")?;
            at.push(self.bounded(position, extent));
        }
        at.extend((outer..dims.len()).map(|axis| Index::axis(axis as u32)));
        let term = self.read(from, &at);
        Ok(self.lazy(dims, term))
    }

    fn one_hot(&mut self, call: &Call<'_>) -> Result<Handle> {
        let (indices, values, dims) = (call.operand(0)?, call.operand(2)?, call.dims(0)?);
        let axis = place(call.attrs.int("axis"), dims.len())?;
        let depth = match known_integers(call, 1) {
            Some(depth) => depth.first().cloned().ok_or("there is no depth")?,
            None => self.measured(call.operand(1)?)?,
        };
        let mut computed = self.dims_of(indices);
        computed.insert(axis, depth.clone());
        self.define_extents(&dims, &computed);
        self.force(indices);
        self.force(values);
        let mut at = identity(dims.len());
        at.remove(axis);
        let wanted = self.read(indices, &at);
        let wanted = self.cast_term(wanted, DType::I64);
        let (zero, depth) = (self.integer(0), self.number(&depth));
        let (negative, counted) = (self.test(F::Lt, wanted, zero), self.plus(wanted, depth));
        let (wanted, here) = (self.choose(negative, counted, wanted), self.place_on(axis));
        let hit = self.test(F::Eq, wanted, here);
        let (off, on) = (self.read(values, &[Index::fixed(0)]), self.read(values, &[Index::fixed(1)]));
        let term = self.choose(hit, on, off);
        Ok(self.lazy(dims, term))
    }

    fn trilu(&mut self, call: &Call<'_>) -> Result<Handle> {
        let (from, dims) = (call.operand(0)?, call.dims(0)?);
        let k = match call.optional(1) {
            Some(k) => {
                let rank = self.dims_of(k).len();
                let k = self.read(k, &vec![Index::fixed(0); rank]);
                self.cast_term(k, DType::I64)
            }
            None => self.integer(0),
        };
        let diagonal = self.diagonal(dims.len());
        let inside = if call.attrs.flag("upper") {
            self.test(F::Le, k, diagonal)
        } else {
            self.test(F::Le, diagonal, k)
        };
        self.force(from);
        let (value, zero) = (self.here(from), self.zero(call.dtype(0)));
        let term = self.choose(inside, value, zero);
        Ok(self.lazy(dims, term))
    }

    /// The number of the diagonal that an element of the last two axes lies on.
    fn diagonal(&mut self, rank: usize) -> crate::term::TermId {
        let row = Index::axis(rank as u32 - 2).scale(&Dim::fixed(-1));
        self.position(Index::axis(rank as u32 - 1).add(&row))
    }

    fn eye_like(&mut self, call: &Call<'_>) -> Result<Handle> {
        let dims = call.dims(0)?;
        let (diagonal, k) = (self.diagonal(2), self.integer(call.attrs.int("k")));
        let (one, zero) = (self.value(call.dtype(0), 1.0), self.zero(call.dtype(0)));
        let hit = self.test(F::Eq, diagonal, k);
        let term = self.choose(hit, one, zero);
        Ok(self.lazy(dims, term))
    }

    fn depth_to_space(&mut self, call: &Call<'_>) -> Result<Handle> {
        let (from, dims) = (call.operand(0)?, call.dims(0)?);
        let old = self.dims_of(from);
        let block = Dim::fixed(call.attrs.int("blocksize"));
        let [n, c, h, w] = [&old[0], &dims[1], &old[2], &old[3]].map(Dim::clone);
        let (split, perm) = match call.attrs.str("mode") {
            "CRD" => ([n, c, block.clone(), block, h, w], [0, 1, 4, 2, 5, 3]),
            _ => ([n, block.clone(), block, c, h, w], [0, 3, 4, 1, 5, 2]),
        };
        let split = self.reshaped(from, &split);
        let moved = self.permuted(split, &perm)?;
        Ok(self.reshaped(moved, &dims))
    }

    fn space_to_depth(&mut self, call: &Call<'_>) -> Result<Handle> {
        let (from, dims) = (call.operand(0)?, call.dims(0)?);
        let old = self.dims_of(from);
        let block = Dim::fixed(call.attrs.int("blocksize"));
        let [n, c, h, w] = [&old[0], &old[1], &dims[2], &dims[3]].map(Dim::clone);
        let split = self.reshaped(from, &[n, c, h, block.clone(), w, block]);
        let perm = if call.attrs.str("mode") == "CRD" { [0, 1, 3, 5, 2, 4] } else { [0, 3, 5, 1, 2, 4] };
        let moved = self.permuted(split, &perm)?;
        Ok(self.reshaped(moved, &dims))
    }

    fn reverse_sequence(&mut self, call: &Call<'_>) -> Result<Handle> {
        let (from, lengths, dims) = (call.operand(0)?, call.operand(1)?, call.dims(0)?);
        let batch = place(call.attrs.int("batch_axis"), dims.len())?;
        let time = place(call.attrs.int("time_axis"), dims.len())?;
        self.force(from);
        self.force(lengths);
        let length = self.read(lengths, &[Index::axis(batch as u32)]);
        let (length, here, one) = (self.cast_term(length, DType::I64), self.place_on(time), self.integer(1));
        let (inside, last) = (self.test(F::Lt, here, length), self.minus(length, one));
        let back = self.minus(last, here);
        let source = self.choose(inside, back, here);
        let source = self.clamped(source, &dims[time]);
        let mut at = identity(dims.len());
        at[time] = self.terms.as_index(source);
        let term = self.read(from, &at);
        Ok(self.lazy(dims, term))
    }
}
