//! The bytes of a model and of the files that belong to it, mapped and not copied.
use bytes::Bytes;
use memmap2::Mmap;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use thiserror::Error;

/// All files that are mapped now, and some that were.
static MAPPED: Mutex<Vec<Weak<Mmap>>> = Mutex::new(Vec::new());

/// A model's file, and the folder in which files it names may lie.
#[derive(Debug)]
pub struct Source {
    name: String,
    bytes: Bytes,
    folder: Option<PathBuf>,
    mapped: Mutex<BTreeMap<PathBuf, Bytes>>,
}

/// Why a file could not be read.
#[derive(Debug, Error)]
pub enum SourceError {
    /// The system said no.
    #[error("cannot read `{file}`: {error}")]
    Io {
        /// The file.
        file: String,
        /// What the system said.
        error: io::Error,
    },
    /// It is a folder, a pipe or a device.
    #[error("cannot read `{0}`: it is not a regular file")]
    NotAFile(String),
    /// A model names a file that does not lie in its folder.
    #[error("refused to read `{0}`: files of a model must lie in its folder")]
    Outside(String),
    /// A model that did not come from a file names one.
    #[error("cannot read `{0}`: the model was not read from a folder")]
    NoFolder(String),
}

impl Source {
    /// Maps a file. Files it names are looked for in its folder and below.
    pub fn open(path: &Path) -> Result<Self, SourceError> {
        let name = path.display().to_string();
        let io = |error| SourceError::Io { file: name.clone(), error };
        let bytes = map(path, &name)?;
        let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = parent.canonicalize().map_err(io)?;
        Ok(Self { folder: Some(folder), ..Self::memory(&name, bytes) })
    }

    /// Bytes that lie in memory; they may not name files.
    pub fn memory(name: &str, bytes: Bytes) -> Self {
        Self { name: name.to_string(), bytes, folder: None, mapped: Mutex::default() }
    }

    /// What to call it in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The folder in which files it names may lie.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// Maps a file that the model names, relative to its folder and inside it. Symbolic links are
    /// followed before that is checked.
    pub fn sibling(&self, location: &str) -> Result<Bytes, SourceError> {
        let folder = self.folder().ok_or_else(|| SourceError::NoFolder(location.to_string()))?;
        let plain = |c| matches!(c, Component::Normal(_) | Component::CurDir);
        if location.is_empty() || !Path::new(location).components().all(plain) {
            return Err(SourceError::Outside(location.to_string()));
        }
        let io = |error| SourceError::Io { file: location.to_string(), error };
        let path = folder.join(location).canonicalize().map_err(io)?;
        if !path.starts_with(folder) {
            return Err(SourceError::Outside(location.to_string()));
        }
        let mut mapped = self.mapped.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(bytes) = mapped.get(&path) {
            return Ok(bytes.clone());
        }
        let bytes = map(&path, location)?;
        mapped.insert(path, bytes.clone());
        Ok(bytes)
    }
}

#[expect(unsafe_code, reason = "this is the one place that maps files")]
fn map(path: &Path, name: &str) -> Result<Bytes, SourceError> {
    let io = |error| SourceError::Io { file: name.to_string(), error };
    // Asked before opening: opening a pipe would wait for its other end.
    if !path.metadata().map_err(io)?.is_file() {
        return Err(SourceError::NotAFile(name.to_string()));
    }
    let file = File::open(path).map_err(io)?;
    if file.metadata().map_err(io)?.len() == 0 {
        return Ok(Bytes::new());
    }
    // SAFETY: the mapping is private and read-only. That nobody shortens or rewrites the file while it is
    // mapped is a condition on the user, documented for models and their weights.
    let mapped = Arc::new(unsafe { Mmap::map(&file) }.map_err(io)?);
    let mut all = MAPPED.lock().unwrap_or_else(PoisonError::into_inner);
    all.retain(|other| other.strong_count() > 0);
    all.push(Arc::downgrade(&mapped));
    Ok(Bytes::from_owner(Mapped(mapped)))
}

/// The bytes of a mapped file.
struct Mapped(Arc<Mmap>);

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Lets the system have back what is in memory of mapped files. Whoever reads on gets the same bytes, from
/// the system's cache or from the file; until then they do not count as memory of this process. To be called
/// between steps of work that each read a part of a large model.
#[expect(unsafe_code, reason = "this is the one place that maps files")]
pub fn give_back_mapped() {
    let all = MAPPED.lock().unwrap_or_else(PoisonError::into_inner);
    for mapped in all.iter().filter_map(Weak::upgrade) {
        // SAFETY: nothing was ever written to the pages, so that they come back from the file as they were.
        // That it stays as it is while it is mapped is a condition on the user already, as above.
        let advised = unsafe { mapped.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) };
        // Advice that is not taken costs memory and nothing else.
        drop(advised);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn model_in(folder: &Path) -> Source {
        std::fs::create_dir_all(folder.join("model/sub")).unwrap();
        std::fs::write(folder.join("secret"), "secret").unwrap();
        std::fs::write(folder.join("model/m.onnx"), "model").unwrap();
        std::fs::write(folder.join("model/sub/w"), "weights").unwrap();
        symlink("../secret", folder.join("model/out")).unwrap();
        symlink("sub", folder.join("model/in")).unwrap();
        symlink("..", folder.join("model/up")).unwrap();
        Source::open(&folder.join("model/m.onnx")).unwrap()
    }

    #[test]
    fn files_inside_the_folder_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let source = model_in(folder.path());
        assert_eq!(source.bytes(), "model");
        assert_eq!(source.sibling("sub/w").unwrap(), "weights");
        assert_eq!(source.sibling("./in/w").unwrap(), "weights");
    }

    #[test]
    fn files_outside_the_folder_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let source = model_in(folder.path());
        let absolute = folder.path().join("secret").display().to_string();
        for location in ["../secret", "sub/../../secret", "out", "up/secret", "", &absolute] {
            let error = source.sibling(location).unwrap_err();
            assert!(matches!(error, SourceError::Outside(_)), "{location}: {error}");
        }
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let source = model_in(folder.path());
        assert!(matches!(source.sibling("sub"), Err(SourceError::NotAFile(_))));
        assert!(matches!(source.sibling("none"), Err(SourceError::Io { .. })));
        assert!(matches!(Source::open(folder.path()), Err(SourceError::NotAFile(_))));
        let memory = Source::memory("m", Bytes::new());
        assert!(matches!(memory.sibling("w"), Err(SourceError::NoFolder(_))));
    }

    #[test]
    fn what_was_given_back_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let (path, text) = (folder.path().join("w"), vec![7u8; 1 << 20]);
        std::fs::write(&path, &text).unwrap();
        let source = Source::open(&path).unwrap();
        assert_eq!(source.bytes(), &text);
        let (file, size) = (resident(&path), text.len() as u64 / 1024);
        super::give_back_mapped();
        assert!(file >= size && resident(&path) < size, "{file} KiB, then {} KiB", resident(&path));
        assert_eq!(source.bytes(), &text);
    }

    /// How much of a mapped file is in memory, in KiB.
    fn resident(path: &Path) -> u64 {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let name = path.canonicalize().unwrap().display().to_string();
        let own = maps.lines().skip_while(|line| !line.ends_with(&name));
        let size = own.into_iter().find_map(|line| line.strip_prefix("Rss:")).unwrap();
        size.trim().trim_end_matches(" kB").parse().unwrap()
    }
}
