//! Functions of elements, run by the interpreter of kernels.
#![allow(dead_code, reason = "every test crate uses a part of it")]

use weft_ir::DType;
use weft_kernel::math::{self, Function};
use weft_kernel::nest::exec::{self, Argument, Block, ExecError};
use weft_kernel::nest::{Access, Builder, Kernel};

/// Lanes of the kernels of [`apply`].
const LANES: u32 = 64;

/// An element type with a Rust type.
pub(crate) trait Element: Copy {
    /// The element type.
    const DTYPE: DType;
    /// Its bytes.
    fn bytes(self) -> Vec<u8>;
    /// From its bytes.
    fn of(bytes: &[u8]) -> Self;
}

macro_rules! elements {
    ($($ty:ident $dtype:ident,)*) => {
        $(impl Element for $ty {
            const DTYPE: DType = DType::$dtype;
            fn bytes(self) -> Vec<u8> {
                self.to_le_bytes().to_vec()
            }
            fn of(bytes: &[u8]) -> Self {
                Self::from_le_bytes(bytes.try_into().unwrap())
            }
        })*
    };
}

elements! { f32 F32, f64 F64, i8 I8, i16 I16, i32 I32, i64 I64, u8 U8, u16 U16, u32 U32, u64 U64, }

impl Element for bool {
    const DTYPE: DType = DType::Bool;
    fn bytes(self) -> Vec<u8> {
        vec![self.into()]
    }
    fn of(bytes: &[u8]) -> Self {
        bytes[0] != 0
    }
}

/// A function of arguments of one type, of 64 elements at a time.
pub(crate) fn kernel(function: Function, args: &[DType], result: DType) -> Kernel {
    let mut b = Builder::new("function", "map");
    let ins: Vec<_> = args.iter().map(|dtype| b.buffer("in", *dtype, Access::Read)).collect();
    let out = b.buffer("out", result, Access::Write);
    let (task, lanes) = (b.task(), b.index(LANES.into()));
    let at = b.mul(task, lanes);
    let args: Vec<_> = ins.iter().map(|buffer| b.load(*buffer, at, 0, LANES)).collect();
    let value = math::emit(&mut b, function, result, &args);
    b.store(out, at, 0, value);
    b.finish()
}

/// The results for columns of arguments, one column an argument.
pub(crate) fn try_apply<A: Element, R: Element>(
    function: Function,
    args: &[&[A]],
) -> Result<Vec<R>, ExecError> {
    let kernel = kernel(function, &vec![A::DTYPE; args.len()], R::DTYPE);
    let (count, lanes) = (args[0].len(), LANES as usize);
    let tasks = count.div_ceil(lanes);
    let mut blocks: Vec<Block> = Vec::new();
    for column in args {
        assert_eq!(column.len(), count);
        let last = *column.last().expect("there are arguments");
        let filled = column.iter().copied().chain(std::iter::repeat(last)).take(tasks * lanes);
        blocks.push(Block::new(filled.flat_map(A::bytes).collect()));
    }
    let size = R::DTYPE.bits() as usize / 8;
    blocks.push(Block::undefined(tasks * lanes * size));
    let bound: Vec<_> = (0..blocks.len()).map(|block| Argument { block, offset: 0 }).collect();
    exec::run(&kernel, &mut blocks, &bound, &[], 0..tasks as i64)?;
    let out = blocks.pop().expect("the last one was pushed above");
    assert_eq!(out.first_unwritten(out.len()), None);
    Ok(out.bytes().chunks(size).take(count).map(R::of).collect())
}

/// The same, which must not fail.
pub(crate) fn apply<A: Element, R: Element>(function: Function, args: &[&[A]]) -> Vec<R> {
    try_apply(function, args).unwrap_or_else(|error| panic!("{function:?}: {error}"))
}
