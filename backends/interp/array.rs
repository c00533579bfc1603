//! Typed arrays the operators compute on: floats as `f64`, integers and truth values as `i128`.
use crate::call::{EvalError, wrong};
use crate::number::{self, Format, Overflow, PowerRounding};
use half::{bf16, f16};
use weft_ir::types::Kind;
use weft_ir::{DType, Element, Tensor};

/// Elements in row-major order with their shape.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Array<T> {
    /// Extents, outermost first.
    pub(crate) dims: Vec<usize>,
    /// The elements.
    pub(crate) data: Vec<T>,
}

/// The extents of a tensor as indices.
pub(crate) fn extents(tensor: &Tensor) -> Vec<usize> {
    tensor.dims().iter().map(|d| *d as usize).collect()
}

/// How far apart the elements of each axis lie.
pub(crate) fn strides(dims: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; dims.len()];
    for axis in (1..dims.len()).rev() {
        strides[axis - 1] = strides[axis] * dims[axis];
    }
    strides
}

/// An axis counted from the end if negative, checked against the rank.
pub(crate) fn axis(axis: i64, rank: usize) -> Result<usize, EvalError> {
    Ok(weft_ir::ops::rules::axis(axis, rank)?)
}

/// The shape that shapes broadcast to.
pub(crate) fn broadcast(shapes: &[&[usize]]) -> Result<Vec<usize>, EvalError> {
    let rank = shapes.iter().map(|s| s.len()).max().unwrap_or(0);
    let mut result = vec![1; rank];
    for shape in shapes {
        for (out, extent) in result[rank - shape.len()..].iter_mut().zip(*shape) {
            match (*out, *extent) {
                (_, 1) => {}
                (1, n) => *out = n,
                (m, n) if m == n => {}
                (m, n) => return wrong(format!("extents {m} and {n} do not broadcast")),
            }
        }
    }
    Ok(result)
}

/// Offsets of a strided walk, last axis fastest.
pub(crate) struct Walk {
    /// Extent, stride and position of each axis, the fastest first.
    axes: Vec<(usize, usize, usize)>,
    offset: usize,
    left: usize,
}

impl Walk {
    /// Visits every index of `dims`, each axis moving by its stride.
    pub(crate) fn new(dims: &[usize], strides: &[usize]) -> Self {
        let mut axes: Vec<(usize, usize, usize)> = Vec::new();
        for (dim, stride) in dims.iter().zip(strides).rev().filter(|(dim, _)| **dim != 1) {
            match axes.last_mut() {
                // Two axes that lie as one are walked as one.
                Some((inner, step, _)) if *inner * *step == *stride => *inner *= dim,
                _ => axes.push((*dim, *stride, 0)),
            }
        }
        Self { axes, offset: 0, left: dims.iter().product() }
    }

    /// Visits an array of shape `from` once for every index of the shape `to` it broadcasts to.
    pub(crate) fn broadcast(from: &[usize], to: &[usize]) -> Self {
        let own = strides(from);
        let missing = to.len().saturating_sub(from.len());
        let stride = |axis: usize| match axis.checked_sub(missing) {
            Some(a) if from[a] != 1 => own[a],
            _ => 0,
        };
        Self::new(to, &(0..to.len()).map(stride).collect::<Vec<_>>())
    }
}

impl Iterator for Walk {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        let offset = self.offset;
        for (extent, stride, at) in &mut self.axes {
            *at += 1;
            self.offset += *stride;
            if *at < *extent {
                break;
            }
            self.offset -= *stride * *extent;
            *at = 0;
        }
        Some(offset)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

/// An array seen as `outer` blocks of `len` rows of `inner` elements, around one axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lanes {
    /// The product of the extents before the axis.
    pub(crate) outer: usize,
    /// The extent of the axis.
    pub(crate) len: usize,
    /// The product of the extents behind the axis.
    pub(crate) inner: usize,
}

impl Lanes {
    /// Around one axis.
    pub(crate) fn around(dims: &[usize], axis: usize) -> Self {
        let (outer, inner) = (dims[..axis].iter().product(), dims[axis + 1..].iter().product());
        Self { outer, len: dims[axis], inner }
    }

    /// The offsets of the elements of each lane.
    pub(crate) fn iter(self) -> impl Iterator<Item = impl Iterator<Item = usize> + Clone> {
        (0..self.outer).flat_map(move |o| {
            (0..self.inner).map(move |i| {
                let base = o * self.len * self.inner + i;
                (0..self.len).map(move |k| base + k * self.inner)
            })
        })
    }
}

