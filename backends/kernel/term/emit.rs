//! Writes the value of a term at a point, or along a row of points, into a nest.
use super::{Index, Term, TermId, Terms};
use crate::math;
use crate::nest::{Binary, BufferId, Builder, Op, Reg, Scalar, Stmt, Ty};
use std::collections::BTreeMap;
use weft_ir::{DType, Dim};

/// Where a term is evaluated: at one point of the domain, or at `lanes` points in a row.
#[derive(Debug, Clone)]
pub struct Point {
    /// The position on each axis; on the lane axis, that of the first lane.
    pub axes: Vec<Reg>,
    /// A number added to the position on one axis, which addresses take up for free.
    pub shift: Option<(u32, i64)>,
    /// The axis along which the lanes lie, and how many there are.
    pub lanes: Option<(u32, u32)>,
    /// Which lanes count.
    pub mask: Option<Reg>,
}

/// Evaluates terms at one point. Made anew for every point, as registers belong to a body.
#[derive(Debug)]
pub struct Emitter<'a> {
    terms: &'a Terms,
    sources: &'a [BufferId],
    point: Point,
    anchor: Option<Reg>,
    scalars: BTreeMap<TermId, Reg>,
    vectors: BTreeMap<TermId, Reg>,
}

impl<'a> Emitter<'a> {
    /// Terms that read `sources`, at a point.
    pub fn new(terms: &'a Terms, sources: &'a [BufferId], point: Point) -> Self {
        Self { terms, sources, point, anchor: None, scalars: BTreeMap::new(), vectors: BTreeMap::new() }
    }

    /// Gives [`Term::Anchor`] its value.
    pub fn with_anchor(mut self, value: Reg) -> Self {
        self.anchor = Some(value);
        self
    }

    /// Gives terms that change along the lanes their values.
    pub fn with_values(mut self, values: impl IntoIterator<Item = (TermId, Reg)>) -> Self {
        self.vectors.extend(values);
        self
    }

    /// The value of a term, with as many lanes as the point has.
    pub fn value(&mut self, b: &mut Builder, id: TermId) -> Reg {
        let Some((axis, lanes)) = self.point.lanes else { return self.scalar(b, id) };
        if let Some(reg) = self.vectors.get(&id) {
            return *reg;
        }
        let reg = if self.terms.varies(id, axis) {
            self.vector(b, id, axis, lanes)
        } else {
            let scalar = self.scalar(b, id);
            b.splat(scalar, lanes)
        };
        self.vectors.insert(id, reg);
        reg
    }

    /// The value of a term that does not change along the lanes.
    fn scalar(&mut self, b: &mut Builder, id: TermId) -> Reg {
        if let Some(reg) = self.scalars.get(&id) {
            return *reg;
        }
        let reg = match self.terms.get(id).clone() {
            Term::Const(dtype, bits) => constant(b, dtype, bits, 1),
            Term::Position(index) => self.scalar_index(b, &index),
            Term::Load(source, _, index) => {
                let (address, offset) = self.address(b, &index);
                b.load(self.sources[source.0 as usize], address, offset, 1)
            }
            Term::Anchor(..) => self.anchor.unwrap_or_else(|| b.index(0)),
            Term::Call(dtype, function, args) => {
                let args: Vec<Reg> = args.iter().map(|a| self.scalar(b, *a)).collect();
                math::emit(b, function, dtype, &args)
            }
        };
        self.scalars.insert(id, reg);
        reg
    }

    fn vector(&mut self, b: &mut Builder, id: TermId, axis: u32, lanes: u32) -> Reg {
        match self.terms.get(id).clone() {
            Term::Const(dtype, bits) => constant(b, dtype, bits, lanes),
            Term::Position(index) => self.vector_index(b, &index, axis, lanes),
            Term::Anchor(..) => self.anchor.unwrap_or_else(|| b.index(0)),
            Term::Call(dtype, function, args) => {
                let args: Vec<Reg> = args.iter().map(|a| self.value(b, *a)).collect();
                math::emit(b, function, dtype, &args)
            }
            Term::Load(source, dtype, index) => {
                let (buffer, mask) = (self.sources[source.0 as usize], self.point.mask);
                let opaque = index.opaques().any(|t| self.terms.varies(t, axis));
                if !opaque && index.factor(axis).as_fixed() == Some(1) {
                    let (address, offset) = self.address(b, &index);
                    return b.load_masked(buffer, address, offset, lanes, mask);
                }
                let index = self.vector_index(b, &index, axis, lanes);
                b.op(Ty::vector(dtype, lanes), Op::Gather { buffer, index, mask })
            }
        }
    }

