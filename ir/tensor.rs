//! Constant data: shared, content-addressed, possibly a slice of a mapped file.
use crate::types::{DType, Kind};
use bytes::Bytes;
use half::{bf16, f16};
use std::cmp::Ordering;
use std::sync::OnceLock;
use thiserror::Error;

/// Constant data of one element type and shape, row-major, little-endian.
#[derive(Debug, Clone)]
pub struct Tensor {
    dtype: DType,
    dims: Vec<u64>,
    payload: Payload,
    digest: OnceLock<[u8; 32]>,
}

#[derive(Debug, Clone)]
enum Payload {
    Bytes(Bytes),
    Strings(Vec<String>),
}

/// A constant that is one number everywhere is small; larger ones are not read to find that out.
const LARGEST_UNIFORM: u64 = 1 << 16;

/// Why bytes do not make a tensor.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TensorError {
    /// The number of elements or bytes overflows.
    #[error("the shape {0:?} has more elements than can be counted")]
    TooLarge(Vec<u64>),
    /// The byte count does not match the shape.
    #[error("a {dtype} tensor of shape {dims:?} takes {expected} bytes, found {found}")]
    WrongLength {
        /// Element type.
        dtype: DType,
        /// Shape.
        dims: Vec<u64>,
        /// Bytes the shape takes.
        expected: u64,
        /// Bytes given.
        found: u64,
    },
}

/// A Rust type that is the memory form of one [`DType`].
pub trait Element: Copy + PartialEq + 'static {
    /// The element type.
    const DTYPE: DType;
    /// Reads one element from exactly its bytes.
    fn read(bytes: &[u8]) -> Self;
    /// Appends its bytes.
    fn write(self, out: &mut Vec<u8>);
}

