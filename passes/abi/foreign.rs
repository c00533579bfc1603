//! Functions in C that compute operators: tensors as they see them, and calling them.
use std::ffi::c_void;
use std::sync::Arc;
use weft_ir::{Dim, ForeignFunction, Tensor, TensorType};

/// A tensor as a function takes and fills it; see the header.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the header documents the fields, and is the one place to do so")]
pub struct CTensor {
    pub data: *mut c_void,
    pub shape: *const i64,
    pub rank: u32,
    pub code: u8,
    pub bits: u8,
    pub lanes: u16,
}

impl CTensor {
    /// An operand that is absent.
    const ABSENT: CTensor =
        CTensor { data: std::ptr::null_mut(), shape: std::ptr::null(), rank: 0, code: 0, bits: 0, lanes: 1 };

    fn of(ty: &TensorType, shape: &[i64], data: *mut u8) -> Result<Self, String> {
        let (code, bits) =
            ty.dtype.dlpack().ok_or_else(|| format!("takes no elements of type {}", ty.dtype))?;
        Ok(Self { data: data.cast(), shape: shape.as_ptr(), rank: shape.len() as u32, code, bits, lanes: 1 })
    }
}

/// A function in C that computes an operator: `weft_function` of the header.
pub type CFunction = unsafe extern "C" fn(
    inputs: *const CTensor,
    input_count: usize,
    outputs: *mut CTensor,
    output_count: usize,
) -> i32;

/// Such a function, of which its author says that it keeps the rules of the header.
#[derive(Debug, Clone, Copy)]
pub struct Compiled(CFunction);

impl Compiled {
    /// The function, for the interpreter to call.
    ///
    /// # Safety
    /// It keeps the rules of the header: it reads and fills the tensors it is given, within their
    /// shapes, keeps no pointer, and may be called from several threads at once.
    pub unsafe fn new(function: CFunction) -> Self {
        Self(function)
    }
}

/// A tensor with room for its elements at an address that any of them may have.
struct Room {
    ty: TensorType,
    shape: Vec<i64>,
    words: Vec<u128>,
    bytes: usize,
}

impl Room {
    fn new(ty: &TensorType) -> Result<Self, String> {
        let too_large = || format!("cannot be given room for {ty}");
        let dims = ty.dims.as_ref().ok_or_else(too_large)?;
        let shape = dims.iter().map(Dim::as_fixed).collect::<Option<Vec<i64>>>().ok_or_else(too_large)?;
        let extent = |dim: &i64| u64::try_from(*dim).ok();
        let count = shape.iter().try_fold(1u64, |n, dim| n.checked_mul(extent(dim)?));
        let bytes =
            count.and_then(|count| ty.dtype.bytes(count)).and_then(|bytes| usize::try_from(bytes).ok());
        let bytes = bytes.ok_or_else(too_large)?;
        let words = vec![0u128; bytes.div_ceil(size_of::<u128>())];
        Ok(Self { ty: ty.clone(), shape, words, bytes })
    }

    /// Room with the elements of a tensor.
    fn holding(tensor: &Tensor) -> Result<Self, String> {
        let mut room = Self::new(&TensorType::fixed(tensor.dtype(), tensor.dims()))?;
        let size = size_of::<u128>();
        for (word, bytes) in room.words.iter_mut().zip(tensor.data().chunks(size)) {
            let mut whole = [0; size_of::<u128>()];
            whole[..bytes.len()].copy_from_slice(bytes);
            *word = u128::from_ne_bytes(whole);
        }
        Ok(room)
    }

    fn lent(&mut self) -> Result<CTensor, String> {
        CTensor::of(&self.ty, &self.shape, self.words.as_mut_ptr().cast())
    }

    fn tensor(self) -> Result<Tensor, String> {
        let dims = self.shape.iter().map(|dim| dim.unsigned_abs()).collect();
        let mut data: Vec<u8> = self.words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        data.truncate(self.bytes);
        Tensor::new(self.ty.dtype, dims, data.into()).map_err(|error| error.to_string())
    }
}

impl ForeignFunction for Compiled {
    fn call(&self, inputs: &[Option<Arc<Tensor>>], results: &[TensorType]) -> Result<Vec<Tensor>, String> {
        let rooms = inputs.iter().map(|input| input.as_deref().map(Room::holding).transpose());
        let mut rooms: Vec<Option<Room>> = rooms.collect::<Result<_, _>>()?;
        let mut outputs: Vec<Room> = results.iter().map(Room::new).collect::<Result<_, _>>()?;
        let lend = |room: &mut Option<Room>| room.as_mut().map_or(Ok(CTensor::ABSENT), Room::lent);
        let given: Vec<CTensor> = rooms.iter_mut().map(lend).collect::<Result<_, _>>()?;
        let mut taken: Vec<CTensor> = outputs.iter_mut().map(Room::lent).collect::<Result<_, _>>()?;
        // SAFETY: the function keeps the rules of the header; the tensors are there until it returns.
        let status = unsafe { (self.0)(given.as_ptr(), given.len(), taken.as_mut_ptr(), taken.len()) };
        match status {
            0 => outputs.into_iter().map(Room::tensor).collect(),
            status => Err(format!("failed with status {status}")),
        }
    }
}
