//! Extents and tensor types, written and read.
use super::lex::{Cursor, ParseError, Token};
use super::quote::quote_word;
use crate::dim::{Atom, Dim};
use crate::types::{DType, TensorType};
use std::fmt;

/// The deepest nesting of brackets in an extent.
const MAX_DEPTH: usize = 128;

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, products): (Vec<_>, Vec<_>) = self.terms().partition(|(atoms, _)| atoms.is_empty());
        if number.is_empty() && products.is_empty() {
            return f.write_str("0");
        }
        for (i, (atoms, factor)) in products.into_iter().chain(number).enumerate() {
            let first = i == 0;
            let sign = if factor < 0 { "-" } else { "+" };
            f.write_str(if first && factor > 0 { "" } else { sign })?;
            let bare = factor == 1 || (factor == -1 && !first);
            write_product(f, atoms, factor.unsigned_abs(), bare)?;
        }
        Ok(())
    }
}

/// A product; `bare` when a quotient that is alone in it needs no brackets.
fn write_product(f: &mut fmt::Formatter<'_>, atoms: &[Atom], factor: u64, bare: bool) -> fmt::Result {
    if factor != 1 || atoms.is_empty() {
        write!(f, "{factor}{}", if atoms.is_empty() { "" } else { "*" })?;
    }
    for (i, atom) in atoms.iter().enumerate() {
        f.write_str(if i == 0 { "" } else { "*" })?;
        match atom {
            Atom::Div(..) if !bare || atoms.len() > 1 => write!(f, "({atom})")?,
            _ => write!(f, "{atom}")?,
        }
    }
    Ok(())
}

impl fmt::Display for Atom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Atom::Symbol(name) => f.write_str(&quote_word(name)),
            Atom::Div(a, b) => {
                write_operand(f, a)?;
                f.write_str("/")?;
                write_operand(f, b)
            }
            Atom::Mod(a, b) => write!(f, "mod({a}, {b})"),
            Atom::Min(a, b) => write!(f, "min({a}, {b})"),
            Atom::Max(a, b) => write!(f, "max({a}, {b})"),
        }
    }
}

/// An operand of a division, in brackets unless it is one number or one name.
fn write_operand(f: &mut fmt::Formatter<'_>, dim: &Dim) -> fmt::Result {
    let plain = dim.as_symbol().is_some() || dim.as_fixed().is_some_and(|x| x >= 0);
    if plain { write!(f, "{dim}") } else { write!(f, "({dim})") }
}

/// Reads an extent; nothing may follow.
pub fn parse_dim(text: &str) -> Result<Dim, ParseError> {
    whole(text, |cursor| cursor.dim())
}

/// Reads a tensor type; nothing may follow.
pub fn parse_type(text: &str) -> Result<TensorType, ParseError> {
    whole(text, |cursor| cursor.ty())
}

fn whole<'a, T>(
    text: &'a str,
    read: impl Fn(&mut Cursor<'a>) -> Result<T, ParseError>,
) -> Result<T, ParseError> {
    let mut cursor = Cursor::new(text)?;
    let found = read(&mut cursor)?;
    if *cursor.token() == Token::End { Ok(found) } else { Err(cursor.expected("the end")) }
}

impl<'a> Cursor<'a> {
    /// An element type.
    pub fn dtype(&mut self) -> Result<DType, ParseError> {
        let found = if let Token::Word(word) = self.token() { DType::parse(word) } else { None };
        let dtype = found.ok_or_else(|| self.expected("an element type"))?;
        self.take()?;
        Ok(dtype)
    }

    /// A tensor type: `f32[N, 3]`, or `f32[*]` where the rank is unknown.
    pub fn ty(&mut self) -> Result<TensorType, ParseError> {
        let dtype = self.dtype()?;
        self.expect("[")?;
        if self.eat("*")? {
            self.expect("]")?;
            return Ok(TensorType::unranked(dtype));
        }
        Ok(TensorType::new(dtype, self.dims("]")?))
    }

    /// Extents up to a closing mark.
    pub fn dims(&mut self, close: &str) -> Result<Vec<Dim>, ParseError> {
        Cursor::list(self, close, |cursor| cursor, Cursor::dim)
    }

    /// An extent: `N`, `2*S+1`, `(H-1)/2`, `min(N, 4)`. A sign binds to what follows it at once.
    pub fn dim(&mut self) -> Result<Dim, ParseError> {
        self.sum(0)
    }

    fn sum(&mut self, depth: usize) -> Result<Dim, ParseError> {
        if depth > MAX_DEPTH {
            return Err(self.fail(format!("brackets in an extent nest deeper than {MAX_DEPTH}")));
        }
        let first = if self.eat("-")? { self.negated(depth)? } else { self.factor(depth)? };
        let mut sum = self.product(first, depth)?;
        loop {
            if self.eat("+")? {
                let first = self.factor(depth)?;
                sum = sum.add(&self.product(first, depth)?);
            } else if self.eat("-")? {
                sum = match self.least()? {
                    Some(least) => sum.add(&self.product(least, depth)?),
                    None => {
                        let first = self.factor(depth)?;
                        sum.sub(&self.product(first, depth)?)
                    }
                };
            } else {
                return Ok(sum);
            }
        }
    }

    /// What follows the first factor of a product.
    fn product(&mut self, first: Dim, depth: usize) -> Result<Dim, ParseError> {
        let mut product = first;
        loop {
            if self.eat("*")? {
                product = product.mul(&self.factor(depth)?);
            } else if self.eat("/")? {
                product = product.div_floor(&self.factor(depth)?);
            } else {
                return Ok(product);
            }
        }
    }

    /// The factor behind a sign that was read.
    fn negated(&mut self, depth: usize) -> Result<Dim, ParseError> {
        match self.least()? {
            Some(least) => Ok(least),
            None => Ok(self.factor(depth)?.scale(-1)),
        }
    }

    /// The number -2^63, if its digits stand here; the sign was read. No other number needs its sign.
    fn least(&mut self) -> Result<Option<Dim>, ParseError> {
        let there = matches!(self.token(), Token::Number("9223372036854775808"));
        if there {
            self.take()?;
        }
        Ok(there.then(|| Dim::fixed(i64::MIN)))
    }

    fn factor(&mut self, depth: usize) -> Result<Dim, ParseError> {
        let at = self.offset();
        match self.token().clone() {
            Token::Number(digits) => {
                self.take()?;
                let number = digits.parse().map_err(|_| {
                    self.fail_at(at, format!("expected an integer below 2^63, found `{digits}`"))
                })?;
                Ok(Dim::fixed(number))
            }
            Token::Text(name) => {
                self.take()?;
                Ok(Dim::symbol(&name))
            }
            Token::Word(word) => {
                self.take()?;
                if self.is_mark("(") { self.function(word, at, depth) } else { Ok(Dim::symbol(word)) }
            }
            Token::Mark("(") => {
                self.take()?;
                let inner = self.sum(depth + 1)?;
                self.expect(")")?;
                Ok(inner)
            }
            _ => Err(self.expected("an extent")),
        }
    }

    fn function(&mut self, name: &str, at: usize, depth: usize) -> Result<Dim, ParseError> {
        let apply = match name {
            "mod" => Dim::modulo,
            "min" => Dim::smaller,
            "max" => Dim::larger,
            _ => return Err(self.fail_at(at, format!("expected `mod`, `min` or `max`, found `{name}`"))),
        };
        self.expect("(")?;
        let a = self.sum(depth + 1)?;
        self.expect(",")?;
        let b = self.sum(depth + 1)?;
        self.expect(")")?;
        Ok(apply(&a, &b))
    }
}
