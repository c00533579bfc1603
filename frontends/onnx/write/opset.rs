//! Which opset the parts of a module need.
use crate::ops;
use weft_ir::{Attr, DType, Node};

/// No model is written in an older opset than this: from it on the canonical operators mean
/// themselves, but for what the tables say.
pub(super) const OLDEST: i64 = 18;

/// The version of the file format that came with an opset; older readers refuse newer ones.
pub(super) fn ir_version(opset: i64) -> i64 {
    match opset {
        ..19 => 8,
        19..21 => 9,
        21..23 => 10,
        23 => 11,
        24 => 12,
        25..28 => 13,
        28.. => 14,
    }
}

/// Attributes that came after their operators, and when.
const ATTRIBUTES: &[(&str, &str, i64)] = &[
    ("Attention", "left_window_size", 25),
    ("Attention", "right_window_size", 25),
    ("AveragePool", "dilations", 19),
    ("Cast", "round_mode", 24),
    ("Cast", "saturate", 19),
    ("CastLike", "round_mode", 24),
    ("CastLike", "saturate", 19),
    ("DequantizeLinear", "block_size", 21),
    ("DequantizeLinear", "output_dtype", 23),
    ("QuantizeLinear", "block_size", 21),
    ("QuantizeLinear", "output_dtype", 21),
    ("QuantizeLinear", "precision", 23),
    ("QuantizeLinear", "saturate", 19),
    ("Range", "stash_type", 27),
    ("SpaceToDepth", "mode", 28),
];

/// Element types that operators took up later, and when.
const TYPES: &[(&str, &[DType], i64)] = &[
    ("BitShift", &[DType::I8, DType::I16, DType::I32, DType::I64], 28),
    ("Celu", &[DType::F16, DType::F64], 28),
    ("DequantizeLinear", &[DType::F16], 19),
    ("DequantizeLinear", &[DType::I16, DType::U16], 21),
    ("Equal", &[DType::String], 19),
    ("IsInf", &[DType::F16], 20),
    ("QLinearMatMul", &[DType::F16], 21),
    ("QuantizeLinear", &[DType::F16, DType::I32], 19),
    ("QuantizeLinear", &[DType::I16, DType::U16], 21),
    ("Range", &[DType::F16], 27),
    ("ReduceMax", &[DType::Bool], 20),
    ("ReduceMin", &[DType::Bool], 20),
];

/// The oldest opset in which a node with operands of these types means what it means to weft.
pub(super) fn needed(node: &Node, operands: &[DType]) -> i64 {
    let op = node.op.as_str();
    // The sign of the divisor decides, for floats only lately.
    if op == "Mod" && !node.attrs.contains_key("fmod") && operands.iter().any(|ty| ty.is_float()) {
        return 28;
    }
    // The lengths without padding came as the seventh operand.
    if op == "Attention" && node.arity() > 6 {
        return 24.max(attributes_need(node));
    }
    let taken =
        TYPES.iter().filter(|(of, types, _)| *of == op && operands.iter().any(|ty| types.contains(ty)));
    let types = node.results.iter().map(|result| introduced(result.ty.dtype));
    let symmetric = matches!(node.attrs.get("coordinate_transformation_mode"),
        Some(Attr::Str(mode)) if mode == "half_pixel_symmetric");
    let mode = if symmetric { 19 } else { OLDEST };
    let versions = taken.map(|(_, _, version)| *version).chain(types).chain(ops::newest(op));
    versions.max().unwrap_or(OLDEST).max(mode).max(attributes_need(node))
}

/// The opset that has all attributes of a node.
fn attributes_need(node: &Node) -> i64 {
    let given = ATTRIBUTES.iter().filter(|(op, name, _)| node.op == *op && node.attrs.contains_key(*name));
    given.map(|(_, _, version)| *version).max().unwrap_or(OLDEST)
}

/// Since when an element type is allowed where it is not converted only.
fn introduced(dtype: DType) -> i64 {
    match dtype {
        DType::F8E4M3Fn | DType::F8E4M3FnUz | DType::F8E5M2 | DType::F8E5M2FnUz => 19,
        DType::I4 | DType::U4 => 21,
        DType::Bf16 => 22,
        DType::F4E2M1 => 23,
        DType::F8E8M0 => 24,
        DType::I2 | DType::U2 => 25,
        _ => OLDEST,
    }
}
