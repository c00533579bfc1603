//! What passes found out on calibration data, kept in files from one compilation to the next.
//!
//! An answer lies under the digest of everything it follows from: the program that found it, the data, the module with
//! all its weights, and the question. A file that cannot be read is none; one that cannot be written is not missed.
use crate::files;
use bytes::Bytes;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::SystemTime;
use weft_ir::{DType, Tensor};
use weft_passes::Findings;

/// The most bytes that the folder may take; what was not used for longest goes first.
const ROOM: u64 = 4 << 30;
/// Larger answers are not kept.
const LARGEST: usize = 256 << 20;
const EXTENSION: &str = "safetensors";

/// What was found out about one module on one set of data.
pub(super) struct Kept {
    folder: PathBuf,
    /// Everything but the question.
    given: blake3::Hasher,
}

impl Kept {
    /// The answers in a folder about a module, as it is written, on data of this digest.
    pub(super) fn new(folder: &Path, (module, data): (&str, &[u8; 32])) -> Self {
        let mut given = blake3::Hasher::new();
        given.update(program()).update(data).update(blake3::hash(module.as_bytes()).as_bytes());
        Self { folder: folder.to_path_buf(), given }
    }

    fn path(&self, question: &str) -> PathBuf {
        let digest = self.given.clone().update(question.as_bytes()).finalize();
        self.folder.join(format!("{digest}.{EXTENSION}"))
    }
}

impl Findings for Kept {
    fn get(&self, question: &str) -> Option<Vec<Tensor>> {
        let path = self.path(question);
        let tensors = read(&fs::read(&path).ok()?.into())?;
        // When it was last of use.
        File::options().append(true).open(&path).and_then(|file| file.set_modified(SystemTime::now())).ok();
        Some(tensors)
    }

    fn put(&self, question: &str, answer: &[Tensor]) {
        if answer.iter().map(|tensor| tensor.data().len()).sum::<usize>() > LARGEST {
            return;
        }
        let written = written(answer)
            .filter(|_| fs::create_dir_all(&self.folder).is_ok())
            .is_some_and(|bytes| files::write(&self.path(question), &bytes).is_ok());
        if written {
            make_room(&self.folder, ROOM);
        }
    }
}

/// Tensors as a file. It has not all of their types, so that names say their number, type and extents.
fn written(tensors: &[Tensor]) -> Option<Vec<u8>> {
    let named =
        |(number, tensor): (usize, &Tensor)| format!("{number} {} {:?}", tensor.dtype(), tensor.dims());
    let view = |(number, tensor)| {
        let tensor: &Tensor = tensor;
        let view = TensorView::new(Dtype::U8, vec![tensor.data().len()], tensor.data()).ok()?;
        Some((named((number, tensor)), view))
    };
    let views = tensors.iter().enumerate().map(view).collect::<Option<BTreeMap<_, _>>>()?;
    safetensors::serialize(views, None).ok()
}

fn read(bytes: &Bytes) -> Option<Vec<Tensor>> {
    let file = SafeTensors::deserialize(bytes).ok()?;
    let tensor = |(name, view): (&str, TensorView<'_>)| {
        let (number, rest) = name.split_once(' ')?;
        let (dtype, dims) = rest.split_once(' ')?;
        let dims = serde_json::from_str(dims).ok()?;
        let tensor = Tensor::new(DType::parse(dtype)?, dims, bytes.slice_ref(view.data())).ok()?;
        Some((number.parse().ok()?, tensor))
    };
    let tensors = file.iter().map(tensor).collect::<Option<BTreeMap<usize, Tensor>>>()?;
    Some(tensors.into_values().collect())
}

/// The digest of the program that runs: another one may find other answers.
fn program() -> &'static [u8; 32] {
    static DIGEST: OnceLock<[u8; 32]> = OnceLock::new();
    DIGEST.get_or_init(|| {
        let program = std::env::current_exe().and_then(fs::read).unwrap_or_default();
        *blake3::hash(&program).as_bytes()
    })
}

/// Removes the answers that were of no use for longest, until the others fit.
fn make_room(folder: &Path, room: u64) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut all: Vec<(SystemTime, u64, PathBuf)> = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.path().extension().is_some_and(|found| found == EXTENSION))
        .filter_map(|entry| {
            let about = entry.metadata().ok()?;
            Some((about.modified().ok()?, about.len(), entry.path()))
        })
        .collect();
    all.sort();
    let mut total: u64 = all.iter().map(|(_, bytes, _)| bytes).sum();
    for (_, bytes, path) in all {
        if total <= room {
            break;
        }
        if fs::remove_file(path).is_ok() {
            total -= bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Kept, make_room};
    use std::fs::{self, File};
    use std::time::{Duration, SystemTime};
    use weft_ir::{DType, Tensor};
    use weft_passes::Findings;

    fn answer() -> Vec<Tensor> {
        let small = Tensor::new(DType::U4, vec![3], vec![0x21, 0x03].into()).unwrap();
        let rows = (0..12).map(|n| Tensor::vector(&[n as f32, f32::NAN])).collect::<Vec<_>>();
        [vec![small, Tensor::scalar(7i64)], rows].concat()
    }

    #[test]
    fn answers_are_found_again_by_all_they_follow_from() {
        let folder = tempfile::tempdir().unwrap();
        let kept = |module, data| Kept::new(folder.path(), (module, data));
        kept("a", &[1; 32]).put("what?", &answer());
        let again = kept("a", &[1; 32]).get("what?").unwrap();
        assert_eq!(again.len(), answer().len());
        for (found, expected) in again.iter().zip(answer()) {
            assert_eq!((found.dtype(), found.dims()), (expected.dtype(), expected.dims()));
            assert_eq!(found.data(), expected.data());
        }
        assert!(kept("a", &[1; 32]).get("what else?").is_none());
        assert!(kept("b", &[1; 32]).get("what?").is_none());
        assert!(kept("a", &[2; 32]).get("what?").is_none());
    }

    #[test]
    fn files_that_are_broken_are_none() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::new(folder.path(), ("a", &[0; 32]));
        kept.put("what?", &answer());
        let file = fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
        let whole = fs::read(&file).unwrap();
        for broken in [&b""[..], b"no tensors", &whole[..whole.len() - 1]] {
            fs::write(&file, broken).unwrap();
            assert!(kept.get("what?").is_none());
        }
    }

    #[test]
    fn a_folder_that_cannot_be_is_not_missed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let kept = Kept::new(&file.join("below"), ("a", &[0; 32]));
        kept.put("what?", &answer());
        assert!(kept.get("what?").is_none());
    }

    #[test]
    fn what_was_of_no_use_for_longest_goes_first() {
        let folder = tempfile::tempdir().unwrap();
        for (name, age) in
            [("old.safetensors", 30), ("older.safetensors", 60), ("new.safetensors", 1), ("other", 90)]
        {
            let file = File::create(folder.path().join(name)).unwrap();
            file.set_len(100).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
        }
        make_room(folder.path(), 200);
        let mut left: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["new.safetensors", "old.safetensors", "other"]);
    }
}
