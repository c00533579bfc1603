//! `weft new`
use crate::args::{New, NewArgs, Talk};
use crate::failure::Failure;
use crate::out;
use crate::scaffold::Names;
use std::path::{Path, PathBuf};
use weft::{Driver, Error};

/// The checkout that this program was built from.
const CHECKOUT: &str = env!("CARGO_MANIFEST_DIR");

/// Files of the checkout that a project takes over: the same versions of everything, so that it
/// builds from what is on this machine, by the same compiler.
const TAKEN_OVER: &[&str] = &["Cargo.lock", "rust-toolchain.toml"];

pub(crate) fn run(what: &New, talk: Talk) -> Result<(), Failure> {
    let (New::Plugin(args) | New::Pass(args)) = what;
    let names = Names::of(&args.name).map_err(Failure::Misuse)?;
    let driver = Driver::new()?;
    let registry = driver.registry();
    if registry.pass(&names.name).is_some() || registry.pipeline(&names.name).is_some() {
        let name = &names.name;
        return Err(Failure::Misuse(format!("weft has a pass or pipeline `{name}`; call yours otherwise")));
    }
    let source = Path::new("src/lib.rs");
    let extended = match what {
        New::Pass(_) => std::fs::read_to_string(source).ok().and_then(|text| names.listed(&text)),
        New::Plugin(_) => None,
    };
    match extended {
        Some(text) => one_more(&names, source, &text, talk),
        None => project(&names, args, talk),
    }
}

/// One more pass for the plugin in this folder.
fn one_more(names: &Names, source: &Path, text: &str, talk: Talk) -> Result<(), Failure> {
    let files = names.pass();
    if let Some((file, _)) = files.iter().find(|(file, _)| Path::new(file).exists()) {
        return Err(Failure::Misuse(format!("`{file}` is there already")));
    }
    write(Path::new(""), &files)?;
    weft::files::write(source, text.as_bytes())?;
    if !talk.quiet {
        let (name, module) = (&names.name, &names.module);
        out::line(&format!("new: src/{module}.rs, filetests/{name}; try `cargo test`"));
    }
    Ok(())
}

/// A new plugin in a folder of its own.
fn project(names: &Names, args: &NewArgs, talk: Talk) -> Result<(), Failure> {
    let (name, folder) = (&names.name, Path::new(&names.name));
    if folder.exists() {
        return Err(Failure::Misuse(format!("`{name}` is there already")));
    }
    let weft = checkout(args)?;
    write(folder, &names.project(&weft))?;
    for file in TAKEN_OVER {
        let (from, to) = (weft.join(file), folder.join(file));
        std::fs::copy(&from, &to).map_err(|error| Error::Write { file: to, error })?;
    }
    if !talk.quiet {
        let module = &names.module;
        out::line(&format!("new: {name}/src/{module}.rs is the pass; try `cd {name} && cargo test`"));
    }
    Ok(())
}

/// Where weft's sources are.
fn checkout(args: &NewArgs) -> Result<PathBuf, Failure> {
    let given = args.weft.as_deref().unwrap_or(Path::new(CHECKOUT));
    let found = given.canonicalize().ok().filter(|path| path.join("passes/abi/Cargo.toml").exists());
    found.ok_or_else(|| {
        let place = given.display();
        Failure::Misuse(format!("`{place}` is no checkout of weft; `--weft DIR` says where one is"))
    })
}

fn write(folder: &Path, files: &[(String, String)]) -> Result<(), Failure> {
    for (file, text) in files {
        let path = folder.join(file);
        let parent = path.parent().unwrap_or(folder);
        let failed = |error| Error::Write { file: parent.to_path_buf(), error };
        std::fs::create_dir_all(parent).map_err(failed)?;
        weft::files::write(&path, text.as_bytes())?;
    }
    Ok(())
}
