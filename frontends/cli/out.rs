//! Standard output. A reader that closed it, like `head`, does not make anything fail.
use serde_json::Value;
use std::io::{self, Write};

/// Prints a text as it is.
pub(crate) fn print(text: &str) {
    let mut out = io::stdout().lock();
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}

/// Prints a line.
pub(crate) fn line(text: &str) {
    print(&format!("{text}\n"));
}

/// Prints a JSON value.
pub(crate) fn json(value: &Value) {
    line(&format!("{value:#}"));
}
