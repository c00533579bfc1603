//! Tensors put aside in a file, so that they take no memory until they are asked for.
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use weft_ir::{DType, Tensor};
use weft_passes::{PassError, Store};

/// A file without a name, and what lies where in it.
pub(super) struct Spilled {
    file: File,
    end: u64,
    rows: Vec<(u64, DType, Vec<u64>, usize)>,
}

impl Spilled {
    pub(super) fn new() -> Result<Self, PassError> {
        Ok(Self { file: tempfile::tempfile().map_err(|error| failed(&error))?, end: 0, rows: Vec::new() })
    }

    fn read(&mut self, at: u64, bytes: usize) -> io::Result<Vec<u8>> {
        let mut data = vec![0; bytes];
        self.file.seek(SeekFrom::Start(at))?;
        self.file.read_exact(&mut data)?;
        Ok(data)
    }

    fn write(&mut self, data: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.write_all(data)
    }
}

fn failed(error: &io::Error) -> PassError {
    let folder = std::env::temp_dir();
    PassError::Failed(format!("calibration: results put aside in `{}`: {error}", folder.display()))
}

impl Store for Spilled {
    fn put(&mut self, tensor: &Tensor) -> Result<usize, PassError> {
        self.write(tensor.data()).map_err(|error| failed(&error))?;
        self.rows.push((self.end, tensor.dtype(), tensor.dims().to_vec(), tensor.data().len()));
        self.end += tensor.data().len() as u64;
        Ok(self.rows.len() - 1)
    }

    fn get(&mut self, number: usize) -> Result<Tensor, PassError> {
        let (at, dtype, dims, bytes) = self.rows[number].clone();
        let data = self.read(at, bytes).map_err(|error| failed(&error))?;
        Tensor::new(dtype, dims, data.into()).map_err(|error| PassError::Failed(error.to_string()))
    }
}
