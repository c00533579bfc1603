//! The nest: loops, typed registers, loads and stores of one kernel.
//!
//! A kernel computes tasks `begin..end` of its grid; its body computes the one task whose number
//! is in [`Kernel::task`]. The body is structured three-address code: every register is written
//! once by a [`Stmt::Let`], what changes over a loop is a [`Var`]. The order of statements is the
//! order of the machine code, which decides about spills: a schedule writes exactly what it wants.
mod build;
pub mod exec;
mod print;

pub use build::Builder;

use weft_ir::DType;

/// The type of a register. Truth values are single bits in registers and bytes in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ty {
    /// Element type; 16-bit floats are only loaded, stored and cast.
    pub elem: DType,
    /// Vector lanes; 1 is a scalar.
    pub lanes: u32,
}

/// A value written once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reg(pub u32);

/// A value that may be set again; after register allocation a machine register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Var(pub u32);

/// A buffer parameter of a kernel, or an array of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BufferId(pub u32);

/// A buffer as the kernel sees it. Buffers never overlap, unless one argument is passed twice to
/// two buffers that are only read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buffer {
    /// For reading the text.
    pub name: String,
    /// Element type in memory.
    pub elem: DType,
    /// What the kernel does with it.
    pub access: Access,
}

/// What a kernel does with a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// A parameter that is only read.
    Read,
    /// A parameter that is written, and perhaps read after.
    Write,
    /// An array of that many elements on the stack, 64-byte aligned, undefined at the start of a task.
    Local(u32),
}

/// A kernel.
#[derive(Debug, Clone, PartialEq)]
pub struct Kernel {
    /// Unique in its program; made of `[a-z0-9_]`.
    pub name: String,
    /// How it is computed, for people: `gemm 6x64`, `map x16`, `generic reduce`.
    pub schedule: String,
    /// Buffers; parameters first, in argument order, arrays of its own after.
    pub buffers: Vec<Buffer>,
    /// Names of the integer parameters (extents), in argument order; all `i64`.
    pub dims: Vec<String>,
    /// The types of the registers.
    pub regs: Vec<Ty>,
    /// The types of the variables.
    pub vars: Vec<Ty>,
    /// The register that holds the task number, an `i64`.
    pub task: Reg,
    /// What one task does.
    pub body: Vec<Stmt>,
}

/// A statement.
#[derive(Debug, Clone, PartialEq)]
pub enum Stmt {
    /// Writes a register.
    Let(Reg, Op),
    /// Sets a variable; the first one in the order of the text declares it.
    Set(Var, Reg),
    /// Writes memory: as many elements as the value has lanes, at `index + offset` elements on,
    /// only those whose mask bit is set.
    Store {
        /// Where to.
        buffer: BufferId,
        /// Element index, a scalar `i64`.
        index: Reg,
        /// Added to the index.
        offset: i64,
        /// What.
        value: Reg,
        /// A truth value per lane.
        mask: Option<Reg>,
    },
    /// Writes the lanes of a value to the elements named by a vector of indices.
    Scatter {
        /// Where to.
        buffer: BufferId,
        /// Element indices, `i64`, as many as the value has lanes.
        index: Reg,
        /// What.
        value: Reg,
        /// A truth value per lane.
        mask: Option<Reg>,
    },
    /// Asks for a cache line ahead of its use; never faults.
    Prefetch {
        /// Where.
        buffer: BufferId,
        /// Element index.
        index: Reg,
        /// Added to the index.
        offset: i64,
        /// Where it should come to lie.
        into: Cache,
    },
    /// Runs the body for `index = start, start + step, ...` while `index < end`.
    For {
        /// The counter, `i64`.
        index: Reg,
        /// First value.
        start: Reg,
        /// Bound, not reached.
        end: Reg,
        /// A positive number.
        step: i64,
        /// What a code generator may do with the loop.
        hint: Hint,
        /// The body.
        body: Vec<Stmt>,
    },
    /// Runs one of two bodies.
    If {
        /// A scalar truth value.
        condition: Reg,
        /// If true.
        then: Vec<Stmt>,
        /// If false.
        otherwise: Vec<Stmt>,
    },
}

/// Caches that data can be asked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cache {
    /// The first level: it is used at once.
    First,
    /// The second level: it is used soon, and the first level is needed for other things.
    Second,
}

/// What a code generator may do with a loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    /// The schedule is written out: neither vectorise nor unroll.
    AsWritten,
    /// Scalar code: vectorise and unroll at will.
    Free,
}

/// A constant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scalar {
    /// A float.
    Float(f64),
    /// An integer or a truth value.
    Int(i64),
}

