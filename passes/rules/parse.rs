//! From the text of a rule file to what it says, with everything that is no rule at once.
use crate::ast::{Call, Comparison, ConditionText, Expr, Name, RuleFile, RuleText, Span, Ways, What};
use crate::error::Slip;
use crate::lex::{Lexer, Token};
use std::sync::Arc;
use weft_ir::DType;
use weft_ir::text::Cursor;
use weft_passes::rule::Aim;

/// How deep expressions may nest; deeper ones are no rules but attacks.
const DEEPEST: usize = 32;
/// How many nodes all expressions of one rule may have.
const LARGEST: usize = 4096;

type Parsed<T> = Result<T, Slip>;

/// What a text says, and everything that is wrong with it. A rule with a slip is left out.
pub fn parse(text: &str) -> (RuleFile, Vec<Slip>) {
    let mut reader = Reader { lexer: Lexer::new(text), depth: 0, size: 0, comparing: false };
    let (mut file, mut slips) = (RuleFile::default(), Vec::new());
    if let Err(slip) = reader.head(&mut file) {
        slips.push(slip);
        reader.recover();
    }
    while *reader.lexer.token() != Token::End {
        match reader.rule() {
            Ok(rule) => file.rules.push(rule),
            Err(slip) => {
                slips.push(slip);
                reader.recover();
            }
        }
    }
    (file, slips)
}

struct Reader<'t> {
    lexer: Lexer<'t>,
    depth: usize,
    size: usize,
    /// Whether a condition is read.
    comparing: bool,
}

impl<'t> Reader<'t> {
    /// Goes on to where the next rule may begin.
    fn recover(&mut self) {
        while !matches!(self.lexer.token(), Token::End | Token::Doc(_)) {
            // What cannot be read belongs to the rule that is given up.
            drop(self.lexer.advance());
        }
    }

    fn head(&mut self, file: &mut RuleFile) -> Parsed<()> {
        self.lexer.advance()?;
        while let Token::Head(line) = *self.lexer.token() {
            file.doc.push(line.to_string());
            self.lexer.advance()?;
        }
        Ok(())
    }

    fn rule(&mut self) -> Parsed<RuleText> {
        (self.depth, self.size, self.comparing) = (0, 0, false);
        let mut doc = Vec::new();
        while let Token::Doc(line) = *self.lexer.token() {
            doc.push(line.to_string());
            self.lexer.advance()?;
        }
        let start = self.lexer.at();
        let aim = if self.word("explore")? { Aim::Explore } else { Aim::Improve };
        if !self.word("rule")? {
            return Err(self.expected("`rule` or `explore rule`"));
        }
        let name = self.name("the name of the rule")?;
        self.mark("{")?;
        self.keyword("match")?;
        let find = self.exprs()?;
        let mut lets = Vec::new();
        while self.word("let")? {
            let name = self.variable("a variable, like `?n`")?;
            self.mark("=")?;
            lets.push((name, self.expr()?));
        }
        self.comparing = true;
        let conditions = if self.word("where")? { self.conditions()? } else { Vec::new() };
        self.comparing = false;
        let ways = if self.eat("<=>")? { Ways::ThereAndBack } else { Ways::There };
        if ways == Ways::There && !self.word("rewrite")? {
            return Err(self.expected("`rewrite`, `<=>`, `where`, `let` or `,`"));
        }
        let put = self.exprs()?;
        self.mark("}")?;
        let span = Span(start..self.lexer.before());
        Ok(RuleText { doc, aim, name, find, lets, conditions, ways, put, span })
    }

    fn exprs(&mut self) -> Parsed<Vec<Expr>> {
        let mut exprs = vec![self.expr()?];
        while self.eat(",")? {
            exprs.push(self.expr()?);
        }
        Ok(exprs)
    }

