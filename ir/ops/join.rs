//! Operators that join tensors and take them apart: Concat, Split, Slice.
use super::extents::{agree, agree_all, axes, extent, need_vector, own, unknown, vector};
use super::rules::{attr, axis, fail, int, many, op, opt, req, shaped};
use crate::dim::Dim;
use crate::infer::Fact;
use crate::op::{AttrDefault, AttrKind, InferCx, InferError, OpDef};

type Facts = Result<Vec<Fact>, InferError>;

/// The table.
pub(crate) const OPS: &[OpDef] = &[
    OpDef {
        attrs: &[attr("axis", AttrKind::Int, AttrDefault::Required)],
        ..op("Concat", "The operands one after another along `axis`.", &[many("inputs")], concat)
    },
    OpDef {
        attrs: &[int("axis", 0), attr("num_outputs", AttrKind::Int, AttrDefault::Absent)],
        results: (1, usize::MAX),
        ..op(
            "Split",
            "Pieces along `axis`: of the lengths `split`, or equal ones (the last may be shorter).",
            &[req("input"), opt("split")],
            split,
        )
    },
    op(
        "Slice",
        "Elements `starts..ends` in steps of `steps` along `axes`; negative numbers count from the end.",
        &[req("data"), req("starts"), req("ends"), opt("axes"), opt("steps")],
        slice,
    ),
];

fn concat(cx: &InferCx<'_>) -> Facts {
    let mut parts = Vec::new();
    for (i, part) in cx.operands.iter().enumerate() {
        parts.push(part.as_ref().ok_or_else(|| InferError(format!("operand {i} is missing")))?);
    }
    let Some(first) = parts.first() else { return fail("nothing to concatenate".to_string()) };
    if let Some(other) = parts.iter().find(|p| p.dtype() != first.dtype()) {
        return fail(format!("element types differ: {} and {}", first.dtype(), other.dtype()));
    }
    let Some(rank) = parts.iter().find_map(|p| p.dims()).map(<[Dim]>::len) else {
        return Ok(vec![Fact::of(shaped(first.dtype(), None))]);
    };
    let at = axis(cx.attrs().int("axis"), rank)?;
    let mut dims: Option<Vec<Dim>> = None;
    for part in &parts {
        let next = part.dims().map_or_else(|| unknown(rank), <[Dim]>::to_vec);
        dims = Some(match dims {
            None => next,
            Some(so_far) => joined(&so_far, &next, at)?,
        });
    }
    let value = (rank == 1).then(|| parts.iter().map(|p| p.value.clone()).collect::<Option<Vec<_>>>());
    let value = value.flatten().map(|v| v.concat());
    Ok(vec![Fact::of(shaped(first.dtype(), dims)).with_value(value)])
}

fn joined(a: &[Dim], b: &[Dim], at: usize) -> Result<Vec<Dim>, InferError> {
    let (mut a, mut b) = (a.to_vec(), b.to_vec());
    if a.len() != b.len() {
        return fail(format!("ranks differ: {} and {}", a.len(), b.len()));
    }
    let (x, y) = (std::mem::replace(&mut a[at], Dim::fixed(0)), std::mem::replace(&mut b[at], Dim::fixed(0)));
    let mut dims = agree_all(&a, &b, "extents beside the axis")?;
    dims[at] = x.add(&y);
    Ok(dims)
}

fn split(cx: &InferCx<'_>) -> Facts {
    let x = cx.need(0)?;
    let parts = match vector(cx, 1)? {
        Some(list) => match (list.value, list.length) {
            (Some(value), _) => Parts::Known(value),
            (None, length) => Parts::Unknown(length.unwrap_or(cx.results())),
        },
        None => cx.attrs().int_opt("num_outputs").map_or(Parts::Equal, Parts::Nearly),
    };
    let Some(dims) = x.dims() else {
        return Ok(vec![Fact::of(shaped(x.dtype(), None)); cx.results()]);
    };
    let at = axis(cx.attrs().int("axis"), dims.len())?;
    let lengths = parts.lengths(cx, &dims[at], at)?;
    let mut start = Some(0);
    let mut facts = Vec::with_capacity(lengths.len());
    for length in lengths {
        let end = start.zip(length.as_fixed()).and_then(|(s, n): (i64, i64)| s.checked_add(n));
        let range = start.zip(end).map(|(s, e)| s as usize..e as usize);
        let value = range.and_then(|r| x.value.as_ref()?.get(r)).map(<[Dim]>::to_vec);
        let mut dims = dims.to_vec();
        dims[at] = length;
        facts.push(Fact::of(shaped(x.dtype(), Some(dims))).with_value(value));
        start = end;
    }
    Ok(facts)
}

