//! Constant data of the file as tensors; raw bytes stay where they lie.
use crate::proto::TensorProto;
use crate::proto::tensor_proto::{DataLocation, DataType};
use crate::types::within_rank;
use bytes::Bytes;
use weft_frontend::{Cause, Source};
use weft_ir::tensor::element_count;
use weft_ir::{DType, Element, Tensor};

/// The element type of that code.
pub(crate) fn dtype(code: i32) -> Result<DType, Cause> {
    let known = DataType::try_from(code)
        .map_err(|_| Cause::invalid(format!("{code} is not the code of an element type")))?;
    Ok(match known {
        DataType::Float => DType::F32,
        DataType::Uint8 => DType::U8,
        DataType::Int8 => DType::I8,
        DataType::Uint16 => DType::U16,
        DataType::Int16 => DType::I16,
        DataType::Int32 => DType::I32,
        DataType::Int64 => DType::I64,
        DataType::String => DType::String,
        DataType::Bool => DType::Bool,
        DataType::Float16 => DType::F16,
        DataType::Double => DType::F64,
        DataType::Uint32 => DType::U32,
        DataType::Uint64 => DType::U64,
        DataType::Bfloat16 => DType::Bf16,
        DataType::Float8e4m3fn => DType::F8E4M3Fn,
        DataType::Float8e4m3fnuz => DType::F8E4M3FnUz,
        DataType::Float8e5m2 => DType::F8E5M2,
        DataType::Float8e5m2fnuz => DType::F8E5M2FnUz,
        DataType::Uint4 => DType::U4,
        DataType::Int4 => DType::I4,
        DataType::Float4e2m1 => DType::F4E2M1,
        DataType::Float8e8m0 => DType::F8E8M0,
        DataType::Uint2 => DType::U2,
        DataType::Int2 => DType::I2,
        DataType::Undefined => return Err(Cause::invalid("the element type is not given")),
        DataType::Complex64 | DataType::Complex128 | DataType::Float6e2m3 | DataType::Float6e3m2 => {
            let name = known.as_str_name().to_lowercase();
            return Err(Cause::unsupported(format!("element type {name}")));
        }
    })
}

/// The tensor, its bytes a slice of the file wherever that is possible.
pub(crate) fn tensor(proto: &TensorProto, source: &Source) -> Result<Tensor, Cause> {
    let dtype = dtype(proto.data_type())?;
    let dims = dims(&proto.dims)?;
    let elements = element_count(&dims).ok_or_else(|| Cause::invalid(format!("shape {dims:?} overflows")))?;
    if proto.segment.is_some() {
        return Err(Cause::unsupported("tensors stored in segments"));
    }
    if dtype == DType::String {
        return strings(proto, dims);
    }
    let expected =
        dtype.bytes(elements).ok_or_else(|| Cause::invalid(format!("shape {dims:?} overflows")))?;
    let data = if proto.data_location() == DataLocation::External {
        external(proto, source, expected)?
    } else {
        inside(proto, dtype, expected)?
    };
    let data = if dtype == DType::Bool { truths(data) } else { data };
    Tensor::new(dtype, dims, data).map_err(|e| Cause::invalid(e.to_string()))
}

fn dims(dims: &[i64]) -> Result<Vec<u64>, Cause> {
    within_rank(dims.len())?;
    let negative = |_| Cause::invalid(format!("shape {dims:?} has a negative extent"));
    dims.iter().map(|d| u64::try_from(*d)).collect::<Result<_, _>>().map_err(negative)
}

fn strings(proto: &TensorProto, dims: Vec<u64>) -> Result<Tensor, Cause> {
    if proto.data_location() == DataLocation::External || proto.raw_data.is_some() {
        return Err(Cause::invalid("texts must lie in `string_data`"));
    }
    let texts = proto.string_data.iter().map(|text| String::from_utf8(text.clone()));
    let texts = texts.collect::<Result<Vec<_>, _>>();
    let texts = texts.map_err(|_| Cause::invalid("`string_data` is not UTF-8"))?;
    Tensor::strings(dims, texts).map_err(|e| Cause::invalid(e.to_string()))
}

/// The bytes of a tensor that lies in the model's file.
fn inside(proto: &TensorProto, dtype: DType, expected: u64) -> Result<Bytes, Cause> {
    let raw = proto.raw_data.clone().unwrap_or_default();
    match (raw.is_empty(), count_typed(proto)) {
        (_, 0) if raw.len() as u64 == expected => Ok(raw),
        (_, 0) => Err(Cause::invalid(format!(
            "a {dtype} tensor of shape {:?} takes {expected} bytes, `raw_data` has {}",
            proto.dims,
            raw.len()
        ))),
        (true, _) => typed(proto, dtype),
        (false, _) => Err(Cause::invalid("the data is given twice, raw and typed")),
    }
}