    fn conditions(&mut self) -> Parsed<Vec<ConditionText>> {
        let mut conditions = Vec::new();
        loop {
            let left = self.expr()?;
            let mut right = None;
            for comparison in Comparison::ALL {
                if self.eat(comparison.mark())? {
                    right = Some((comparison, self.expr()?));
                    break;
                }
            }
            conditions.push(ConditionText { left, right });
            if !self.eat(",")? {
                return Ok(conditions);
            }
        }
    }

    fn expr(&mut self) -> Parsed<Expr> {
        (self.depth, self.size) = (self.depth + 1, self.size + 1);
        if self.depth > DEEPEST {
            return Err(Slip::new(self.lexer.at(), format!("expressions nest deeper than {DEEPEST}")));
        }
        if self.size > LARGEST {
            return Err(Slip::new(self.lexer.at(), format!("a rule has more than {LARGEST} expressions")));
        }
        let start = self.lexer.at();
        let what = self.what()?;
        self.depth -= 1;
        Ok(Expr { what, span: Span(start..self.lexer.before()) })
    }

    fn what(&mut self) -> Parsed<What> {
        let token = self.lexer.token().clone();
        let at = self.lexer.at();
        let what = match token {
            Token::Word("_") => What::Absent,
            Token::Word("inf") => What::Float(f64::INFINITY),
            Token::Word(word) => return self.worded(word),
            Token::Var(name) => return self.named(name),
            Token::Rest(name) => What::Rest(name.to_string()),
            Token::Text(text) => What::Text(text),
            Token::Number(digits) => number(digits, "", at)?,
            Token::Mark("-") => {
                self.lexer.advance()?;
                match *self.lexer.token() {
                    Token::Number(digits) => number(digits, "-", at)?,
                    Token::Word("inf") => What::Float(f64::NEG_INFINITY),
                    _ => return Err(self.expected("a number")),
                }
            }
            Token::Mark("[") => {
                self.lexer.advance()?;
                return Ok(What::List(self.list("]")?));
            }
            _ => return Err(self.expected("an expression")),
        };
        self.lexer.advance()?;
        Ok(what)
    }

    /// `?x`, or `?x = EXPR` as an operand.
    fn named(&mut self, name: &str) -> Parsed<What> {
        let text = name.to_string();
        let start = self.lexer.at();
        self.lexer.advance()?;
        let span = Span(start..self.lexer.before());
        // Within a condition `=` compares, unless it stands among operands.
        if (self.depth > 1 || !self.comparing) && self.eat("=")? {
            return Ok(What::Named(Name { text, span }, Box::new(self.expr()?)));
        }
        Ok(What::Var(text))
    }

    /// An element type, or the application of what has this name.
    fn worded(&mut self, word: &str) -> Parsed<What> {
        if DType::parse(word).is_some()
            && let Some(text) = self.lexer.braced()
        {
            return self.tensor(text);
        }
        self.lexer.advance()?;
        if !self.eat("(")? {
            let dtype = DType::parse(word).map(What::Type);
            return dtype.ok_or_else(|| self.expected(&format!("`(` behind `{word}`")));
        }
        let operands = self.list(")")?;
        let mut call = Call { name: word.to_string(), operands, attrs: Vec::new(), others: None, result: 0 };
        if self.eat("{")? {
            self.attrs(&mut call)?;
        }
        if self.eat("[")? {
            let at = self.lexer.at();
            let Token::Number(digits) = *self.lexer.token() else {
                return Err(self.expected("which result, as a number"));
            };
            let result = digits.parse().ok().filter(|result| *result < 1 << 16);
            call.result =
                result.ok_or_else(|| Slip::new(at, format!("`{digits}` is no number of a result")))?;
            self.lexer.advance()?;
            self.mark("]")?;
        }
        Ok(What::Call(call))
    }

    /// A small tensor, as graphs have it.
    fn tensor(&mut self, text: &str) -> Parsed<What> {
        let tensor = Cursor::new(text).and_then(|mut cursor| cursor.tensor());
        let tensor = tensor.map_err(|error| Slip::new(self.lexer.at(), error.message))?;
        self.lexer.skip(text.len())?;
        Ok(What::Tensor(Arc::new(tensor)))
    }

