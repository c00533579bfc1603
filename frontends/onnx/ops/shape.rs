//! Shapes: reshaping, slicing, joining, padding, resizing.
use super::{Row, by, renamed, same, with_operands};
use crate::call::{Call, Converted};
use std::collections::BTreeMap;
use weft_frontend::Cause;
use weft_ir::{Attr, Tensor, Value};

pub(super) const ROWS: &[Row] = &[
    same("AffineGrid", 20),
    by("CenterCropPad", 18, center_crop_pad),
    same("Concat", 4),
    same("DepthToSpace", 1),
    same("Expand", 8),
    same("Flatten", 1),
    by("Pad", 1, pad_by_attributes),
    same("Pad", 11),
    by("Reshape", 1, reshape_by_attribute),
    same("Reshape", 5),
    by("Resize", 10, resize_of_opset_10),
    by("Resize", 11, resize),
    same("Shape", 1),
    same("Size", 1),
    by("Slice", 1, slice_by_attributes),
    same("Slice", 10),
    same("SpaceToDepth", 1),
    by("Split", 1, split_by_attribute),
    by("Split", 13, split),
    by("Squeeze", 1, axes_by_attribute),
    same("Squeeze", 13),
    same("Tile", 6),
    same("Transpose", 1),
    same("Trilu", 14),
    by("Unsqueeze", 1, axes_by_attribute),
    same("Unsqueeze", 13),
    by("Upsample", 7, upsample),
    by("Upsample", 9, upsample),
];

/// The axes were an attribute and became an operand.
pub(super) fn axes_by_attribute(call: &mut Call<'_, '_, '_>) -> Converted {
    let op = call.node.op_type();
    let x = call.need(0)?;
    if call.operand(1).is_some() {
        return Err(Cause::invalid("2 operands, expected 1 in this opset").into());
    }
    let axes = call.attrs.ints("axes")?.map(|axes| call.ints("axes", axes)).transpose()?;
    with_operands(call, op, vec![Some(x), axes])
}

/// The shape was an attribute and became an operand.
fn reshape_by_attribute(call: &mut Call<'_, '_, '_>) -> Converted {
    let x = call.need(0)?;
    let shape = call.attrs.ints("shape")?.unwrap_or_default();
    let shape = call.ints("shape", shape)?;
    call.last("Reshape", &[], &[Some(x), Some(shape)])
}

/// Everything was an attribute and became an operand.
fn pad_by_attributes(call: &mut Call<'_, '_, '_>) -> Converted {
    let x = call.need(0)?;
    let pads = match call.attrs.ints("paddings")? {
        Some(pads) => pads,
        None => call.attrs.ints("pads")?.ok_or_else(|| Cause::invalid("attribute `pads` is missing"))?,
    };
    let value = call.attrs.float("value")?.unwrap_or(0.0);
    let pads = call.ints("pads", pads)?;
    let value = call.number_like("value", value, x)?;
    with_operands(call, "Pad", vec![Some(x), Some(pads), Some(value)])
}

/// Everything was an attribute and became an operand.
fn slice_by_attributes(call: &mut Call<'_, '_, '_>) -> Converted {
    let mut operands = vec![Some(call.need(0)?)];
    for name in ["starts", "ends", "axes"] {
        let given = call.attrs.ints(name)?;
        if given.is_none() && name != "axes" {
            return Err(Cause::Invalid(format!("attribute `{name}` is missing")).into());
        }
        operands.push(given.map(|ints| call.ints(name, ints)).transpose()?);
    }
    call.last("Slice", &[], &operands)
}

/// The lengths of the parts were an attribute and became an operand.
fn split_by_attribute(call: &mut Call<'_, '_, '_>) -> Converted {
    let lengths = call.attrs.ints("split")?;
    if let Some(lengths) = lengths.filter(|_| call.operand(1).is_none()) {
        let lengths = call.ints("lengths", lengths)?;
        let x = call.need(0)?;
        return with_operands(call, "Split", vec![Some(x), Some(lengths)]);
    }
    split(call)
}

/// Without lengths there are as many parts as results.
fn split(call: &mut Call<'_, '_, '_>) -> Converted {
    let mut attrs = call.declared(call.builder.def("Split")?)?;
    let parts = call.node.output.len() as i64;
    if call.operand(1).is_none() {
        let stated = attrs.insert("num_outputs".to_string(), Attr::Int(parts));
        if stated.is_some_and(|stated| stated != Attr::Int(parts)) {
            return Err(Cause::Invalid(format!("`num_outputs` is not {parts}, the number of results")).into());
        }
    } else if attrs.contains_key("num_outputs") {
        return Err(Cause::invalid("both `split` and `num_outputs` are given").into());
    }
    let names = (0..call.node.output.len()).map(|i| call.result_name(i)).collect();
    Ok(call.emit("Split", attrs, call.operands.clone(), names)?)
}

