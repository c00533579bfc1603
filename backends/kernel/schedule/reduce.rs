//! `reduce`: each element of the result from many, in any order.
use super::domain::Domain;
use super::map::{Grid, lanes_loop};
use super::{Machine, Scheduled};
use crate::math::{self, Function};
use crate::nest::{self, Access, BufferId, Builder, Compare, Hint, Reg, Scalar, Ty, Var};
use crate::term::{Emitter, Index, Point, Term, TermId, Terms};
use weft_ir::{DType, Dim};

/// How two elements become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Combine {
    /// The sum, in `f32` for 16-bit floats.
    Sum,
    /// The product, in `f32` for 16-bit floats.
    Product,
    /// The least; NaN wins.
    Min,
    /// The greatest; NaN wins.
    Max,
    /// Or of truth values.
    Any,
    /// And of truth values.
    All,
}

impl Combine {
    pub(super) fn function(self) -> Function {
        match self {
            Combine::Sum => Function::Add,
            Combine::Product => Function::Mul,
            Combine::Min => Function::Min,
            Combine::Max => Function::Max,
            Combine::Any => Function::Or,
            Combine::All => Function::And,
        }
    }

    pub(super) fn across(self) -> nest::Reduce {
        match self {
            Combine::Sum => nest::Reduce::Add,
            Combine::Product => nest::Reduce::Mul,
            Combine::Min => nest::Reduce::Min,
            Combine::Max => nest::Reduce::Max,
            Combine::Any => nest::Reduce::Or,
            Combine::All => nest::Reduce::And,
        }
    }

    /// The value that changes nothing.
    pub fn neutral(self, dtype: DType) -> Scalar {
        let (least, greatest) = integer_range(dtype);
        match (self, dtype.is_float()) {
            (Combine::Sum, true) => Scalar::Float(0.0),
            (Combine::Product, true) => Scalar::Float(1.0),
            (Combine::Min, true) => Scalar::Float(f64::INFINITY),
            (Combine::Max, true) => Scalar::Float(f64::NEG_INFINITY),
            (Combine::Sum | Combine::Any, false) => Scalar::Int(0),
            (Combine::Product | Combine::All, false) => Scalar::Int(1),
            (Combine::Min, false) => Scalar::Int(greatest),
            (Combine::Max, false) => Scalar::Int(least),
            (Combine::Any | Combine::All, true) => Scalar::Float(0.0),
        }
    }
}

/// The least and the greatest number of an integer type, by their bits as `i64`.
fn integer_range(dtype: DType) -> (i64, i64) {
    let bits = dtype.bits().clamp(1, 64);
    match dtype.kind() {
        weft_ir::types::Kind::Signed => (i64::MIN >> (64 - bits), i64::MAX >> (64 - bits)),
        weft_ir::types::Kind::Unsigned => (0, (u64::MAX >> (64 - bits)) as i64),
        _ => (0, 1),
    }
}

/// What to compute: `out[index(axes)] = root(axes)`, where the anchor of `root` combines
/// `input(axes, inner)` over all positions on the inner axes.
#[derive(Debug, Clone)]
pub struct Reduction {
    /// The extents of the axes of the result.
    pub dims: Vec<Dim>,
    /// The extents of the axes that are reduced; they are numbered behind those of the result.
    pub inner: Vec<Dim>,
    /// What is combined.
    pub input: TermId,
    /// How.
    pub combine: Combine,
    /// What is stored.
    pub root: TermId,
    /// Where it goes.
    pub out: Index,
}