impl<T: Copy> Array<T> {
    /// An array of that shape; there are as many elements as it says.
    pub(crate) fn new(dims: Vec<usize>, data: Vec<T>) -> Self {
        debug_assert_eq!(dims.iter().product::<usize>(), data.len());
        Self { dims, data }
    }

    /// An array of one element everywhere.
    pub(crate) fn filled(dims: Vec<usize>, element: T) -> Self {
        let n = dims.iter().product();
        Self { dims, data: vec![element; n] }
    }

    /// How far apart the elements of each axis lie.
    pub(crate) fn strides(&self) -> Vec<usize> {
        strides(&self.dims)
    }

    /// Every element through `f`.
    pub(crate) fn map<U>(&self, f: impl Fn(T) -> U) -> Array<U> {
        Array { dims: self.dims.clone(), data: self.data.iter().map(|x| f(*x)).collect() }
    }

    /// The array stretched to a shape it broadcasts to.
    pub(crate) fn stretched(&self, dims: &[usize]) -> Result<Self, EvalError> {
        if broadcast(&[&self.dims, dims])? != dims {
            return wrong(format!("shape {:?} does not stretch to {dims:?}", self.dims));
        }
        if self.dims == dims {
            return Ok(self.clone());
        }
        let data = Walk::broadcast(&self.dims, dims).map(|i| self.data[i]).collect();
        Ok(Self { dims: dims.to_vec(), data })
    }

    /// Elements of both, broadcast together, through `f`.
    pub(crate) fn zip<U: Copy, V>(
        &self,
        other: &Array<U>,
        f: impl Fn(T, U) -> V,
    ) -> Result<Array<V>, EvalError> {
        if self.dims == other.dims {
            let data = self.data.iter().zip(&other.data).map(|(a, b)| f(*a, *b)).collect();
            return Ok(Array { dims: self.dims.clone(), data });
        }
        let dims = broadcast(&[&self.dims, &other.dims])?;
        let (a, b) = (Walk::broadcast(&self.dims, &dims), Walk::broadcast(&other.dims, &dims));
        let data = a.zip(b).map(|(i, j)| f(self.data[i], other.data[j])).collect();
        Ok(Array { dims, data })
    }

    /// The axes in another order: axis `i` of the result is axis `order[i]` of this one.
    pub(crate) fn transposed(&self, order: &[usize]) -> Self {
        if order.iter().copied().eq(0..self.dims.len()) {
            return self.clone();
        }
        let own = self.strides();
        let dims: Vec<usize> = order.iter().map(|a| self.dims[*a]).collect();
        let strides: Vec<usize> = order.iter().map(|a| own[*a]).collect();
        let data = Walk::new(&dims, &strides).map(|i| self.data[i]).collect();
        Self { dims, data }
    }

    /// The same elements under another shape of as many elements.
    pub(crate) fn reshaped(self, dims: Vec<usize>) -> Result<Self, EvalError> {
        if dims.iter().product::<usize>() != self.data.len() {
            return wrong(format!("shape {:?} cannot become {dims:?}", self.dims));
        }
        Ok(Self { dims, data: self.data })
    }
}

fn to_dims(dims: &[usize]) -> Vec<u64> {
    dims.iter().map(|d| *d as u64).collect()
}

impl Array<f64> {
    /// The elements of a tensor of numbers or truth values.
    pub(crate) fn floats(tensor: &Tensor) -> Result<Self, EvalError> {
        let bytes = tensor.data();
        let data: Vec<f64> = match tensor.dtype() {
            DType::F64 => bytes.chunks_exact(8).map(f64::read).collect(),
            DType::F32 => bytes.chunks_exact(4).map(|b| f32::read(b).into()).collect(),
            DType::F16 => bytes.chunks_exact(2).map(|b| f16::read(b).into()).collect(),
            DType::Bf16 => bytes.chunks_exact(2).map(|b| bf16::read(b).into()).collect(),
            DType::F8E8M0 => bytes.iter().map(|b| number::decode_power(*b)).collect(),
            dtype => match Format::of(dtype) {
                Some(format) => unpacked(tensor).into_iter().map(|b| format.decode(b.into())).collect(),
                None => return Ok(Array::ints(tensor)?.map(|x| x as f64)),
            },
        };
        Ok(Self::new(extents(tensor), data))
    }

