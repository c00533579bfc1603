//! Sums of products by equation, two operands at a time.
use crate::array::{Array, Walk, is_float, strides};
use crate::call::{Call, Eval, EvalError, wrong};
use crate::ring::Ring;
use std::collections::{BTreeMap, BTreeSet};
use weft_ir::Tensor;
use weft_ir::ops::einsum::{Equation, Label};

type Results = Result<Vec<Tensor>, EvalError>;

/// The functions of this family.
pub(crate) const EVALS: &[(&str, Eval)] = &[("Einsum", |call| match is_float(call.dtype(0)?) {
    true => einsum::<f64>(call),
    false => einsum::<i64>(call),
})];

/// An array whose axes have labels.
struct Term<T> {
    labels: Vec<Label>,
    array: Array<T>,
}

fn einsum<T: Ring>(call: &Call<'_>) -> Results {
    let mut arrays = Vec::new();
    for i in 0..call.operands.len() {
        arrays.push(T::read(call.need(i)?)?);
    }
    let ranks: Vec<usize> = arrays.iter().map(|a| a.dims.len()).collect();
    let equation = Equation::parse(call.attrs.str("equation"), &ranks)?;
    let extents = extents_of(&equation, &arrays)?;
    let terms = equation.operands.iter().cloned().zip(arrays);
    let mut terms: Vec<Term<T>> = terms.map(|(labels, array)| Term { labels, array }).collect();
    terms.reverse();
    let mut left = terms.pop().unwrap_or(Term { labels: Vec::new(), array: one() });
    while let Some(right) = terms.pop() {
        let later: BTreeSet<Label> =
            terms.iter().flat_map(|t| &t.labels).chain(&equation.result).copied().collect();
        let mut kept: Vec<Label> = Vec::new();
        for label in left.labels.iter().chain(&right.labels).filter(|l| later.contains(l)) {
            if !kept.contains(label) {
                kept.push(*label);
            }
        }
        left = contract(call, [&left, &right], kept, &extents)?;
    }
    let unit = Term { labels: Vec::new(), array: one() };
    let result = contract(call, [&left, &unit], equation.result, &extents)?;
    Ok(vec![T::store(result.array, call.dtype(0)?)?])
}

fn one<T: Ring>() -> Array<T> {
    Array::new(Vec::new(), vec![T::ONE])
}

fn extents_of<T>(equation: &Equation, arrays: &[Array<T>]) -> Result<BTreeMap<Label, usize>, EvalError> {
    let mut extents: BTreeMap<Label, usize> = BTreeMap::new();
    let axes = equation.operands.iter().zip(arrays).flat_map(|(l, a)| l.iter().zip(&a.dims));
    for (label, extent) in axes {
        let known = extents.entry(*label).or_insert(*extent);
        match (*known, *extent) {
            (1, n) => *known = n,
            (m, n) if m != n && n != 1 => return wrong(format!("extents {m} and {n} of one axis differ")),
            _ => {}
        }
    }
    Ok(extents)
}

/// How far an operand moves when each of `labels` does; a diagonal moves along several axes, an
/// extent of 1 does not move.
fn steps<T>(term: &Term<T>, labels: &[Label]) -> Vec<usize> {
    let own = strides(&term.array.dims);
    let axes = || term.labels.iter().zip(&term.array.dims).zip(&own);
    let step = |label: &Label| {
        let moving = axes().filter(|((l, extent), _)| *l == label && **extent != 1);
        moving.map(|(_, stride)| *stride).sum()
    };
    labels.iter().map(step).collect()
}

/// The sum over all labels but the kept ones.
fn contract<T: Ring>(
    call: &Call<'_>,
    [a, b]: [&Term<T>; 2],
    kept: Vec<Label>,
    extents: &BTreeMap<Label, usize>,
) -> Result<Term<T>, EvalError> {
    let all: BTreeSet<Label> = a.labels.iter().chain(&b.labels).copied().collect();
    let summed: Vec<Label> = all.into_iter().filter(|l| !kept.contains(l)).collect();
    let dims_of = |labels: &[Label]| labels.iter().map(|l| extents[l]).collect::<Vec<_>>();
    let (outer, inner) = (dims_of(&kept), dims_of(&summed));
    let room = call.room(&outer)?;
    let offsets = |term| Walk::new(&inner, &steps(term, &summed)).collect::<Vec<_>>();
    let (inner_a, inner_b) = (offsets(a), offsets(b));
    let mut data = Vec::with_capacity(room);
    let starts = Walk::new(&outer, &steps(a, &kept)).zip(Walk::new(&outer, &steps(b, &kept)));
    for (i, j) in starts {
        let pairs = inner_a.iter().zip(&inner_b);
        let sum =
            |sum: T, (x, y): (&usize, &usize)| sum.plus_product(a.array.data[i + x], b.array.data[j + y]);
        data.push(pairs.fold(T::ZERO, sum));
    }
    Ok(Term { labels: kept, array: Array::new(outer, data) })
}
