//! Real models, as far as they were fetched into `.models`.
use std::path::{Path, PathBuf};
use weft_frontend::Source;

/// Every ONNX file below the folder of fetched models, sorted.
fn models() -> Vec<PathBuf> {
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.models")];
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "onnx") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn real_models_are_imported() {
    for path in models() {
        let source = Source::open(&path).unwrap();
        match weft_onnx::read(&source) {
            Ok(import) => {
                println!("{}: {} nodes {:?}", path.display(), import.module.graph.len(), import.report)
            }
            Err(error) => println!("{error}"),
        }
    }
}