/// Split gives at most so many pieces.
const MAX_PIECES: i64 = 1 << 16;

/// How a Split cuts.
enum Parts {
    Known(Vec<Dim>),
    Unknown(usize),
    /// As many equal ones as are used.
    Equal,
    /// So many equal ones, the last taking what is left.
    Nearly(i64),
}

impl Parts {
    /// The length of each piece that is used.
    fn lengths(self, cx: &InferCx<'_>, whole: &Dim, at: usize) -> Result<Vec<Dim>, InferError> {
        let used = cx.results();
        let count = match &self {
            Parts::Known(list) => list.len() as i64,
            Parts::Unknown(count) => *count as i64,
            Parts::Equal => used as i64,
            Parts::Nearly(count) => *count,
        };
        if !(used.max(1) as i64..=MAX_PIECES).contains(&count) {
            return fail(format!("{count} pieces are asked for and {used} used, expected 1 to {MAX_PIECES}"));
        }
        match self {
            Parts::Known(list) => checked(list, whole),
            Parts::Unknown(_) => Ok((0..used).map(|i| own(cx, i, at)).collect()),
            Parts::Equal => match whole.modulo(&Dim::fixed(count)).as_fixed() {
                Some(rest) if rest != 0 => {
                    fail(format!("{whole} elements do not divide into {count} pieces"))
                }
                _ => Ok(vec![whole.div_floor(&Dim::fixed(count)); used]),
            },
            Parts::Nearly(count) => nearly_equal(whole, count, used),
        }
    }
}

/// The given lengths, which must sum up to the whole.
fn checked(list: Vec<Dim>, whole: &Dim) -> Result<Vec<Dim>, InferError> {
    let sum = list.iter().fold(Dim::fixed(0), |sum, d| sum.add(d));
    agree(&sum, whole, "the sum of `split` and the extent")?;
    list.into_iter().map(|d| extent(d, "a piece")).collect()
}

/// `used` of `count` pieces of equal length, the last one taking what is left.
fn nearly_equal(whole: &Dim, count: i64, used: usize) -> Result<Vec<Dim>, InferError> {
    let piece = whole.div_ceil(&Dim::fixed(count));
    let last = extent(whole.sub(&piece.scale(count - 1)), "the last piece")?;
    let mut lengths = vec![piece; used];
    if used as i64 == count
        && let Some(end) = lengths.last_mut()
    {
        *end = last;
    }
    Ok(lengths)
}

fn slice(cx: &InferCx<'_>) -> Facts {
    let x = cx.need(0)?;
    let Some(dims) = x.dims() else { return Ok(vec![Fact::of(shaped(x.dtype(), None))]) };
    let Some(cuts) = cuts(cx, dims.len())? else {
        // Any axis may be cut.
        let dims = (0..dims.len()).map(|i| own(cx, 0, i)).collect();
        return Ok(vec![Fact::of(shaped(x.dtype(), Some(dims)))]);
    };
    let mut result = dims.to_vec();
    for (at, cut) in &cuts {
        let length = cut.as_ref().map(|cut| cut.length(&dims[*at])).transpose()?.flatten();
        result[*at] = length.unwrap_or_else(|| own(cx, 0, *at));
    }
    let value = match (x.value.as_deref(), cuts.as_slice()) {
        (value, []) => value.map(<[Dim]>::to_vec),
        (Some(value), [(_, Some(cut))]) => cut.of(value),
        _ => None,
    };
    Ok(vec![Fact::of(shaped(x.dtype(), Some(result))).with_value(value)])
}

/// Axes and how they are cut, where that is known.
type Cuts = Vec<(usize, Option<Cut>)>;

