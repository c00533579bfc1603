//! Operands made up for the operators of an instance: shapes that have a chance to fit.
//!
//! This is about what makes graphs worth trying; whether they are valid is for inference to say. An
//! operator without a row has operands of mostly one shape, which broadcast.
use super::dice::Dice;
use super::grow::{Grower, Proposal};
use std::collections::BTreeMap;
use weft_ir::{Attr, DType, Value};

/// What stands beside the operand.
type Beside<'b> = (&'b [Option<Value>], &'b BTreeMap<String, Attr>);

pub(crate) fn extent(dice: &mut Dice) -> u64 {
    dice.pick(&[0, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 4]).unwrap_or(2)
}

/// Operators whose operands behind the first are axes, places and the like.
const PLACES: &[&str] = &[
    "CumProd",
    "CumSum",
    "Expand",
    "Gather",
    "Pad",
    "Reshape",
    "Slice",
    "Split",
    "Squeeze",
    "Tile",
    "Unsqueeze",
];

/// An operand for place `at` of an operator.
pub(crate) fn propose(
    g: &mut Grower<'_>,
    op: &str,
    at: usize,
    beside: &[Option<Value>],
    attrs: &BTreeMap<String, Attr>,
) -> Option<Proposal> {
    // What stands beside the data of these operators says where, not what.
    let about_places = at == 0 && (op.starts_with("Reduce") || PLACES.contains(&op));
    let context = (if about_places { &[] } else { beside }, attrs);
    match (op, at) {
        ("And" | "Or" | "Xor" | "Not", _) | ("Where", 0) => {
            let shape = like(g, context);
            Some(Proposal::of(DType::Bool, &shape))
        }
        ("MatMul" | "MatMulInteger", _) => matrix(g, at, context),
        ("Gemm", _) => gemm(g, at, context),
        ("Conv" | "ConvTranspose", _) => conv(g, at, context),
        ("Concat", _) => Some(joined(g, context)),
        ("Reshape", 1) => reshape(g, dims(g, context, 0)?),
        ("Expand", 1) => expand(g, dims(g, context, 0)?),
        ("Squeeze", 1) => squeeze(g, &dims(g, context, 0)?),
        ("Unsqueeze", 1) => unsqueeze(g, dims(g, context, 0)?.len()),
        ("Split", 1) => split(g, context),
        ("Slice", _) if at > 0 => slice(g, at, context),
        ("Tile", 1) => {
            let rank = dims(g, context, 0)?.len();
            Some(Proposal::vector((0..rank).map(|_| g.dice.below(3) as i64 + 1).collect()))
        }
        ("Pad", 1) => {
            let rank = dims(g, context, 0)?.len();
            Some(Proposal::vector((0..2 * rank).map(|_| g.dice.below(3) as i64).collect()))
        }
        ("Pad", 2) | ("Clip", 1 | 2) => Some(Proposal::of(first_type(g, context), &[])),
        ("Gather", 1) => gather(g, context),
        ("Resize", 2) => {
            let rank = dims(g, context, 0)?.len();
            Some(scales(g, rank))
        }
        ("CumSum" | "CumProd", 1) => {
            let rank = dims(g, context, 0)?.len();
            Some(Proposal { dims: Vec::new(), ..Proposal::vector(vec![g.dice.below(rank) as i64]) })
        }
        ("QuantizeLinear" | "DequantizeLinear", _) => Some(quantised(g, op, at)),
        _ if op.starts_with("Reduce") && at == 1 => reduce(g, dims(g, context, 0)?.len()),
        _ if is_window(op) => Some(image(g)),
        _ => Some(plain(g, op, context)),
    }
}

fn is_window(op: &str) -> bool {
    matches!(op, "MaxPool" | "AveragePool" | "LpPool" | "GlobalAveragePool" | "GlobalMaxPool" | "Resize")
}

fn dims(g: &Grower<'_>, (beside, _): Beside<'_>, at: usize) -> Option<Vec<u64>> {
    g.dims_of(beside.get(at).copied().flatten()?)
}

fn first_type(g: &Grower<'_>, (beside, _): Beside<'_>) -> DType {
    let known = beside.iter().flatten().next().and_then(|value| g.fact(*value));
    known.map_or(g.dtype, |fact| fact.dtype())
}