    /// Writes a value to where `out` says, for all lanes of the point.
    pub fn store(&mut self, b: &mut Builder, buffer: BufferId, out: &Index, value: Reg) {
        let mask = self.point.mask;
        let apart = self.point.lanes.filter(|(axis, _)| out.factor(*axis).as_fixed() != Some(1));
        match apart {
            Some((axis, lanes)) => {
                let index = self.vector_index(b, out, axis, lanes);
                b.stmt(Stmt::Scatter { buffer, index, value, mask });
            }
            None => {
                let (address, offset) = self.address(b, out);
                b.store_masked(buffer, address, offset, value, mask);
            }
        }
    }

    /// The position with the point's shift in its constant part.
    fn shifted(&self, index: &Index) -> Index {
        match self.point.shift {
            Some((axis, by)) if by != 0 => index.plus(&index.factor(axis).scale(by)),
            _ => index.clone(),
        }
    }

    /// The address of the first lane as a register and a constant, which the machine adds for free.
    fn address(&mut self, b: &mut Builder, index: &Index) -> (Reg, i64) {
        let index = self.shifted(index);
        let offset = fixed_part(index.base());
        let rest = index.plus(&Dim::fixed(-offset));
        (self.unshifted(b, &rest), offset)
    }

    /// The position at the first lane.
    pub fn scalar_index(&mut self, b: &mut Builder, index: &Index) -> Reg {
        let index = self.shifted(index);
        self.unshifted(b, &index)
    }

    fn unshifted(&mut self, b: &mut Builder, index: &Index) -> Reg {
        let mut sum = b.extent(index.base());
        for (axis, factor) in index.axes() {
            let factor = b.extent(factor);
            let product = b.mul(self.point.axes[axis as usize], factor);
            sum = b.add(sum, product);
        }
        for (term, factor) in index.opaque_parts() {
            let value = self.scalar(b, term);
            let value = b.cast(value, DType::I64);
            let factor = b.extent(factor);
            let product = b.mul(value, factor);
            sum = b.add(sum, product);
        }
        sum
    }

    /// The position at every lane.
    fn vector_index(&mut self, b: &mut Builder, index: &Index, axis: u32, lanes: u32) -> Reg {
        let fixed: Vec<_> = index.opaque_parts().filter(|(t, _)| !self.terms.varies(*t, axis)).collect();
        let mut steady = Index::constant(index.base().clone());
        for (axis, factor) in index.axes() {
            steady = steady.add(&Index::axis(axis).scale(factor));
        }
        for (term, factor) in &fixed {
            steady = steady.add(&Index::opaque(*term).scale(factor));
        }
        let first = self.scalar_index(b, &steady);
        let mut sum = b.splat(first, lanes);
        let step = b.extent(&index.factor(axis));
        if b.known(step) != Some(0) {
            let iota = b.op(Ty::vector(DType::I64, lanes), Op::Iota);
            let product = scaled(b, iota, step, lanes);
            sum = b.binary(Binary::Add, sum, product);
        }
        let varying: Vec<_> = index.opaque_parts().filter(|(t, _)| self.terms.varies(*t, axis)).collect();
        for (term, factor) in varying {
            let value = self.value(b, term);
            let value = b.cast(value, DType::I64);
            let factor = b.extent(factor);
            let product = scaled(b, value, factor, lanes);
            sum = b.binary(Binary::Add, sum, product);
        }
        sum
    }
}

fn scaled(b: &mut Builder, vector: Reg, factor: Reg, lanes: u32) -> Reg {
    if b.known(factor) == Some(1) {
        return vector;
    }
    let factor = b.splat(factor, lanes);
    b.binary(Binary::Mul, vector, factor)
}

fn constant(b: &mut Builder, dtype: DType, bits: u64, lanes: u32) -> Reg {
    let value = if dtype.is_float() { Scalar::Float(f64::from_bits(bits)) } else { Scalar::Int(bits as i64) };
    b.constant(Ty::vector(dtype, lanes), value)
}

/// The summand of an extent that is a number.
fn fixed_part(dim: &Dim) -> i64 {
    dim.terms().find(|(atoms, _)| atoms.is_empty()).map_or(0, |(_, factor)| factor)
}