macro_rules! elements {
    ($($ty:ty => $dtype:ident),*) => {$(
        impl Element for $ty {
            const DTYPE: DType = DType::$dtype;
            #[inline]
            fn read(bytes: &[u8]) -> Self {
                let mut buffer = [0; size_of::<$ty>()];
                buffer.copy_from_slice(bytes);
                <$ty>::from_le_bytes(buffer)
            }
            #[inline]
            fn write(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
        }
    )*};
}
elements!(f64 => F64, f32 => F32, f16 => F16, bf16 => Bf16, i8 => I8, i16 => I16, i32 => I32, i64 => I64,
    u8 => U8, u16 => U16, u32 => U32, u64 => U64);

impl Element for bool {
    const DTYPE: DType = DType::Bool;
    fn read(bytes: &[u8]) -> Self {
        bytes.iter().any(|b| *b != 0)
    }
    fn write(self, out: &mut Vec<u8>) {
        out.push(u8::from(self));
    }
}

impl Tensor {
    /// A tensor over `data`, which must be as long as the shape says.
    pub fn new(dtype: DType, dims: Vec<u64>, data: Bytes) -> Result<Self, TensorError> {
        let bytes = element_count(&dims).and_then(|n| dtype.bytes(n));
        let Some(expected) = bytes else { return Err(TensorError::TooLarge(dims)) };
        if expected != data.len() as u64 || dtype == DType::String {
            return Err(TensorError::WrongLength { dtype, dims, expected, found: data.len() as u64 });
        }
        Ok(Self { dtype, dims, payload: Payload::Bytes(data), digest: OnceLock::new() })
    }

    /// A tensor of texts.
    pub fn strings(dims: Vec<u64>, texts: Vec<String>) -> Result<Self, TensorError> {
        let expected = element_count(&dims).ok_or_else(|| TensorError::TooLarge(dims.clone()))?;
        if expected != texts.len() as u64 {
            let found = texts.len() as u64;
            return Err(TensorError::WrongLength { dtype: DType::String, dims, expected, found });
        }
        Ok(Self { dtype: DType::String, dims, payload: Payload::Strings(texts), digest: OnceLock::new() })
    }

    /// A tensor of the given elements.
    pub fn from_slice<T: Element>(dims: &[u64], elements: &[T]) -> Result<Self, TensorError> {
        let mut data = Vec::with_capacity(size_of_val(elements));
        elements.iter().for_each(|e| e.write(&mut data));
        Self::new(T::DTYPE, dims.to_vec(), data.into())
    }

    /// A rank-0 tensor.
    pub fn scalar<T: Element>(element: T) -> Self {
        let mut data = Vec::new();
        element.write(&mut data);
        Self {
            dtype: T::DTYPE,
            dims: Vec::new(),
            payload: Payload::Bytes(data.into()),
            digest: OnceLock::new(),
        }
    }

    /// A rank-1 tensor.
    pub fn vector<T: Element>(elements: &[T]) -> Self {
        let mut data = Vec::with_capacity(size_of_val(elements));
        elements.iter().for_each(|e| e.write(&mut data));
        let dims = vec![elements.len() as u64];
        Self { dtype: T::DTYPE, dims, payload: Payload::Bytes(data.into()), digest: OnceLock::new() }
    }

    /// Element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Extents.
    pub fn dims(&self) -> &[u64] {
        &self.dims
    }

    /// The number of elements.
    pub fn len(&self) -> u64 {
        element_count(&self.dims).unwrap_or(0)
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes; empty for texts.
    pub fn data(&self) -> &Bytes {
        static NONE: Bytes = Bytes::new();
        match &self.payload {
            Payload::Bytes(data) => data,
            Payload::Strings(_) => &NONE,
        }
    }

    /// The texts; empty for numbers.
    pub fn texts(&self) -> &[String] {
        match &self.payload {
            Payload::Bytes(_) => &[],
            Payload::Strings(texts) => texts,
        }
    }

    /// The same elements under another shape of as many elements.
    pub fn reshaped(&self, dims: Vec<u64>) -> Result<Self, TensorError> {
        match &self.payload {
            Payload::Bytes(data) => Self::new(self.dtype, dims, data.clone()),
            Payload::Strings(texts) => Self::strings(dims, texts.clone()),
        }
    }

    /// The elements, if `T` is their type.
    pub fn to_vec<T: Element>(&self) -> Option<Vec<T>> {
        let same = self.dtype == T::DTYPE;
        same.then(|| self.data().chunks_exact(size_of::<T>()).map(T::read).collect())
    }

    /// The elements as `i64`, if they are integers or truth values that fit.
    pub fn to_i64s(&self) -> Option<Vec<i64>> {
        match self.dtype.kind() {
            Kind::Float | Kind::String => None,
            _ => (0..self.len()).map(|i| self.int_at(i)).collect(),
        }
    }

    /// The elements as `f64`, if they are numbers or truth values.
    pub fn to_f64s(&self) -> Option<Vec<f64>> {
        let data = self.data();
        Some(match self.dtype {
            DType::F64 => data.chunks_exact(8).map(f64::read).collect(),
            DType::F32 => data.chunks_exact(4).map(|b| f32::read(b).into()).collect(),
            DType::F16 => data.chunks_exact(2).map(|b| f16::read(b).into()).collect(),
            DType::Bf16 => data.chunks_exact(2).map(|b| bf16::read(b).into()).collect(),
            DType::U64 => data.chunks_exact(8).map(|b| u64::read(b) as f64).collect(),
            _ => self.to_i64s()?.into_iter().map(|x| x as f64).collect(),
        })
    }

    /// The only element as `f64`, if there is just one.
    pub fn as_scalar(&self) -> Option<f64> {
        if self.len() == 1 { self.to_f64s()?.first().copied() } else { None }
    }

    /// The number that all elements are, if they are one number. Large tensors are not looked at.
    pub fn as_uniform(&self) -> Option<f64> {
        if self.len() > LARGEST_UNIFORM {
            return None;
        }
        let elements = self.to_f64s()?;
        let first = *elements.first()?;
        elements.iter().all(|x| *x == first).then_some(first)
    }

    fn int_at(&self, index: u64) -> Option<i64> {
        let bits = u64::from(self.dtype.bits());
        let at = usize::try_from(index * bits / 8).ok()?;
        let data = self.data();
        if bits < 8 {
            let raw = (data.get(at)? >> (index * bits % 8)) & ((1 << bits) - 1);
            let sign = self.dtype.kind() == Kind::Signed && raw >> (bits - 1) == 1;
            return Some(i64::from(raw) - if sign { 1 << bits } else { 0 });
        }
        let bytes = data.get(at..at + bits as usize / 8)?;
        Some(match self.dtype {
            DType::I8 => i8::read(bytes).into(),
            DType::I16 => i16::read(bytes).into(),
            DType::I32 => i32::read(bytes).into(),
            DType::I64 => i64::read(bytes),
            DType::U8 => u8::read(bytes).into(),
            DType::U16 => u16::read(bytes).into(),
            DType::U32 => u32::read(bytes).into(),
            DType::U64 => u64::read(bytes).try_into().ok()?,
            DType::Bool => bool::read(bytes).into(),
            _ => return None,
        })
    }

    /// The BLAKE3 digest of type, shape and bytes; computed once.
    pub fn digest(&self) -> &[u8; 32] {
        self.digest.get_or_init(|| {
            let mut hasher = blake3::Hasher::new();
            hasher.update(self.dtype.name().as_bytes()).update(&[0]);
            for dim in &self.dims {
                hasher.update(&dim.to_le_bytes());
            }
            match &self.payload {
                Payload::Bytes(data) => {
                    hasher.update(data);
                }
                Payload::Strings(texts) => texts.iter().for_each(|t| {
                    hasher.update(&(t.len() as u64).to_le_bytes()).update(t.as_bytes());
                }),
            }
            *hasher.finalize().as_bytes()
        })
    }
}

/// The product of the extents, if it fits.
pub fn element_count(dims: &[u64]) -> Option<u64> {
    if dims.contains(&0) {
        return Some(0);
    }
    dims.iter().try_fold(1u64, |n, d| n.checked_mul(*d)).filter(|n| *n <= i64::MAX as u64)
}

impl Ord for Tensor {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.dtype, &self.dims).cmp(&(other.dtype, &other.dims)).then_with(|| {
            match (&self.payload, &other.payload) {
                (Payload::Bytes(a), Payload::Bytes(b)) if a.as_ptr() == b.as_ptr() => Ordering::Equal,
                _ => self.digest().cmp(other.digest()),
            }
        })
    }
}

impl PartialOrd for Tensor {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Tensor {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Tensor {}
