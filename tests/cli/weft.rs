//! Runs the program in a folder of its own.
use std::path::PathBuf;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A linear layer with an activation, and a batch that is not fixed.
pub(crate) const LINEAR: &str = "weft 1 canonical
weight @w : f32[8, 5] = seeded(1)
weight @b : f32[5] = seeded(2)
graph @main(%x: f32[N, 8]) -> (f32[N, 5]) {
    %w = Const() {value = @w} : f32[8, 5]
    %b = Const() {value = @b} : f32[5]
    %h = MatMul(%x, %w) : f32[N, 5]
    %s = Add(%h, %b) : f32[N, 5]
    %y = Relu(%s) : f32[N, 5]
    return %y
}
";

/// A folder to work in.
pub(crate) struct Folder(TempDir);

/// How a run of the program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Folder {
    /// With nothing in it.
    pub(crate) fn empty() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// With the model `linear.weft`.
    pub(crate) fn linear() -> Self {
        let folder = Self::empty();
        folder.write("linear.weft", LINEAR.as_bytes());
        folder
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    /// The names of the files in it.
    pub(crate) fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Runs `weft` with these arguments, split at blanks.
    pub(crate) fn weft(&self, arguments: &str) -> Ended {
        self.run(env!("CARGO_BIN_EXE_weft").as_ref(), arguments)
    }

    pub(crate) fn run(&self, program: &std::path::Path, arguments: &str) -> Ended {
        let mut command = Command::new(program);
        command.args(arguments.split_whitespace()).current_dir(self.0.path()).stdin(Stdio::null());
        command.env("WEFT_CACHE", "none");
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Ended {
    /// It did what it was asked; gives what it printed.
    #[track_caller]
    pub(crate) fn done(self) -> String {
        assert_eq!(self.code, Some(0), "{}", self.err);
        self.out
    }

    /// It ended with this code and a message that holds all of these.
    #[track_caller]
    pub(crate) fn refused(self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(self.out.is_empty(), "{self:?}");
        assert!(!self.err.contains("internal error"), "{}", self.err);
        for word in words {
            assert!(self.err.contains(word), "`{word}` is not in:\n{}", self.err);
        }
    }

    /// What it printed, as JSON.
    #[track_caller]
    pub(crate) fn json(self) -> serde_json::Value {
        serde_json::from_str(&self.done()).unwrap()
    }
}
