//! Sequences and optional values, resolved while the model is read: their parts are known one by
//! one, so none is left in the graph. Positions must be constant.
use super::{Results, Row, list, renamed};
use crate::builder::Stop;
use crate::call::{Call, owned};
use std::rc::Rc;
use weft_frontend::Cause;
use weft_ir::{Attr, Tensor, Value};

pub(super) const ROWS: &[Row] = &[
    list("ConcatFromSequence", 11, concat),
    list("Identity", 1, itself),
    list("Optional", 15, wrapped),
    list("OptionalGetElement", 15, wrapped),
    list("OptionalHasElement", 15, has_element),
    list("SequenceAt", 11, at),
    list("SequenceConstruct", 11, construct),
    list("SequenceEmpty", 11, empty),
    list("SequenceErase", 11, erase),
    list("SequenceInsert", 11, insert),
    list("SequenceLength", 11, length),
    list("SplitToSequence", 11, split),
];

/// Sequences hold at most this many values.
const MAX_LENGTH: usize = 256;

type Outcome = Result<Results, Stop>;

fn sequence(values: Vec<Value>) -> Outcome {
    if values.len() > MAX_LENGTH {
        return Err(Cause::Unsupported(format!("sequences of more than {MAX_LENGTH} values")).into());
    }
    Ok(Results::List(Rc::new(values)))
}

/// The sequence that the first operand is.
fn first(call: &Call<'_, '_, '_>) -> Result<Rc<Vec<Value>>, Cause> {
    call.lists.get(&0).cloned().ok_or_else(|| Cause::invalid("operand 0 is no sequence"))
}

/// One integer of a constant operand.
fn number(call: &Call<'_, '_, '_>, i: usize) -> Result<i64, Cause> {
    match call.fact(call.need(i)?).ints().as_deref() {
        Some([number]) => Ok(*number),
        _ => Err(Cause::Unsupported(format!("operand {i}, a position, that is not constant"))),
    }
}

/// A place among `length`, counted from the end if negative.
fn position(call: &Call<'_, '_, '_>, i: usize, length: usize) -> Result<usize, Cause> {
    let given = number(call, i)?;
    let place = if given < 0 { given.saturating_add(length as i64) } else { given };
    let place = usize::try_from(place).ok().filter(|place| *place < length);
    place.ok_or_else(|| Cause::Invalid(format!("position {given} of a sequence of {length}")))
}

fn itself(call: &mut Call<'_, '_, '_>) -> Outcome {
    match call.lists.get(&0) {
        Some(values) => Ok(Results::List(values.clone())),
        None => renamed(call, "Identity").map(Results::Values),
    }
}

/// What is there is the value; what is not is never asked for.
fn wrapped(call: &mut Call<'_, '_, '_>) -> Outcome {
    match (call.lists.get(&0), call.operand(0)) {
        (Some(values), _) => Ok(Results::List(values.clone())),
        (None, Some(value)) => Ok(Results::Values(vec![value])),
        (None, None) => Err(Cause::unsupported("an optional value that is not there").into()),
    }
}

fn has_element(call: &mut Call<'_, '_, '_>) -> Outcome {
    let there = call.lists.contains_key(&0) || call.operand(0).is_some();
    constant(call, Tensor::scalar(there))
}

fn constant(call: &mut Call<'_, '_, '_>, tensor: Tensor) -> Outcome {
    call.last("Const", &[("value", Attr::Tensor(tensor.into()))], &[]).map(Results::Values)
}

fn length(call: &mut Call<'_, '_, '_>) -> Outcome {
    let length = first(call)?.len() as i64;
    constant(call, Tensor::scalar(length))
}

fn empty(call: &mut Call<'_, '_, '_>) -> Outcome {
    call.attrs.ignore("dtype");
    sequence(Vec::new())
}

fn construct(call: &mut Call<'_, '_, '_>) -> Outcome {
    let values = (0..call.operands.len()).map(|i| call.need(i)).collect::<Result<_, _>>()?;
    sequence(values)
}

fn at(call: &mut Call<'_, '_, '_>) -> Outcome {
    let values = first(call)?;
    Ok(Results::Values(vec![values[position(call, 1, values.len())?]]))
}

