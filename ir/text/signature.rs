//! The types of a function outside weft: `SYMBOL(%x: f32[N, C]) -> (f32[C])`.
use super::lex::{Cursor, ParseError, Token};
use crate::dim::Dim;
use crate::types::TensorType;
use std::collections::BTreeSet;

/// What a function takes and gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Signature {
    /// The function's name for the linker.
    pub symbol: String,
    /// Operands by name. A name in the place of an extent is any extent, `*` any shape.
    pub operands: Vec<(String, TensorType)>,
    /// Results, in extents of the operands; `*` is the shape of the first operand that is `*`.
    pub results: Vec<TensorType>,
}

impl Signature {
    /// Reads a signature, in which attributes are filled in.
    pub fn parse(line: &str) -> Result<Self, ParseError> {
        let mut cursor = Cursor::new(line)?;
        let at = cursor.offset();
        let Token::Word(symbol) = *cursor.token() else {
            return Err(cursor.expected("the name of a function"));
        };
        let symbol = symbol.to_string();
        cursor.take()?;
        check_symbol(&symbol).map_err(|message| cursor.fail_at(at, message))?;
        cursor.expect("(")?;
        let operands = Cursor::list(&mut cursor, ")", |cursor| cursor, operand)?;
        cursor.expect("->")?;
        cursor.expect("(")?;
        let at = cursor.offset();
        let results = Cursor::list(&mut cursor, ")", |cursor| cursor, Cursor::ty)?;
        if *cursor.token() != Token::End {
            return Err(cursor.expected("the end of the line"));
        }
        let signature = Self { symbol, operands, results };
        signature.check().map_err(|message| cursor.fail_at(at, message))?;
        Ok(signature)
    }

    /// Whether the results follow from the operands.
    fn check(&self) -> Result<(), String> {
        let types = || self.operands.iter().map(|(_, ty)| ty);
        let alone = types().flat_map(|ty| ty.dims.iter().flatten()).filter_map(Dim::as_symbol);
        let known: BTreeSet<&str> = alone.collect();
        let used = self.results.iter().flat_map(|ty| ty.dims.iter().flatten()).flat_map(Dim::symbols);
        for name in used {
            if !known.contains(&*name) {
                return Err(format!("the extent `{name}` of a result is that of no operand"));
            }
        }
        if self.results.is_empty() {
            return Err("expected a result".to_string());
        }
        if self.results.iter().any(|ty| ty.dims.is_none()) && types().all(|ty| ty.dims.is_some()) {
            return Err("a result has the shape `*` of an operand, of which none has it".to_string());
        }
        Ok(())
    }
}

/// Names that are spoken for: those of C's own start and of what weft links in.
fn check_symbol(symbol: &str) -> Result<(), String> {
    let letters = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_name = symbol.chars().all(letters) && !symbol.starts_with(|c: char| c.is_ascii_digit());
    if !is_name || symbol.is_empty() {
        return Err(format!("`{symbol}` is no name of a function in C"));
    }
    if symbol.starts_with("weft_") || ["main", "_start"].contains(&symbol) {
        return Err(format!("`{symbol}` is the name of a function of weft's own, expected another"));
    }
    Ok(())
}

fn operand(cursor: &mut Cursor<'_>) -> Result<(String, TensorType), ParseError> {
    let Token::Value(name) = cursor.token() else { return Err(cursor.expected("an operand, like `%x`")) };
    let name = name.clone();
    cursor.take()?;
    cursor.expect(":")?;
    Ok((name, cursor.ty()?))
}