/// A shape that has to do with those there are.
fn like(g: &mut Grower<'_>, (beside, _): Beside<'_>) -> Vec<u64> {
    let known = beside.iter().flatten().filter_map(|value| g.dims_of(*value)).next_back();
    let base = known.unwrap_or_else(|| g.dims.clone());
    match g.dice.below(10) {
        0..=4 => base,
        5 => Vec::new(),
        6 => vec![1; base.len()],
        7 => base.iter().map(|d| if g.dice.one_in(2) { 1 } else { *d }).collect(),
        8 => base.get(base.len().min(1)..).unwrap_or(&[]).to_vec(),
        _ => g.dims.clone(),
    }
}

/// An operand of an operator without a row.
fn plain(g: &mut Grower<'_>, op: &str, context: Beside<'_>) -> Proposal {
    let known = context.0.iter().flatten().any(|value| g.fact(*value).is_some());
    let shape = like(g, context);
    let dtype = match op {
        "Where" => value_type(g, context),
        _ if known => first_type(g, context),
        _ => g.dtype,
    };
    let positive = matches!(op, "Log" | "Sqrt" | "Pow" | "ReduceLogSum") && !g.dice.one_in(3);
    Proposal { positive, ..Proposal::of(dtype, &shape) }
}

/// The element type of a choice: that of another operand but the condition.
fn value_type(g: &Grower<'_>, (beside, _): Beside<'_>) -> DType {
    let known = beside.iter().skip(1).flatten().next().and_then(|value| g.fact(*value));
    known.map_or(g.dtype, |fact| fact.dtype())
}

fn matrix(g: &mut Grower<'_>, at: usize, context: Beside<'_>) -> Option<Proposal> {
    let dtype = context.0.iter().flatten().next().map_or(g.dtype, |_| first_type(g, context));
    let other = dims(g, context, 1 - at.min(1));
    let Some(other) = other else {
        let mut shape = g.dims.clone();
        while shape.len() < 2 {
            shape.push(extent(g.dice));
        }
        return Some(Proposal::of(dtype, &shape));
    };
    let batch = other.get(..other.len().checked_sub(2)?)?.to_vec();
    let free = match g.dice.one_in(2) {
        // Twice the same extents are worth trying, and what is merged has others.
        true => other[other.len() - if at == 0 { 2 } else { 1 }],
        false => extent(g.dice),
    };
    let pair = match at {
        0 => vec![free, other[other.len() - 2]],
        _ => vec![other[other.len() - 1], free],
    };
    let whole = g.dice.one_in(3);
    Some(Proposal::of(dtype, &if whole { [batch, pair].concat() } else { pair }))
}

fn flag(attrs: &BTreeMap<String, Attr>, name: &str) -> bool {
    matches!(attrs.get(name), Some(Attr::Int(x)) if *x != 0)
}

fn gemm(g: &mut Grower<'_>, at: usize, context: Beside<'_>) -> Option<Proposal> {
    let attrs = context.1;
    let side = |dims: Option<Vec<u64>>, trans: bool| {
        let dims = dims.filter(|dims| dims.len() == 2)?;
        Some(if trans { (dims[1], dims[0]) } else { (dims[0], dims[1]) })
    };
    let a = side(dims(g, context, 0), flag(attrs, "transA"));
    let b = side(dims(g, context, 1), flag(attrs, "transB"));
    let dtype = first_type(g, context);
    let turned = |rows: u64, columns: u64, trans: bool| if trans { [columns, rows] } else { [rows, columns] };
    let shape = match at {
        0 => {
            let inner = b.map_or_else(|| extent(g.dice), |(k, _)| k);
            turned(extent(g.dice), inner, flag(attrs, "transA")).to_vec()
        }
        1 => {
            let inner = a.map_or_else(|| extent(g.dice), |(_, k)| k);
            turned(inner, extent(g.dice), flag(attrs, "transB")).to_vec()
        }
        _ => {
            let (m, n) = (a?.0, b?.1);
            g.dice.pick(&[vec![n], vec![m, n], vec![1, n], vec![m, 1], vec![]])?
        }
    };
    Some(Proposal::of(dtype, &shape))
}

/// Batch, channels and one or two spatial axes.
fn image(g: &mut Grower<'_>) -> Proposal {
    let spatial = g.dims.len().clamp(3, 4) - 2;
    let mut shape = vec![extent(g.dice).min(2), g.dice.pick(&[1, 2, 2, 4]).unwrap_or(2)];
    shape.extend((0..spatial).map(|_| g.dice.below(3) as u64 + 2));
    Proposal::of(g.dtype, &shape)
}