/// Padding up to the larger of both shapes, then the middle of that.
fn center_crop_pad(call: &mut Call<'_, '_, '_>) -> Converted {
    let (x, shape) = (call.need(0)?, call.need(1)?);
    let axes = call.attrs.ints("axes")?.map(|axes| call.ints("axes", axes)).transpose()?;
    let two = call.ints("two", &[2])?;
    let before = extents_of(call, "before", x, axes)?;
    let large = call.step("large", "Max", &[], &[before, shape])?;
    let missing = call.step("missing", "Sub", &[], &[large, before])?;
    let left = call.step("left", "Div", &[], &[missing, two])?;
    let right = call.step("right", "Sub", &[], &[missing, left])?;
    let pads = call.step("pads", "Concat", &[("axis", Attr::Int(0))], &[left, right])?;
    let names = vec![call.name_inside("padded")];
    let padded = call.emit("Pad", BTreeMap::new(), vec![Some(x), Some(pads), None, axes], names)?;
    let beyond = call.step("beyond", "Sub", &[], &[large, shape])?;
    let start = call.step("start", "Div", &[], &[beyond, two])?;
    let end = call.step("end", "Add", &[], &[start, shape])?;
    let padded = padded.first().copied();
    call.last("Slice", &[], &[padded, Some(start), Some(end), axes])
}

/// The extents along some axes, or all.
fn extents_of(
    call: &mut Call<'_, '_, '_>,
    what: &str,
    x: Value,
    axes: Option<Value>,
) -> Result<Value, Cause> {
    let Some(axes) = axes else { return call.step(what, "Shape", &[], &[x]) };
    let shape = call.step("shape", "Shape", &[], &[x])?;
    call.step(what, "Gather", &[], &[shape, axes])
}

/// The older name of a resize that scales from the corner.
fn upsample(call: &mut Call<'_, '_, '_>) -> Converted {
    let x = call.need(0)?;
    let scales = match call.attrs.floats("scales")? {
        Some(scales) => call.tensor("scales", Tensor::vector(scales))?,
        None => call.need(1)?,
    };
    from_the_corner(call, x, scales, "floor")
}

/// The first `Resize` rounded down where it enlarged and up where it shrank.
fn resize_of_opset_10(call: &mut Call<'_, '_, '_>) -> Converted {
    let (x, scales) = (call.need(0)?, call.need(1)?);
    let numbers = call.data(scales).and_then(|data| data.to_f64s());
    let nearest = call.attrs.str("mode")?.is_none_or(|mode| mode == "nearest");
    let rounding = match numbers {
        Some(numbers) if numbers.iter().all(|s| *s <= 1.0) => "ceil",
        Some(numbers) if nearest && numbers.iter().any(|s| *s < 1.0) => {
            return Err(Cause::unsupported("enlarging and shrinking at once by the rules of opset 10").into());
        }
        _ => "floor",
    };
    from_the_corner(call, x, scales, rounding)
}

fn from_the_corner(call: &mut Call<'_, '_, '_>, x: Value, scales: Value, rounding: &str) -> Converted {
    let mode = match call.attrs.str("mode")?.unwrap_or("nearest") {
        "nearest" => "nearest",
        "linear" | "bilinear" => "linear",
        other => return Err(Cause::Invalid(format!("`mode` = `{other}`")).into()),
    };
    let text = |text: &str| Attr::Str(text.to_string());
    let mut attrs = vec![("coordinate_transformation_mode", text("asymmetric")), ("mode", text(mode))];
    if mode == "nearest" {
        attrs.push(("nearest_mode", text(rounding)));
    }
    call.last("Resize", &attrs, &[Some(x), None, Some(scales)])
}

/// Operands that are constants of no elements count as absent.
fn resize(call: &mut Call<'_, '_, '_>) -> Converted {
    let mut operands = vec![Some(call.need(0)?)];
    for i in 1..4 {
        let empty = |v: &Value| call.data(*v).is_some_and(|data| data.is_empty());
        operands.push(call.operand(i).filter(|v| !empty(v)));
    }
    if call.attrs.str("coordinate_transformation_mode")? != Some("tf_crop_and_resize") {
        operands[1] = None;
    }
    call.operands = operands;
    renamed(call, "Resize")
}
