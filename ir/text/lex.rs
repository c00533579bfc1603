//! Words, names, numbers and marks of the written form, one at a time.
use super::quote::{begins_word, in_name, in_word};
use std::fmt;
use thiserror::Error;

/// What is wrong with a text, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{line}:{column}: {message}")]
pub struct ParseError {
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
    /// What was found and what was expected.
    pub message: String,
}

impl ParseError {
    /// The error of that message at a byte of `text`.
    pub fn at(text: &str, offset: usize, message: String) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        Self { line, column, message }
    }
}

/// One piece of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token<'a> {
    /// `%name`: a value.
    Value(String),
    /// `@name`: a weight or a graph.
    Global(String),
    /// A word: an operator, an attribute, a symbol.
    Word(&'a str),
    /// A text in quotes, these taken off.
    Text(String),
    /// Something that begins with a digit.
    Number(&'a str),
    /// Punctuation.
    Mark(&'static str),
    /// There is no more.
    End,
}

impl fmt::Display for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Token::Value(name) => write!(f, "`%{}`", super::quote_name(name)),
            Token::Global(name) => write!(f, "`@{}`", super::quote_name(name)),
            Token::Word(word) | Token::Number(word) => write!(f, "`{word}`"),
            Token::Text(text) => f.write_str(&super::quote(text)),
            Token::Mark(mark) => write!(f, "`{mark}`"),
            Token::End => f.write_str("the end"),
        }
    }
}

const MARKS: &[&str] = &["->", "(", ")", "{", "}", "[", "]", ",", ":", "=", "+", "-", "*", "/"];

/// Where a reader stands in a text: at one token, ready for the next.
#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    text: &'a str,
    /// Behind the current token.
    end: usize,
    token: Token<'a>,
    /// Where the current token begins.
    at: usize,
}

impl<'a> Cursor<'a> {
    /// At the first token of `text`.
    pub fn new(text: &'a str) -> Result<Self, ParseError> {
        let mut cursor = Self { text, end: 0, token: Token::End, at: 0 };
        cursor.advance()?;
        Ok(cursor)
    }