    /// The elements rounded to a type. Floats out of range become infinity or NaN; integers are
    /// cut off and wrap.
    pub(crate) fn store(&self, dtype: DType) -> Result<Tensor, EvalError> {
        self.store_with(dtype, Overflow::Special)
    }

    /// The elements rounded to a type, with a say about what is out of range of a float type.
    pub(crate) fn store_with(&self, dtype: DType, overflow: Overflow) -> Result<Tensor, EvalError> {
        let mut bytes = Vec::with_capacity(self.data.len() * (dtype.bits() as usize).div_ceil(8));
        match dtype {
            DType::F64 => self.data.iter().for_each(|x| x.write(&mut bytes)),
            DType::F32 => self.data.iter().for_each(|x| (*x as f32).write(&mut bytes)),
            DType::F8E8M0 => {
                let encode = |x: &f64| number::encode_power(*x, PowerRounding::Nearest, overflow);
                bytes.extend(self.data.iter().map(encode));
            }
            _ => match Format::of(dtype) {
                Some(format) if dtype.bits() == 16 => {
                    self.data.iter().for_each(|x| format.encode(*x, overflow).write(&mut bytes));
                }
                Some(format) => {
                    bytes.extend(self.data.iter().map(|x| format.encode(*x, overflow) as u8));
                }
                None => return self.map(|x| number::float_to_int(x, dtype)).store(dtype),
            },
        }
        packed(dtype, &self.dims, bytes)
    }
}

impl Array<i128> {
    /// The elements of a tensor of integers or truth values.
    pub(crate) fn ints(tensor: &Tensor) -> Result<Self, EvalError> {
        let bytes = tensor.data();
        let data: Vec<i128> = match tensor.dtype() {
            DType::I64 => bytes.chunks_exact(8).map(|b| i64::read(b).into()).collect(),
            DType::U64 => bytes.chunks_exact(8).map(|b| u64::read(b).into()).collect(),
            DType::I32 => bytes.chunks_exact(4).map(|b| i32::read(b).into()).collect(),
            DType::U32 => bytes.chunks_exact(4).map(|b| u32::read(b).into()).collect(),
            DType::I16 => bytes.chunks_exact(2).map(|b| i16::read(b).into()).collect(),
            DType::U16 => bytes.chunks_exact(2).map(|b| u16::read(b).into()).collect(),
            DType::I8 => bytes.iter().map(|b| i128::from(*b as i8)).collect(),
            DType::Bool => bytes.iter().map(|b| i128::from(*b != 0)).collect(),
            dtype if dtype.is_int() => {
                unpacked(tensor).into_iter().map(|b| number::wrap_to(b.into(), dtype)).collect()
            }
            dtype => return wrong(format!("expected integers, found {dtype}")),
        };
        Ok(Self::new(extents(tensor), data))
    }

    /// The elements as a type keeps them: integers wrap, floats are rounded.
    pub(crate) fn store(&self, dtype: DType) -> Result<Tensor, EvalError> {
        let mut bytes = Vec::with_capacity(self.data.len() * (dtype.bits() as usize).div_ceil(8));
        match dtype {
            DType::F32 => self.data.iter().for_each(|x| (*x as f32).write(&mut bytes)),
            _ if dtype.is_float() => return self.map(|x| x as f64).store(dtype),
            DType::I64 | DType::U64 => self.data.iter().for_each(|x| (*x as u64).write(&mut bytes)),
            DType::I32 | DType::U32 => self.data.iter().for_each(|x| (*x as u32).write(&mut bytes)),
            DType::I16 | DType::U16 => self.data.iter().for_each(|x| (*x as u16).write(&mut bytes)),
            DType::Bool => bytes.extend(self.data.iter().map(|x| u8::from(*x != 0))),
            DType::String => return wrong("expected an element type of numbers, found string"),
            _ => bytes.extend(self.data.iter().map(|x| *x as u8)),
        }
        packed(dtype, &self.dims, bytes)
    }
}

impl Array<bool> {
    /// The elements of a tensor of truth values.
    pub(crate) fn truths(tensor: &Tensor) -> Result<Self, EvalError> {
        if tensor.dtype() != DType::Bool {
            return wrong(format!("expected bool, found {}", tensor.dtype()));
        }
        Ok(Self::new(extents(tensor), tensor.data().iter().map(|b| *b != 0).collect()))
    }

