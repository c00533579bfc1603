//! Integers and lists of integers: axes, permutations, attributes.
use super::{Answer, Given, function, misused, places};
use weft_passes::rule::{Datum, Function, Kind};
use weft_passes::{Declined, Perm};

const INT: Kind = Kind::Int;
const INTS: Kind = Kind::Ints;
const TWO: &[Kind] = &[INT, INT];

pub(super) const FUNCTIONS: &[Function] = &[
    function("add", "The sum of two integers.", (TWO, INT), |given| two(given, i64::checked_add)),
    function("sub", "The difference of two integers.", (TWO, INT), |given| two(given, i64::checked_sub)),
    function("mul", "The product of two integers.", (TWO, INT), |given| two(given, i64::checked_mul)),
    function("div", "The quotient of two integers, rounded down.", (TWO, INT), |given| {
        two(given, i64::checked_div_euclid)
    }),
    function("mod", "What a quotient rounded down leaves.", (TWO, INT), |given| {
        two(given, i64::checked_rem_euclid)
    }),
    function("min", "The smaller of two integers.", (TWO, INT), |given| two(given, |a, b| Some(a.min(b)))),
    function("max", "The larger of two integers.", (TWO, INT), |given| two(given, |a, b| Some(a.max(b)))),
    function("plus", "The sum of two numbers.", (&[Kind::Float, Kind::Float], Kind::Float), |given| {
        real(given, |a, b| a + b)
    }),
    function("times", "The product of two numbers.", (&[Kind::Float, Kind::Float], Kind::Float), |given| {
        real(given, |a, b| a * b)
    }),
    function("over", "The quotient of two numbers.", (&[Kind::Float, Kind::Float], Kind::Float), |given| {
        real(given, |a, b| a / b)
    }),
    function("smaller", "The smaller of two numbers.", (&[Kind::Float, Kind::Float], Kind::Float), |given| {
        real(given, f64::min)
    }),
    function("larger", "The larger of two numbers.", (&[Kind::Float, Kind::Float], Kind::Float), |given| {
        real(given, f64::max)
    }),
    function("root", "The square root of a number.", (&[Kind::Float], Kind::Float), |given| match given {
        [Datum::Float(a)] => finite(a.sqrt()),
        _ => misused(),
    }),
    function(
        "compose",
        "The permutation that is the first one and then the second.",
        (&[INTS, INTS], INTS),
        compose,
    ),
    function("invert", "The permutation that undoes this one.", (&[INTS], INTS), |given| match given {
        [Datum::Ints(p)] => Ok(Datum::Ints(listed(perm(p)?.inverse().axes()))),
        _ => misused(),
    }),
    function("identity", "The permutation that moves none of so many axes.", (&[INT], INTS), |given| {
        match given {
            [Datum::Int(rank @ 0..=64)] => Ok(Datum::Ints((0..*rank).collect())),
            _ => Err("there are not so many axes".into()),
        }
    }),
    function("moves", "Whether a permutation moves any axis.", (&[INTS], Kind::Truth), |given| match given {
        [Datum::Ints(p)] => Ok(Datum::Truth(!perm(p)?.is_identity())),
        _ => misused(),
    }),
    function(
        "swap_last",
        "The permutation of so many axes that changes the last two.",
        (&[INT], INTS),
        swap_last,
    ),
    function(
        "move_axis",
        "Where a permutation moves an axis from: axis `i` of the result is this axis of the operand.",
        (&[INT, INTS], INT),
        |given| {
            let [Datum::Int(axis), Datum::Ints(p)] = given else { return misused() };
            let perm = perm(p)?;
            Ok(Datum::Int(perm.axes()[super::place(*axis, perm.rank())?] as i64))
        },
    ),
    function(
        "move_axes",
        "Where a permutation moves axes from, each as in `move_axis`.",
        (&[INTS, INTS], INTS),
        |given| {
            let [Datum::Ints(axes), Datum::Ints(p)] = given else { return misused() };
            let perm = perm(p)?;
            let moved = places(axes, perm.rank())?.into_iter().map(|axis| perm.axes()[axis]);
            Ok(Datum::Ints(listed(&moved.collect::<Vec<_>>())))
        },
    ),
    function(
        "normal_axis",
        "An axis of a tensor of a rank, counted from the start.",
        (&[INT, INT], INT),
        |given| {
            let [Datum::Int(axis), Datum::Int(rank)] = given else { return misused() };
            Ok(Datum::Int(super::place(*axis, counted(*rank)?)? as i64))
        },
    ),
    function(
        "normal_axes",
        "Axes of a tensor of a rank, counted from the start and in order.",
        (&[INTS, INT], INTS),
        |given| {
            let [Datum::Ints(axes), Datum::Int(rank)] = given else { return misused() };
            let mut axes = places(axes, counted(*rank)?)?;
            axes.sort_unstable();
            Ok(Datum::Ints(listed(&axes)))
        },
    ),
    function(
        "without_axes",
        "The axes of a tensor of a rank that are not among these.",
        (&[INTS, INT], INTS),
        |given| {
            let [Datum::Ints(axes), Datum::Int(rank)] = given else { return misused() };
            let rank = counted(*rank)?;
            let axes = places(axes, rank)?;
            Ok(Datum::Ints(listed(&(0..rank).filter(|axis| !axes.contains(axis)).collect::<Vec<_>>())))
        },
    ),
    function(
        "drop_axes",
        "A permutation without the axes of its result that are dropped.",
        (&[INTS, INTS], INTS),
        |given| {
            let [Datum::Ints(p), Datum::Ints(axes)] = given else { return misused() };
            let perm = perm(p)?;
            let dropped = places(axes, perm.rank())?;
            Ok(Datum::Ints(listed(perm.without(&dropped).axes())))
        },
    ),
    function(
        "behind",
        "Where an axis stands once these other axes of its tensor of a rank are dropped.",
        (&[INT, INTS, INT], INT),
        |given| {
            let [Datum::Int(axis), Datum::Ints(axes), Datum::Int(rank)] = given else { return misused() };
            let rank = counted(*rank)?;
            let (axis, axes) = (super::place(*axis, rank)?, places(axes, rank)?);
            if axes.contains(&axis) {
                return Err("the axis is dropped".into());
            }
            Ok(Datum::Int((axis - axes.iter().filter(|gone| **gone < axis).count()) as i64))
        },
    ),
    function(
        "kept",
        "The axes that stand at these places once the axes `dropped` of a tensor of a rank are gone.",
        (&[INTS, INTS, INT], INTS),
        |given| {
            let [Datum::Ints(at), Datum::Ints(dropped), Datum::Int(rank)] = given else { return misused() };
            let rank = counted(*rank)?;
            let dropped = places(dropped, rank)?;
            let left: Vec<usize> = (0..rank).filter(|axis| !dropped.contains(axis)).collect();
            let axes = places(at, left.len())?.into_iter().map(|at| left[at]);
            Ok(Datum::Ints(listed(&axes.collect::<Vec<_>>())))
        },
    ),
    function("concat", "One list and then the other.", (&[INTS, INTS], INTS), |given| match given {
        [Datum::Ints(a), Datum::Ints(b)] => Ok(Datum::Ints([a.as_slice(), b].concat())),
        _ => misused(),
    }),
    function("sorted", "The list in order.", (&[INTS], INTS), |given| match given {
        [Datum::Ints(list)] => {
            let mut list = list.clone();
            list.sort_unstable();
            Ok(Datum::Ints(list))
        }
        _ => misused(),
    }),
    function("length", "The number of elements of a list.", (&[INTS], INT), |given| match given {
        [Datum::Ints(list)] => Ok(Datum::Int(list.len() as i64)),
        _ => misused(),
    }),
    function("at", "An element of a list; -1 is the last one.", (&[INTS, INT], INT), |given| {
        let [Datum::Ints(list), Datum::Int(at)] = given else { return misused() };
        Ok(Datum::Int(list[super::place(*at, list.len())?]))
    }),
    function("sum", "The sum of a list.", (&[INTS], INT), |given| match given {
        [Datum::Ints(list)] => whole(list.iter().try_fold(0i64, |sum, x| sum.checked_add(*x))),
        _ => misused(),
    }),
    function("sum_each", "The sums of two lists, element by element.", (&[INTS, INTS], INTS), |given| {
        let [Datum::Ints(a), Datum::Ints(b)] = given else { return misused() };
        each(a, b, i64::checked_add)
    }),
    function("repeat", "A list of so many times one number.", (&[INT, INT], INTS), |given| match given {
        [Datum::Int(x), Datum::Int(count @ 0..=64)] => Ok(Datum::Ints(vec![*x; *count as usize])),
        _ => Err("a list is not so long".into()),
    }),
    function(
        "spatial_pads",
        "What a `Pad` of all axes adds around the spatial ones, if it adds nothing around batch and channels.",
        (&[INTS], INTS),
        spatial_pads,
    ),
    function("least", "The smallest number of a list.", (&[INTS], INT), |given| match given {
        [Datum::Ints(list)] => {
            let least = list.iter().copied().min();
            Ok(Datum::Int(least.ok_or("the list is empty")?))
        }
        _ => misused(),
    }),
    function(
        "below",
        "Whether each number of a list is smaller than the one at its place in the other.",
        (&[INTS, INTS], Kind::Truth),
        |given| match given {
            [Datum::Ints(a), Datum::Ints(b)] => {
                Ok(Datum::Truth(a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a < b)))
            }
            _ => misused(),
        },
    ),
    function(
        "disjoint",
        "Whether two lists have no number in common.",
        (&[INTS, INTS], Kind::Truth),
        |given| match given {
            [Datum::Ints(a), Datum::Ints(b)] => Ok(Datum::Truth(!a.iter().any(|x| b.contains(x)))),
            _ => misused(),
        },
    ),
    function(
        "every",
        "Whether every number of a list is the same as this one.",
        (&[INTS, INT], Kind::Truth),
        |given| match given {
            [Datum::Ints(a), Datum::Int(b)] => Ok(Datum::Truth(a.iter().all(|x| x == b))),
            _ => misused(),
        },
    ),
];

