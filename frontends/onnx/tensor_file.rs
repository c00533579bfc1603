//! Single tensors as files, the form of ONNX's test data.
use crate::proto::TensorProto;
use crate::tensor::tensor;
use crate::write::tensor_proto as to_proto;
use bytes::Bytes;
use prost::Message;
use weft_frontend::Source;
use weft_ir::Tensor;

/// The name and the tensor in the bytes of a TensorProto.
pub fn read_tensor(bytes: &Bytes) -> Result<(String, Tensor), String> {
    let proto = TensorProto::decode(bytes.clone()).map_err(|e| format!("not an ONNX tensor: {e}"))?;
    let source = Source::memory("tensor", Bytes::new());
    let read = tensor(&proto, &source).map_err(|cause| cause.to_string())?;
    Ok((proto.name().to_string(), read))
}

/// The bytes of a TensorProto that holds the tensor.
pub fn write_tensor(name: &str, tensor: &Tensor) -> Vec<u8> {
    to_proto(name, tensor).encode_to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use weft_ir::DType;

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
