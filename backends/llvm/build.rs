//! Compiles the runtime to the objects that every artifact is linked with.
use object::read::archive::ArchiveFile;
use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    println!("cargo::rerun-if-changed=../runtime");
    make("object.rs", &out, "weft_runtime.o")?;
    make("object_exe.rs", &out, "weft_runtime_exe.o")
}

/// Compiles a root file of the runtime to a static library and takes our own member out of it.
fn make(root: &str, out: &Path, name: &str) -> Result<(), Box<dyn Error>> {
    let library = out.join(name).with_extension("a");
    let status = Command::new(env::var("RUSTC")?)
        .args(["--edition=2024", "--crate-name=weft_runtime", "--crate-type=staticlib", "--cap-lints=allow"])
        .args(["-Clto=fat", "-Copt-level=3", "-Cpanic=abort", "-Ccodegen-units=1"])
        .args(["-Crelocation-model=pic", "-Cstrip=debuginfo"])
        .arg("--target")
        .arg(env::var("TARGET")?)
        .arg("-o")
        .arg(&library)
        .arg(Path::new("../runtime").join(root))
        .status()?;
    if !status.success() {
        return Err(format!("`{root}` of the runtime does not compile").into());
    }
    let bytes = fs::read(&library)?;
    let archive = ArchiveFile::parse(&*bytes)?;
    for member in archive.members() {
        let member = member?;
        if member.name().windows(12).any(|part| part == b"weft_runtime") {
            fs::write(out.join(name), member.data(&*bytes)?)?;
            return Ok(());
        }
    }
    Err(format!("`{}` has no member of ours", library.display()).into())
}