/// How many entries the typed fields have.
fn count_typed(proto: &TensorProto) -> usize {
    proto.float_data.len()
        + proto.double_data.len()
        + proto.int32_data.len()
        + proto.int64_data.len()
        + proto.uint64_data.len()
        + proto.string_data.len()
}

/// The bytes of the one typed field that belongs to the element type. Their number is checked by
/// the caller.
fn typed(proto: &TensorProto, dtype: DType) -> Result<Bytes, Cause> {
    let (field, entries, data) = match dtype {
        DType::F32 => ("float_data", proto.float_data.len(), le(&proto.float_data)),
        DType::F64 => ("double_data", proto.double_data.len(), le(&proto.double_data)),
        DType::I64 => ("int64_data", proto.int64_data.len(), le(&proto.int64_data)),
        DType::U64 => ("uint64_data", proto.uint64_data.len(), le(&proto.uint64_data)),
        DType::U32 => ("uint64_data", proto.uint64_data.len(), narrowed(&proto.uint64_data, dtype)?),
        _ => ("int32_data", proto.int32_data.len(), narrowed(&proto.int32_data, dtype)?),
    };
    if entries != count_typed(proto) {
        return Err(Cause::invalid(format!("data of a {dtype} tensor outside of `{field}`")));
    }
    Ok(data.into())
}

fn le<T: Element>(entries: &[T]) -> Vec<u8> {
    let mut data = Vec::with_capacity(size_of_val(entries));
    entries.iter().for_each(|e| e.write(&mut data));
    data
}

/// Each entry cut to the bytes it takes: those of one element, or one byte of packed elements.
fn narrowed<T: Copy + Into<i128>>(entries: &[T], dtype: DType) -> Result<Vec<u8>, Cause> {
    let bits = dtype.bits().max(8);
    let signed = matches!(dtype, DType::I8 | DType::I16 | DType::I32 | DType::I4 | DType::I2);
    let low = if signed { -(1i128 << (bits - 1)) } else { 0 };
    let high = (1i128 << bits) - 1;
    let mut data = Vec::with_capacity(entries.len().saturating_mul(bits as usize / 8));
    for entry in entries {
        let entry: i128 = (*entry).into();
        if entry < low || entry > high {
            return Err(Cause::invalid(format!("{entry} does not fit element type {dtype}")));
        }
        data.extend_from_slice(&entry.to_le_bytes()[..bits as usize / 8]);
    }
    Ok(data)
}

/// The bytes of a tensor that lies in a file beside the model.
fn external(proto: &TensorProto, source: &Source, expected: u64) -> Result<Bytes, Cause> {
    if count_typed(proto) > 0 || proto.raw_data.as_ref().is_some_and(|raw| !raw.is_empty()) {
        return Err(Cause::invalid("the data is given twice, inside and outside of the file"));
    }
    let place = ExternalPlace::read(proto)?;
    let file = source.sibling(place.location).map_err(|e| Cause::invalid(e.to_string()))?;
    let whole = file.len() as u64;
    let length = place.length.unwrap_or_else(|| whole.saturating_sub(place.offset));
    let end = place.offset.checked_add(length).filter(|end| *end <= whole).ok_or_else(|| {
        let (location, offset) = (place.location, place.offset);
        Cause::invalid(format!("bytes {offset} to {offset}+{length} of `{location}`, which has {whole}"))
    })?;
    if length != expected {
        return Err(Cause::invalid(format!("the data takes {expected} bytes, external data gives {length}")));
    }
    Ok(file.slice(place.offset as usize..end as usize))
}

/// Where external data lies.
struct ExternalPlace<'a> {
    location: &'a str,
    offset: u64,
    length: Option<u64>,
}

impl<'a> ExternalPlace<'a> {
    fn read(proto: &'a TensorProto) -> Result<Self, Cause> {
        let mut place = Self { location: "", offset: 0, length: None };
        for entry in &proto.external_data {
            let value = entry.value();
            let number = || {
                let key = entry.key();
                value.parse().map_err(|_| Cause::invalid(format!("external data: `{key}` is `{value}`")))
            };
            match entry.key() {
                "location" => place.location = value,
                "offset" => place.offset = number()?,
                "length" => place.length = Some(number()?),
                // A digest nobody needs, and marks that other programs leave for themselves.
                "checksum" => {}
                key if key.starts_with("prepacked") => {}
                key => return Err(Cause::unsupported(format!("external data: key `{key}`"))),
            }
        }
        Ok(place)
    }
}

/// Truth values as 0 and 1, whatever other bytes the file had for true.
fn truths(data: Bytes) -> Bytes {
    if data.iter().all(|b| *b <= 1) { data } else { data.iter().map(|b| u8::from(*b != 0)).collect() }
}

#[cfg(test)]
mod tests;
