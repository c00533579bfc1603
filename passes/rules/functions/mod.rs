//! The functions and conditions that come with weft, as tables.
//!
//! A function has no value where it makes no sense: it declines and says why. A condition holds
//! only where that is certain.
mod extents;
mod facts;
mod lists;

use weft_ir::Dim;
use weft_passes::rule::{Apply, Datum, Function, Kind, Rules};
use weft_passes::{Declined, RegisterError};

/// Every function and condition that comes with weft.
pub fn functions() -> impl Iterator<Item = &'static Function> {
    facts::FUNCTIONS.iter().chain(lists::FUNCTIONS).chain(extents::FUNCTIONS)
}

/// Adds every function and condition that comes with weft.
pub fn add_functions(rules: &mut Rules) -> Result<(), RegisterError> {
    functions().cloned().try_for_each(|function| rules.add_function(function))
}

type Given<'d, 'a> = &'d [Datum<'a>];
type Answer<'a> = Result<Datum<'a>, Declined>;

/// A row of a table.
const fn function(
    name: &'static str,
    doc: &'static str,
    (params, result): (&'static [Kind], Kind),
    apply: for<'d, 'a> fn(Given<'d, 'a>) -> Answer<'a>,
) -> Function {
    Function { name, doc, params, result, apply: Apply::Plain(apply) }
}

/// Engines call functions with what they take; for callers that do not.
fn misused<'a>() -> Answer<'a> {
    Err("a function was given what it does not take".into())
}

/// An axis counted from the start.
fn place(axis: i64, rank: usize) -> Result<usize, Declined> {
    weft_ir::ops::rules::axis(axis, rank).map_err(|error| error.0.into())
}

/// Axes counted from the start, which must differ.
fn places(axes: &[i64], rank: usize) -> Result<Vec<usize>, Declined> {
    let places = axes.iter().map(|axis| place(*axis, rank)).collect::<Result<Vec<_>, _>>()?;
    let mut sorted = places.clone();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.len() == places.len() { Ok(places) } else { Err("an axis is there twice".into()) }
}

/// The extents of a value.
fn dims<'d>(value: &'d weft_passes::rule::Bound<'_>) -> Result<&'d [Dim], Declined> {
    value.fact.dims().ok_or_else(|| "the rank is not known".into())
}