fn conv(g: &mut Grower<'_>, at: usize, context: Beside<'_>) -> Option<Proposal> {
    let dtype = first_type(g, context);
    let groups = match context.1.get("group") {
        Some(Attr::Int(group)) => (*group).max(1) as u64,
        _ => 1,
    };
    let (x, w) = (dims(g, context, 0), dims(g, context, 1));
    match (at, x, w) {
        (0, _, Some(w)) => {
            let mut shape = vec![extent(g.dice).min(2), w.get(1)? * groups];
            shape.extend(w.get(2..)?.iter().map(|k| k + g.dice.below(3) as u64));
            Some(Proposal::of(dtype, &shape))
        }
        (0, ..) => Some(image(g)),
        (1, Some(x), _) => {
            let out = groups * (g.dice.below(2) as u64 + 1);
            let mut shape = vec![out, x.get(1)? / groups];
            let point = g.dice.one_in(3);
            shape.extend(x.get(2..)?.iter().map(|_| if point { 1 } else { g.dice.below(3) as u64 + 1 }));
            Some(Proposal::of(dtype, &shape))
        }
        (_, _, Some(w)) => Some(Proposal::of(dtype, &[*w.first()?])),
        _ => None,
    }
}

/// The shape of another operand but for the axis.
fn joined(g: &mut Grower<'_>, context: Beside<'_>) -> Proposal {
    let known = context.0.iter().flatten().filter_map(|value| g.dims_of(*value)).next();
    let mut shape = known.unwrap_or_else(|| g.dims.clone());
    let axis = match context.1.get("axis") {
        Some(Attr::Int(axis)) => axis.rem_euclid(shape.len().max(1) as i64) as usize,
        _ => 0,
    };
    let other = g.dice.one_in(2).then(|| extent(g.dice));
    if let (Some(slot), Some(other)) = (shape.get_mut(axis), other) {
        *slot = other;
    }
    Proposal::of(first_type(g, context), &shape)
}

fn reshape(g: &mut Grower<'_>, from: Vec<u64>) -> Option<Proposal> {
    let mut shape: Vec<i64> = from.iter().map(|d| *d as i64).collect();
    for _ in 0..g.dice.below(3) {
        let at = g.dice.below(shape.len().max(1));
        match g.dice.below(3) {
            0 if shape.len() > 1 && at + 1 < shape.len() => {
                let next = shape.remove(at + 1);
                shape[at] *= next;
            }
            1 => shape.insert(at.min(shape.len()), 1),
            _ if shape.get(at).is_some_and(|d| *d == 4) => {
                shape[at] = 2;
                shape.insert(at, 2);
            }
            _ => {}
        }
    }
    match g.dice.below(4) {
        0 => shape = vec![-1],
        1 if !shape.is_empty() => {
            let at = g.dice.below(shape.len());
            shape[at] = -1;
        }
        _ => {}
    }
    Some(Proposal::vector(shape))
}

fn expand(g: &mut Grower<'_>, from: Vec<u64>) -> Option<Proposal> {
    let mut shape: Vec<i64> = from.iter().map(|d| *d as i64).collect();
    for d in &mut shape {
        if *d == 1 && g.dice.one_in(2) {
            *d = extent(g.dice) as i64;
        }
    }
    if g.dice.one_in(3) && shape.len() < 4 {
        shape.insert(0, extent(g.dice) as i64);
    }
    Some(Proposal::vector(shape))
}

fn squeeze(g: &mut Grower<'_>, from: &[u64]) -> Option<Proposal> {
    let ones: Vec<i64> = (0..from.len()).filter(|i| from[*i] == 1).map(|i| i as i64).collect();
    let count = g.dice.below(ones.len()) + 1;
    let mut axes: Vec<i64> = g.dice.shuffled(&ones).into_iter().take(count).collect();
    if g.dice.one_in(4) {
        axes.iter_mut().for_each(|axis| *axis -= from.len() as i64);
    }
    (!ones.is_empty()).then(|| Proposal::vector(axes))
}

fn unsqueeze(g: &mut Grower<'_>, rank: usize) -> Option<Proposal> {
    let count = g.dice.below(2) + 1;
    let all: Vec<i64> = (0..(rank + count) as i64).collect();
    let mut axes: Vec<i64> = g.dice.shuffled(&all).into_iter().take(count).collect();
    axes.sort_unstable();
    Some(Proposal::vector(axes))
}