/// Writes the kernel.
pub fn reduce(name: &str, machine: &Machine, terms: &Terms, what: &Reduction) -> Scheduled {
    let dims = what.dims.iter().chain(&what.inner).cloned().collect();
    let mut domain = Domain::new(terms.clone(), dims, vec![what.root, what.input], what.out.clone());
    let ends = domain.cut_groups(machine, &[what.dims.len(), what.dims.len() + what.inner.len()]);
    let outer = domain.collapse_groups(&ends)[0];
    let axis = domain.lane_axis(machine);
    let dtype = domain.terms.dtype(domain.roots[1]);
    let lanes = machine.lanes(dtype).min(machine.lanes(DType::F32));
    let taps: Option<i64> = domain.dims[outer..].iter().map(weft_ir::Dim::as_fixed).product();
    let window = axis < outer && outer > 1 && taps.is_some_and(|taps| taps <= MAX_TAPS);
    let direction = match (window, axis < outer) {
        (true, _) => "window",
        (false, true) => "out",
        (false, false) => "in",
    };
    let mut b = Builder::new(name, &format!("{} x{lanes} {direction}", domain.title("reduce", axis)));
    let used = domain.sources();
    let buffers = domain.buffers(&mut b, &used);
    let out = b.buffer("out", domain.terms.dtype(domain.roots[0]), Access::Write);
    let by_bits = orders_as_bits(&domain, outer, what.combine);
    let writer = Writer { domain: &domain, buffers: &buffers, out, outer, combine: what.combine, by_bits };
    if window {
        let tasks = writer.window(&mut b, (axis, lanes));
        return Scheduled { kernel: b.finish(), sources: used, tasks };
    }
    let (dims, work) = domain.dims.split_at(outer);
    let grid = if axis < outer {
        let grid = Grid::weighted(dims, axis, work);
        grid.rows(&mut b, |b, axes, range| writer.along_result(b, axes, range, (axis, lanes)));
        grid
    } else {
        let grid = Grid::one_by_one(dims, outer - 1, work);
        grid.rows(&mut b, |b, axes, range| writer.along_inner(b, axes, range, (axis, lanes)));
        grid
    };
    Scheduled { kernel: b.finish(), sources: used, tasks: grid.tasks() }
}

/// Whether the greatest is found among bits: sizes in `f32` are in the order of their bits as integers, with NaN above
/// infinity. A maximum of integers is one instruction; with floats a comparison for NaN lengthens the chain from one element
/// to the next. Not where there may be no element, as no bits stand for the greatest of none.
fn orders_as_bits(domain: &Domain, outer: usize, combine: Combine) -> bool {
    let sizes = matches!(domain.terms.get(domain.roots[1]), Term::Call(DType::F32, Function::Abs, _));
    let some = domain.dims[outer..].iter().all(|dim| dim.as_fixed().is_some_and(|extent| extent > 0));
    combine == Combine::Max && sizes && some
}

/// Windows of at most that many elements are written out.
const MAX_TAPS: i64 = 128;
/// How many elements, or vectors of elements, are summed up to one number before it joins others.
const BLOCK: i64 = 128;
/// How many neighbours are computed together, so that their chains of additions overlap.
const NEIGHBOURS: i64 = 6;

/// What is done with a range of an inner axis, and the total its elements go to.
type Part<'a> = dyn FnMut(&mut Builder, (Reg, Reg), Var) + 'a;

struct Writer<'a> {
    domain: &'a Domain,
    buffers: &'a [BufferId],
    out: BufferId,
    outer: usize,
    combine: Combine,
    by_bits: bool,
}

