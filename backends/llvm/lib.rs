//! Programs to machine code through LLVM: the only room that knows it.
#![deny(unsafe_code)]

#[path = "../runtime/abi.rs"]
#[allow(dead_code, unreachable_pub, missing_docs, reason = "the layout shared with the runtime")]
mod abi;
mod codegen;
mod emit;
mod error;
mod fatal;
mod foreign;
mod header;
mod host;
mod link;
mod place;
mod runtime;
mod target;
mod weights;

pub use error::Error;
pub use target::{names as cpu_names, target};

use codegen::{Form, Job};
use std::path::{Path, PathBuf};
use target::Machine;
use weft_backend::{Artifact, Emit, OptLevel, artifact};
use weft_kernel::program::Program;

/// What is to be made.
#[derive(Debug, Clone)]
pub struct Options {
    /// The processor: `native`, `x86-64-v3` or another of [`cpu_names`].
    pub cpu: String,
    /// The kind of artifact.
    pub emit: Emit,
    /// Where it goes.
    pub output: PathBuf,
    /// How much the code generator does.
    pub level: OptLevel,
    /// How many threads generate code; 0 for as many as there are processors.
    pub threads: usize,
}

impl Options {
    /// An artifact for this processor.
    pub fn new(emit: Emit, output: impl Into<PathBuf>) -> Self {
        let (cpu, level) = ("native".to_string(), OptLevel::O2);
        Self { cpu, emit, output: output.into(), level, threads: 0 }
    }
}

/// Makes an artifact of a program.
pub fn compile(program: &Program, options: &Options) -> Result<Artifact, Error> {
    let machine = Machine::named(&options.cpu)?;
    let stem = artifact::stem(&program.name);
    let form = match options.emit {
        Emit::LlvmIr => Form::Ir,
        Emit::Asm => Form::Assembly,
        Emit::Exe | Emit::Lib | Emit::Obj => Form::Object,
    };
    let job =
        Job { program, stem: &stem, machine: &machine, level: options.level, form, threads: options.threads };
    if form == Form::Object {
        foreign::Foreign::of(program).code()?;
    }
    let units = codegen::generate(&job)?;
    let mut beside = Vec::new();
    match form {
        Form::Ir | Form::Assembly => write(&options.output, &units.join(&b'\n'))?,
        Form::Object => {
            let start = if options.emit == Emit::Exe { codegen::start(&machine)? } else { Vec::new() };
            let parts = link::Parts { program, stem: &stem, units: &units, start: &start };
            link::link(&parts, options.emit, &options.output)?;
        }
    }
    if matches!(options.emit, Emit::Lib | Emit::Obj) {
        let path = options.output.with_file_name(format!("{stem}.h"));
        write(&path, header::text(&stem).as_bytes())?;
        beside.push(path);
    }
    Ok(Artifact { path: options.output.clone(), beside, stem })
}

/// The code of every kernel as text, in the order of the program: assembly, or LLVM's own form.
pub fn listing(program: &Program, options: &Options) -> Result<String, Error> {
    let machine = Machine::named(&options.cpu)?;
    let form = if options.emit == Emit::LlvmIr { Form::Ir } else { Form::Assembly };
    let stem = artifact::stem(&program.name);
    let (level, threads) = (options.level, options.threads);
    let job = Job { program, stem: &stem, machine: &machine, level, form, threads };
    let units = codegen::generate(&job)?;
    Ok(String::from_utf8_lossy(&units.join(&b'\n')).into_owned())
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    std::fs::write(path, bytes).map_err(|source| Error::File { path: path.to_path_buf(), source })
}