fn whole<'a>(number: Option<i64>) -> Answer<'a> {
    Ok(Datum::Int(number.ok_or("the number has no 64 bits")?))
}

fn two<'a>(given: Given<'_, 'a>, f: fn(i64, i64) -> Option<i64>) -> Answer<'a> {
    match given {
        [Datum::Int(a), Datum::Int(b)] => whole(f(*a, *b)),
        _ => misused(),
    }
}

fn finite<'a>(number: f64) -> Answer<'a> {
    if number.is_finite() { Ok(Datum::Float(number)) } else { Err("the number is not finite".into()) }
}

fn real<'a>(given: Given<'_, 'a>, f: fn(f64, f64) -> f64) -> Answer<'a> {
    match given {
        [Datum::Float(a), Datum::Float(b)] => finite(f(*a, *b)),
        _ => misused(),
    }
}

fn each<'a>(a: &[i64], b: &[i64], f: fn(i64, i64) -> Option<i64>) -> Answer<'a> {
    if a.len() != b.len() {
        return Err("the lists differ in length".into());
    }
    let each = a.iter().zip(b).map(|(a, b)| f(*a, *b)).collect::<Option<_>>();
    Ok(Datum::Ints(each.ok_or("a number has no 64 bits")?))
}

fn counted(rank: i64) -> Result<usize, Declined> {
    usize::try_from(rank).ok().filter(|rank| *rank <= 64).ok_or_else(|| "it is no rank".into())
}

