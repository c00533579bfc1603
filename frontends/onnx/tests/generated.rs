//! The checked-in `proto/onnx.rs` is what prost makes of `proto/onnx.proto`.
use std::path::Path;

/// Set this variable to write the file instead of comparing it.
const BLESS: &str = "WEFT_BLESS";

#[test]
fn the_generated_file_is_current() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    let files = protox::compile([folder.join("onnx.proto")], [&folder]).unwrap();
    let out = tempfile::tempdir().unwrap();
    let mut config = prost_build::Config::new();
    config.bytes([".onnx.TensorProto.raw_data"]).disable_comments(["."]).out_dir(out.path());
    config.compile_fds(files).unwrap();
    let made = std::fs::read_to_string(out.path().join("onnx.rs")).unwrap();
    let checked_in = folder.join("onnx.rs");
    if std::env::var_os(BLESS).is_some() {
        std::fs::write(&checked_in, &made).unwrap();
    }
    let found = std::fs::read_to_string(&checked_in).unwrap();
    assert!(found == made, "proto/onnx.rs is stale; run again with {BLESS}=1 to write it");
}
