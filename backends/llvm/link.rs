//! Objects to an artifact, by `ld.lld` or a C compiler.
//!
//! No shell is involved, and no name from a model reaches the command line: objects lie under names
//! of our own in a folder that is gone afterwards. The code that plugins bring for their operators
//! is named by its absolute path, as the plugin says it.
use crate::error::Error;
use crate::foreign::Foreign;
use crate::host;
use crate::{place, runtime, weights};
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use weft_backend::Emit;
use weft_kernel::program::Program;

/// What is linked.
#[derive(Debug)]
pub(crate) struct Parts<'a> {
    pub(crate) program: &'a Program,
    pub(crate) stem: &'a str,
    /// The objects of host and kernels.
    pub(crate) units: &'a [Vec<u8>],
    /// What calls `main`, for a program.
    pub(crate) start: &'a [u8],
}

/// A way to link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Linker {
    /// A linker itself.
    Plain(&'static str),
    /// A C compiler, which calls one.
    Compiler(&'static str),
}

const LINKERS: [Linker; 4] =
    [Linker::Plain("ld.lld-22"), Linker::Plain("ld.lld"), Linker::Compiler("cc"), Linker::Compiler("gcc")];

/// Where libc lies.
const LIBRARIES: [&str; 6] =
    ["/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/usr/lib", "/lib"];

/// Links an artifact.
pub(crate) fn link(parts: &Parts<'_>, emit: Emit, output: &Path) -> Result<(), Error> {
    let failed = |path: &Path| {
        let path = path.to_path_buf();
        move |source| Error::File { path, source }
    };
    let folder = tempfile::Builder::new().prefix("weft-").tempdir().map_err(failed(output))?;
    let mut objects = parts.write(emit, folder.path())?;
    let foreign = Foreign::of(parts.program);
    objects.extend(foreign.code()?);
    let linked = PathBuf::from("linked");
    let mut tried = Vec::new();
    for linker in LINKERS {
        let mut command = linker.command(emit, &objects, &linked);
        tried.push(format!("`{}`", linker.name()));
        match command.current_dir(folder.path()).output() {
            Ok(done) if done.status.success() => {
                return place::put(&folder.path().join(linked), output).map_err(failed(output));
            }
            Ok(done) => {
                let message = String::from_utf8_lossy(&done.stderr).trim().to_string();
                let link = |message| Error::Link { linker: linker.name().to_string(), message };
                return Err(foreign.missing(&message).unwrap_or_else(|| link(message)));
            }
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => {
                return Err(Error::Link { linker: linker.name().to_string(), message: e.to_string() });
            }
        }
    }
    Err(Error::NoLinker { tried: tried.join(", ") })
}

impl Parts<'_> {
    /// Writes every object to the folder; gives their names in order.
    fn write(&self, emit: Emit, folder: &Path) -> Result<Vec<OsString>, Error> {
        let mut names = Vec::new();
        let mut add = |name: String, bytes: &[u8]| {
            let path = folder.join(&name);
            names.push(name.into());
            std::fs::write(&path, bytes).map_err(|source| Error::File { path, source })
        };
        for (i, unit) in self.units.iter().enumerate() {
            add(format!("{i}.o"), unit)?;
        }
        match emit {
            Emit::Exe => {
                add("runtime.o".to_string(), runtime::program()?)?;
                add("start.o".to_string(), self.start)?;
            }
            _ => add("runtime.o".to_string(), runtime::library()?)?,
        }
        if weights::write(self.program, &folder.join("weights.o"))? {
            names.push("weights.o".into());
        }
        let exports: String = host::exports(self.stem).map(|name| format!("{name}; ")).collect();
        let path = folder.join("exports.map");
        std::fs::write(&path, format!("{{ global: {exports}local: *; }};\n"))
            .map_err(|source| Error::File { path, source })?;
        Ok(names)
    }
}

impl Linker {
    fn name(self) -> &'static str {
        match self {
            Linker::Plain(name) | Linker::Compiler(name) => name,
        }
    }

    fn command(self, emit: Emit, objects: &[OsString], output: &PathBuf) -> Command {
        let mut command = Command::new(self.name());
        command.arg("-o").arg(output);
        let compiler = matches!(self, Linker::Compiler(_));
        let mut option = |text: &str| {
            command.arg(if compiler { format!("-Wl,{text}") } else { text.to_string() });
        };
        if emit != Emit::Obj {
            for text in ["--gc-sections", "--strip-all", "--build-id=none", "--hash-style=gnu", "-O2"] {
                option(text);
            }
            for text in ["-znoexecstack", "-zrelro", "-znow", "-zdefs", "--as-needed"] {
                option(text);
            }
        }
        match (emit, compiler) {
            (Emit::Obj, false) => drop(command.arg("-r")),
            (Emit::Obj, true) => drop(command.args(["-r", "-nostdlib"])),
            (Emit::Exe, false) => {
                command.args(["-pie", "--dynamic-linker=/lib64/ld-linux-x86-64.so.2"]);
            }
            (Emit::Exe, true) => drop(command.args(["-pie", "-nostartfiles"])),
            (_, false) => drop(command.args(["-shared", "--version-script=exports.map"])),
            (_, true) => {
                command.args(["-shared", "-nostartfiles", "-Wl,--version-script=exports.map"]);
            }
        }
        command.args(objects);
        match (emit, compiler) {
            (Emit::Obj, _) => {}
            (_, true) => drop(command.args(["-lm", "-lc"])),
            (_, false) => {
                command.args(LIBRARIES.iter().map(|folder| format!("-L{folder}")));
                command.args(["-l:libm.so.6", "-l:libc.so.6"]);
            }
        }
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codegen::{self, Form, Job};
    use crate::target::Machine;
    use weft_backend::OptLevel;

    fn empty() -> Program {
        Program {
            name: "empty".to_string(),
            symbols: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            planned: Vec::new(),
            grown: 0,
            weights: Vec::new(),
            kernels: Vec::new(),
            steps: Vec::new(),
        }
    }

    #[test]
    fn every_linker_that_is_there_links() {
        let (program, machine) = (empty(), Machine::named("x86-64").unwrap());
        let (level, form) = (OptLevel::O1, Form::Object);
        let job = Job { program: &program, stem: "empty", machine: &machine, level, form, threads: 1 };
        let units = codegen::generate(&job).unwrap();
        let start = codegen::start(&machine).unwrap();
        let parts = Parts { program: &program, stem: "empty", units: &units, start: &start };
        let folder = tempfile::tempdir().unwrap();
        for emit in [Emit::Exe, Emit::Lib, Emit::Obj] {
            let objects = parts.write(emit, folder.path()).unwrap();
            for linker in LINKERS {
                let output = folder.path().join("out");
                let done = linker.command(emit, &objects, &output).current_dir(folder.path()).output();
                let Ok(done) = done else { continue };
                assert!(done.status.success(), "{linker:?} {emit:?} {done:?}");
                if emit == Emit::Exe {
                    let run = Command::new(&output).output().unwrap();
                    assert_eq!(run.status.code(), Some(0), "{linker:?} {run:?}");
                }
            }
        }
    }
}
