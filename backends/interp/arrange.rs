//! Elements moved or masked within a shape.
use crate::array::{Array, Elements, axis, extents, strides};
use crate::call::{Call, Eval, EvalError, wrong};
use crate::place::{for_each_index, offset, picked, result_dims};
use weft_ir::Tensor;

type Results = Result<Vec<Tensor>, EvalError>;

/// The functions of this family.
pub(crate) const EVALS: &[(&str, Eval)] = &[
    ("Col2Im", col2im),
    ("DepthToSpace", depth_to_space),
    ("Pad", pad),
    ("ReverseSequence", reverse_sequence),
    ("SpaceToDepth", space_to_depth),
    ("Trilu", trilu),
];

/// Where an element beyond the edges of an axis comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beyond {
    Constant,
    Reflect,
    Edge,
    Wrap,
}

impl Beyond {
    /// The index that stands in for `i`, if any does.
    fn source(self, i: i64, extent: i64) -> Option<usize> {
        let inside = (0..extent).contains(&i);
        let found = match self {
            _ if inside => i,
            _ if extent == 0 => return None,
            Beyond::Constant => return None,
            Beyond::Edge => i.clamp(0, extent - 1),
            Beyond::Wrap => i.rem_euclid(extent),
            Beyond::Reflect if extent == 1 => 0,
            Beyond::Reflect => {
                let i = i.rem_euclid(2 * (extent - 1));
                i.min(2 * (extent - 1) - i)
            }
        };
        Some(found as usize)
    }
}

fn pad(call: &Call<'_>) -> Results {
    let dims = result_dims(call)?;
    let x = call.need(0)?;
    let own = extents(x);
    let beyond = match call.attrs.str("mode") {
        "reflect" => Beyond::Reflect,
        "edge" => Beyond::Edge,
        "wrap" => Beyond::Wrap,
        _ => Beyond::Constant,
    };
    let pads = call.list(1)?;
    let mut before = vec![0; own.len()];
    let axes = call.list_opt(3)?.unwrap_or_else(|| (0..own.len() as i64).collect());
    for (place, pad) in axes.iter().zip(&pads) {
        before[axis(*place, own.len())?] = *pad;
    }
    let fill = call.get(2).map(Elements::of).filter(|fill| fill.len() > 0);
    let (elements, steps) = (Elements::of(x), strides(&own));
    let mut result = Elements::none(x.dtype());
    let mut starved = false;
    for_each_index(&dims, |at| {
        let places = at.iter().zip(&before).zip(&own);
        let from: Option<Vec<usize>> =
            places.map(|((i, b), d)| beyond.source(*i as i64 - b, *d as i64)).collect();
        starved |= from.is_none() && beyond != Beyond::Constant;
        match (from, &fill) {
            (Some(from), _) => result.push(&elements, offset(&from, &steps)),
            (None, Some(fill)) => result.push(fill, 0),
            (None, None) => result.push_zero(),
        }
    });
    if starved {
        return wrong("an axis without elements has nothing to pad with");
    }
    Ok(vec![result.store(&dims)?])
}

fn trilu(call: &Call<'_>) -> Results {
    let dims = result_dims(call)?;
    let k = call.list_opt(1)?.and_then(|k| k.first().copied()).unwrap_or(0);
    let (elements, upper, rank) = (Elements::of(call.need(0)?), call.attrs.flag("upper"), dims.len());
    let mut result = Elements::none(call.dtype(0)?);
    let mut i = 0;
    for_each_index(&dims, |at| {
        let diagonal = at[rank - 1] as i64 - at[rank - 2] as i64;
        if if upper { diagonal >= k } else { diagonal <= k } {
            result.push(&elements, i);
        } else {
            result.push_zero();
        }
        i += 1;
    });
    Ok(vec![result.store(&dims)?])
}

/// The channel of the deep tensor that holds row `y` and column `x` of a block, for channel `c` of
/// `channels` of the wide one.
fn deep_channel(call: &Call<'_>, (c, channels): (usize, usize), (y, x): (usize, usize)) -> usize {
    let block = call.attrs.int("blocksize") as usize;
    match call.attrs.str("mode") {
        "CRD" => (c * block + y) * block + x,
        _ => (y * block + x) * channels + c,
    }
}

