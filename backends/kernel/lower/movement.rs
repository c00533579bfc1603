//! Operators that only move elements: other views of the same memory where that is possible, terms
//! that read elsewhere where it is not.
use super::tensor::row_major;
use super::{Call, Handle, Lowering, Result, State, View, identity};
use crate::math::Function as F;
use crate::nest::Scalar;
use crate::program::Step;
use crate::term::{Index, Term, TermId};
use weft_ir::{Attr, DType, Dim};

impl Lowering<'_> {
    /// Lowers an operator that only moves elements.
    pub(crate) fn movement(&mut self, call: &Call<'_>) -> Option<Result<Vec<Handle>>> {
        Some(match call.op() {
            "Const" => self.constant(call),
            "weft.Extents" => self.extents(call),
            "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" => self.reshape(call).map(|h| vec![h]),
            "Transpose" => self.transpose(call).map(|h| vec![h]),
            "Expand" => self.expand(call).map(|h| vec![h]),
            "Slice" => self.slice(call).map(|h| vec![h]),
            "Split" => self.split(call),
            "Concat" => self.concat(call).map(|h| vec![h]),
            "Gather" => self.gather(call).map(|h| vec![h]),
            "Shape" | "Size" => self.shape(call).map(|h| vec![h]),
            "ConstantOfShape" => self.fill(call).map(|h| vec![h]),
            "Range" => self.range(call).map(|h| vec![h]),
            "Tile" => self.tile(call).map(|h| vec![h]),
            "Pad" => self.pad(call).map(|h| vec![h]),
            _ => return None,
        })
    }

    fn extents(&mut self, call: &Call<'_>) -> Result<Vec<Handle>> {
        Ok(vec![self.numbers(call.attrs.dims("value"), DType::I64)])
    }

    /// A vector of extents.
    fn numbers(&mut self, dims: &[Dim], dtype: DType) -> Handle {
        let numbers: Vec<TermId> =
            dims.iter().map(|d| self.terms.add(Term::Position(Index::constant(d.clone())))).collect();
        let axis = self.terms.add(Term::Position(Index::axis(0)));
        let mut term = numbers.first().copied().unwrap_or(axis);
        for (i, number) in numbers.iter().enumerate().skip(1) {
            let at = self.terms.constant(DType::I64, Scalar::Int(i as i64));
            let here = self.terms.call(DType::Bool, F::Eq, &[axis, at]);
            term = self.terms.call(DType::I64, F::Select, &[here, *number, term]);
        }
        let term = if dtype == DType::I64 { term } else { self.terms.call(dtype, F::Cast, &[term]) };
        self.lazy(vec![Dim::fixed(dims.len() as i64)], term)
    }

    fn shape(&mut self, call: &Call<'_>) -> Result<Handle> {
        let dims = self.dims_of(call.operand(0)?);
        if call.op() == "Size" {
            let size = dims.iter().fold(Dim::fixed(1), |p, d| p.mul(d));
            let term = self.terms.add(Term::Position(Index::constant(size)));
            return Ok(self.lazy(Vec::new(), term));
        }
        let rank = dims.len() as i64;
        let place = |i: i64| (if i < 0 { i + rank } else { i }).clamp(0, rank) as usize;
        let (start, end) = (place(call.attrs.int("start")), place(call.attrs.int_opt("end").unwrap_or(rank)));
        Ok(self.numbers(dims.get(start..end).unwrap_or(&[]), DType::I64))
    }

    fn reshape(&mut self, call: &Call<'_>) -> Result<Handle> {
        self.define_symbols(call)?;
        let (from, dims) = (call.operand(0)?, call.dims(0)?);
        Ok(if self.dims_of(from) == dims { from } else { self.reshaped(from, &dims) })
    }

    /// The same elements under other extents.
    pub(crate) fn reshaped(&mut self, from: Handle, dims: &[Dim]) -> Handle {
        let (dtype, old) = (self.dtype_of(from), self.dims_of(from));
        let view = self.force(from);
        let strides = match restride(&old, &view.strides, dims) {
            Some(strides) => strides,
            None => {
                let whole = self.force_whole(from);
                return self.view(dtype, dims.to_vec(), View { strides: row_major(dims), ..whole });
            }
        };
        self.view(dtype, dims.to_vec(), View { strides, ..view })
    }

    fn transpose(&mut self, call: &Call<'_>) -> Result<Handle> {
        let from = call.operand(0)?;
        let rank = self.dims_of(from).len();
        let perm: Vec<usize> = match call.attrs.ints_opt("perm") {
            Some(perm) => perm.iter().map(|p| *p as usize).collect(),
            None => (0..rank).rev().collect(),
        };
        self.permuted(from, &perm)
    }

    /// The axes in another order: axis `i` of the result is axis `perm[i]`.
    pub(crate) fn permuted(&mut self, from: Handle, perm: &[usize]) -> Result<Handle> {
        let (dtype, old) = (self.dtype_of(from), self.dims_of(from));
        let take = |list: &[Dim]| perm.iter().map(|p| list.get(*p).cloned()).collect::<Option<Vec<_>>>();
        let dims = take(&old).ok_or("the permutation names an axis that is not there")?;
        if let Some(turned) = self.turned_codes(from, perm) {
            return Ok(turned);
        }
        if let Some(turned) = self.turned_bytes(from, perm)? {
            return Ok(turned);
        }
        let view = self.force(from);
        let strides = take(&view.strides).unwrap_or_default();
        Ok(self.view(dtype, dims, View { strides, ..view }))
    }

    fn expand(&mut self, call: &Call<'_>) -> Result<Handle> {
        self.define_symbols(call)?;
        let (from, dims) = (call.operand(0)?, call.dims(0)?);
        let old = self.dims_of(from);
        let at = self.broadcast(&old, &dims);
        self.force(from);
        let term = self.read(from, &at);
        Ok(self.lazy(dims, term))
    }

    fn split(&mut self, call: &Call<'_>) -> Result<Vec<Handle>> {
        let from = call.operand(0)?;
        let axis = place(call.attrs.int("axis"), self.dims_of(from).len())?;
        self.define_parts(call, axis)?;
        let (mut start, mut parts) = (Dim::fixed(0), Vec::new());
        for slot in 0..call.attrs.node.results.len() as u32 {
            let dims = call.dims(slot)?;
            let next = start.add(&dims[axis]);
            parts.push(self.part(from, axis, (&start, 1), dims));
            start = next;
        }
        Ok(parts)
    }

    /// The extents of the parts of a `Split`, where the run decides them.
    fn define_parts(&mut self, call: &Call<'_>, axis: usize) -> Result<()> {
        let slots = 0..call.attrs.node.results.len() as u32;
        let parts = slots.map(|slot| call.dims(slot)).collect::<Result<Vec<_>>>()?;
        if !parts.iter().any(|dims| self.is_open(dims)) || call.optional(1).is_none() {
            return Ok(());
        }
        let (old, sizes) = (self.dims_of(call.operand(0)?), self.sizes(call, 1)?);
        if sizes.len() != parts.len() {
            return Err(format!("it splits into {} parts, found {} results", sizes.len(), parts.len()));
        }
        let left = sizes.iter().fold(Dim::fixed(0), |sum, size| sum.add(size));
        let message = format!("the parts that axis {axis} is split into");
        self.step(Step::Check { left, right: old[axis].clone(), at_least: false, message });
        for (dims, size) in parts.iter().zip(&sizes) {
            let mut computed = old.clone();
            computed[axis] = size.clone();
            self.define_extents(dims, &computed);
        }
        Ok(())
    }

    /// Every `step`th element on one axis, from `start` on.
    pub(crate) fn part(
        &mut self,
        from: Handle,
        axis: usize,
        (start, step): (&Dim, i64),
        dims: Vec<Dim>,
    ) -> Handle {
        let dtype = self.dtype_of(from);
        let mut view = self.force(from);
        view.offset = view.offset.add(&view.strides[axis].mul(start));
        view.strides[axis] = view.strides[axis].scale(step);
        self.view(dtype, dims, view)
    }

    fn concat(&mut self, call: &Call<'_>) -> Result<Handle> {
        let dims = call.dims(0)?;
        let axis = place(call.attrs.int("axis"), dims.len())?;
        let value = call.result(0);
        let target = self.scope().targets.get(&value).cloned();
        let name = call.graph.name_of(value).to_string();
        let whole = match target {
            Some(view) => {
                self.size_output(&view, &dims);
                view
            }
            None => self.allocate(call.dtype(0), &dims, &name),
        };
        let mut start = Dim::fixed(0);
        for operand in call.operands.iter().flatten() {
            let old = self.dims_of(*operand);
            let mut part = whole.clone();
            part.offset = part.offset.add(&part.strides[axis].mul(&start));
            start = start.add(&old[axis]);
            match self.state(*operand) {
                State::Lazy(..) => {
                    self.force(*operand);
                    self.copy(*operand, &part);
                }
                State::View(_) => self.copy(*operand, &part),
            }
        }
        Ok(self.view(call.dtype(0), dims, whole))
    }

    fn gather(&mut self, call: &Call<'_>) -> Result<Handle> {
        let (from, indices, dims) = (call.operand(0)?, call.operand(1)?, call.dims(0)?);
        let old = self.dims_of(from);
        let axis = place(call.attrs.int("axis"), old.len())?;
        let rank = self.dims_of(indices).len();
        self.force(from);
        self.force(indices);
        let at: Vec<Index> = (axis..axis + rank).map(|a| Index::axis(a as u32)).collect();
        let position = self.read(indices, &at);
        let position = self.bounded(position, &old[axis]);
        let mut at = identity(dims.len());
        at.splice(axis..axis + rank, [position]);
        let term = self.read(from, &at);
        Ok(self.lazy(dims, term))
    }

    /// An index from data: counted from the end if negative, and kept inside the axis.
    pub(crate) fn bounded(&mut self, position: TermId, extent: &Dim) -> Index {
        let position = self.cast_term(position, DType::I64);
        let zero = self.terms.constant(DType::I64, Scalar::Int(0));
        let end = self.terms.add(Term::Position(Index::constant(extent.clone())));
        let last = self.terms.add(Term::Position(Index::constant(extent.plus(-1))));
        let from_end = self.terms.call(DType::I64, F::Add, &[position, end]);
        let negative = self.terms.call(DType::Bool, F::Lt, &[position, zero]);
        let counted = self.terms.call(DType::I64, F::Select, &[negative, from_end, position]);
        let low = self.terms.call(DType::I64, F::Max, &[counted, zero]);
        let inside = self.terms.call(DType::I64, F::Min, &[low, last]);
        self.terms.as_index(inside)
    }

    /// A term as another element type.
    pub(crate) fn cast_term(&mut self, term: TermId, dtype: DType) -> TermId {
        if self.terms.dtype(term) == dtype { term } else { self.terms.call(dtype, F::Cast, &[term]) }
    }

    fn fill(&mut self, call: &Call<'_>) -> Result<Handle> {
        self.define_symbols(call)?;
        let (dtype, dims) = (call.dtype(0), call.dims(0)?);
        let zero = if dtype.is_float() { Scalar::Float(0.0) } else { Scalar::Int(0) };
        let value = match call.attrs.node.attrs.get("value") {
            Some(Attr::Tensor(tensor)) if dtype.is_float() => tensor.as_scalar().map_or(zero, Scalar::Float),
            Some(Attr::Tensor(tensor)) => {
                tensor.to_i64s().and_then(|v| v.first().copied()).map_or(zero, Scalar::Int)
            }
            _ => zero,
        };
        let term = self.terms.constant(dtype, value);
        Ok(self.lazy(dims, term))
    }

    fn range(&mut self, call: &Call<'_>) -> Result<Handle> {
        self.define_symbols(call)?;
        let (start, step, dtype, dims) = (call.operand(0)?, call.operand(2)?, call.dtype(0), call.dims(0)?);
        let (start, step) = (self.read(start, &[]), self.read(step, &[]));
        let position = self.terms.add(Term::Position(Index::axis(0)));
        let position = self.cast_term(position, dtype);
        let distance = self.terms.call(dtype, F::Mul, &[position, step]);
        let term = self.terms.call(dtype, F::Add, &[start, distance]);
        Ok(self.lazy(dims, term))
    }

    fn tile(&mut self, call: &Call<'_>) -> Result<Handle> {
        self.define_symbols(call)?;
        let (from, dims) = (call.operand(0)?, call.dims(0)?);
        let old = self.dims_of(from);
        self.force(from);
        let mut at = Vec::new();
        for (axis, (dim, new)) in old.iter().zip(&dims).enumerate() {
            let here = Index::axis(axis as u32);
            at.push(if dim == new { here } else { self.modulo(here, dim) });
        }
        let term = self.read(from, &at);
        Ok(self.lazy(dims, term))
    }

    fn modulo(&mut self, index: Index, by: &Dim) -> Index {
        if by.as_fixed() == Some(1) {
            return Index::fixed(0);
        }
        let position = self.terms.add(Term::Position(index));
        let by = self.terms.add(Term::Position(Index::constant(by.clone())));
        let rest = self.terms.call(DType::I64, F::Fmod, &[position, by]);
        self.terms.as_index(rest)
    }
}

