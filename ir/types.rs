//! Element types and tensor types.
use crate::dim::Dim;
use std::fmt;

macro_rules! dtypes {
    ($($(#[$doc:meta])* $variant:ident $name:literal $bits:literal $kind:ident;)*) => {
        /// An element type.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum DType { $($(#[$doc])* $variant,)* }

        impl DType {
            /// Every element type.
            pub const ALL: &'static [DType] = &[$(DType::$variant,)*];

            /// The name in the written form, as `f32`.
            pub fn name(self) -> &'static str {
                match self { $(DType::$variant => $name,)* }
            }

            /// Bits of one element; 0 for strings.
            pub fn bits(self) -> u32 {
                match self { $(DType::$variant => $bits,)* }
            }

            /// What kind of number it is.
            pub fn kind(self) -> Kind {
                match self { $(DType::$variant => Kind::$kind,)* }
            }

            /// The type of that name.
            pub fn parse(name: &str) -> Option<DType> {
                match name { $($name => Some(DType::$variant),)* _ => None }
            }
        }
    };
}

dtypes! {
    /// 64-bit float.
    F64 "f64" 64 Float;
    /// 32-bit float.
    F32 "f32" 32 Float;
    /// IEEE 16-bit float.
    F16 "f16" 16 Float;
    /// Brain float.
    Bf16 "bf16" 16 Float;
    /// 8-bit signed integer.
    I8 "i8" 8 Signed;
    /// 16-bit signed integer.
    I16 "i16" 16 Signed;
    /// 32-bit signed integer.
    I32 "i32" 32 Signed;
    /// 64-bit signed integer.
    I64 "i64" 64 Signed;
    /// 8-bit unsigned integer.
    U8 "u8" 8 Unsigned;
    /// 16-bit unsigned integer.
    U16 "u16" 16 Unsigned;
    /// 32-bit unsigned integer.
    U32 "u32" 32 Unsigned;
    /// 64-bit unsigned integer.
    U64 "u64" 64 Unsigned;
    /// Truth value, one byte, 0 or 1.
    Bool "bool" 8 Bool;
    /// Text; carried, never computed on by compiled code.
    String "string" 0 String;
    /// 4-bit signed integer, two to a byte, low nibble first.
    I4 "i4" 4 Signed;
    /// 4-bit unsigned integer, two to a byte, low nibble first.
    U4 "u4" 4 Unsigned;
    /// 2-bit signed integer, four to a byte, lowest first.
    I2 "i2" 2 Signed;
    /// 2-bit unsigned integer, four to a byte, lowest first.
    U2 "u2" 2 Unsigned;
    /// 8-bit float, 4 exponent bits, finite.
    F8E4M3Fn "f8e4m3fn" 8 Float;
    /// 8-bit float, 4 exponent bits, finite, no negative zero.
    F8E4M3FnUz "f8e4m3fnuz" 8 Float;
    /// 8-bit float, 5 exponent bits.
    F8E5M2 "f8e5m2" 8 Float;
    /// 8-bit float, 5 exponent bits, no infinities, no negative zero.
    F8E5M2FnUz "f8e5m2fnuz" 8 Float;
    /// 8-bit float, exponent only (a power of two).
    F8E8M0 "f8e8m0" 8 Float;
    /// 4-bit float, two to a byte.
    F4E2M1 "f4e2m1" 4 Float;
}

/// What kind of number an element type holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A floating-point number.
    Float,
    /// A two's complement integer.
    Signed,
    /// An unsigned integer.
    Unsigned,
    /// A truth value.
    Bool,
    /// Text.
    String,
}

impl DType {
    /// A float of any width.
    pub fn is_float(self) -> bool {
        self.kind() == Kind::Float
    }

    /// An integer of any width, signed or not; truth values are none.
    pub fn is_int(self) -> bool {
        matches!(self.kind(), Kind::Signed | Kind::Unsigned)
    }

    /// Whether every number of another type is one of this type; false also where it cannot be told.
    pub fn holds(self, other: DType) -> bool {
        let digits = match self {
            DType::F64 => 53,
            DType::F32 => 24,
            DType::F16 => 11,
            DType::Bf16 => 8,
            _ => 0,
        };
        match (self.kind(), other.kind()) {
            _ if self == other => true,
            (Kind::Float, Kind::Float) => {
                matches!(other, DType::F16 | DType::Bf16) && digits >= 24
                    || (self, other) == (DType::F64, DType::F32)
            }
            (Kind::Float, Kind::Signed | Kind::Unsigned) => digits >= other.bits(),
            (Kind::Signed, Kind::Signed) | (Kind::Unsigned, Kind::Unsigned) => self.bits() >= other.bits(),
            (Kind::Signed, Kind::Unsigned) => self.bits() > other.bits(),
            (Kind::Float, Kind::Bool) => digits > 0,
            (Kind::Signed | Kind::Unsigned, Kind::Bool) => true,
            _ => false,
        }
    }

    /// The code and the bits by which DLPack knows it, if it takes whole bytes.
    pub fn dlpack(self) -> Option<(u8, u8)> {
        let code = match (self, self.kind()) {
            (DType::Bf16, _) => 4,
            (DType::Bool, _) => 6,
            (_, Kind::Signed) => 0,
            (_, Kind::Unsigned) => 1,
            (DType::F16 | DType::F32 | DType::F64, _) => 2,
            _ => return None,
        };
        let bits = if self == DType::Bool { 8 } else { u8::try_from(self.bits()).ok()? };
        (bits >= 8).then_some((code, bits))
    }

    /// Bytes that `elements` of this type take, packed; `None` when it overflows.
    pub fn bytes(self, elements: u64) -> Option<u64> {
        Some(elements.checked_mul(u64::from(self.bits()))?.div_ceil(8))
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A tensor has at most this many axes: work on a shape may take a step for every pair of them.
pub const MAX_RANK: usize = 64;

/// The type of a value: element type and, where the rank is known, the extents.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TensorType {
    /// Element type.
    pub dtype: DType,
    /// Extents, outermost first; `None` when not even the rank is known.
    pub dims: Option<Vec<Dim>>,
}

impl TensorType {
    /// A type of known rank.
    pub fn new(dtype: DType, dims: Vec<Dim>) -> Self {
        Self { dtype, dims: Some(dims) }
    }

    /// A type whose extents are all numbers.
    pub fn fixed(dtype: DType, dims: &[u64]) -> Self {
        Self::new(dtype, dims.iter().map(|d| Dim::fixed(i64::try_from(*d).unwrap_or(i64::MAX))).collect())
    }

    /// A type of unknown rank.
    pub fn unranked(dtype: DType) -> Self {
        Self { dtype, dims: None }
    }

    /// The number of axes, if known.
    pub fn rank(&self) -> Option<usize> {
        self.dims.as_ref().map(Vec::len)
    }

    /// All extents as numbers, if they are.
    pub fn static_dims(&self) -> Option<Vec<u64>> {
        self.dims.as_ref()?.iter().map(|d| d.as_fixed().and_then(|d| u64::try_from(d).ok())).collect()
    }

    /// The number of elements as a polynomial, if the rank is known.
    pub fn elements(&self) -> Option<Dim> {
        Some(self.dims.as_ref()?.iter().fold(Dim::fixed(1), |product, d| product.mul(d)))
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(dims) = &self.dims else { return write!(f, "{}[*]", self.dtype) };
        write!(f, "{}[", self.dtype)?;
        for (i, dim) in dims.iter().enumerate() {
            write!(f, "{}{dim}", if i == 0 { "" } else { ", " })?;
        }
        f.write_str("]")
    }
}
