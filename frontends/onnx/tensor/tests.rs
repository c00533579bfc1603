//! Data in every place a tensor of the file may have it, and in those it may not.
use super::*;
use crate::proto::StringStringEntryProto;

fn proto(data_type: DataType, dims: &[i64]) -> TensorProto {
    TensorProto { data_type: Some(data_type as i32), dims: dims.to_vec(), ..Default::default() }
}

fn memory() -> Source {
    Source::memory("m", Bytes::new())
}

fn read(proto: &TensorProto) -> Result<Tensor, Cause> {
    tensor(proto, &memory())
}

fn refused(proto: &TensorProto, with: &str) {
    let error = read(proto).unwrap_err().to_string();
    assert!(error.contains(with), "`{error}` does not say `{with}`");
}

#[test]
fn raw_data_is_not_copied() {
    let raw = Bytes::from(vec![0; 8]);
    let made = read(&TensorProto { raw_data: Some(raw.clone()), ..proto(DataType::Float, &[2]) }).unwrap();
    assert_eq!(made.data().as_ptr(), raw.as_ptr());
}

#[test]
fn typed_fields_hold_every_element_type() {
    let f32s = TensorProto { float_data: vec![1.5, -2.0], ..proto(DataType::Float, &[2]) };
    assert_eq!(read(&f32s).unwrap().to_vec::<f32>(), Some(vec![1.5, -2.0]));
    let f64s = TensorProto { double_data: vec![1.5], ..proto(DataType::Double, &[]) };
    assert_eq!(read(&f64s).unwrap().to_vec::<f64>(), Some(vec![1.5]));
    let i64s = TensorProto { int64_data: vec![-3], ..proto(DataType::Int64, &[1]) };
    assert_eq!(read(&i64s).unwrap().to_vec::<i64>(), Some(vec![-3]));
    let u32s = TensorProto { uint64_data: vec![u64::from(u32::MAX)], ..proto(DataType::Uint32, &[1]) };
    assert_eq!(read(&u32s).unwrap().to_vec::<u32>(), Some(vec![u32::MAX]));
    let i8s = TensorProto { int32_data: vec![-1, 127], ..proto(DataType::Int8, &[2]) };
    assert_eq!(read(&i8s).unwrap().to_vec::<i8>(), Some(vec![-1, 127]));
    let f16s = TensorProto { int32_data: vec![0x3c00], ..proto(DataType::Float16, &[1]) };
    assert_eq!(read(&f16s).unwrap().to_f64s(), Some(vec![1.0]));
    let i4s = TensorProto { int32_data: vec![0x21, 0x0f], ..proto(DataType::Int4, &[3]) };
    assert_eq!(read(&i4s).unwrap().data(), &[0x21u8, 0x0f][..]);
    let texts = TensorProto { string_data: vec![b"a".to_vec()], ..proto(DataType::String, &[1]) };
    assert_eq!(read(&texts).unwrap().texts(), ["a"]);
}

#[test]
fn truth_values_become_zero_and_one() {
    let raw = Some(Bytes::from_static(&[0, 1, 2, 255]));
    let made = read(&TensorProto { raw_data: raw, ..proto(DataType::Bool, &[4]) }).unwrap();
    assert_eq!(made.data(), &[0u8, 1, 1, 1][..]);
}

#[test]
fn wrong_sizes_are_refused() {
    let raw = Some(Bytes::from_static(&[0; 7]));
    refused(&TensorProto { raw_data: raw.clone(), ..proto(DataType::Float, &[2]) }, "takes 8 bytes");
    refused(&TensorProto { float_data: vec![1.0], ..proto(DataType::Float, &[2]) }, "takes 8 bytes, found 4");
    refused(&TensorProto { raw_data: raw, ..proto(DataType::Float, &[-1]) }, "negative");
    refused(&proto(DataType::Float, &[1 << 62, 1 << 62]), "overflows");
    refused(&proto(DataType::Double, &[1 << 61]), "overflows");
    refused(&proto(DataType::Float, &[1]), "takes 4 bytes");
    assert!(read(&proto(DataType::Float, &[0, 1 << 62, 1 << 62])).unwrap().is_empty());
}

#[test]
fn data_in_wrong_places_is_refused() {
    refused(&TensorProto { int32_data: vec![1], ..proto(DataType::Float, &[1]) }, "outside of `float_data`");
    refused(&TensorProto { int32_data: vec![128 + 256], ..proto(DataType::Uint8, &[1]) }, "does not fit");
    let raw = Some(Bytes::from_static(&[0; 4]));
    let twice = TensorProto { raw_data: raw.clone(), float_data: vec![1.0], ..proto(DataType::Float, &[1]) };
    refused(&twice, "twice");
    refused(&TensorProto { raw_data: raw, ..proto(DataType::String, &[1]) }, "string_data");
    refused(&TensorProto { string_data: vec![vec![0xff]], ..proto(DataType::String, &[1]) }, "UTF-8");
    refused(&proto(DataType::Complex64, &[]), "complex64");
    refused(&proto(DataType::Undefined, &[]), "not given");
    refused(&TensorProto { data_type: Some(99), ..Default::default() }, "99");
}

fn external(entries: &[(&str, &str)]) -> TensorProto {
    let entry = |(key, value): &(&str, &str)| StringStringEntryProto {
        key: Some(key.to_string()),
        value: Some(value.to_string()),
    };
    TensorProto {
        data_location: Some(DataLocation::External as i32),
        external_data: entries.iter().map(entry).collect(),
        ..proto(DataType::Int32, &[2])
    }
}

#[test]
fn external_data_is_a_slice_of_its_file() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("m.onnx"), "").unwrap();
    std::fs::write(folder.path().join("w"), [9, 9, 9, 9, 1, 0, 0, 0, 2, 0, 0, 0]).unwrap();
    let source = Source::open(&folder.path().join("m.onnx")).unwrap();
    let good = external(&[("location", "w"), ("offset", "4"), ("length", "8"), ("checksum", "x")]);
    assert_eq!(tensor(&good, &source).unwrap().to_vec::<i32>(), Some(vec![1, 2]));
    assert_eq!(tensor(&external(&[("location", "w"), ("offset", "4")]), &source).unwrap().len(), 2);
    let max = u64::MAX.to_string();
    for (entries, says) in [
        (vec![("location", "w")], "gives 12"),
        (vec![("location", "w"), ("offset", "8"), ("length", "8")], "which has 12"),
        (vec![("location", "w"), ("offset", &max), ("length", "8")], "which has 12"),
        (vec![("location", "w"), ("offset", "-1")], "`offset` is `-1`"),
        (vec![("location", "../w")], "must lie in its folder"),
        (vec![("offset", "0")], "must lie in its folder"),
        (vec![("location", "none")], "cannot read `none`"),
        (vec![("location", "w"), ("mode", "x")], "key `mode`"),
    ] {
        let error = tensor(&external(&entries), &source).unwrap_err().to_string();
        assert!(error.contains(says), "`{error}` does not say `{says}`");
    }
}