fn insert(call: &mut Call<'_, '_, '_>) -> Outcome {
    let mut values = first(call)?.to_vec();
    let value = call.need(1)?;
    let place = match call.operand(2) {
        Some(_) if number(call, 2)? == values.len() as i64 => values.len(),
        Some(_) => position(call, 2, values.len())?,
        None => values.len(),
    };
    values.insert(place, value);
    sequence(values)
}

fn erase(call: &mut Call<'_, '_, '_>) -> Outcome {
    let mut values = first(call)?.to_vec();
    let place = match call.operand(1) {
        Some(_) => position(call, 1, values.len())?,
        None => values.len().checked_sub(1).ok_or_else(|| Cause::invalid("the sequence is empty"))?,
    };
    values.remove(place);
    sequence(values)
}

fn concat(call: &mut Call<'_, '_, '_>) -> Outcome {
    let values = first(call)?;
    let axis = call.attrs.int("axis")?.ok_or_else(|| Cause::invalid("attribute `axis` is missing"))?;
    let mut operands = Vec::with_capacity(values.len());
    let new = call.attrs.int("new_axis")?.unwrap_or(0) == 1;
    for (i, value) in values.iter().enumerate() {
        operands.push(Some(if new { with_axis(call, i, *value, axis)? } else { *value }));
    }
    call.last("Concat", &[("axis", Attr::Int(axis))], &operands).map(Results::Values)
}

fn with_axis(call: &mut Call<'_, '_, '_>, i: usize, value: Value, axis: i64) -> Result<Value, Cause> {
    let axes = call.ints(&format!("{i}/axes"), &[axis])?;
    call.step(&format!("{i}/item"), "Unsqueeze", &[], &[value, axes])
}

/// Pieces of given lengths, of one length, or one by one without their axis.
fn split(call: &mut Call<'_, '_, '_>) -> Outcome {
    let x = call.need(0)?;
    let axis = call.attrs.int("axis")?.unwrap_or(0);
    let keep = call.attrs.int("keepdims")?.unwrap_or(1) == 1 || call.operand(1).is_some();
    let lengths = lengths(call, x, axis)?;
    if lengths.len() > MAX_LENGTH {
        return Err(Cause::Unsupported(format!("sequences of more than {MAX_LENGTH} values")).into());
    }
    let operand = call.ints("lengths", &lengths)?;
    let names = (0..lengths.len()).map(|i| call.name_inside(&i.to_string())).collect();
    let attrs = owned(&[("axis", Attr::Int(axis))]);
    let pieces = call.emit("Split", attrs, vec![Some(x), Some(operand)], names)?;
    if keep {
        return sequence(pieces);
    }
    let axes = call.ints("axes", &[axis])?;
    let items = pieces.into_iter().enumerate();
    sequence(
        items
            .map(|(i, piece)| call.step(&format!("{i}/item"), "Squeeze", &[], &[piece, axes]))
            .collect::<Result<_, _>>()?,
    )
}

/// The lengths of the pieces along an axis.
fn lengths(call: &Call<'_, '_, '_>, x: Value, axis: i64) -> Result<Vec<i64>, Cause> {
    let given = match call.operand(1) {
        None => None,
        Some(value) => {
            let numbers = call.fact(value).ints();
            let numbers = numbers.ok_or_else(|| Cause::unsupported("lengths that are not constant"))?;
            if call.rank(value)? > 0 {
                return Ok(numbers);
            }
            numbers.first().copied()
        }
    };
    let dims = call.dims(x)?;
    let axis = weft_ir::ops::rules::axis(axis, dims.len()).map_err(|e| Cause::Invalid(e.0))?;
    let whole = dims[axis].as_fixed();
    let whole = whole.ok_or_else(|| Cause::unsupported("a number of pieces that is not known"))?;
    let each = given.unwrap_or(1);
    if each < 1 || whole / each >= MAX_LENGTH as i64 {
        return Err(Cause::Unsupported(format!("{whole} elements in pieces of {each}")));
    }
    let full = std::iter::repeat_n(each, usize::try_from(whole / each).unwrap_or(0));
    Ok(full.chain(Some(whole % each).filter(|rest| *rest > 0)).collect())
}