fn reduce(g: &mut Grower<'_>, rank: usize) -> Option<Proposal> {
    let all: Vec<i64> = (0..rank as i64).collect();
    let count = g.dice.below(rank) + 1;
    let mut axes: Vec<i64> = g.dice.shuffled(&all).into_iter().take(count).collect();
    if g.dice.one_in(4) {
        axes.iter_mut().for_each(|axis| *axis -= rank as i64);
    }
    Some(Proposal::vector(axes))
}

fn split(g: &mut Grower<'_>, context: Beside<'_>) -> Option<Proposal> {
    let from = dims(g, context, 0)?;
    let axis = match context.1.get("axis") {
        Some(Attr::Int(axis)) => axis.rem_euclid(from.len().max(1) as i64) as usize,
        _ => 0,
    };
    let whole = *from.get(axis)? as i64;
    let first = g.dice.below(whole as usize) as i64 + i64::from(whole > 1);
    let first = first.min(whole);
    Some(Proposal::vector(vec![first, whole - first]))
}

fn slice(g: &mut Grower<'_>, at: usize, context: Beside<'_>) -> Option<Proposal> {
    let from = dims(g, context, 0)?;
    let ints = |g: &Grower<'_>, i: usize| g.fact(context.0.get(i).copied().flatten()?)?.ints();
    let count = (1..5).find_map(|i| ints(g, i)).map(|known| known.len());
    let count = count.unwrap_or_else(|| g.dice.below(from.len().min(2)) + 1);
    let axes = ints(g, 3);
    let list: Vec<i64> = match at {
        3 => {
            let all: Vec<i64> = (0..from.len() as i64).collect();
            g.dice.shuffled(&all).into_iter().take(count).collect()
        }
        4 => (0..count).map(|_| g.dice.pick(&[1, 1, 1, 2, -1]).unwrap_or(1)).collect(),
        _ => (0..count)
            .map(|i| {
                let axis = axes.as_ref().and_then(|axes| axes.get(i)).copied().unwrap_or(i as i64);
                let whole = from.get(usize::try_from(axis).unwrap_or(0)).copied().unwrap_or(1) as i64;
                let place = g.dice.below(whole as usize + 1) as i64;
                match (at, g.dice.below(5)) {
                    (2, 0) => i64::MAX,
                    (_, 1) => place - whole,
                    (2, _) => place.max(1),
                    _ => place.min(whole - 1),
                }
            })
            .collect(),
    };
    Some(Proposal::vector(list))
}

fn gather(g: &mut Grower<'_>, context: Beside<'_>) -> Option<Proposal> {
    let from = dims(g, context, 0)?;
    let axis = match context.1.get("axis") {
        Some(Attr::Int(axis)) => axis.rem_euclid(from.len().max(1) as i64) as usize,
        _ => 0,
    };
    let whole = *from.get(axis)? as usize;
    let shape = g.dice.pick(&[vec![], vec![1], vec![2], vec![2, 2]])?;
    let count = shape.iter().product::<u64>();
    let ints = (0..count).map(|_| g.dice.below(whole) as i64).collect();
    Some(Proposal { dims: shape, ..Proposal::vector(ints) })
}

/// How often pixels are repeated; channels mostly are not.
fn scales(g: &mut Grower<'_>, rank: usize) -> Proposal {
    let first = if g.dice.one_in(4) { 2 } else { 1 };
    let each = (0..rank).map(|axis| if axis < 2 { first } else { g.dice.below(2) as i64 + 1 });
    Proposal { dtype: DType::F32, ..Proposal::vector(each.collect()) }
}

fn quantised(g: &mut Grower<'_>, op: &str, at: usize) -> Proposal {
    match (op, at) {
        (_, 1) => Proposal { positive: true, ..Proposal::of(DType::F32, &[]) },
        (_, 2) => Proposal::of(g.dice.pick(&[DType::U8, DType::I8]).unwrap_or(DType::U8), &[]),
        ("DequantizeLinear", _) => {
            let shape = g.dims.clone();
            Proposal::of(g.dice.pick(&[DType::U8, DType::I8]).unwrap_or(DType::U8), &shape)
        }
        _ => {
            let shape = g.dims.clone();
            Proposal::of(DType::F32, &shape)
        }
    }
}