/// An operation. Operands of one operation have the same type unless said otherwise.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// A constant of the register's type, in all lanes.
    Const(Scalar),
    /// An integer parameter.
    Dim(u32),
    /// The present value of a variable.
    Get(Var),
    /// One operand.
    Unary(Unary, Reg),
    /// Two operands.
    Binary(Binary, Reg, Reg),
    /// `a * b + c`, rounded once.
    Fma(Reg, Reg, Reg),
    /// Sums of products of bytes: lane `i` of the third operand, `i32`, plus the products of bytes `4 i` to
    /// `4 i + 3` of the first, `u8`, and of the second, `i8`. Wraps, and nothing in between saturates.
    Dot4(Reg, Reg, Reg),
    /// The same by pairs: lane `i` of the third operand, `i16`, plus the products of bytes `2 i` and `2 i + 1`. No sum may
    /// leave `i16`.
    Dot2(Reg, Reg, Reg),
    /// Lane `i` of the second operand, `i32`, plus lanes `2 i` and `2 i + 1` of the first, `i16`. Wraps.
    Pairs(Reg, Reg),
    /// Compares; the result is a truth value per lane.
    Compare(Compare, Reg, Reg),
    /// Lane by lane the second operand where the first, a truth value, is set, else the third.
    Select(Reg, Reg, Reg),
    /// Converts to the register's element type: floats to integers round towards zero and saturate,
    /// NaN gives 0; integers wrap; truth values are 0 and 1; to truth value: not equal to zero.
    Cast(Reg),
    /// The same bits as the register's type, lanes and all.
    Bitcast(Reg),
    /// A scalar in all lanes.
    Splat(Reg),
    /// `0, 1, 2, ...`, one number a lane.
    Iota,
    /// All lanes to a scalar; the order is not defined.
    Reduce(Reduce, Reg),
    /// Its operand, which is computed before the loads behind it are made: a code generator that orders loads as it
    /// likes makes addresses fall and rise within a body, where a processor looks ahead only if they rise, and holds
    /// more numbers at a time than there are registers.
    InOrder(Reg),
    /// Lanes of the two operands, numbered through; the result has as many lanes as there are numbers.
    Shuffle(Reg, Reg, Vec<u32>),
    /// Lane of a vector as a scalar.
    Lane(Reg, u32),
    /// Reads as many elements as the register has lanes, at `index + offset` elements on; lanes whose
    /// mask bit is not set read nothing and are 0.
    Load {
        /// Where from.
        buffer: BufferId,
        /// Element index, a scalar `i64`.
        index: Reg,
        /// Added to the index.
        offset: i64,
        /// A truth value per lane.
        mask: Option<Reg>,
    },
    /// Reads the elements named by a vector of indices.
    Gather {
        /// Where from.
        buffer: BufferId,
        /// Element indices, `i64`, one a lane.
        index: Reg,
        /// A truth value per lane.
        mask: Option<Reg>,
    },
}

/// Operations with one operand. Those marked float work on `f32` and `f64` alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unary {
    /// `-x`; integers wrap.
    Neg,
    /// `|x|`; integers wrap.
    Abs,
    /// Every bit turned; on truth values, not.
    Not,
    /// Float: square root, rounded right.
    Sqrt,
    /// Float: towards minus infinity.
    Floor,
    /// Float: towards plus infinity.
    Ceil,
    /// Float: towards zero.
    Trunc,
    /// Float: to the nearest integer, halves to even.
    RoundEven,
}

/// Operations with two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binary {
    /// Sum; integers wrap.
    Add,
    /// Difference; integers wrap.
    Sub,
    /// Product; integers wrap.
    Mul,
    /// Quotient; integers round towards zero, the divisor must be neither 0 nor, for the least
    /// number, -1: schedules guard it.
    Div,
    /// Remainder with the sign of the dividend; the divisor as for [`Binary::Div`].
    Rem,
    /// The smaller one; for floats the second operand where either one is NaN or both are zero.
    Min,
    /// The larger one; for floats the second operand where either one is NaN or both are zero.
    Max,
    /// Bitwise or logical and.
    And,
    /// Bitwise or logical or.
    Or,
    /// Bitwise or logical exclusive or.
    Xor,
    /// Shift to the left; the count must be smaller than the width.
    Shl,
    /// Shift to the right, with sign for signed types; the count must be smaller than the width.
    Shr,
}

/// Comparisons; with NaN all but `Ne` are false.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Less.
    Lt,
    /// Less or equal.
    Le,
}

/// Ways to reduce a vector to a scalar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reduce {
    /// The sum.
    Add,
    /// The product.
    Mul,
    /// The least.
    Min,
    /// The greatest.
    Max,
    /// All set.
    And,
    /// One set.
    Or,
}

impl Ty {
    /// A scalar type.
    pub const fn scalar(elem: DType) -> Self {
        Self { elem, lanes: 1 }
    }

    /// A vector type.
    pub const fn vector(elem: DType, lanes: u32) -> Self {
        Self { elem, lanes }
    }

    /// The index type.
    pub const INDEX: Ty = Ty::scalar(DType::I64);
}
