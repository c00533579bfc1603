//! Single tensors as files, the form of ONNX's test data.
use crate::proto::TensorProto;
use crate::proto::tensor_proto::DataType;
use crate::tensor::{dtype, tensor};
use bytes::Bytes;
use prost::Message;
use weft_frontend::Source;
use weft_ir::{DType, Tensor};

/// The name and the tensor in the bytes of a TensorProto.
pub fn read_tensor(bytes: &Bytes) -> Result<(String, Tensor), String> {
    let proto = TensorProto::decode(bytes.clone()).map_err(|e| format!("not an ONNX tensor: {e}"))?;
    let source = Source::memory("tensor", Bytes::new());
    let read = tensor(&proto, &source).map_err(|cause| cause.to_string())?;
    Ok((proto.name().to_string(), read))
}

/// The bytes of a TensorProto that holds the tensor.
pub fn write_tensor(name: &str, tensor: &Tensor) -> Vec<u8> {
    let dims = tensor.dims().iter().map(|d| i64::try_from(*d).unwrap_or(i64::MAX)).collect();
    let mut proto = TensorProto { name: Some(name.to_string()), dims, ..TensorProto::default() };
    proto.data_type = code(tensor.dtype());
    if tensor.dtype() == DType::String {
        proto.string_data = tensor.texts().iter().map(|text| text.clone().into_bytes().into()).collect();
    } else {
        proto.raw_data = Some(tensor.data().clone());
    }
    proto.encode_to_vec()
}

/// The number of an element type.
fn code(of: DType) -> Option<i32> {
    (1..=DataType::Int2 as i32).find(|code| dtype(*code).is_ok_and(|found| found == of))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_read_back() {
        for of in DType::ALL.iter().filter(|of| **of != DType::String) {
            let bytes = of.bytes(6).unwrap() as usize;
            let tensor = Tensor::new(*of, vec![2, 3], vec![1; bytes].into()).unwrap();
            let (name, read) = read_tensor(&write_tensor("t", &tensor).into()).unwrap();
            assert_eq!((name.as_str(), read), ("t", tensor), "{of}");
        }
        let texts = Tensor::strings(vec![1], vec!["ä".to_string()]).unwrap();
        assert_eq!(read_tensor(&write_tensor("", &texts).into()).unwrap().1, texts);
    }
}
