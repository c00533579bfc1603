//! Operators that ask for a shape or give the same elements another one.
use super::extents::{axes, extent, need_vector, own, product, rank_of_length, unknown, vector};
use super::rules::{attr, broadcast, fail, implied, int, op, opt, req, shaped};
use crate::dim::Dim;
use crate::infer::Fact;
use crate::op::{AttrDefault, AttrKind, Implied, InferCx, InferError, OpDef};
use crate::types::DType;

type Facts = Result<Vec<Fact>, InferError>;

/// The table.
pub(crate) const OPS: &[OpDef] = &[
    op("Identity", "The operand.", &[req("input")], identity),
    OpDef {
        attrs: &[attr("end", AttrKind::Int, AttrDefault::Absent), int("start", 0)],
        ..op("Shape", "The extents `start..end` of the operand, as a vector.", &[req("data")], shape)
    },
    op("Size", "The number of elements.", &[req("data")], size),
    OpDef {
        attrs: &[int("allowzero", 0)],
        ..op(
            "Reshape",
            "The same elements under the shape `shape`: -1 is what is left, 0 the extent of the operand unless `allowzero`.",
            &[req("data"), req("shape")],
            reshape,
        )
    },
    OpDef {
        attrs: &[int("axis", 1)],
        ..op(
            "Flatten",
            "Two axes: those before `axis` in one, the rest in the other.",
            &[req("input")],
            flatten,
        )
    },
    op("Squeeze", "Drops the axes `axes`, or all of extent 1.", &[req("data"), opt("axes")], squeeze),
    op(
        "Unsqueeze",
        "Puts axes of extent 1 at the places `axes` of the result.",
        &[req("data"), req("axes")],
        unsqueeze,
    ),
    OpDef {
        attrs: &[implied("perm", Implied::Reversed)],
        ..op(
            "Transpose",
            "Axis `i` of the result is axis `perm[i]`; without `perm` the axes are reversed.",
            &[req("data")],
            transpose,
        )
    },
    op("Expand", "Broadcasts the operand with the shape `shape`.", &[req("input"), req("shape")], expand),
    op(
        "Tile",
        "Repeats the operand `repeats[i]` times along each axis `i`.",
        &[req("input"), req("repeats")],
        tile,
    ),
];

/// The fact with the value of operand 0, if there is one and the rank still allows it.
fn carry(cx: &InferCx<'_>, dims: Option<Vec<Dim>>) -> Facts {
    let x = cx.need(0)?;
    let value = x.value.clone().filter(|_| dims.as_ref().is_some_and(|d| d.len() <= 1));
    Ok(vec![Fact::of(shaped(x.dtype(), dims)).with_value(value)])
}

fn identity(cx: &InferCx<'_>) -> Facts {
    Ok(vec![cx.need(0)?.clone()])
}

/// `start..end` of a vector as slices in Python: negative from the end, clamped.
fn clamped(index: i64, length: usize) -> usize {
    let n = length as i64;
    let from_start = if index < 0 { index.saturating_add(n) } else { index };
    from_start.clamp(0, n) as usize
}

fn shape(cx: &InferCx<'_>) -> Facts {
    let Some(dims) = cx.need(0)?.dims() else {
        return Ok(vec![Fact::of(shaped(DType::I64, Some(unknown(1))))]);
    };
    let start = clamped(cx.attrs().int("start"), dims.len());
    let end = cx.attrs().int_opt("end").map_or(dims.len(), |end| clamped(end, dims.len()));
    Ok(vec![Fact::vector(DType::I64, dims.get(start..end).unwrap_or(&[]).to_vec())])
}

fn size(cx: &InferCx<'_>) -> Facts {
    let dims = cx.need(0)?.dims();
    Ok(vec![Fact::scalar(DType::I64, dims.map_or_else(Dim::unknown, product))])
}

fn reshape(cx: &InferCx<'_>) -> Facts {
    let target = need_vector(cx, 1)?;
    let dims = match (&target.value, target.rank()?) {
        (Some(value), _) => Some(reshaped(cx.need(0)?.dims(), value, cx.attrs().flag("allowzero"))?),
        (None, Some(rank)) => Some((0..rank).map(|i| own(cx, 0, i)).collect()),
        (None, None) => None,
    };
    carry(cx, dims)
}

