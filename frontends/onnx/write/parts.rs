//! Attributes, tensors and types as messages.
use crate::proto::attribute_proto::AttributeType;
use crate::proto::tensor_proto::DataType;
use crate::proto::tensor_shape_proto::{Dimension, dimension};
use crate::proto::{AttributeProto, TensorProto, TensorShapeProto, TypeProto, ValueInfoProto, type_proto};
use weft_frontend::Cause;
use weft_ir::{Attr, DType, Dim, Tensor, TensorType};

/// The code of an element type.
pub(super) fn code(dtype: DType) -> i32 {
    let known = match dtype {
        DType::F64 => DataType::Double,
        DType::F32 => DataType::Float,
        DType::F16 => DataType::Float16,
        DType::Bf16 => DataType::Bfloat16,
        DType::I8 => DataType::Int8,
        DType::I16 => DataType::Int16,
        DType::I32 => DataType::Int32,
        DType::I64 => DataType::Int64,
        DType::U8 => DataType::Uint8,
        DType::U16 => DataType::Uint16,
        DType::U32 => DataType::Uint32,
        DType::U64 => DataType::Uint64,
        DType::Bool => DataType::Bool,
        DType::String => DataType::String,
        DType::I4 => DataType::Int4,
        DType::U4 => DataType::Uint4,
        DType::I2 => DataType::Int2,
        DType::U2 => DataType::Uint2,
        DType::F8E4M3Fn => DataType::Float8e4m3fn,
        DType::F8E4M3FnUz => DataType::Float8e4m3fnuz,
        DType::F8E5M2 => DataType::Float8e5m2,
        DType::F8E5M2FnUz => DataType::Float8e5m2fnuz,
        DType::F8E8M0 => DataType::Float8e8m0,
        DType::F4E2M1 => DataType::Float4e2m1,
    };
    known as i32
}

/// An attribute.
pub(super) fn attribute(name: &str, attr: &Attr) -> Result<AttributeProto, Cause> {
    let empty = |kind: AttributeType| AttributeProto {
        name: Some(name.to_string()),
        r#type: Some(kind as i32),
        ..Default::default()
    };
    Ok(match attr {
        Attr::Int(x) => AttributeProto { i: Some(*x), ..empty(AttributeType::Int) },
        Attr::Float(x) => AttributeProto { f: Some(*x), ..empty(AttributeType::Float) },
        Attr::Str(x) => AttributeProto { s: Some(x.clone().into_bytes()), ..empty(AttributeType::String) },
        Attr::Ints(x) => AttributeProto { ints: x.clone(), ..empty(AttributeType::Ints) },
        Attr::Floats(x) => AttributeProto { floats: x.clone(), ..empty(AttributeType::Floats) },
        Attr::Strs(x) => AttributeProto {
            strings: x.iter().map(|text| text.clone().into_bytes()).collect(),
            ..empty(AttributeType::Strings)
        },
        Attr::Type(x) => AttributeProto { i: Some(code(*x).into()), ..empty(AttributeType::Int) },
        Attr::Tensor(x) => AttributeProto { t: Some(tensor("", x)), ..empty(AttributeType::Tensor) },
        Attr::Dims(_) => return Err(Cause::Unsupported(format!("attribute `{name}` holds extents"))),
    })
}

/// Constant data.
pub(crate) fn tensor(name: &str, tensor: &Tensor) -> TensorProto {
    let raw = tensor.dtype() != DType::String;
    TensorProto {
        name: Some(name.to_string()),
        data_type: Some(code(tensor.dtype())),
        dims: tensor.dims().iter().map(|d| i64::try_from(*d).unwrap_or(i64::MAX)).collect(),
        raw_data: raw.then(|| tensor.data().clone()),
        string_data: tensor.texts().iter().map(|text| text.clone().into_bytes()).collect(),
        ..Default::default()
    }
}

/// A value with its type.
pub(super) fn value_info(name: &str, ty: &TensorType) -> ValueInfoProto {
    let shape = ty.dims.as_ref().map(|dims| TensorShapeProto { dim: dims.iter().map(extent).collect() });
    let tensor = type_proto::Tensor { elem_type: Some(code(ty.dtype)), shape };
    let ty = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() };
    ValueInfoProto { name: Some(name.to_string()), r#type: Some(ty), ..Default::default() }
}

/// An extent; one that is decided at run time is left open.
fn extent(dim: &Dim) -> Dimension {
    let open = dim.symbols().iter().any(|name| name.starts_with('?'));
    let value = match dim.as_fixed() {
        Some(number) => Some(dimension::Value::DimValue(number)),
        None if open => None,
        None => {
            let name = dim.as_symbol().map_or_else(|| dim.to_string(), str::to_string);
            Some(dimension::Value::DimParam(name))
        }
    };
    Dimension { value, ..Default::default() }
}
