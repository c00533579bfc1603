//! Extents and shapes, which may be symbolic.
use super::{function, misused, place, places};
use weft_ir::Dim;
use weft_passes::Perm;
use weft_passes::rule::{Datum, Function, Kind};

const SHAPE: Kind = Kind::Shape;
const EXTENT: Kind = Kind::Extent;

pub(super) const FUNCTIONS: &[Function] = &[
    function("product", "The product of all extents.", (&[SHAPE], EXTENT), |given| match given {
        [Datum::Shape(dims)] => {
            Ok(Datum::Extent(dims.iter().fold(Dim::fixed(1), |product, dim| product.mul(dim))))
        }
        _ => misused(),
    }),
    function("total", "The sum of two extents.", (&[EXTENT, EXTENT], EXTENT), |given| match given {
        [Datum::Extent(a), Datum::Extent(b)] => Ok(Datum::Extent(a.add(b))),
        _ => misused(),
    }),
    function("scaled", "The product of two extents.", (&[EXTENT, EXTENT], EXTENT), |given| match given {
        [Datum::Extent(a), Datum::Extent(b)] => Ok(Datum::Extent(a.mul(b))),
        _ => misused(),
    }),
    function("fixed", "An extent that is a number.", (&[EXTENT], Kind::Int), |given| match given {
        [Datum::Extent(dim)] => Ok(Datum::Int(dim.as_fixed().ok_or("the extent is no number")?)),
        _ => misused(),
    }),
    function(
        "numbers",
        "A shape whose extents are all numbers.",
        (&[SHAPE], Kind::Ints),
        |given| match given {
            [Datum::Shape(dims)] => {
                let numbers: Option<Vec<i64>> = dims.iter().map(Dim::as_fixed).collect();
                Ok(Datum::Ints(numbers.ok_or("an extent is no number")?))
            }
            _ => misused(),
        },
    ),
    function("permute", "A shape with its axes in another order.", (&[SHAPE, Kind::Ints], SHAPE), |given| {
        let [Datum::Shape(dims), Datum::Ints(axes)] = given else { return misused() };
        let perm = Perm::new(places(axes, dims.len())?).filter(|perm| perm.rank() == dims.len());
        Ok(Datum::Shape(perm.ok_or("it is no permutation of the shape")?.apply(dims)))
    }),
    function("join", "One shape and then the other.", (&[SHAPE, SHAPE], SHAPE), |given| match given {
        [Datum::Shape(a), Datum::Shape(b)] => Ok(Datum::Shape([a.as_slice(), b].concat())),
        _ => misused(),
    }),
    function(
        "part",
        "The extents of the axes from the first number to before the second.",
        (&[SHAPE, Kind::Int, Kind::Int], SHAPE),
        |given| {
            let [Datum::Shape(dims), Datum::Int(from), Datum::Int(to)] = given else { return misused() };
            let clamped = |at: i64| {
                let at = if at < 0 { at.saturating_add(dims.len() as i64) } else { at };
                at.clamp(0, dims.len() as i64) as usize
            };
            Ok(Datum::Shape(dims.get(clamped(*from)..clamped(*to)).unwrap_or(&[]).to_vec()))
        },
    ),
    function("select", "The extents of these axes.", (&[SHAPE, Kind::Ints], SHAPE), |given| {
        let [Datum::Shape(dims), Datum::Ints(axes)] = given else { return misused() };
        let axes = axes.iter().map(|axis| place(*axis, dims.len())).collect::<Result<Vec<_>, _>>()?;
        Ok(Datum::Shape(axes.into_iter().map(|axis| dims[axis].clone()).collect()))
    }),
    function("size", "The number of axes of a shape.", (&[SHAPE], Kind::Int), |given| match given {
        [Datum::Shape(dims)] => Ok(Datum::Int(dims.len() as i64)),
        _ => misused(),
    }),
    function(
        "with_extent",
        "A shape with another extent at an axis.",
        (&[SHAPE, Kind::Int, EXTENT], SHAPE),
        |given| {
            let [Datum::Shape(dims), Datum::Int(axis), Datum::Extent(extent)] = given else {
                return misused();
            };
            let mut dims = dims.clone();
            let at = place(*axis, dims.len())?;
            dims[at] = extent.clone();
            Ok(Datum::Shape(dims))
        },
    ),
];