    /// The current token.
    pub fn token(&self) -> &Token<'a> {
        &self.token
    }

    /// Where the current token begins, in bytes.
    pub fn offset(&self) -> usize {
        self.at
    }

    /// The current token, going on to the next.
    pub fn take(&mut self) -> Result<Token<'a>, ParseError> {
        let token = self.token.clone();
        self.advance()?;
        Ok(token)
    }

    /// Goes on if the current token is that mark, and says whether it was.
    pub fn eat(&mut self, mark: &str) -> Result<bool, ParseError> {
        let there = self.is_mark(mark);
        if there {
            self.advance()?;
        }
        Ok(there)
    }

    /// Whether the current token is that mark.
    pub fn is_mark(&self, mark: &str) -> bool {
        matches!(&self.token, Token::Mark(found) if *found == mark)
    }

    /// Whether the current token is that word.
    pub fn is_word(&self, word: &str) -> bool {
        matches!(&self.token, Token::Word(found) if *found == word)
    }

    /// Goes on behind a mark that must be there.
    pub fn expect(&mut self, mark: &str) -> Result<(), ParseError> {
        if self.eat(mark)? { Ok(()) } else { Err(self.expected(&format!("`{mark}`"))) }
    }

    /// Goes on behind a word that must be there.
    pub fn expect_word(&mut self, word: &str) -> Result<(), ParseError> {
        if self.is_word(word) { self.advance() } else { Err(self.expected(&format!("`{word}`"))) }
    }

    /// A text in quotes, which must be there.
    pub fn expect_text(&mut self, what: &str) -> Result<String, ParseError> {
        let Token::Text(text) = &self.token else { return Err(self.expected(what)) };
        let text = text.clone();
        self.advance()?;
        Ok(text)
    }

    /// A word or a text in quotes, which must be there.
    pub fn expect_name(&mut self, what: &str) -> Result<String, ParseError> {
        let name = match &self.token {
            Token::Word(word) => (*word).to_string(),
            Token::Text(text) => text.clone(),
            _ => return Err(self.expected(what)),
        };
        self.advance()?;
        Ok(name)
    }

    /// `@name`, which must be there.
    pub fn expect_global(&mut self, what: &str) -> Result<String, ParseError> {
        let Token::Global(name) = &self.token else { return Err(self.expected(what)) };
        let name = name.clone();
        self.advance()?;
        Ok(name)
    }

    /// Items up to a closing mark, with commas between them.
    pub fn list<R, T>(
        owner: &mut R,
        close: &str,
        cursor: fn(&mut R) -> &mut Cursor<'a>,
        mut item: impl FnMut(&mut R) -> Result<T, ParseError>,
    ) -> Result<Vec<T>, ParseError> {
        let mut items = Vec::new();
        while !cursor(owner).eat(close)? {
            if !items.is_empty() {
                let at = cursor(owner);
                if !at.eat(",")? {
                    return Err(at.expected(&format!("`,` or `{close}`")));
                }
            }
            items.push(item(owner)?);
        }
        Ok(items)
    }

    /// The error that something else than the current token should stand here.
    pub fn expected(&self, what: &str) -> ParseError {
        self.fail(format!("expected {what}, found {}", self.token))
    }

    /// An error at the current token.
    pub fn fail(&self, message: String) -> ParseError {
        self.fail_at(self.at, message)
    }

    /// An error at a byte of the text.
    pub fn fail_at(&self, offset: usize, message: String) -> ParseError {
        ParseError::at(self.text, offset, message)
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.end..).unwrap_or("")
    }

    fn advance(&mut self) -> Result<(), ParseError> {
        self.skip_blanks();
        self.at = self.end;
        let rest = self.rest();
        self.token = match rest.chars().next() {
            None => Token::End,
            Some('%') => Token::Value(self.name()?),
            Some('@') => Token::Global(self.name()?),
            Some('"') => Token::Text(self.text()?),
            Some(c) if c.is_ascii_digit() => Token::Number(self.run(number_length(rest))),
            Some(c) if begins_word(c) => {
                Token::Word(self.run(1 + run_length(rest.get(1..).unwrap_or(""), in_word)))
            }
            Some(c) => match MARKS.iter().find(|mark| rest.starts_with(**mark)) {
                Some(mark) => {
                    self.end += mark.len();
                    Token::Mark(mark)
                }
                None => return Err(self.fail(format!("character {c:?} has no meaning here"))),
            },
        };
        Ok(())
    }

    fn skip_blanks(&mut self) {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start();
            self.end += rest.len() - trimmed.len();
            if !trimmed.starts_with("//") {
                return;
            }
            self.end += trimmed.find('\n').unwrap_or(trimmed.len());
        }
    }

    fn run(&mut self, length: usize) -> &'a str {
        let run = self.rest().get(..length).unwrap_or("");
        self.end += run.len();
        run
    }

    /// What stands behind `%` or `@`.
    fn name(&mut self) -> Result<String, ParseError> {
        let sigil = self.run(1);
        let rest = self.rest();
        if rest.starts_with('"') {
            return self.text();
        }
        let run = run_length(rest, in_name);
        let length = rest.get(..run).and_then(|name| name.find("//")).unwrap_or(run);
        if length == 0 {
            return Err(self.fail(format!("expected a name behind `{sigil}`")));
        }
        Ok(self.run(length).to_string())
    }

    /// A text in quotes.
    fn text(&mut self) -> Result<String, ParseError> {
        let mut text = String::new();
        let begin = self.end;
        let mut chars = self.rest().char_indices().skip(1);
        while let Some((i, c)) = chars.next() {
            match c {
                '"' => {
                    self.end += i + 1;
                    return Ok(text);
                }
                '\n' => break,
                '\\' => {
                    let escape = escape(&mut chars);
                    text.push(
                        escape
                            .ok_or_else(|| self.fail_at(begin + i, "this escape is not known".to_string()))?,
                    );
                }
                c => text.push(c),
            }
        }
        Err(self.fail_at(begin, "the closing quote is missing".to_string()))
    }
}

fn escape(chars: &mut impl Iterator<Item = (usize, char)>) -> Option<char> {
    match chars.next()?.1 {
        '"' => Some('"'),
        '\\' => Some('\\'),
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        'u' => {
            let mut code = 0u32;
            if chars.next()?.1 != '{' {
                return None;
            }
            loop {
                match chars.next()?.1 {
                    '}' => return char::from_u32(code),
                    c => code = code.checked_mul(16)?.checked_add(c.to_digit(16)?)?,
                }
            }
        }
        _ => None,
    }
}

fn run_length(text: &str, belongs: fn(char) -> bool) -> usize {
    text.find(|c: char| !belongs(c)).unwrap_or(text.len())
}

/// Digits, letters and dots; a sign too, behind the `e` of a decimal number.
fn number_length(text: &str) -> usize {
    let hex = text.starts_with("0x");
    let mut before = ' ';
    for (i, c) in text.char_indices() {
        let exponent = matches!(c, '+' | '-') && matches!(before, 'e' | 'E') && !hex;
        if !(c.is_ascii_alphanumeric() || c == '.' || exponent) {
            return i;
        }
        before = c;
    }
    text.len()
}
