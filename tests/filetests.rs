//! Runs every filetest; `FILETEST=part-of-a-path` runs some, `BLESS=1` blesses their snapshots.
use std::env::var;
use std::path::Path;
use weft::Driver;
use weft::testing::{Snapshots, filetests};

#[test]
fn every_file() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/filetests");
    let only = var("FILETEST").unwrap_or_default();
    let how = if var("BLESS").is_ok() { Snapshots::Bless } else { Snapshots::Propose };
    let failures = filetests(&Driver::new().unwrap(), &folder, &only, how).unwrap().failures;
    let shown: Vec<_> = failures.iter().map(ToString::to_string).collect();
    assert!(failures.is_empty(), "{} files fail\n\n{}", failures.len(), shown.join("\n\n"));
}
