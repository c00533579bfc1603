//! Numbers and small tensors, written and read: every bit survives.
//!
//! Floats take the shortest decimal form that reads back to the same bits; one that has none (a
//! NaN with a payload, a type of 8 bits or fewer) is written as its bits: `0x7fc00001`.
use super::lex::{Cursor, ParseError, Token};
use super::quote::quote;
use crate::tensor::{Element, Tensor, element_count};
use crate::types::{DType, Kind};
use bytes::Bytes;
use half::{bf16, f16};

/// Tensors of more elements stand in the head of the text.
pub(super) const INLINE: u64 = 16;

/// Whether a tensor is written where it is used; texts always are.
pub(super) fn is_inline(tensor: &Tensor) -> bool {
    tensor.dtype() == DType::String || tensor.len() <= INLINE
}

/// The text of a small tensor: `f32[2]{1.0, 2.5}`.
pub fn tensor_text(tensor: &Tensor) -> String {
    let dims: Vec<String> = tensor.dims().iter().map(u64::to_string).collect();
    format!("{}[{}]{{{}}}", tensor.dtype(), dims.join(", "), element_texts(tensor).join(", "))
}

fn element_texts(tensor: &Tensor) -> Vec<String> {
    let dtype = tensor.dtype();
    match dtype {
        DType::String => return tensor.texts().iter().map(|t| quote(t)).collect(),
        DType::Bool => return tensor.to_vec::<bool>().iter().flatten().map(bool::to_string).collect(),
        DType::U64 => return tensor.to_vec::<u64>().iter().flatten().map(u64::to_string).collect(),
        _ => {}
    }
    match dtype.kind() {
        Kind::Float => codes(tensor).into_iter().map(|bits| float_text(dtype, bits)).collect(),
        _ => tensor.to_i64s().iter().flatten().map(i64::to_string).collect(),
    }
}

/// The bits of every element.
fn codes(tensor: &Tensor) -> Vec<u64> {
    let data = tensor.data();
    match tensor.dtype().bits() {
        64 => data.chunks_exact(8).map(u64::read).collect(),
        32 => data.chunks_exact(4).map(|b| u32::read(b).into()).collect(),
        16 => data.chunks_exact(2).map(|b| u16::read(b).into()).collect(),
        8 => data.iter().map(|b| u64::from(*b)).collect(),
        bits => {
            let per_byte = 8 / u64::from(bits.max(1));
            let mask = (1 << bits) - 1;
            let code = |i: u64| {
                let byte = usize::try_from(i / per_byte).ok().and_then(|at| data.get(at));
                byte.map_or(0, |b| (u64::from(*b) >> (i % per_byte * u64::from(bits))) & mask)
            };
            (0..tensor.len()).map(code).collect()
        }
    }
}

/// The float of those bits.
pub(super) fn float_text(dtype: DType, bits: u64) -> String {
    let decimal = match dtype {
        DType::F64 => format!("{:?}", f64::from_bits(bits)),
        DType::F32 => format!("{:?}", f32::from_bits(bits as u32)),
        DType::F16 => shortest(dtype, bits, f16::from_bits(bits as u16).into()),
        DType::Bf16 => shortest(dtype, bits, bf16::from_bits(bits as u16).into()),
        _ => String::new(),
    }
    .replace("NaN", "nan");
    let (sign, magnitude) = decimal.strip_prefix('-').map_or(("", &*decimal), |rest| ("-", rest));
    match float_bits(dtype, sign, magnitude) {
        Some(read) if read == bits => decimal,
        _ => format!("{bits:#x}"),
    }
}

/// The fewest digits that read back to the same 16 bits.
fn shortest(dtype: DType, bits: u64, value: f32) -> String {
    let candidate = |digits: usize| {
        let rounded: f32 = format!("{value:.digits$e}").parse().ok()?;
        let text = format!("{:?}", rounded.abs());
        let sign = if rounded.is_sign_negative() { "-" } else { "" };
        (float_bits(dtype, sign, &text) == Some(bits)).then(|| format!("{sign}{text}"))
    };
    (0..8).find_map(candidate).unwrap_or_else(|| format!("{value:?}"))
}

/// The bits of a float as written; `None` if it is none of that type.
fn float_bits(dtype: DType, sign: &str, magnitude: &str) -> Option<u64> {
    if let Some(digits) = magnitude.strip_prefix("0x") {
        let bits = u64::from_str_radix(digits, 16).ok().filter(|_| sign.is_empty())?;
        return (dtype.bits() == 64 || bits < 1 << dtype.bits()).then_some(bits);
    }
    let decimal = magnitude.starts_with(|c: char| c.is_ascii_digit());
    let special = magnitude == "inf" || (magnitude == "nan" && sign.is_empty());
    if !decimal && !special {
        return None;
    }
    let text = format!("{sign}{magnitude}");
    let (bits, finite) = match dtype {
        DType::F64 => text.parse().ok().map(|x: f64| (x.to_bits(), x.is_finite()))?,
        DType::F32 => text.parse().ok().map(|x: f32| (u64::from(x.to_bits()), x.is_finite()))?,
        DType::F16 => {
            text.parse().ok().map(f16::from_f64).map(|x| (u64::from(x.to_bits()), x.is_finite()))?
        }
        DType::Bf16 => {
            text.parse().ok().map(bf16::from_f64).map(|x| (u64::from(x.to_bits()), x.is_finite()))?
        }
        _ => return None,
    };
    (finite || !decimal).then_some(bits)
}