impl Writer<'_> {
    /// Each lane reduces for an element of its own.
    fn along_result(&self, b: &mut Builder, axes: &[Reg], range: (Reg, Reg), (axis, lanes): (usize, u32)) {
        lanes_loop(b, range, lanes, |b, col, lanes, mask| {
            let mut axes = axes.to_vec();
            axes[axis] = col;
            let lanes = (lanes > 1).then_some((axis as u32, lanes));
            let point = Point { axes, shift: None, lanes, mask };
            let total = self.neutral(b, point.lanes.map_or(1, |l| l.1));
            self.inner_loops(b, (point.clone(), total), self.domain.dims.len(), &mut |b, point, total| {
                self.step(b, total, point)
            });
            let total = b.get(total);
            self.finish(b, point, total);
        });
    }

    /// Each lane reduces over a small window for an element of its own, and neighbours on the next
    /// outer axis are computed together: what they share is read once. Returns the number of tasks.
    fn window(&self, b: &mut Builder, (axis, lanes): (usize, u32)) -> Dim {
        let others = (0..self.outer).rev().filter(|a| *a != axis);
        // Along a short axis there are no neighbours.
        let next = others.clone().find(|a| self.domain.dims[*a].as_fixed().is_none_or(|d| d >= NEIGHBOURS));
        let next = next.or(others.max()).unwrap_or(0);
        let mut dims = self.domain.dims[..self.outer].to_vec();
        let cols = std::mem::replace(&mut dims[axis], Dim::fixed(1));
        let work: Vec<Dim> = self.domain.dims[self.outer..].iter().chain([&cols]).cloned().collect();
        let grid = Grid::weighted(&dims, next, &work);
        grid.rows(b, |b, axes, (start, end)| {
            let (count, zero) = (b.index(NEIGHBOURS), b.index(0));
            let length = b.sub(end, start);
            let rest = b.rem(length, count);
            let whole = b.sub(end, rest);
            let cols = b.extent(&cols);
            for (from, to, together) in [(start, whole, NEIGHBOURS), (whole, end, 1)] {
                b.for_each(from, to, together, Hint::AsWritten, |b, at| {
                    lanes_loop(b, (zero, cols), lanes, |b, col, lanes, mask| {
                        let mut axes = axes.to_vec();
                        (axes[next], axes[axis]) = (at, col);
                        let lanes = (lanes > 1).then_some((axis as u32, lanes));
                        let point = Point { axes, shift: None, lanes, mask };
                        self.neighbours(b, point, (next as u32, together));
                    });
                });
            }
        });
        grid.tasks()
    }

    /// Windows of `together` neighbours on an axis.
    fn neighbours(&self, b: &mut Builder, point: Point, (axis, together): (u32, i64)) {
        let lanes = point.lanes.map_or(1, |l| l.1);
        let totals: Vec<Var> = (0..together).map(|_| self.neutral(b, lanes)).collect();
        let zero = b.index(0);
        let mut first = point.clone();
        first.axes.resize(self.domain.dims.len(), zero);
        let inner: Vec<usize> = (self.outer..self.domain.dims.len()).collect();
        self.taps(b, first, &inner, &mut |b, point| {
            for (by, total) in totals.iter().enumerate() {
                self.step(b, *total, Point { shift: Some((axis, by as i64)), ..point.clone() });
            }
        });
        for (by, total) in totals.iter().enumerate() {
            let total = b.get(*total);
            self.finish(b, Point { shift: Some((axis, by as i64)), ..point.clone() }, total);
        }
    }

    /// All positions in a window: the innermost axis written out, the others too if that is short.
    fn taps(&self, b: &mut Builder, point: Point, axes: &[usize], body: &mut dyn FnMut(&mut Builder, Point)) {
        let Some((axis, rest)) = axes.split_first() else { return body(b, point) };
        let extent = self.domain.dims[*axis].as_fixed().unwrap_or(1);
        let below: i64 = rest.iter().map(|a| self.domain.dims[*a].as_fixed().unwrap_or(1)).product();
        if extent * below <= 9 {
            for at in 0..extent {
                let mut point = point.clone();
                point.axes[*axis] = b.index(at);
                self.taps(b, point, rest, body);
            }
            return;
        }
        let (zero, end) = (b.index(0), b.index(extent));
        b.for_each(zero, end, 1, Hint::AsWritten, |b, at| {
            let mut point = point;
            point.axes[*axis] = at;
            self.taps(b, point, rest, body);
        });
    }

    /// All lanes reduce for one element.
    fn along_inner(&self, b: &mut Builder, axes: &[Reg], range: (Reg, Reg), (axis, lanes): (usize, u32)) {
        b.for_each(range.0, range.1, 1, Hint::AsWritten, |b, col| {
            let mut axes = axes.to_vec();
            axes[self.outer - 1] = col;
            let (total, point) =
                (self.neutral(b, lanes), Point { axes, shift: None, lanes: None, mask: None });
            self.inner_loops(b, (point.clone(), total), axis, &mut |b, outer, total| {
                self.cascade(b, total, (axis, lanes), &mut |b, range, total| {
                    lanes_loop(b, range, lanes, |b, at, lanes, mask| {
                        let mut point = outer.clone();
                        point.axes[axis] = at;
                        point.lanes = (lanes > 1).then_some((axis as u32, lanes));
                        point.mask = mask;
                        self.step(b, total, point);
                    });
                });
            });
            let total = b.get(total);
            let total = self.across(b, total);
            self.finish(b, point, total);
        });
    }

    /// All lanes as one number; the instructions for the least and the greatest of floats may drop a NaN.
    fn across(&self, b: &mut Builder, lanes: Reg) -> Reg {
        let total = b.reduce(self.combine.across(), lanes);
        let elem = b.ty(lanes).elem;
        if !elem.is_float() || !matches!(self.combine, Combine::Min | Combine::Max) {
            return total;
        }
        let broken = b.compare(Compare::Ne, lanes, lanes);
        let broken = b.reduce(nest::Reduce::Or, broken);
        let nan = b.constant(Ty::scalar(elem), Scalar::Float(f64::NAN));
        b.select(broken, nan, total)
    }

    fn neutral(&self, b: &mut Builder, lanes: u32) -> Var {
        let dtype = if self.by_bits { DType::U32 } else { self.domain.terms.dtype(self.domain.roots[1]) };
        let neutral = b.constant(Ty::vector(dtype, lanes), self.combine.neutral(dtype));
        b.var(neutral)
    }

    /// Loops over the inner axes but `skip`, outermost first; the body is told which total its
    /// elements go to.
    fn inner_loops(
        &self,
        b: &mut Builder,
        (mut point, total): (Point, Var),
        skip: usize,
        body: &mut dyn FnMut(&mut Builder, Point, Var),
    ) {
        let axes: Vec<usize> = (self.outer..self.domain.dims.len()).filter(|a| *a != skip).collect();
        let zero = b.index(0);
        point.axes.resize(self.domain.dims.len(), zero);
        self.nest(b, (point, total), &axes, body);
    }

    fn nest(
        &self,
        b: &mut Builder,
        (point, total): (Point, Var),
        axes: &[usize],
        body: &mut dyn FnMut(&mut Builder, Point, Var),
    ) {
        let Some((axis, rest)) = axes.split_first() else { return body(b, point, total) };
        self.cascade(b, total, (*axis, 1), &mut |b, (start, end), total| {
            b.for_each(start, end, 1, Hint::AsWritten, |b, at| {
                let mut point = point.clone();
                point.axes[*axis] = at;
                self.nest(b, (point, total), rest, body);
            });
        });
    }

    /// The range of an inner axis, in blocks with a total of their own where it is long: the error
    /// of a sum then grows with the length of a block and the number of blocks, not with the
    /// number of elements (Higham, "The accuracy of floating point summation", 1993, section 3).
    fn cascade(&self, b: &mut Builder, total: Var, (axis, lanes): (usize, u32), body: &mut Part<'_>) {
        let dim = &self.domain.dims[axis];
        let (zero, extent) = (b.index(0), b.extent(dim));
        let block = BLOCK * i64::from(lanes);
        let dtype = self.domain.terms.dtype(self.domain.roots[1]);
        let rounds = self.combine == Combine::Sum && dtype.is_float();
        if !rounds || dim.as_fixed().is_some_and(|extent| extent <= 2 * block) {
            return body(b, (zero, extent), total);
        }
        let length = b.index(block);
        b.for_each(zero, extent, block, Hint::AsWritten, |b, start| {
            let end = b.add(start, length);
            let end = b.min(end, extent);
            let whole = b.get(total);
            let part = self.neutral(b, b.ty(whole).lanes);
            body(b, (start, end), part);
            let part = b.get(part);
            let sum = math::emit(b, self.combine.function(), dtype, &[whole, part]);
            b.set(total, sum);
        });
    }

    /// Combines one more element, or vector of elements, into the total.
    fn step(&self, b: &mut Builder, total: Var, point: Point) {
        let mask = point.mask;
        let mut emitter = Emitter::new(&self.domain.terms, self.buffers, point);
        let before = b.get(total);
        let elem = b.ty(before).elem;
        let after = match self.domain.terms.get(self.domain.roots[1]) {
            Term::Call(dtype, Function::Mul, args) if self.combine == Combine::Sum && dtype.is_float() => {
                let (x, y) = (emitter.value(b, args[0]), emitter.value(b, args[1]));
                b.fma(x, y, before)
            }
            _ => {
                let value = emitter.value(b, self.domain.roots[1]);
                let value = if self.by_bits { b.reinterpret(value, b.ty(before)) } else { value };
                math::emit(b, self.combine.function(), elem, &[before, value])
            }
        };
        let after = mask.map_or(after, |mask| b.select(mask, after, before));
        b.set(total, after);
    }

    fn finish(&self, b: &mut Builder, point: Point, total: Reg) {
        let lanes = b.ty(total).lanes;
        let total = if self.by_bits { b.reinterpret(total, Ty::vector(DType::F32, lanes)) } else { total };
        let mut emitter = Emitter::new(&self.domain.terms, self.buffers, point).with_anchor(total);
        let value = emitter.value(b, self.domain.roots[0]);
        emitter.store(b, self.out, &self.domain.out, value);
    }
}
