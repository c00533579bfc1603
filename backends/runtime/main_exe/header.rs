//! The head of a `.npy` file, as text.

use core::fmt::{self, Write};

use crate::extent::number;
use crate::text::Text;

/// The most axes a tensor in a file may have.
pub const MOST_AXES: usize = 32;

/// What the head of a `.npy` file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The type: `<f4` without its byte order.
    pub descr: Descr,
    /// The extents, as many as `rank`.
    pub shape: [i64; MOST_AXES],
    /// How many axes there are.
    pub rank: usize,
}

/// A type of numpy: its kind and bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descr {
    /// `b`, `i`, `u`, `f`, `c` or `V`.
    pub kind: u8,
    /// The bytes of one element.
    pub bytes: u8,
}

impl fmt::Display for Descr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let order = if self.bytes == 1 { '|' } else { '<' };
        write!(f, "{order}{}{}", self.kind as char, self.bytes)
    }
}

/// Why the head of a file cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderError {
    /// An entry is missing or is not what the format allows.
    Malformed(&'static str),
    /// Elements are stored with the highest byte first.
    BigEndian,
    /// Elements are stored with the first axis fastest.
    Fortran,
    /// There are more than [`MOST_AXES`] axes.
    Axes,
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(entry) => write!(f, "the header has no valid `{entry}`"),
            Self::BigEndian => write!(f, "found big-endian elements, expected little-endian ones"),
            Self::Fortran => write!(f, "found Fortran order, expected C order"),
            Self::Axes => write!(f, "found more than {MOST_AXES} axes"),
        }
    }
}

impl Header {
    /// The extents.
    pub fn extents(&self) -> &[i64] {
        &self.shape[..self.rank]
    }

    /// Reads the dictionary in the head of a file.
    pub fn parse(text: &[u8]) -> Result<Self, HeaderError> {
        let descr = parse_descr(text)?;
        let order = entry(text, b"fortran_order").ok_or(HeaderError::Malformed("fortran_order"))?;
        if order.starts_with(b"True") {
            return Err(HeaderError::Fortran);
        }
        if !order.starts_with(b"False") {
            return Err(HeaderError::Malformed("fortran_order"));
        }
        let (shape, rank) = parse_shape(text)?;
        Ok(Self { descr, shape, rank })
    }

    /// The dictionary in the head of a file.
    pub fn dictionary(&self) -> Text<960> {
        let mut text = Text::new();
        text.set(format_args!("{{'descr': '{}', 'fortran_order': False, 'shape': (", self.descr));
        for extent in self.extents() {
            let _ = write!(text, "{extent},");
        }
        let _ = text.write_str("), }");
        text
    }
}

/// What follows the colon after a quoted key.
fn entry<'a>(text: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let quoted = |at: usize| {
        let quote = *text.get(at.checked_sub(1)?)?;
        let after = text.get(at..)?.strip_prefix(key)?.strip_prefix(&[quote])?;
        (quote == b'\'' || quote == b'"').then_some(after)
    };
    let after = (1..text.len()).find_map(quoted)?.trim_ascii_start();
    Some(after.strip_prefix(b":")?.trim_ascii_start())
}

fn parse_descr(text: &[u8]) -> Result<Descr, HeaderError> {
    let wrong = HeaderError::Malformed("descr");
    let [quote, rest @ ..] = entry(text, b"descr").ok_or(wrong)? else { return Err(wrong) };
    let end = rest.iter().position(|byte| byte == quote).ok_or(wrong)?;
    let [order, kind, size @ ..] = &rest[..end] else { return Err(wrong) };
    let bytes = number(size).and_then(|size| u8::try_from(size).ok()).ok_or(wrong)?;
    if *order == b'>' && bytes > 1 {
        return Err(HeaderError::BigEndian);
    }
    if !b"<|=>".contains(order) {
        return Err(wrong);
    }
    Ok(Descr { kind: *kind, bytes })
}

fn parse_shape(text: &[u8]) -> Result<([i64; MOST_AXES], usize), HeaderError> {
    let wrong = HeaderError::Malformed("shape");
    let list = entry(text, b"shape").and_then(|list| list.strip_prefix(b"(")).ok_or(wrong)?;
    let end = list.iter().position(|&byte| byte == b')').ok_or(wrong)?;
    let mut shape = [0; MOST_AXES];
    let mut rank = 0;
    let mut parts = list[..end].split(|&byte| byte == b',').peekable();
    while let Some(part) = parts.next() {
        let part = part.trim_ascii();
        if part.is_empty() && parts.peek().is_none() {
            break;
        }
        // Python 2 wrote long integers with an `L`.
        let extent = number(part.strip_suffix(b"L").unwrap_or(part)).ok_or(wrong)?;
        *shape.get_mut(rank).ok_or(HeaderError::Axes)? = extent;
        rank += 1;
    }
    Ok((shape, rank))
}
