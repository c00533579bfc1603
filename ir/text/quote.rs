//! Names and texts as the written form shows them: plain where possible, else in quotes.
use std::fmt::Write;

/// Whether the character may stand in a plain word behind its first.
pub(super) fn in_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '~')
}

/// Whether the character may begin a plain word.
pub(super) fn begins_word(c: char) -> bool {
    c.is_ascii_alphabetic() || matches!(c, '_' | '?')
}

/// Whether the character may stand in a plain name behind `%` or `@`.
pub(super) fn in_name(c: char) -> bool {
    in_word(c) || matches!(c, '/' | '-')
}

/// Words with a meaning of their own where an operator may stand.
const RESERVED: &[&str] = &["region", "return"];

/// A text in quotes.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => drop(write!(out, "\\u{{{:x}}}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A symbol, an attribute or an operator: plain, or in quotes when it has odd characters.
pub fn quote_word(word: &str) -> String {
    let begins = word.starts_with(begins_word);
    let plain = begins && word.chars().skip(1).all(in_word) && !RESERVED.contains(&word);
    if plain { word.to_string() } else { quote(word) }
}

/// The name of a value (behind `%`), a weight or a graph (behind `@`).
pub fn quote_name(name: &str) -> String {
    let plain = !name.is_empty() && name.chars().all(in_name) && !name.contains("//");
    if plain { name.to_string() } else { quote(name) }
}
