//! The words of a text.
use std::fmt;

/// What is wrong with a text, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TextError {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) message: String,
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)
    }
}

/// What reading a part gives.
pub(super) type Read<T> = Result<T, TextError>;

/// A number as it is written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number<'t> {
    Whole(&'t str),
    Float(&'t str),
}

/// A place in a text.
pub(super) struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, at: 0 }
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    /// Skips blanks and comments.
    pub(super) fn skip(&mut self) {
        loop {
            let blank = self.rest().len() - self.rest().trim_start().len();
            self.at += blank;
            if !self.rest().starts_with('#') {
                return;
            }
            self.at += self.rest().find('\n').unwrap_or(self.rest().len());
        }
    }

    pub(super) fn is_at_end(&mut self) -> bool {
        self.skip();
        self.rest().is_empty()
    }

    /// That something is wrong here.
    pub(super) fn fail<T>(&self, message: impl Into<String>) -> Read<T> {
        let before = &self.text[..self.at];
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let (line, column) = (before.matches('\n').count() + 1, before[start..].chars().count() + 1);
        Err(TextError { line, column, message: message.into() })
    }

    /// That something else was expected here.
    pub(super) fn expected<T>(&self, what: &str) -> Read<T> {
        let found: String = self.rest().chars().take_while(|c| *c != '\n').take(20).collect();
        let found = if found.is_empty() { "the end".to_string() } else { format!("`{found}`") };
        self.fail(format!("expected {what}, found {found}"))
    }

    /// Whether this comes next.
    pub(super) fn sees(&mut self, mark: &str) -> bool {
        self.skip();
        self.rest().starts_with(mark)
    }

    /// Takes this if it comes next.
    pub(super) fn takes(&mut self, mark: &str) -> bool {
        let sees = self.sees(mark);
        self.at += if sees { mark.len() } else { 0 };
        sees
    }

    pub(super) fn mark(&mut self, mark: &str) -> Read<()> {
        if self.takes(mark) { Ok(()) } else { self.expected(&format!("`{mark}`")) }
    }

    /// A bare word, if one comes next; it is not taken.
    pub(super) fn peek_word(&mut self) -> Option<&'t str> {
        self.skip();
        let rest = self.rest();
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let word = &rest[..end];
        word.starts_with(|c: char| !c.is_ascii_digit()).then_some(word)
    }

    pub(super) fn word(&mut self) -> Read<&'t str> {
        match self.peek_word() {
            Some(word) => {
                self.at += word.len();
                Ok(word)
            }
            None => self.expected("a word"),
        }
    }

    /// A name: a word, or text in quotes.
    pub(super) fn name(&mut self) -> Read<String> {
        if self.sees("\"") { self.quoted() } else { Ok(self.word()?.to_string()) }
    }

    /// Whether a name comes next.
    pub(super) fn sees_name(&mut self) -> bool {
        self.sees("\"") || self.peek_word().is_some()
    }

    /// Text in quotes; a backslash stands before a quote or another.
    pub(super) fn quoted(&mut self) -> Read<String> {
        if !self.sees("\"") {
            return self.expected("text in quotes");
        }
        let mut text = String::new();
        let mut chars = self.rest().char_indices().skip(1);
        while let Some((i, c)) = chars.next() {
            match c {
                '"' => {
                    self.at += i + 1;
                    return Ok(text);
                }
                '\\' => text.extend(chars.next().map(|(_, c)| c)),
                c => text.push(c),
            }
        }
        self.fail("the quote has no end")
    }

    /// A number, if one comes next.
    pub(super) fn number(&mut self) -> Option<Number<'t>> {
        self.skip();
        let rest = self.rest();
        let sign = usize::from(rest.starts_with(['+', '-']));
        let body = &rest[sign..];
        let lower = body.get(..3).map(str::to_ascii_lowercase);
        if matches!(lower.as_deref(), Some("inf" | "nan"))
            && !body[3..].starts_with(|c: char| c.is_ascii_alphanumeric())
        {
            self.at += sign + 3;
            return Some(Number::Float(&rest[..sign + 3]));
        }
        let end = numeral(body);
        if !body[..end].contains(|c: char| c.is_ascii_digit()) {
            return None;
        }
        self.at += sign + end;
        let text = &rest[..sign + end];
        Some(if body[..end].contains(['.', 'e', 'E']) { Number::Float(text) } else { Number::Whole(text) })
    }

    pub(super) fn whole(&mut self) -> Read<i64> {
        match self.number() {
            Some(Number::Whole(text)) => match text.parse() {
                Ok(number) => Ok(number),
                Err(_) => self.fail(format!("`{text}` is too large")),
            },
            _ => self.expected("a whole number"),
        }
    }
}

/// How many bytes of a text are digits, a point, and an exponent.
fn numeral(text: &str) -> usize {
    let mut after_e = false;
    let end = text.find(|c: char| {
        let part = c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E') || (after_e && matches!(c, '+' | '-'));
        after_e = matches!(c, 'e' | 'E');
        !part
    });
    end.unwrap_or(text.len())
}
