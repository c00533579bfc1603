//! Runs every filetest; `FILETEST=part-of-a-path` runs some.
use std::path::Path;
use weft::Driver;
use weft::testing::filetests;

#[test]
fn every_file() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/filetests");
    let only = std::env::var("FILETEST").unwrap_or_default();
    let failures = filetests(&Driver::new().unwrap(), &folder, &only).unwrap();
    let shown: Vec<_> = failures.iter().map(ToString::to_string).collect();
    assert!(failures.is_empty(), "{} files fail\n\n{}", failures.len(), shown.join("\n\n"));
}