fn depth_to_space(call: &Call<'_>) -> Results {
    let dims = result_dims(call)?;
    let block = call.attrs.int("blocksize") as usize;
    let x = call.need(0)?;
    let steps = strides(&extents(x));
    Ok(vec![picked(x, &dims, |at| {
        let channel = deep_channel(call, (at[1], dims[1]), (at[2] % block, at[3] % block));
        offset(&[at[0], channel, at[2] / block, at[3] / block], &steps)
    })?])
}

fn space_to_depth(call: &Call<'_>) -> Results {
    let dims = result_dims(call)?;
    let block = call.attrs.int("blocksize") as usize;
    let x = call.need(0)?;
    let (own, steps) = (extents(x), strides(&extents(x)));
    let channels = own[1];
    Ok(vec![picked(x, &dims, |at| {
        let (c, y, x) = match call.attrs.str("mode") {
            "CRD" => (at[1] / (block * block), at[1] / block % block, at[1] % block),
            _ => (at[1] % channels, at[1] / channels / block, at[1] / channels % block),
        };
        offset(&[at[0], c, at[2] * block + y, at[3] * block + x], &steps)
    })?])
}

fn reverse_sequence(call: &Call<'_>) -> Results {
    let dims = result_dims(call)?;
    let (batch, time) = (call.attrs.int("batch_axis") as usize, call.attrs.int("time_axis") as usize);
    let lengths = call.list(1)?;
    if let Some(bad) = lengths.iter().find(|n| !(0..=dims[time] as i64).contains(*n)) {
        return wrong(format!("`sequence_lens` holds {bad}, expected 0 to {}", dims[time]));
    }
    let steps = strides(&dims);
    Ok(vec![picked(call.need(0)?, &dims, |at| {
        let (t, length) = (at[time], lengths[at[batch]] as usize);
        let from = if t < length { length - 1 - t } else { t };
        offset(at, &steps) - t * steps[time] + from * steps[time]
    })?])
}

fn col2im(call: &Call<'_>) -> Results {
    let dims = result_dims(call)?;
    let (x, block) = (call.floats(0)?, call.list(2)?);
    let block: Vec<usize> = block.iter().map(|b| usize::try_from(*b).unwrap_or(0)).collect();
    let count = block.len();
    let list = |name: &str, usual: i64, i: usize| call.attrs.ints(name).get(i).copied().unwrap_or(usual);
    let mut along = Vec::new();
    for i in 0..count {
        let span = (block[i] as i64 - 1).saturating_mul(list("dilations", 1, i)).saturating_add(1);
        let padded = dims[2 + i] as i64 + list("pads", 0, i) + list("pads", 0, count + i);
        let room = padded.saturating_sub(span);
        if room < 0 {
            return wrong(format!("blocks span {span} elements, more than padded axis {i} of the image has"));
        }
        along.push((room / list("strides", 1, i)) as usize + 1);
    }
    let product = |counts: &[usize]| counts.iter().try_fold(1usize, |p, n| p.checked_mul(*n));
    let rows = product(&[&dims[1..2], &block].concat());
    if Some(x.dims[1]) != rows || Some(x.dims[2]) != product(&along) {
        return wrong(format!("found columns {:?}, expected {rows:?}, {:?}", &x.dims[1..], product(&along)));
    }
    let mut y = Array::filled(dims.clone(), 0.0);
    let (steps, mut next) = (strides(&dims), x.data.iter());
    let walk = [&dims[..2], &block, &along].concat();
    for_each_index(&walk, |at| {
        let value = next.next().copied().unwrap_or(0.0);
        let mut to = at[0] * steps[0] + at[1] * steps[1];
        for i in 0..count {
            let (tap, window) = (at[2 + i] as i64, at[2 + count + i] as i64);
            let place = window * list("strides", 1, i) + tap * list("dilations", 1, i) - list("pads", 0, i);
            match usize::try_from(place).ok().filter(|place| *place < dims[2 + i]) {
                Some(place) => to += place * steps[2 + i],
                None => return,
            }
        }
        y.data[to] += value;
    });
    Ok(vec![y.store(call.dtype(0)?)?])
}
