//! The elements of tensors: decimal numbers, the bits of small floats as whole numbers, or text.
use super::lex::{Lexer, Number, Read};
use super::print::quoted;
use crate::proto::TensorProto;
use crate::proto::tensor_proto::{DataLocation, DataType};
use crate::tensor::tensor;
use bytes::Bytes;
use weft_frontend::Source;
use weft_ir::types::Kind;
use weft_ir::{DType, Tensor};

/// Reads `{1, 2}` into a tensor whose type is known.
pub(super) fn read(lexer: &mut Lexer<'_>, tensor: &mut TensorProto) -> Read<()> {
    lexer.mark("{")?;
    while !lexer.takes("}") {
        element(lexer, tensor)?;
        if !lexer.takes(",") {
            lexer.mark("}")?;
            break;
        }
    }
    Ok(())
}

fn element(lexer: &mut Lexer<'_>, tensor: &mut TensorProto) -> Read<()> {
    let data_type = DataType::try_from(tensor.data_type()).unwrap_or(DataType::Undefined);
    if data_type == DataType::String {
        tensor.string_data.push(lexer.quoted()?.into_bytes());
        return Ok(());
    }
    let text = match lexer.number() {
        Some(Number::Whole(text)) => text,
        Some(Number::Float(text)) if matches!(data_type, DataType::Float | DataType::Double) => text,
        _ => return lexer.expected("a number of the tensor's type"),
    };
    let fits = match data_type {
        DataType::Float => text.parse().map(|number| tensor.float_data.push(number)).is_ok(),
        DataType::Double => text.parse().map(|number| tensor.double_data.push(number)).is_ok(),
        DataType::Int64 => text.parse().map(|number| tensor.int64_data.push(number)).is_ok(),
        DataType::Uint32 | DataType::Uint64 => {
            text.parse().map(|number| tensor.uint64_data.push(number)).is_ok()
        }
        _ => text.parse().map(|number| tensor.int32_data.push(number)).is_ok(),
    };
    if fits { Ok(()) } else { lexer.fail(format!("`{text}` does not fit the tensor's type")) }
}

/// The elements of a tensor, or where they lie.
pub(super) fn written(proto: &TensorProto) -> String {
    if proto.data_location() == DataLocation::External {
        let place = |entry: &crate::proto::StringStringEntryProto| {
            format!("{}: {}", quoted(entry.key()), quoted(entry.value()))
        };
        return format!("[{}]", proto.external_data.iter().map(place).collect::<Vec<_>>().join(", "));
    }
    let read = tensor(proto, &Source::memory("tensor", Bytes::new()));
    format!("{{{}}}", read.map(|tensor| texts(&tensor)).unwrap_or_default().join(","))
}

fn texts(tensor: &Tensor) -> Vec<String> {
    match (tensor.dtype(), tensor.dtype().kind()) {
        (DType::String, _) => tensor.texts().iter().map(|text| quoted(text)).collect(),
        (DType::F32, _) => tensor.to_vec::<f32>().unwrap_or_default().into_iter().map(float).collect(),
        (DType::F64, _) => tensor.to_vec::<f64>().unwrap_or_default().into_iter().map(double).collect(),
        // Elements smaller than a byte are packed, in `int32_data` as in the tensor.
        (dtype, _) if dtype.bits() < 8 || dtype == DType::Bool => {
            tensor.data().iter().map(u8::to_string).collect()
        }
        (DType::U64, _) => chunks(tensor, 8).map(|bits| bits.to_string()).collect(),
        (dtype, Kind::Float) => {
            chunks(tensor, dtype.bits() as usize / 8).map(|bits| bits.to_string()).collect()
        }
        _ => tensor.to_i64s().unwrap_or_default().iter().map(i64::to_string).collect(),
    }
}

/// Little-endian elements as their bits.
fn chunks(tensor: &Tensor, size: usize) -> impl Iterator<Item = u64> {
    tensor
        .data()
        .chunks(size)
        .map(|chunk| chunk.iter().rev().fold(0, |bits, byte| bits << 8 | u64::from(*byte)))
}

/// The shortest text that reads back to the same number; `onnx.parser` knows `inf` and `nan`.
pub(super) fn float(x: f32) -> String {
    if x.is_nan() { "nan".to_string() } else { format!("{x:?}") }
}

fn double(x: f64) -> String {
    if x.is_nan() { "nan".to_string() } else { format!("{x:?}") }
}
