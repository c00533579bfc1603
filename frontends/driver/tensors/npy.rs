//! NumPy's file of one array.
use super::Reason;
use bytes::Bytes;
use half::bf16;
use weft_ir::tensor::element_count;
use weft_ir::{DType, Element, Tensor};

const MAGIC: &[u8] = b"\x93NUMPY";
/// The data begins at a multiple of this.
const ALIGNMENT: usize = 64;

/// NumPy's names of element types. `V2` is how it keeps `bfloat16`, which it does not know.
const TYPES: &[(&str, DType)] = &[
    ("f8", DType::F64),
    ("f4", DType::F32),
    ("f2", DType::F16),
    ("V2", DType::Bf16),
    ("i1", DType::I8),
    ("i2", DType::I16),
    ("i4", DType::I32),
    ("i8", DType::I64),
    ("u1", DType::U8),
    ("u2", DType::U16),
    ("u4", DType::U32),
    ("u8", DType::U64),
    ("b1", DType::Bool),
];

/// What stands before the data.
#[derive(Debug, PartialEq, Eq)]
struct Header {
    dtype: DType,
    big_endian: bool,
    columns_first: bool,
    dims: Vec<u64>,
    /// Where the data begins.
    begin: usize,
}

/// The tensor of a file's bytes, a slice of them where they lie as we want them.
pub(crate) fn read(bytes: &Bytes) -> Result<Tensor, Reason> {
    let header = Header::read(bytes)?;
    let count = element_count(&header.dims).and_then(|n| header.dtype.bytes(n));
    let count = count.and_then(|n| usize::try_from(n).ok());
    let end = count.and_then(|n| header.begin.checked_add(n)).filter(|end| *end <= bytes.len());
    let Some(end) = end else {
        let (dims, found) = (&header.dims, bytes.len().saturating_sub(header.begin));
        return Err(format!("{} of shape {dims:?} is longer than the {found} bytes there", header.dtype));
    };
    let data = header.arranged(bytes.slice(header.begin..end));
    Tensor::new(header.dtype, header.dims, data).map_err(|error| error.to_string())
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Self, Reason> {
        let no_array = || "not a NumPy array file".to_string();
        let rest = bytes.strip_prefix(MAGIC).ok_or_else(no_array)?;
        let (length, start): (usize, usize) = match rest {
            [1, _, a, b, ..] => (usize::from(u16::from_le_bytes([*a, *b])), 10),
            [2 | 3, _, a, b, c, d, ..] => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, 12),
            _ => return Err(no_array()),
        };
        let text = bytes.get(start..start.saturating_add(length)).ok_or_else(no_array)?;
        let text = std::str::from_utf8(text).map_err(|_| no_array())?;
        let descr = after(text, "descr").and_then(quoted).ok_or("the array's header names no type")?;
        let kind = descr.trim_start_matches(['<', '>', '|', '=']);
        let known = TYPES.iter().find(|(name, _)| *name == kind);
        let (_, dtype) = known.ok_or_else(|| format!("element type `{descr}` is not supported"))?;
        let dims = after(text, "shape").and_then(extents).ok_or("the array's header gives no shape")?;
        let columns_first = after(text, "fortran_order").is_some_and(|t| t.starts_with("True"));
        let big_endian = descr.starts_with('>');
        Ok(Self { dtype: *dtype, big_endian, columns_first, dims, begin: start + length })
    }

    /// The data in our order of bytes and elements.
    fn arranged(&self, data: Bytes) -> Bytes {
        let size = self.dtype.bits() as usize / 8;
        let mut data = data;
        if self.big_endian && size > 1 {
            data = data.chunks_exact(size).flat_map(|e| e.iter().rev().copied()).collect::<Vec<u8>>().into();
        }
        if self.columns_first && self.dims.len() > 1 {
            data = rows_first(&data, &self.dims, size).into();
        }
        data
    }
}

/// What stands behind a key of the header.
fn after<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    let at = text.find(&format!("'{key}'"))?;
    Some(text[at + key.len() + 2..].trim_start().strip_prefix(':')?.trim_start())
}

