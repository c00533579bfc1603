//! Plugin libraries, built on the spot.
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;
use weft::Driver;
use weft_ir::text::{Style, print};

/// The repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The library of a crate of this workspace.
pub(crate) fn cargo(package: &str) -> PathBuf {
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--offline", "--locked", "--message-format=json", "-p", package]);
    let output = build.current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    let lines = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let files = lines.flat_map(|line| line["filenames"].as_array().cloned().unwrap_or_default());
    let name = format!("/lib{}.so", package.replace('-', "_"));
    let mut files = files.filter_map(|file| file.as_str().map(str::to_string));
    files.find(|file| file.ends_with(&name)).unwrap().into()
}

/// A library compiled from C, in a folder of its own that goes away with the first part.
pub(crate) fn c(source: &str, flags: &[&str]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("libplugin.so");
    let include = root().join("passes/abi/include");
    let mut compiler = Command::new("cc");
    compiler.args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-shared", "-fPIC", "-I"]);
    compiler.arg(include).args(flags).arg("-o").arg(&library).arg(root().join(source));
    let output = compiler.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (folder, library)
}

/// The text of a module after a pipeline, or what went wrong.
pub(crate) fn optimised(driver: &Driver, module: &str, pipeline: &str) -> Result<String, String> {
    stopped(driver, module, pipeline, weft::PassOptions::default())
}

/// The same, within limits.
pub(crate) fn stopped(
    driver: &Driver,
    module: &str,
    pipeline: &str,
    options: weft::PassOptions,
) -> Result<String, String> {
    let shown = |error: weft::Error| error.to_string();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("module.weft");
    std::fs::write(&file, module).unwrap();
    let mut module = driver.read(&file, &weft::Dims::new(), &mut weft::Quiet).map_err(shown)?.module;
    let plan = driver.plan(pipeline).map_err(shown)?;
    driver.optimise(&mut module, &plan, options, &mut weft::Quiet).map_err(shown)?;
    Ok(print(&module, driver.ops(), Style::default()))
}
