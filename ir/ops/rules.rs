//! Pieces that many inference functions share.
use super::extents::absorbs;
use crate::dim::Dim;
use crate::infer::Fact;
use crate::op::{
    AttrDef, AttrDefault, AttrKind, Implied, InferCx, InferError, OpDef, OperandDef, Presence, Traits,
    no_regions,
};
use crate::types::TensorType;

/// The signature of an inference function.
pub(crate) type Infer = fn(&InferCx<'_>) -> Result<Vec<Fact>, InferError>;

/// A required operand.
pub(crate) const fn req(name: &'static str) -> OperandDef {
    OperandDef { name, presence: Presence::Required }
}

/// An operand that may be absent.
pub(crate) const fn opt(name: &'static str) -> OperandDef {
    OperandDef { name, presence: Presence::Optional }
}

/// Any number of operands.
pub(crate) const fn many(name: &'static str) -> OperandDef {
    OperandDef { name, presence: Presence::Variadic }
}

/// An attribute.
pub(crate) const fn attr(name: &'static str, kind: AttrKind, default: AttrDefault) -> AttrDef {
    AttrDef { name, kind, default }
}

/// An integer attribute with a default.
pub(crate) const fn int(name: &'static str, default: i64) -> AttrDef {
    attr(name, AttrKind::Int, AttrDefault::Int(default))
}

/// A float attribute with a default.
pub(crate) const fn float(name: &'static str, default: f32) -> AttrDef {
    attr(name, AttrKind::Float, AttrDefault::Float(default))
}

/// A text attribute with a default.
pub(crate) const fn text(name: &'static str, default: &'static str) -> AttrDef {
    attr(name, AttrKind::Str, AttrDefault::Str(default))
}

/// Integers that may be absent.
pub(crate) const fn ints(name: &'static str) -> AttrDef {
    attr(name, AttrKind::Ints, AttrDefault::Absent)
}

/// Integers that follow from the operands when they are not given.
pub(crate) const fn implied(name: &'static str, implied: Implied) -> AttrDef {
    attr(name, AttrKind::Ints, AttrDefault::Implied(implied))
}

/// The steps of a window.
pub(crate) const STRIDES: AttrDef = implied("strides", Implied::Ones);
/// The steps within a window.
pub(crate) const DILATIONS: AttrDef = implied("dilations", Implied::Ones);
/// What is added in front of and behind every spatial axis.
pub(crate) const PADS: AttrDef = implied("pads", Implied::Zeros);
/// The extents of a window of weights.
pub(crate) const KERNEL: AttrDef = implied("kernel_shape", Implied::Kernel);

/// A pure operator with one result and no regions; change fields with `..`.
pub(crate) const fn op(
    name: &'static str,
    doc: &'static str,
    operands: &'static [OperandDef],
    infer: Infer,
) -> OpDef {
    OpDef {
        name,
        doc,
        operands,
        attrs: &[],
        results: (1, 1),
        regions: 0,
        traits: Traits::PURE,
        infer,
        enter: no_regions,
        body: None,
    }
}

/// The error of that text.
pub(crate) fn fail<T>(message: String) -> Result<T, InferError> {
    Err(InferError(message))
}

/// The shape two shapes broadcast to. Where one extent is symbolic and the other a number above 1,
/// the number wins (the run checks it); two different symbols give an extent unknown until run time.
pub fn broadcast(a: &[Dim], b: &[Dim]) -> Result<Vec<Dim>, InferError> {
    let rank = a.len().max(b.len());
    let at = |dims: &[Dim], i: usize| {
        (i + dims.len()).checked_sub(rank).map_or(Dim::fixed(1), |i| dims[i].clone())
    };
    (0..rank)
        .map(|i| {
            let (x, y) = (at(a, i), at(b, i));
            match (x.as_fixed(), y.as_fixed()) {
                _ if x.same(&y) => Ok(x),
                (Some(1), _) => Ok(y),
                (_, Some(1)) => Ok(x),
                (Some(m), Some(n)) => fail(format!("extents {m} and {n} on axis {i} do not broadcast")),
                (Some(_), None) => Ok(x),
                (None, Some(_)) => Ok(y),
                (None, None) => Ok(absorbs(&x, &y).unwrap_or_else(Dim::unknown)),
            }
        })
        .collect()
}

/// All present operands broadcast together.
pub(crate) fn broadcast_all(cx: &InferCx<'_>) -> Result<Option<Vec<Dim>>, InferError> {
    let mut shape = Some(Vec::new());
    for fact in cx.operands.iter().flatten() {
        shape = match (shape, fact.dims()) {
            (Some(shape), Some(dims)) => Some(broadcast(&shape, dims)?),
            _ => None,
        };
    }
    Ok(shape)
}

/// The type of operand 0 is the type of the result.
pub(crate) fn like_first(cx: &InferCx<'_>) -> Result<Vec<Fact>, InferError> {
    Ok(vec![Fact::of(cx.need(0)?.ty.clone())])
}

/// An axis counted from the end if negative, checked against the rank.
pub fn axis(axis: i64, rank: usize) -> Result<usize, InferError> {
    let r = rank as i64;
    if (-r..r).contains(&axis) {
        return Ok(if axis < 0 { axis + r } else { axis } as usize);
    }
    fail(format!("axis {axis} is outside a tensor of rank {rank}"))
}

/// The extents as a type, or the unranked type where there are none.
pub(crate) fn shaped(dtype: crate::types::DType, dims: Option<Vec<Dim>>) -> TensorType {
    TensorType { dtype, dims }
}