fn quoted(text: &str) -> Option<&str> {
    text.strip_prefix('\'')?.split_once('\'').map(|(inside, _)| inside)
}

fn extents(text: &str) -> Option<Vec<u64>> {
    let (inside, _) = text.strip_prefix('(')?.split_once(')')?;
    let parts = inside.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.map(|part| part.trim_end_matches('L').parse().ok()).collect()
}

/// Elements whose first axis runs fastest, put in the order in which the last one does.
fn rows_first(data: &[u8], dims: &[u64], size: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len());
    let mut at = vec![0u64; dims.len()];
    for _ in 0..data.len() / size {
        let (index, _) =
            at.iter().zip(dims).fold((0, 1), |(index, step), (i, d)| (index + i * step, step * d));
        out.extend_from_slice(&data[index as usize * size..][..size]);
        for (i, d) in at.iter_mut().zip(dims).rev() {
            *i += 1;
            if *i < *d {
                break;
            }
            *i = 0;
        }
    }
    out
}

/// The bytes of a file with this tensor; `bf16` becomes `f32`, as NumPy has no such type.
pub(crate) fn write(tensor: &Tensor) -> Result<Vec<u8>, Reason> {
    if tensor.dtype() == DType::Bf16 {
        let wide: Vec<f32> = tensor.data().chunks_exact(2).map(|b| bf16::read(b).to_f32()).collect();
        return write(&Tensor::from_slice(tensor.dims(), &wide).map_err(|error| error.to_string())?);
    }
    let known = TYPES.iter().find(|(_, dtype)| *dtype == tensor.dtype());
    let (name, dtype) = known.ok_or_else(|| format!("NumPy has no type for {}", tensor.dtype()))?;
    let order = if dtype.bits() > 8 { '<' } else { '|' };
    let mut shape: String = tensor.dims().iter().map(|d| format!("{d}, ")).collect();
    if tensor.dims().len() != 1 {
        shape = shape.trim_end_matches(", ").to_string();
    }
    let shape = shape.trim_end();
    let mut head = format!("{{'descr': '{order}{name}', 'fortran_order': False, 'shape': ({shape}), }}");
    let unpadded = MAGIC.len() + 4 + head.len() + 1;
    head.extend(std::iter::repeat_n(' ', unpadded.next_multiple_of(ALIGNMENT) - unpadded));
    head.push('\n');
    let length = u16::try_from(head.len()).map_err(|_| "the shape has too many axes".to_string())?;
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&[1, 0]);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(head.as_bytes());
    bytes.extend_from_slice(tensor.data());
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(head: &str, data: &[u8]) -> Bytes {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend_from_slice(&(head.len() as u16).to_le_bytes());
        bytes.extend_from_slice(head.as_bytes());
        bytes.extend_from_slice(data);
        bytes.into()
    }

    #[test]
    fn what_is_written_reads_back() {
        for dims in [&[][..], &[3], &[2, 3], &[0, 4]] {
            let count = dims.iter().product::<u64>() as i32;
            let tensor = Tensor::from_slice(dims, &(0..count).collect::<Vec<_>>()).unwrap();
            let bytes = write(&tensor).unwrap();
            assert_eq!(read(&bytes.into()).unwrap(), tensor, "{dims:?}");
        }
    }

    #[test]
    fn other_orders_are_turned() {
        let head = "{'descr': '>i2', 'fortran_order': True, 'shape': (2, 3), }";
        let read = read(&file(head, &[0, 1, 0, 4, 0, 2, 0, 5, 0, 3, 0, 6])).unwrap();
        assert_eq!(read.to_i64s().unwrap(), [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let head = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
        assert!(read(&file(head, &[0; 23])).unwrap_err().contains("23 bytes"));
        assert!(read(&file(&head.replace("<f4", "<c8"), &[0; 48])).unwrap_err().contains("<c8"));
        assert!(read(&Bytes::from_static(b"\x93NUMPY\x01\x00\xff")).is_err());
        let huge = head.replace("2, 3", "99999999999, 99999999999");
        assert!(read(&file(&huge, &[])).is_err());
    }
}
