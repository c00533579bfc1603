//! From what a rule file says back to its text.
use crate::ast::{Call, ConditionText, Expr, RuleFile, RuleText, Ways, What};
use std::fmt::{self, Display};
use weft_ir::text::{quote, tensor_text};
use weft_passes::rule::Aim;

/// The text of a file; it reads back to the same file.
pub fn print(file: &RuleFile) -> String {
    let mut out = String::new();
    for line in &file.doc {
        push_line(&mut out, "//!", line);
    }
    for (i, rule) in file.rules.iter().enumerate() {
        if i > 0 || !file.doc.is_empty() {
            out.push('\n');
        }
        out.push_str(&rule.to_string());
    }
    out
}

fn push_line(out: &mut String, marks: &str, line: &str) {
    out.push_str(marks);
    if !line.is_empty() {
        out.push(' ');
        out.push_str(line);
    }
    out.push('\n');
}

impl Display for RuleText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut doc = String::new();
        self.doc.iter().for_each(|line| push_line(&mut doc, "///", line));
        f.write_str(&doc)?;
        let explore = if self.aim == Aim::Explore { "explore " } else { "" };
        writeln!(f, "{explore}rule {} {{", self.name.text)?;
        writeln!(f, "    match   {}", lines(&self.find))?;
        for (name, term) in &self.lets {
            writeln!(f, "    let     ?{} = {term}", name.text)?;
        }
        if !self.conditions.is_empty() {
            writeln!(f, "    where   {}", lines(&self.conditions))?;
        }
        let word = if self.ways == Ways::There { "rewrite" } else { "<=>    " };
        writeln!(f, "    {word} {}\n}}", lines(&self.put))
    }
}

/// Lines are not longer than this if they hold several things.
const WIDEST: usize = 100;

/// Items with commas between them, each on a line of its own if one line would be too long.
fn lines<T: Display>(items: &[T]) -> String {
    let line = Joined(items).to_string();
    if line.chars().count() + INDENT.len() <= WIDEST {
        return line;
    }
    let items: Vec<String> = items.iter().map(ToString::to_string).collect();
    items.join(&format!(",\n{INDENT}"))
}

/// As wide as the words that lines begin with.
const INDENT: &str = "            ";

/// Items with commas between them.
struct Joined<'a, T>(&'a [T]);

impl<T: Display> Display for Joined<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, item) in self.0.iter().enumerate() {
            write!(f, "{}{item}", if i == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl Display for ConditionText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.left)?;
        match &self.right {
            Some((comparison, right)) => write!(f, " {} {right}", comparison.mark()),
            None => Ok(()),
        }
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            What::Var(name) => write!(f, "?{name}"),
            What::Rest(name) => write!(f, "..?{name}"),
            What::Absent => f.write_str("_"),
            What::Int(x) => write!(f, "{x}"),
            What::Float(x) => write!(f, "{x:?}"),
            What::Text(text) => f.write_str(&quote(text)),
            What::Type(dtype) => write!(f, "{dtype}"),
            What::Tensor(tensor) => f.write_str(&tensor_text(tensor)),
            What::List(items) => write!(f, "[{}]", Joined(items)),
            What::Named(name, expr) => write!(f, "?{} = {expr}", name.text),
            What::Call(call) => write!(f, "{call}"),
        }
    }
}

impl Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name, Joined(&self.operands))?;
        let mut attrs: Vec<String> =
            self.attrs.iter().map(|(name, value)| format!("{} = {value}", name.text)).collect();
        attrs.extend(self.others.iter().map(|name| format!("..?{}", name.text)));
        if !attrs.is_empty() {
            write!(f, " {{{}}}", attrs.join(", "))?;
        }
        if self.result > 0 {
            write!(f, "[{}]", self.result)?;
        }
        Ok(())
    }
}