/// The axes that are cut and how, where that is known; `None` if not even the axes are.
fn cuts(cx: &InferCx<'_>, rank: usize) -> Result<Option<Cuts>, InferError> {
    let (starts, ends) = (need_vector(cx, 1)?, need_vector(cx, 2)?);
    let (places, steps) = (vector(cx, 3)?, vector(cx, 4)?);
    let lengths = [starts.length, ends.length, places.as_ref().and_then(|p| p.length)];
    let Some(count) = lengths.into_iter().flatten().next() else { return Ok(None) };
    let given = lengths.into_iter().chain([steps.as_ref().and_then(|s| s.length)]).flatten();
    if let Some(other) = given.into_iter().find(|n| *n != count) {
        return fail(format!("the operands have {count} and {other} elements, expected as many"));
    }
    let places = match places {
        Some(list) => list.numbers(),
        None => Some((0..rank.min(count) as i64).collect()),
    };
    let Some(places) = places else { return Ok(None) };
    let steps = steps.map_or_else(|| Some(vec![1; places.len()]), |s| s.numbers());
    let known = starts.value.zip(ends.value).zip(steps);
    let cut = |i: usize| {
        let ((starts, ends), steps) = known.as_ref()?;
        Some(Cut { start: starts.get(i)?.clone(), end: ends.get(i)?.clone(), step: *steps.get(i)? })
    };
    let places = axes(&places, rank)?;
    Ok(Some(places.into_iter().enumerate().map(|(i, at)| (at, cut(i))).collect()))
}

/// What a Slice does to one axis.
struct Cut {
    start: Dim,
    end: Dim,
    step: i64,
}

impl Cut {
    /// How many elements are left of `whole`; `None` if only the run can tell.
    fn length(&self, whole: &Dim) -> Result<Option<Dim>, InferError> {
        if self.step == 0 {
            return fail("a step of 0 was found, expected any other".to_string());
        }
        let zero = Dim::fixed(0);
        let (Some(start), Some(end)) = (from_start(&self.start, whole), self.end(whole)) else {
            return Ok(None);
        };
        let span = if self.step > 0 {
            // `end - max(start, 0)`, written so that the last few elements are a number.
            let end = end.smaller(whole);
            end.sub(&start).smaller(&end)
        } else {
            // Downwards the end may lie one before the first element.
            last_of(&start, whole).sub(&end.larger(&Dim::fixed(-1)))
        };
        let step = Dim::fixed(self.step.saturating_abs());
        let length = if step.as_fixed() == Some(1) { span } else { span.div_ceil(&step) };
        Ok(Some(length.larger(&zero)))
    }

    /// Where it ends, counted from the start. Downwards, the largest number stands for the far end
    /// just as the smallest does.
    fn end(&self, whole: &Dim) -> Option<Dim> {
        match self.end.as_fixed() {
            Some(i64::MAX | HUGE) if self.step < 0 => Some(Dim::fixed(-1)),
            _ => from_start(&self.end, whole),
        }
    }

    /// The elements of a vector.
    fn of(&self, value: &[Dim]) -> Option<Vec<Dim>> {
        let whole = Dim::fixed(value.len() as i64);
        let count = self.length(&whole).ok()??.as_fixed()?;
        let start = from_start(&self.start, &whole)?.as_fixed()?;
        let first = start.clamp(0, (value.len() as i64 - 1).max(0));
        (0..count)
            .map(|i| value.get(usize::try_from(first + i.checked_mul(self.step)?).ok()?).cloned())
            .collect()
    }
}

/// A position clamped to the elements there are.
fn last_of(position: &Dim, whole: &Dim) -> Dim {
    let last = whole.plus(-1);
    match position.sub(&last).at_least() {
        Some(beyond) if beyond >= 0 => last,
        _ => position.larger(&Dim::fixed(0)).smaller(&last),
    }
}

/// Positions from here on mean the end.
const HUGE: i64 = i32::MAX as i64;

/// A position counted from the start, not yet clamped. The sign of a symbolic position is that of
/// its growing part: `S-2` is taken as counted from the start and `-S` from the end, which differs
/// from the letter only in runs where `S` is below 2, or 0.
fn from_start(position: &Dim, whole: &Dim) -> Option<Dim> {
    match position.as_fixed() {
        Some(p) if p >= HUGE => Some(whole.clone()),
        Some(p) if p < -HUGE => Some(Dim::fixed(-1)),
        Some(p) if p < 0 => Some(whole.plus(p)),
        Some(_) => Some(position.clone()),
        None if position.at_most().is_some_and(|most| most < 0) => Some(whole.add(position)),
        None if position.at_least().is_some_and(|least| least >= 0) => Some(position.clone()),
        None => {
            let symbolic = || position.terms().filter(|(atoms, _)| !atoms.is_empty());
            if symbolic().all(|(_, factor)| factor < 0) {
                return Some(whole.add(position));
            }
            symbolic().all(|(_, factor)| factor > 0).then(|| position.clone())
        }
    }
}