    fn attrs(&mut self, call: &mut Call) -> Parsed<()> {
        while !self.eat("}")? {
            if (!call.attrs.is_empty() || call.others.is_some()) && !self.eat(",")? {
                return Err(self.expected("`,` or `}`"));
            }
            let start = self.lexer.at();
            if let Token::Rest(name) = *self.lexer.token() {
                self.lexer.advance()?;
                let name = Name { text: name.to_string(), span: Span(start..self.lexer.before()) };
                if call.others.replace(name).is_some() {
                    return Err(Slip::new(start, "the other attributes are there twice"));
                }
                continue;
            }
            let name = self.name("an attribute, or `..?more` for all others")?;
            if call.attrs.iter().any(|(other, _)| other.text == name.text) {
                return Err(Slip::new(start, format!("attribute `{}` is there twice", name.text)));
            }
            self.mark("=")?;
            call.attrs.push((name, self.expr()?));
        }
        call.attrs.sort_by(|a, b| a.0.text.cmp(&b.0.text));
        Ok(())
    }

    fn list(&mut self, close: &'static str) -> Parsed<Vec<Expr>> {
        let mut items = Vec::new();
        while !self.eat(close)? {
            if !items.is_empty() && !self.eat(",")? {
                return Err(self.expected(&format!("`,` or `{close}`")));
            }
            items.push(self.expr()?);
        }
        Ok(items)
    }

    /// Goes on if the current token is that mark, and says whether it was.
    fn eat(&mut self, mark: &'static str) -> Parsed<bool> {
        let there = *self.lexer.token() == Token::Mark(mark);
        if there {
            self.lexer.advance()?;
        }
        Ok(there)
    }

    fn mark(&mut self, mark: &'static str) -> Parsed<()> {
        if self.eat(mark)? { Ok(()) } else { Err(self.expected(&format!("`{mark}`"))) }
    }

    /// Goes on if the current token is that word, and says whether it was.
    fn word(&mut self, word: &'static str) -> Parsed<bool> {
        let there = *self.lexer.token() == Token::Word(word);
        if there {
            self.lexer.advance()?;
        }
        Ok(there)
    }

    fn keyword(&mut self, word: &'static str) -> Parsed<()> {
        if self.word(word)? { Ok(()) } else { Err(self.expected(&format!("`{word}`"))) }
    }

    fn name(&mut self, what: &str) -> Parsed<Name> {
        let start = self.lexer.at();
        let Token::Word(word) = *self.lexer.token() else { return Err(self.expected(what)) };
        self.lexer.advance()?;
        Ok(Name { text: word.to_string(), span: Span(start..self.lexer.before()) })
    }

    fn variable(&mut self, what: &str) -> Parsed<Name> {
        let start = self.lexer.at();
        let Token::Var(name) = *self.lexer.token() else { return Err(self.expected(what)) };
        self.lexer.advance()?;
        Ok(Name { text: name.to_string(), span: Span(start..self.lexer.before()) })
    }

    fn expected(&self, what: &str) -> Slip {
        Slip::new(self.lexer.at(), format!("expected {what}, found {}", self.lexer.token()))
    }
}

fn number(digits: &str, sign: &str, at: usize) -> Parsed<What> {
    let text = format!("{sign}{digits}");
    let whole = digits.bytes().all(|b| b.is_ascii_digit());
    if whole {
        let number = text.parse().map(What::Int);
        return number.map_err(|_| Slip::new(at, format!("expected an integer of 64 bits, found `{text}`")));
    }
    let number = text.parse::<f64>().ok().filter(|x| x.is_finite());
    number.map(What::Float).ok_or_else(|| Slip::new(at, format!("expected a number, found `{text}`")))
}
