//! What compiling ahead of time makes.
use std::path::PathBuf;

/// The kinds of artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Emit {
    /// A program.
    Exe,
    /// A shared library with a C header beside it.
    Lib,
    /// A relocatable object.
    Obj,
    /// Intermediate code of the code generator, as text.
    LlvmIr,
    /// Assembly.
    Asm,
}

impl Emit {
    /// Every kind.
    pub const ALL: [Emit; 5] = [Emit::Exe, Emit::Lib, Emit::Obj, Emit::LlvmIr, Emit::Asm];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Emit::Exe => "exe",
            Emit::Lib => "lib",
            Emit::Obj => "obj",
            Emit::LlvmIr => "llvm-ir",
            Emit::Asm => "asm",
        }
    }

    /// The kind of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|emit| emit.name() == name)
    }
}

/// How much the code generator is to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OptLevel {
    /// As little as possible.
    O0,
    /// Quick.
    O1,
    /// The usual.
    #[default]
    O2,
    /// Everything.
    O3,
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// The file.
    pub path: PathBuf,
    /// Files that lie beside it, such as a header.
    pub beside: Vec<PathBuf>,
    /// What the names of its C functions begin with.
    pub stem: String,
}

/// What the names of an artifact's C functions begin with: the model's name as a C identifier.
pub fn stem(name: &str) -> String {
    let mut stem: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect();
    if stem.is_empty() {
        stem.push_str("model");
    }
    // `weft_rt_open` and its like are the runtime's own.
    if stem.starts_with(|c: char| c.is_ascii_digit() || c == '_') || stem.starts_with("weft") {
        stem.insert_str(0, "model_");
    }
    stem
}
