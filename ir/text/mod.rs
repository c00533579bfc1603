//! The written form: one graph, one text.

/// A symbol as the written form shows it: plain, or in quotes when it has odd characters.
pub(crate) fn quote_symbol(name: &str) -> String {
    let body = name.strip_prefix('?').unwrap_or(name);
    let starts = name.starts_with('?') || body.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let plain = starts && body.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
    if plain { name.to_string() } else { format!("{name:?}") }
}