/// An axis counted from the end if negative.
pub(crate) fn place(axis: i64, rank: usize) -> Result<usize> {
    let at = if axis < 0 { axis + rank as i64 } else { axis };
    usize::try_from(at)
        .ok()
        .filter(|a| *a < rank)
        .ok_or_else(|| format!("axis {axis} is outside a tensor of rank {rank}"))
}

/// The strides of the same elements under other extents, where no element has to move: groups of
/// axes with equal products, each group one row in memory.
fn restride(old: &[Dim], strides: &[Dim], new: &[Dim]) -> Option<Vec<Dim>> {
    if *strides == row_major(old) {
        return Some(row_major(new));
    }
    let mut result = vec![Dim::fixed(1); new.len()];
    let (mut i, mut j) = (0, 0);
    while i < old.len() || j < new.len() {
        let (start, first) = (i, j);
        let (mut have, mut want) = (Dim::fixed(1), Dim::fixed(1));
        // The shortest groups with equal products, at least one axis together.
        loop {
            if (i > start || j > first) && have == want {
                break;
            }
            let (a, b) = (have.as_fixed(), want.as_fixed());
            let take_old =
                i < old.len() && (j == new.len() || a.zip(b).map_or(i - start <= j - first, |(a, b)| a <= b));
            if take_old {
                have = have.mul(&old[i]);
                i += 1;
            } else if j < new.len() {
                want = want.mul(&new[j]);
                j += 1;
            } else {
                return None;
            }
        }
        let row = (start..i).filter(|a| old[*a].as_fixed() != Some(1)).collect::<Vec<_>>();
        let one_row = row.windows(2).all(|w| strides[w[0]] == strides[w[1]].mul(&old[w[1]]));
        if !one_row {
            return None;
        }
        let unit = row.last().map_or(Dim::fixed(0), |a| strides[*a].clone());
        for (axis, natural) in (first..j).zip(row_major(&new[first..j])) {
            result[axis] = natural.mul(&unit);
        }
    }
    Some(result)
}