/// The bytes of elements given as bits.
pub(super) fn pack(dtype: DType, codes: &[u64]) -> Bytes {
    let bits = dtype.bits().max(1);
    if bits >= 8 {
        let width = bits as usize / 8;
        return codes.iter().flat_map(|code| code.to_le_bytes().into_iter().take(width)).collect();
    }
    let per_byte = 8 / bits as usize;
    let byte = |codes: &[u64]| {
        codes.iter().enumerate().fold(0u8, |byte, (i, code)| byte | (*code as u8) << (i as u32 * bits))
    };
    codes.chunks(per_byte).map(byte).collect()
}

impl Cursor<'_> {
    /// A float of that type, as its bits.
    pub(super) fn float(&mut self, dtype: DType) -> Result<u64, ParseError> {
        let at = self.offset();
        let sign = if self.eat("-")? { "-" } else { "" };
        let (Token::Number(text) | Token::Word(text)) = *self.token() else {
            return Err(self.expected("a number"));
        };
        let bits = float_bits(dtype, sign, text).ok_or_else(|| {
            self.fail_at(at, format!("expected a number of type {dtype}, found `{sign}{text}`"))
        })?;
        self.take()?;
        Ok(bits)
    }

    /// An `f32`, bit for bit.
    pub fn f32(&mut self) -> Result<f32, ParseError> {
        Ok(f32::from_bits(self.float(DType::F32)? as u32))
    }

    /// An integer from `least` to `most`.
    pub fn integer(&mut self, least: i128, most: i128) -> Result<i128, ParseError> {
        let at = self.offset();
        let negative = self.eat("-")?;
        let Token::Number(digits) = *self.token() else { return Err(self.expected("an integer")) };
        let number = digits.parse().ok().map(|x: u64| if negative { -i128::from(x) } else { x.into() });
        let Some(number) = number else {
            return Err(self.fail(format!("expected an integer, found `{digits}`")));
        };
        if !(least..=most).contains(&number) {
            return Err(
                self.fail_at(at, format!("expected an integer from {least} to {most}, found {number}"))
            );
        }
        self.take()?;
        Ok(number)
    }

    /// An `i64`.
    pub fn int(&mut self) -> Result<i64, ParseError> {
        Ok(self.integer(i64::MIN.into(), i64::MAX.into())? as i64)
    }

    /// A small tensor: `f32[2]{1.0, 2.5}`.
    pub fn tensor(&mut self) -> Result<Tensor, ParseError> {
        let at = self.offset();
        let dtype = self.dtype()?;
        self.expect("[")?;
        let extent = |cursor: &mut Self| Ok(cursor.integer(0, i64::MAX.into())? as u64);
        let dims = Cursor::list(self, "]", |cursor| cursor, extent)?;
        self.expect("{")?;
        let tensor = if dtype == DType::String {
            let texts = Cursor::list(self, "}", |cursor| cursor, |c| c.expect_text("a text in quotes"))?;
            let found = texts.len();
            Tensor::strings(dims.clone(), texts).map_err(|_| found)
        } else {
            let codes = Cursor::list(self, "}", |cursor| cursor, |c| c.element(dtype))?;
            let found = codes.len();
            let fits = element_count(&dims) == Some(found as u64);
            let tensor = Tensor::new(dtype, dims.clone(), pack(dtype, &codes));
            tensor.ok().filter(|_| fits).ok_or(found)
        };
        tensor.map_err(|found| {
            let expected = element_count(&dims).map_or_else(|| "too many".to_string(), |n| n.to_string());
            self.fail_at(at, format!("a tensor of shape {dims:?} has {expected} elements, found {found}"))
        })
    }

    /// One element, as its bits.
    fn element(&mut self, dtype: DType) -> Result<u64, ParseError> {
        let bits = dtype.bits();
        match dtype.kind() {
            Kind::Float => self.float(dtype),
            Kind::Signed => {
                let half = 1i128 << (bits - 1);
                let number = self.integer(-half, half - 1)?;
                Ok(number.rem_euclid(half * 2) as u64)
            }
            Kind::Unsigned => Ok(self.integer(0, (1 << bits) - 1)? as u64),
            Kind::Bool | Kind::String => {
                let value = self.is_word("true");
                if !value && !self.is_word("false") {
                    return Err(self.expected("`true` or `false`"));
                }
                self.take()?;
                Ok(u64::from(value))
            }
        }
    }
}
