//! The grammar of pipelines:
//! `steps := step (, step)*`, `step := name options? | fixpoint options? ( steps )`,
//! `options := { key = value (, key = value)* }`; a value with odd characters stands in quotes.
use crate::pipeline::{FIXPOINT, PipelineError, Step};
use std::iter::Peekable;
use std::str::Chars;

/// How deep `fixpoint` may nest; deeper ones are no pipelines but attacks.
const DEEPEST: usize = 16;

struct Reader<'t> {
    rest: Peekable<Chars<'t>>,
    column: usize,
}

/// Reads a whole text.
pub(crate) fn steps(text: &str) -> Result<Vec<Step>, PipelineError> {
    let mut reader = Reader { rest: text.chars().peekable(), column: 1 };
    let mut open: Vec<Step> = Vec::new();
    let mut steps = Vec::new();
    reader.blanks();
    if reader.rest.peek().is_none() {
        return Ok(steps);
    }
    loop {
        let step = reader.step()?;
        if step.name == FIXPOINT {
            reader.expect('(', "`(`")?;
            if open.len() == DEEPEST {
                return reader.fail("fewer than 16 nested `fixpoint`");
            }
            open.push(Step { inner: std::mem::take(&mut steps), ..step });
            continue;
        }
        steps.push(step);
        while reader.take(')') {
            let Some(mut outer) = open.pop() else { return reader.fail("`,` or the end") };
            let before = std::mem::replace(&mut outer.inner, std::mem::take(&mut steps));
            steps = before;
            steps.push(outer);
        }
        if reader.take(',') {
            continue;
        }
        return match (reader.rest.peek(), open.is_empty()) {
            (None, true) => Ok(steps),
            (_, true) => reader.fail("`,` or the end"),
            (_, false) => reader.fail("`,` or `)`"),
        };
    }
}

/// A value as it must be written to be read back.
pub(crate) fn quoted(value: &str) -> String {
    if !value.is_empty() && value.chars().all(plain) { value.to_string() } else { format!("\"{value}\"") }
}

/// Whether a pass or a pipeline may bear this name: it then reads back wherever it stands.
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

fn plain(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '+' | ':' | '/' | '*' | '@' | '|')
}

impl Reader<'_> {
    fn blanks(&mut self) {
        while self.rest.next_if(|c| c.is_whitespace()).is_some() {
            self.column += 1;
        }
    }

    fn take(&mut self, wanted: char) -> bool {
        self.blanks();
        let found = self.rest.next_if_eq(&wanted).is_some();
        self.column += usize::from(found);
        self.blanks();
        found
    }

    fn expect(&mut self, wanted: char, expected: &'static str) -> Result<(), PipelineError> {
        if self.take(wanted) { Ok(()) } else { self.fail(expected) }
    }

    fn fail<T>(&mut self, expected: &'static str) -> Result<T, PipelineError> {
        let found = self.rest.peek().map_or_else(|| "the end".to_string(), |c| format!("`{c}`"));
        Err(PipelineError::Syntax { column: self.column, expected, found })
    }

    fn word(&mut self, expected: &'static str) -> Result<String, PipelineError> {
        self.blanks();
        let mut word = String::new();
        while let Some(c) = self.rest.next_if(|c| plain(*c)) {
            word.push(c);
            self.column += 1;
        }
        if word.is_empty() { self.fail(expected) } else { Ok(word) }
    }

    fn step(&mut self) -> Result<Step, PipelineError> {
        self.blanks();
        let column = self.column;
        let name = self.word("a pass")?;
        let mut options = Vec::new();
        if self.take('{') {
            loop {
                let key = self.word("the name of an option")?;
                self.expect('=', "`=`")?;
                options.push((key, self.value()?));
                if !self.take(',') {
                    break;
                }
            }
            self.expect('}', "`,` or `}`")?;
        }
        Ok(Step { name, options, inner: Vec::new(), column })
    }

    fn value(&mut self) -> Result<String, PipelineError> {
        if !self.take('"') {
            return self.word("a value");
        }
        let mut value = String::new();
        loop {
            match self.rest.next() {
                Some('"') => return Ok(value),
                Some(c) => value.push(c),
                None => return self.fail("`\"`"),
            }
            self.column += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::pipeline::{Pipeline, PipelineError};

    #[test]
    fn what_is_read_prints_back() {
        for text in [
            "",
            "a",
            "a,b{x=1,y=two.three},c",
            "fixpoint(a)",
            "a,fixpoint{rounds=3}(b,fixpoint(c,d),e),f{path=\"a, b\"}",
        ] {
            let pipeline: Pipeline = text.parse().unwrap();
            assert_eq!(pipeline.to_string(), text);
        }
    }

    #[test]
    fn slips_are_told_by_column() {
        for (text, column) in [
            ("a,,b", 3),
            ("a{x}", 4),
            ("a{x=1", 6),
            ("fixpoint a", 10),
            ("fixpoint(a", 11),
            ("a)", 3),
            ("a b", 3),
        ] {
            let Err(PipelineError::Syntax { column: found, .. }) = text.parse::<Pipeline>() else {
                panic!("`{text}` was read")
            };
            assert_eq!(found, column, "{text}");
        }
    }
}