/// A permutation, its axes counted from either end.
fn perm(axes: &[i64]) -> Result<Perm, Declined> {
    let axes = places(axes, axes.len())?;
    Perm::new(axes).ok_or_else(|| "it is no permutation".into())
}

fn listed(axes: &[usize]) -> Vec<i64> {
    axes.iter().map(|axis| *axis as i64).collect()
}

fn compose<'a>(given: Given<'_, 'a>) -> Answer<'a> {
    let [Datum::Ints(first), Datum::Ints(second)] = given else { return misused() };
    let (first, second) = (perm(first)?, perm(second)?);
    if first.rank() != second.rank() {
        return Err("the permutations differ in rank".into());
    }
    Ok(Datum::Ints(listed(first.then(&second).axes())))
}

fn swap_last<'a>(given: Given<'_, 'a>) -> Answer<'a> {
    let [Datum::Int(rank)] = given else { return misused() };
    let mut axes: Vec<i64> = (0..counted(*rank)? as i64).collect();
    let [.., a, b] = axes.as_mut_slice() else { return Err("there are no two axes".into()) };
    std::mem::swap(a, b);
    Ok(Datum::Ints(axes))
}

fn spatial_pads<'a>(given: Given<'_, 'a>) -> Answer<'a> {
    let [Datum::Ints(pads)] = given else { return misused() };
    let (before, behind) = pads.split_at(pads.len() / 2);
    let ([0, 0, before @ ..], [0, 0, behind @ ..]) = (before, behind) else {
        return Err("batch or channels are padded".into());
    };
    if before.len() != behind.len() || pads.iter().any(|pad| *pad < 0) {
        return Err("elements are cut off".into());
    }
    Ok(Datum::Ints([before, behind].concat()))
}
