//! Words, variables, numbers and marks of a rule file, one at a time.
use crate::error::Slip;
use std::fmt;

/// One piece of text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token<'t> {
    /// `//! text`
    Head(&'t str),
    /// `/// text`
    Doc(&'t str),
    /// `rule`, `Relu`, `transpose-twice`
    Word(&'t str),
    /// `?x`, without the mark.
    Var(&'t str),
    /// `..?xs`, without the marks.
    Rest(&'t str),
    /// Digits and what may stand among them, without a sign.
    Number(&'t str),
    /// A text in quotes, these taken off.
    Text(String),
    /// Punctuation.
    Mark(&'static str),
    /// There is no more.
    End,
}

impl fmt::Display for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Token::Head(_) => f.write_str("`//!`"),
            Token::Doc(_) => f.write_str("`///`"),
            Token::Word(word) | Token::Number(word) => write!(f, "`{word}`"),
            Token::Var(name) => write!(f, "`?{name}`"),
            Token::Rest(name) => write!(f, "`..?{name}`"),
            Token::Text(text) => f.write_str(&weft_ir::text::quote(text)),
            Token::Mark(mark) => write!(f, "`{mark}`"),
            Token::End => f.write_str("the end"),
        }
    }
}

/// Longer marks first.
const MARKS: &[&str] = &["<=>", "<=", ">=", "!=", "(", ")", "{", "}", "[", "]", ",", "=", "<", ">", "-"];

/// Where a reader stands in a text: at one token, ready for the next.
#[derive(Debug, Clone)]
pub(crate) struct Lexer<'t> {
    text: &'t str,
    /// The current token, where it begins and where it ends.
    token: Token<'t>,
    at: usize,
    end: usize,
    /// Where the token before it ended.
    before: usize,
}

impl<'t> Lexer<'t> {
    /// Before the first token of `text`; the caller advances.
    pub(crate) fn new(text: &'t str) -> Self {
        Self { text, token: Token::End, at: 0, end: 0, before: 0 }
    }

    pub(crate) fn token(&self) -> &Token<'t> {
        &self.token
    }

    /// Where the current token begins.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Where the token before the current one ended.
    pub(crate) fn before(&self) -> usize {
        self.before
    }

    /// The text from the current token to the next `}`, if `[` stands right behind the token.
    pub(crate) fn braced(&self) -> Option<&'t str> {
        let rest = self.text.get(self.at..)?;
        let behind = self.text.get(self.end..)?;
        let (mut quoted, mut escaped) = (false, false);
        let end = rest.char_indices().find(|(_, c)| {
            match (escaped, *c) {
                (true, _) => escaped = false,
                (false, '\\') => escaped = quoted,
                (false, '"') => quoted = !quoted,
                _ => {}
            }
            *c == '}' && !quoted
        });
        behind.starts_with('[').then_some(rest.get(..=end?.0)?)
    }

    /// Goes on to the token that begins so many bytes behind the current one.
    pub(crate) fn skip(&mut self, length: usize) -> Result<(), Slip> {
        self.end = self.at + length;
        self.advance()
    }

    /// Goes on to the next token. After an error it goes on behind what was wrong.
    pub(crate) fn advance(&mut self) -> Result<(), Slip> {
        self.before = self.end;
        self.token = Token::Mark("");
        self.skip_blanks();
        self.at = self.end;
        let rest = self.rest();
        self.token = match rest.chars().next() {
            None => Token::End,
            Some('"') => Token::Text(self.quoted()?),
            Some('?') => Token::Var(self.name(1)?),
            Some('.') if rest.starts_with("..?") => Token::Rest(self.name(3)?),
            Some('/') if rest.starts_with("//!") => Token::Head(self.line()),
            Some('/') if rest.starts_with("///") => Token::Doc(self.line()),
            Some(c) if c.is_ascii_digit() => Token::Number(self.run(number_length(rest))),
            Some(c) if c.is_ascii_alphabetic() || c == '_' => Token::Word(self.run(word_length(rest))),
            Some(c) => match MARKS.iter().find(|mark| rest.starts_with(**mark)) {
                Some(mark) => {
                    self.end += mark.len();
                    Token::Mark(mark)
                }
                None => {
                    self.end += c.len_utf8();
                    return Err(Slip::new(self.at, format!("character {c:?} has no meaning here")));
                }
            },
        };
        Ok(())
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.end..).unwrap_or("")
    }

    fn run(&mut self, length: usize) -> &'t str {
        let run = self.rest().get(..length).unwrap_or("");
        self.end += run.len();
        run
    }

    fn skip_blanks(&mut self) {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start();
            self.end += rest.len() - trimmed.len();
            let kept = trimmed.starts_with("///") || trimmed.starts_with("//!");
            if !trimmed.starts_with("//") || kept {
                return;
            }
            self.end += trimmed.find('\n').unwrap_or(trimmed.len());
        }
    }

    /// What a line says behind its three marks.
    fn line(&mut self) -> &'t str {
        let rest = self.rest();
        let line = self.run(rest.find('\n').unwrap_or(rest.len()));
        line.get(3..).unwrap_or("").trim()
    }

    /// The name of a variable behind so many marks.
    fn name(&mut self, marks: usize) -> Result<&'t str, Slip> {
        let marks = self.run(marks);
        let length = self.rest().find(|c: char| !in_name(c)).unwrap_or(self.rest().len());
        let name = self.run(length);
        if name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return Ok(name);
        }
        Err(Slip::new(self.at, format!("expected a name that begins with a letter behind `{marks}`")))
    }

    fn quoted(&mut self) -> Result<String, Slip> {
        let mut text = String::new();
        let mut chars = self.rest().char_indices().skip(1);
        while let Some((i, c)) = chars.next() {
            match c {
                '"' => {
                    self.end += i + 1;
                    return Ok(text);
                }
                '\n' => break,
                '\\' => match chars.next() {
                    Some((_, c @ ('"' | '\\'))) => text.push(c),
                    _ => {
                        self.end += i + 1;
                        return Err(Slip::new(self.at + i, "expected `\\\"` or `\\\\`"));
                    }
                },
                c if c.is_control() => {
                    self.end += i + 1;
                    return Err(Slip::new(self.at + i, format!("character {c:?} has no meaning in a text")));
                }
                c => text.push(c),
            }
        }
        self.run(self.rest().find('\n').unwrap_or(self.rest().len()));
        Err(Slip::new(self.at, "the closing quote is missing"))
    }
}

fn in_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// A word goes on over a `-` or `.` with a letter or digit behind it.
fn word_length(text: &str) -> usize {
    let mut chars = text.char_indices().peekable();
    while let Some((i, c)) = chars.next() {
        let joins =
            matches!(c, '-' | '.') && chars.peek().is_some_and(|(_, next)| next.is_ascii_alphanumeric());
        if !in_name(c) && !joins {
            return i;
        }
    }
    text.len()
}

/// Digits, letters and single dots; a sign too, behind the `e` of a decimal number.
fn number_length(text: &str) -> usize {
    let mut before = ' ';
    for (i, c) in text.char_indices() {
        let exponent = matches!(c, '+' | '-') && matches!(before, 'e' | 'E');
        if !(c.is_ascii_alphanumeric() || (c == '.' && before != '.') || exponent) {
            return i;
        }
        before = c;
    }
    text.len()
}