    /// The elements as a tensor.
    pub(crate) fn store(&self) -> Result<Tensor, EvalError> {
        packed(DType::Bool, &self.dims, self.data.iter().map(|x| u8::from(*x)).collect())
    }
}

/// The bytes of a tensor, one element of less than a byte spread to one byte each.
fn unpacked(tensor: &Tensor) -> Vec<u8> {
    let bits = tensor.dtype().bits() as usize;
    if bits == 0 || bits >= 8 {
        return tensor.data().to_vec();
    }
    let (each, mask) = (8 / bits, (1u8 << bits) - 1);
    let data = tensor.data();
    (0..tensor.len() as usize).map(|i| (data[i / each] >> (i % each * bits)) & mask).collect()
}

/// A tensor of bytes that [`unpacked`] gives.
fn packed(dtype: DType, dims: &[usize], bytes: Vec<u8>) -> Result<Tensor, EvalError> {
    let bits = dtype.bits() as usize;
    if bits >= 8 {
        return Ok(Tensor::new(dtype, to_dims(dims), bytes.into())?);
    }
    let mask = (1u8 << bits) - 1;
    let join = |part: &[u8]| part.iter().rev().fold(0u8, |sum, b| sum << bits | (b & mask));
    let bytes: Vec<u8> = bytes.chunks(8 / bits).map(join).collect();
    Ok(Tensor::new(dtype, to_dims(dims), bytes.into())?)
}

/// Elements of any type as they lie in memory, to be moved without being understood.
#[derive(Debug, Clone)]
pub(crate) struct Elements {
    dtype: DType,
    width: usize,
    bytes: Vec<u8>,
    texts: Vec<String>,
}

impl Elements {
    /// Those of a tensor.
    pub(crate) fn of(tensor: &Tensor) -> Self {
        let bytes = unpacked(tensor);
        Self { bytes, texts: tensor.texts().to_vec(), ..Self::none(tensor.dtype()) }
    }

    /// None yet, to be pushed.
    pub(crate) fn none(dtype: DType) -> Self {
        let width = (dtype.bits() as usize).div_ceil(8);
        Self { dtype, width, bytes: Vec::new(), texts: Vec::new() }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len().checked_div(self.width).unwrap_or(self.texts.len())
    }

    /// Appends element `index` of `from`, which has the same type.
    pub(crate) fn push(&mut self, from: &Self, index: usize) {
        self.push_run(from, index, 1);
    }

    /// Appends `count` elements of `from`, which has the same type, beginning at `index`.
    pub(crate) fn push_run(&mut self, from: &Self, index: usize, count: usize) {
        if self.width == 0 {
            self.texts.extend_from_slice(&from.texts[index..index + count]);
        } else {
            let range = index * self.width..(index + count) * self.width;
            self.bytes.extend_from_slice(&from.bytes[range]);
        }
    }

    /// Appends zero or the empty text.
    pub(crate) fn push_zero(&mut self) {
        if self.width == 0 {
            self.texts.push(String::new());
        } else {
            self.bytes.resize(self.bytes.len() + self.width, 0);
        }
    }

    /// Overwrites element `index` by element `at` of `from`, which has the same type.
    pub(crate) fn set(&mut self, index: usize, from: &Self, at: usize) {
        if self.width == 0 {
            self.texts[index] = from.texts[at].clone();
        } else {
            let range = at * self.width..(at + 1) * self.width;
            self.bytes[index * self.width..][..self.width].copy_from_slice(&from.bytes[range]);
        }
    }

    /// The elements of these offsets, in their order.
    pub(crate) fn pick(&self, offsets: impl Iterator<Item = usize>) -> Self {
        let mut picked = Self::none(self.dtype);
        offsets.for_each(|i| picked.push(self, i));
        picked
    }

    /// A tensor of as many elements as the shape says.
    pub(crate) fn store(self, dims: &[usize]) -> Result<Tensor, EvalError> {
        match self.dtype {
            DType::String => Ok(Tensor::strings(to_dims(dims), self.texts)?),
            dtype => packed(dtype, dims, self.bytes),
        }
    }
}

/// Whether a type is computed on as `f64`.
pub(crate) fn is_float(dtype: DType) -> bool {
    dtype.kind() == Kind::Float
}
