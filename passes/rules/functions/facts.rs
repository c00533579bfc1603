//! What is known of a value.
use super::{Answer, Given, dims, function, misused, place};
use weft_ir::types::Kind as Numbers;
use weft_ir::{DType, Dim};
use weft_passes::rule::{Bound, Datum, Function, Kind};
use weft_passes::{floats, integers};

const VALUE: &[Kind] = &[Kind::Value];

pub(super) const FUNCTIONS: &[Function] = &[
    function("dtype", "The element type.", (VALUE, Kind::Type), |given| {
        of(given, |x| Ok(Datum::Type(x.fact.dtype())))
    }),
    function("rank", "The number of axes.", (VALUE, Kind::Int), |given| {
        of(given, |x| Ok(Datum::Int(dims(x)?.len() as i64)))
    }),
    function("shape", "All extents.", (VALUE, Kind::Shape), |given| {
        of(given, |x| Ok(Datum::Shape(dims(x)?.to_vec())))
    }),
    function(
        "extent",
        "The extent of an axis, which may count from the end.",
        (&[Kind::Value, Kind::Int], Kind::Extent),
        extent,
    ),
    function("elements", "The number of elements.", (VALUE, Kind::Extent), |given| {
        of(given, |x| Ok(Datum::Extent(x.fact.ty.elements().ok_or("the rank is not known")?)))
    }),
    function(
        "ints",
        "The elements of a small tensor of integers, where they are known.",
        (VALUE, Kind::Ints),
        |given| {
            of(given, |x| {
                let known = x.fact.ints().or_else(|| x.fact.constant.as_ref()?.to_i64s());
                Ok(Datum::Ints(known.ok_or("the elements are not known")?))
            })
        },
    ),
    function(
        "extents",
        "The elements of a vector of extents, which may be symbolic.",
        (VALUE, Kind::Shape),
        |given| of(given, |x| Ok(Datum::Shape(x.fact.value.clone().ok_or("the elements are not known")?))),
    ),
    function(
        "number",
        "The element of a constant that has one, or the same everywhere.",
        (VALUE, Kind::Float),
        |given| of(given, |x| Ok(Datum::Float(number(x).ok_or("it is not one number everywhere")?))),
    ),
    function(
        "uses",
        "How often a value is used; once in engines that weigh sharing themselves.",
        (VALUE, Kind::Int),
        |given| of(given, |x| Ok(Datum::Int(i64::try_from(x.uses).unwrap_or(i64::MAX)))),
    ),
    function("count", "How many operands there are.", (&[Kind::Values], Kind::Int), |given| match given {
        [Datum::Values(values)] => Ok(Datum::Int(values.len() as i64)),
        _ => misused(),
    }),
    function(
        "constant",
        "Whether the elements are known before the program runs.",
        (VALUE, Kind::Truth),
        |given| of(given, |x| Ok(Datum::Truth(x.fact.constant.is_some()))),
    ),
    function(
        "variable",
        "Whether the elements are not known before the program runs.",
        (VALUE, Kind::Truth),
        |given| of(given, |x| Ok(Datum::Truth(x.fact.constant.is_none()))),
    ),
    function(
        "unsigned",
        "Whether the elements are integers that cannot be negative.",
        (VALUE, Kind::Truth),
        |given| of(given, |x| Ok(Datum::Truth(x.fact.dtype().kind() == Numbers::Unsigned))),
    ),
    function(
        "uniform",
        "Whether it is a constant that is the same number everywhere.",
        (VALUE, Kind::Truth),
        |given| of(given, |x| Ok(Datum::Truth(number(x).is_some()))),
    ),
    function("single", "Whether it has exactly one element.", (VALUE, Kind::Truth), |given| {
        of(given, |x| Ok(Datum::Truth(x.fact.ty.elements().and_then(|n| n.as_fixed()) == Some(1))))
    }),
    function(
        "float",
        "Whether the elements are floats of at least 16 bits.",
        (VALUE, Kind::Truth),
        |given| of(given, |x| Ok(Datum::Truth(x.fact.dtype().is_float() && x.fact.dtype().bits() >= 16))),
    ),
    function("integer", "Whether the elements are integers.", (VALUE, Kind::Truth), |given| {
        of(given, |x| Ok(Datum::Truth(x.fact.dtype().is_int())))
    }),
    function("signed", "Whether the elements can be negative.", (VALUE, Kind::Truth), |given| {
        of(given, |x| Ok(Datum::Truth(matches!(x.fact.dtype().kind(), Numbers::Signed | Numbers::Float))))
    }),
    function("boolean", "Whether the elements are truth values.", (VALUE, Kind::Truth), |given| {
        of(given, |x| Ok(Datum::Truth(x.fact.dtype() == DType::Bool)))
    }),
    function(
        "holds",
        "Whether an element type has every number of another one.",
        (&[Kind::Type, Kind::Type], Kind::Truth),
        holds,
    ),
    function(
        "last_axis",
        "Whether an axis of a value is its last one.",
        (&[Kind::Int, Kind::Value], Kind::Truth),
        last_axis,
    ),
    function("scalar", "A constant of rank 0.", (&[Kind::Type, Kind::Float], Kind::Tensor), scalar),
];

fn of<'d, 'a>(given: Given<'d, 'a>, ask: impl Fn(&Bound<'a>) -> Answer<'a>) -> Answer<'a> {
    match given {
        [Datum::Value(value)] => ask(value),
        _ => misused(),
    }
}

/// The number that a constant is everywhere.
fn number(value: &Bound<'_>) -> Option<f64> {
    value.fact.constant.as_ref()?.as_uniform()
}

fn extent<'a>(given: Given<'_, 'a>) -> Answer<'a> {
    let [Datum::Value(value), Datum::Int(axis)] = given else { return misused() };
    let dims = dims(value)?;
    let extent: &Dim = &dims[place(*axis, dims.len())?];
    Ok(Datum::Extent(extent.clone()))
}

fn last_axis<'a>(given: Given<'_, 'a>) -> Answer<'a> {
    let [Datum::Int(axis), Datum::Value(value)] = given else { return misused() };
    let rank = dims(value)?.len();
    Ok(Datum::Truth(place(*axis, rank)? + 1 == rank))
}

fn scalar<'a>(given: Given<'_, 'a>) -> Answer<'a> {
    let [Datum::Type(dtype), Datum::Float(number)] = given else { return misused() };
    let whole = number.fract() == 0.0 && number.abs() < 9e15;
    let as_integer = || integers(*dtype, &[], &[*number as i64]).filter(|_| whole);
    let tensor = floats(*dtype, &[], &[*number]).or_else(as_integer);
    Ok(Datum::Tensor(tensor.ok_or_else(|| format!("{dtype} does not hold {number}"))?.into()))
}

fn holds<'a>(given: Given<'_, 'a>) -> Answer<'a> {
    let [Datum::Type(large), Datum::Type(small)] = given else { return misused() };
    Ok(Datum::Truth(large.holds(*small)))
}
