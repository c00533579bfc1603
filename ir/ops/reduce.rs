//! Operators that take many elements together along axes.
use super::check::{Types, operand, typed};
use super::extents::unknown;
use super::rules::{self, Infer, int, op, opt, req, shaped};
use crate::dim::Dim;
use crate::infer::Fact;
use crate::op::{AttrDef, InferCx, InferError, OpDef, OperandDef, one};
use crate::types::{DType, TensorType};

const DATA: &[OperandDef] = &[req("data"), opt("axes")];
const ATTRS: &[AttrDef] = &[int("keepdims", 1), int("noop_with_empty_axes", 0)];
const ALONG: &[AttrDef] = &[int("exclusive", 0), int("reverse", 0)];
const PICK: &[AttrDef] = &[int("axis", 0), int("keepdims", 1), int("select_last_index", 0)];

const fn reduction(name: &'static str, doc: &'static str, infer: Infer) -> OpDef {
    OpDef { attrs: ATTRS, ..op(name, doc, DATA, infer) }
}

const fn numbers(name: &'static str, doc: &'static str) -> OpDef {
    reduction(name, doc, |cx| reduce(cx, Types::Number, None))
}

/// The table.
pub(crate) const OPS: &[OpDef] = &[
    OpDef {
        attrs: PICK,
        ..op("ArgMax", "The index of the largest element along an axis.", &[req("data")], pick)
    },
    OpDef {
        attrs: PICK,
        ..op("ArgMin", "The index of the smallest element along an axis.", &[req("data")], pick)
    },
    OpDef {
        attrs: ALONG,
        ..op("CumProd", "The products of all elements so far along an axis.", &[req("x"), req("axis")], along)
    },
    OpDef {
        attrs: ALONG,
        ..op("CumSum", "The sums of all elements so far along an axis.", &[req("x"), req("axis")], along)
    },
    numbers("ReduceL1", "The sum of the magnitudes along axes."),
    numbers("ReduceL2", "The root of the sum of the squares along axes."),
    reduction("ReduceLogSum", "The logarithm of the sum along axes.", |cx| reduce(cx, Types::Float, None)),
    reduction("ReduceLogSumExp", "The logarithm of the sum of the exponentials along axes.", |cx| {
        reduce(cx, Types::Float, None)
    }),
    reduction("ReduceMax", "The largest element along axes.", |cx| {
        reduce(cx, Types::NumberOrBool, Some(Dim::larger))
    }),
    numbers("ReduceMean", "The mean along axes."),
    reduction("ReduceMin", "The smallest element along axes.", |cx| {
        reduce(cx, Types::NumberOrBool, Some(Dim::smaller))
    }),
    reduction("ReduceProd", "The product along axes.", |cx| reduce(cx, Types::Number, Some(Dim::mul))),
    reduction("ReduceSum", "The sum along axes.", |cx| reduce(cx, Types::Number, Some(Dim::add))),
    numbers("ReduceSumSquare", "The sum of the squares along axes."),
];

/// Which axes a reduction takes together.
enum Axes {
    /// These, sorted.
    Known(Vec<usize>),
    /// Only the run knows them; so many, where that is known.
    Unknown(Option<usize>),
}

fn axes_of(cx: &InferCx<'_>, rank: usize) -> Result<Axes, InferError> {
    let empty = || match cx.attrs().flag("noop_with_empty_axes") {
        true => Axes::Known(Vec::new()),
        false => Axes::Known((0..rank).collect()),
    };
    let Some(operand) = cx.get(1) else { return Ok(empty()) };
    let Some(axes) = operand.ints() else {
        let count = operand.dims().and_then(|dims| dims.first()?.as_fixed());
        return match count.and_then(|n| usize::try_from(n).ok()) {
            Some(0) => Ok(empty()),
            count => Ok(Axes::Unknown(count)),
        };
    };
    if axes.is_empty() {
        return Ok(empty());
    }
    let mut axes: Vec<usize> = axes.into_iter().map(|a| rules::axis(a, rank)).collect::<Result<_, _>>()?;
    axes.sort_unstable();
    axes.dedup();
    Ok(Axes::Known(axes))
}

fn reduce(
    cx: &InferCx<'_>,
    types: Types,
    on_dims: Option<fn(&Dim, &Dim) -> Dim>,
) -> Result<Vec<Fact>, InferError> {
    let data = operand(cx, 0, types)?;
    typed(cx, 1, DType::I64)?;
    let Some(dims) = data.dims() else { return one(shaped(data.dtype(), None)) };
    let keep = cx.attrs().flag("keepdims");
    let axes = match axes_of(cx, dims.len())? {
        Axes::Known(axes) => axes,
        Axes::Unknown(count) => {
            let left = if keep { Some(dims.len()) } else { count.map(|n| dims.len().saturating_sub(n)) };
            return one(shaped(data.dtype(), left.map(unknown)));
        }
    };
    let value = match (on_dims, &data.value) {
        (Some(f), Some(value)) if !axes.is_empty() => fold(value, f).map(|d| vec![d]),
        (Some(_), Some(value)) => Some(value.clone()),
        _ => None,
    };
    let ty = TensorType::new(data.dtype(), reduced(dims, &axes, keep));
    Ok(vec![Fact::of(ty).with_value(value)])
}

fn fold(value: &[Dim], f: fn(&Dim, &Dim) -> Dim) -> Option<Dim> {
    let (first, rest) = value.split_first()?;
    Some(rest.iter().fold(first.clone(), |all, next| f(&all, next)))
}

fn reduced(dims: &[Dim], axes: &[usize], keep: bool) -> Vec<Dim> {
    let each = dims.iter().enumerate().map(|(i, dim)| (axes.contains(&i), dim));
    let left = each.filter(|(reduced, _)| keep || !reduced);
    left.map(|(reduced, dim)| if reduced { Dim::fixed(1) } else { dim.clone() }).collect()
}

fn pick(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    let data = operand(cx, 0, Types::Number)?;
    let Some(dims) = data.dims() else { return one(shaped(DType::I64, None)) };
    let axis = rules::axis(cx.attrs().int("axis"), dims.len())?;
    one(TensorType::new(DType::I64, reduced(dims, &[axis], cx.attrs().flag("keepdims"))))
}

fn along(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    let x = operand(cx, 0, Types::Number)?;
    let axis = operand(cx, 1, Types::Index)?;
    if let (Some(rank), Some(&[axis])) = (x.ty.rank(), axis.ints().as_deref()) {
        rules::axis(axis, rank)?;
    }
    one(x.ty.clone())
}