/// The shape that `target` asks for, given the shape of the operand.
fn reshaped(from: Option<&[Dim]>, target: &[Dim], allow_zero: bool) -> Result<Vec<Dim>, InferError> {
    rank_of_length(target.len() as i64)?;
    let mut dims = Vec::with_capacity(target.len());
    let mut hole = None;
    for (i, wanted) in target.iter().enumerate() {
        dims.push(match (wanted.as_fixed(), from) {
            (Some(-1), _) if hole.is_some() => return fail("-1 stands twice in `shape`".to_string()),
            (Some(-1), _) => {
                hole = Some(i);
                Dim::fixed(1)
            }
            (Some(0), Some(from)) if !allow_zero => match from.get(i) {
                Some(copied) => copied.clone(),
                None => return fail(format!("`shape` copies axis {i} of an operand of rank {}", from.len())),
            },
            (Some(0), None) if !allow_zero => Dim::unknown(),
            _ => extent(wanted.clone(), "the result")?,
        });
    }
    match (hole, from) {
        (Some(hole), Some(from)) => dims[hole] = left_over(from, &dims)?,
        (Some(hole), None) => dims[hole] = Dim::unknown(),
        (None, Some(from)) => check_count(from, &dims)?,
        (None, None) => {}
    }
    Ok(dims)
}

/// What -1 stands for when the other extents are `others`.
fn left_over(from: &[Dim], others: &[Dim]) -> Result<Dim, InferError> {
    // Extents found on both sides cancel first: a quotient of sums is not simplified.
    let mut rest = from.to_vec();
    let mut divisors = Vec::new();
    for dim in others {
        match rest.iter().position(|d| d.same(dim) && d.as_fixed() != Some(0)) {
            Some(at) => drop(rest.swap_remove(at)),
            None => divisors.push(dim.clone()),
        }
    }
    let (total, divisor) = (product(&rest), product(&divisors));
    match (total.as_fixed(), divisor.as_fixed()) {
        (_, Some(0)) => fail("-1 beside an extent of 0 in `shape` can be anything".to_string()),
        (Some(n), Some(d)) if n % d != 0 => fail(format!("{n} elements do not divide by {d}")),
        _ => Ok(total.div_floor(&divisor)),
    }
}

fn check_count(from: &[Dim], to: &[Dim]) -> Result<(), InferError> {
    match (product(from).as_fixed(), product(to).as_fixed()) {
        (Some(m), Some(n)) if m != n => fail(format!("`shape` has {n} elements, the operand {m}")),
        _ => Ok(()),
    }
}

fn flatten(cx: &InferCx<'_>) -> Facts {
    let x = cx.need(0)?;
    let Some(dims) = x.dims() else { return carry(cx, Some(unknown(2))) };
    let rank = dims.len() as i64;
    let at = cx.attrs().int("axis");
    if !(-rank..=rank).contains(&at) {
        return fail(format!("axis {at} is outside a tensor of rank {rank}"));
    }
    let (outer, inner) = dims.split_at(if at < 0 { at + rank } else { at } as usize);
    carry(cx, Some(vec![product(outer), product(inner)]))
}

fn squeeze(cx: &InferCx<'_>) -> Facts {
    let Some(dims) = cx.need(0)?.dims() else { return carry(cx, None) };
    let gone = match vector(cx, 1)? {
        Some(list) => match list.numbers() {
            Some(list) => axes(&list, dims.len())?,
            None => return carry(cx, list.length.map(|n| unknown(dims.len().saturating_sub(n)))),
        },
        // A symbolic extent might be 1 or not, so not even the rank is known.
        None if dims.iter().any(|d| d.as_fixed().is_none()) => return carry(cx, None),
        None => (0..dims.len()).filter(|i| dims[*i].as_fixed() == Some(1)).collect(),
    };
    for at in &gone {
        if dims[*at].as_fixed().is_some_and(|d| d != 1) {
            return fail(format!("axis {at} has the extent {}, expected 1", dims[*at]));
        }
    }
    carry(cx, Some((0..dims.len()).filter(|i| !gone.contains(i)).map(|i| dims[i].clone()).collect()))
}

