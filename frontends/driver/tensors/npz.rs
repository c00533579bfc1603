//! NumPy's archive of arrays by name.
use super::{Reason, npy};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use weft_ir::Tensor;
use zip::ZipArchive;

/// The most bytes that one array may unpack to.
const MOST: u64 = 4 << 30;

/// The arrays of an archive.
pub(crate) fn read(bytes: &Bytes) -> Result<BTreeMap<String, Tensor>, Reason> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| error.to_string())?;
    let mut tensors = BTreeMap::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(|error| error.to_string())?;
        let name = entry.name().to_string();
        let failed = |reason: String| format!("array `{name}`: {reason}");
        let mut data = Vec::new();
        let mut limited = Read::take(&mut entry, MOST + 1);
        limited.read_to_end(&mut data).map_err(|error| failed(error.to_string()))?;
        if data.len() as u64 > MOST {
            return Err(failed(format!("it unpacks to more than {MOST} bytes")));
        }
        let tensor = npy::read(&data.into()).map_err(failed)?;
        tensors.insert(name.strip_suffix(".npy").unwrap_or(&name).to_string(), tensor);
    }
    Ok(tensors)
}
