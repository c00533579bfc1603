//! `row`: rows that are normalised, in two or three sweeps that follow each other while the row is in
//! the cache.
//!
//! What comes before is computed in the first sweep, and kept in the row of the result if computing
//! it again costs more than reading it; what comes behind is computed in the last one. The lanes lie
//! along the row, or across rows where those lie side by side in memory.
mod norm;
mod plan;
mod sweep;

use super::domain::Domain;
use super::{Machine, Scheduled};
use crate::math::Function;
use crate::nest::{Access, BufferId, Builder};
use crate::term::{Index, Source, Term, TermId, Terms};
use plan::Plan;
use sweep::Writer;
use weft_ir::{DType, Dim};

/// What is done to a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Norm {
    /// Exponentials over their sum.
    Softmax,
    /// The logarithm of that.
    LogSoftmax,
    /// Mean 0 and variance 1, the variance plus this number.
    Centred(f64),
    /// Mean square 1, the mean square plus this number.
    Uncentred(f64),
}

/// What to compute: `out[index(axes)] = root(axes)`, where the anchor of `root` is the element of
/// `input(axes)`, normalised together with all others that differ from it on the row's axes alone.
#[derive(Debug, Clone)]
pub struct Row {
    /// The extents of the axes.
    pub dims: Vec<Dim>,
    /// The axes that make a row.
    pub axes: Vec<usize>,
    /// What is normalised.
    pub input: TermId,
    /// How.
    pub norm: Norm,
    /// What is stored.
    pub root: TermId,
    /// Where it goes.
    pub out: Index,
}

/// Vectors that are computed together, so that their chains of additions overlap.
const TOGETHER: u32 = 4;

/// Writes the kernel.
pub fn row(name: &str, machine: &Machine, terms: &Terms, what: &Row) -> Scheduled {
    let (mut domain, kept) = arranged(terms, what);
    let axis = domain.lane_axis(machine);
    let dtype = domain.terms.dtype(domain.roots[1]);
    let lanes = machine.lanes(dtype).min(machine.lanes(DType::F32));
    let across = axis < kept;
    let direction = if across { "across" } else { "along" };
    let mut b = Builder::new(name, &format!("{} x{lanes} {direction}", title(what.norm)));
    let used = domain.sources();
    let mut buffers = domain.buffers(&mut b, &used);
    let out = b.buffer("out", domain.terms.dtype(domain.roots[0]), Access::Write);
    let stored = reads_back(&mut domain, &mut buffers, (out, b.elem(out)), axis as u32);
    let cheap = is_cheap(&domain.terms, domain.roots[1]);
    let vectors = if across { vectors_of(&domain.dims[axis], lanes) } else { TOGETHER };
    let writer =
        Writer { domain: &domain, buffers: &buffers, out, kept, axis, lanes, vectors, stored, cheap };
    let plan = Plan::new(&writer);
    plan.units(&mut b, |b, axes| writer.unit(b, axes, what.norm));
    Scheduled { tasks: plan.tasks(), kernel: b.finish(), sources: used }
}

fn title(norm: Norm) -> &'static str {
    match norm {
        Norm::Softmax => "softmax",
        Norm::LogSoftmax => "log-softmax",
        Norm::Centred(_) => "norm",
        Norm::Uncentred(_) => "rms-norm",
    }
}

/// The domain with the axes of the row last, and how many come before those.
fn arranged(terms: &Terms, what: &Row) -> (Domain, usize) {
    let others = (0..what.dims.len()).filter(|a| !what.axes.contains(a));
    let order: Vec<usize> = others.chain(what.axes.iter().copied()).collect();
    let dims: Vec<Dim> = order.iter().map(|a| what.dims[*a].clone()).collect();
    let place = |axis: u32| {
        let at = order.iter().position(|a| *a == axis as usize);
        Index::axis(at.map_or(axis, |at| at as u32))
    };
    let mut terms = terms.clone();
    let roots = [what.root, what.input].into_iter().map(|root| terms.at(root, &place)).collect();
    let mut domain = Domain::new(terms, dims, roots, what.out.substitute(&place));
    let kept = what.dims.len() - what.axes.len();
    let ends = domain.collapse_groups(&[kept, what.dims.len()]);
    (domain, ends[0])
}

/// A term that reads what was stored in the row of the result, where that has the type that is
/// computed in and its elements lie side by side.
fn reads_back(
    domain: &mut Domain,
    buffers: &mut Vec<BufferId>,
    (out, elem): (BufferId, DType),
    axis: u32,
) -> Option<TermId> {
    let fits = elem == domain.terms.dtype(domain.roots[1]) && domain.out.factor(axis).as_fixed() == Some(1);
    if !fits {
        return None;
    }
    let source = Source(buffers.len() as u32);
    buffers.push(out);
    Some(domain.terms.add(Term::Load(source, elem, domain.out.clone())))
}

/// Whether a term is no more than an element in memory.
fn is_cheap(terms: &Terms, root: TermId) -> bool {
    match terms.get(root) {
        Term::Call(_, Function::Cast, args) => is_cheap(terms, args[0]),
        Term::Load(..) | Term::Const(..) => true,
        _ => false,
    }
}

fn vectors_of(dim: &Dim, lanes: u32) -> u32 {
    let columns = dim.as_fixed().map_or(i64::from(TOGETHER), |d| (d as u64).div_ceil(lanes.into()) as i64);
    columns.clamp(1, TOGETHER.into()) as u32
}
