//! ONNX's text form, as `onnx.parser` reads it and `onnx.printer` writes it.
mod elements;
mod lex;
mod parse;
mod print;
mod value;

pub(crate) use parse::parse;
pub(crate) use print::print;

use crate::proto::tensor_proto::DataType;

/// How deep graphs may lie in attributes of others.
const MAX_DEPTH: usize = 64;

/// The element types and their names.
const TYPES: &[(&str, DataType)] = &[
    ("float", DataType::Float),
    ("uint8", DataType::Uint8),
    ("int8", DataType::Int8),
    ("uint16", DataType::Uint16),
    ("int16", DataType::Int16),
    ("int32", DataType::Int32),
    ("int64", DataType::Int64),
    ("string", DataType::String),
    ("bool", DataType::Bool),
    ("float16", DataType::Float16),
    ("double", DataType::Double),
    ("uint32", DataType::Uint32),
    ("uint64", DataType::Uint64),
    ("bfloat16", DataType::Bfloat16),
    ("float8e4m3fn", DataType::Float8e4m3fn),
    ("float8e4m3fnuz", DataType::Float8e4m3fnuz),
    ("float8e5m2", DataType::Float8e5m2),
    ("float8e5m2fnuz", DataType::Float8e5m2fnuz),
    ("float8e8m0", DataType::Float8e8m0),
    ("uint4", DataType::Uint4),
    ("int4", DataType::Int4),
    ("float4e2m1", DataType::Float4e2m1),
    ("uint2", DataType::Uint2),
    ("int2", DataType::Int2),
];

/// The element type of that name.
fn type_named(name: &str) -> Option<DataType> {
    TYPES.iter().find(|(known, _)| *known == name).map(|(_, ty)| *ty)
}

/// The name of an element type.
fn name_of(code: i32) -> &'static str {
    TYPES.iter().find(|(_, ty)| *ty as i32 == code).map_or("undefined", |(name, _)| name)
}

#[cfg(test)]
mod tests;
