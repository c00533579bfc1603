//! Names for values: the model's own where they are free, each given once in the whole module, so
//! that extents called after a value mean one thing.
use std::collections::BTreeMap;

/// What stands before a name in an inlined function is cut to this many bytes.
const MAX_PREFIX: usize = 120;

/// The names given so far.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// Each name, and the number last put behind it.
    given: BTreeMap<String, u32>,
}

impl Names {
    /// `wanted`, with a number behind it if it was given before.
    pub(crate) fn unique(&mut self, wanted: &str) -> String {
        let wanted = if wanted.is_empty() { "value" } else { wanted };
        if !self.given.contains_key(wanted) {
            self.given.insert(wanted.to_string(), 0);
            return wanted.to_string();
        }
        let mut number = self.given[wanted];
        let name = loop {
            number += 1;
            let name = format!("{wanted}~{number}");
            if !self.given.contains_key(&name) {
                break name;
            }
        };
        self.given.insert(wanted.to_string(), number);
        self.given.insert(name.clone(), 0);
        name
    }
}

/// The prefix of what lies inside `name`, itself inside `prefix`.
pub(crate) fn nested(prefix: &str, name: &str) -> String {
    let whole = format!("{prefix}{name}/");
    let mut cut = whole.len().saturating_sub(MAX_PREFIX);
    while !whole.is_char_boundary(cut) {
        cut += 1;
    }
    whole[cut..].to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_given_once() {
        let mut names = Names::default();
        let given: Vec<_> = ["x", "x~1", "x", "x", ""].iter().map(|name| names.unique(name)).collect();
        assert_eq!(given, ["x", "x~1", "x~2", "x~3", "value"]);
    }

    #[test]
    fn prefixes_stay_short() {
        assert_eq!(nested("a/", "b"), "a/b/");
        assert!(nested("a/", &"ü".repeat(1000)).len() <= MAX_PREFIX);
    }
}