fn unsqueeze(cx: &InferCx<'_>) -> Facts {
    let list = need_vector(cx, 1)?;
    let (Some(dims), Some(count)) = (cx.need(0)?.dims(), list.length) else { return carry(cx, None) };
    let rank = rank_of_length(dims.len().saturating_add(count) as i64)?;
    let Some(list) = list.numbers() else { return carry(cx, Some(unknown(rank))) };
    let new = axes(&list, rank)?;
    let mut old = dims.iter().cloned();
    let next = |i| if new.contains(&i) { Dim::fixed(1) } else { old.next().unwrap_or_else(Dim::unknown) };
    carry(cx, Some((0..rank).map(next).collect()))
}

fn transpose(cx: &InferCx<'_>) -> Facts {
    let perm = cx.attrs().ints_opt("perm");
    let Some(dims) = cx.need(0)?.dims() else {
        let rank = perm.map(|p| rank_of_length(p.len() as i64)).transpose()?;
        return carry(cx, rank.map(unknown));
    };
    let Some(perm) = perm else { return carry(cx, Some(dims.iter().rev().cloned().collect())) };
    if perm.len() != dims.len() {
        return fail(format!("`perm` has {} entries, the operand rank {}", perm.len(), dims.len()));
    }
    let perm = axes(perm, dims.len())?;
    carry(cx, Some(perm.into_iter().map(|i| dims[i].clone()).collect()))
}

fn expand(cx: &InferCx<'_>) -> Facts {
    let x = cx.need(0)?;
    let target = need_vector(cx, 1)?;
    let (Some(dims), Some(rank)) = (x.dims(), target.rank()?) else { return carry(cx, None) };
    let Some(value) = &target.value else {
        return carry(cx, Some((0..rank.max(dims.len())).map(|i| own(cx, 0, i)).collect()));
    };
    for wanted in value {
        extent(wanted.clone(), "`shape`")?;
    }
    let dims = broadcast(dims, value)?;
    let value = match (x.value.as_deref(), dims.as_slice()) {
        (Some([one]), [n]) => repeated(std::slice::from_ref(one), n),
        (value, _) => {
            value.map(<[Dim]>::to_vec).filter(|v| dims.len() <= 1 && known_length(&dims) == Some(v.len()))
        }
    };
    Ok(vec![Fact::of(shaped(x.dtype(), Some(dims))).with_value(value)])
}

/// The number of elements of a scalar or vector, if it is a number.
fn known_length(dims: &[Dim]) -> Option<usize> {
    usize::try_from(product(dims).as_fixed()?).ok()
}

/// `times` copies of a vector, where that is a small number.
pub(crate) fn repeated(value: &[Dim], times: &Dim) -> Option<Vec<Dim>> {
    let times =
        usize::try_from(times.as_fixed()?).ok().filter(|n| n.saturating_mul(value.len()) <= MAX_REPEATED)?;
    Some((0..times.min(MAX_REPEATED)).flat_map(|_| value.iter().cloned()).collect())
}

/// Longer vectors are not followed anyway.
const MAX_REPEATED: usize = 64;

fn tile(cx: &InferCx<'_>) -> Facts {
    let x = cx.need(0)?;
    let repeats = need_vector(cx, 1)?;
    let rank = x.dims().map(<[Dim]>::len).or(repeats.rank()?);
    let (Some(dims), Some(repeats)) = (x.dims(), repeats.value.as_deref()) else {
        return carry(cx, rank.map(|rank| (0..rank).map(|i| own(cx, 0, i)).collect()));
    };
    if repeats.len() != dims.len() {
        return fail(format!("`repeats` has {} entries, the operand rank {}", repeats.len(), dims.len()));
    }
    for count in repeats {
        extent(count.clone(), "`repeats`")?;
    }
    let value = match (x.value.as_deref(), repeats) {
        (Some(value), [times]) => repeated(value, times),
        (value, _) => value.map(<[Dim]>::to_vec),
    };
    let dims = dims.iter().zip(repeats).map(|(d, n)| d.mul(n)).collect();
    Ok(vec![Fact::of(shaped(x.dtype(), Some(dims))).with_value(value)])
}
