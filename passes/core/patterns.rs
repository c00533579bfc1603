//! Patterns of names.

/// Names that some patterns describe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names(Vec<String>);

impl Names {
    /// Patterns with `|` between them; `*` in one stands for anything.
    pub fn new(text: &str) -> Self {
        Self(text.split('|').map(str::trim).filter(|part| !part.is_empty()).map(str::to_string).collect())
    }

    /// Whether a pattern describes the name.
    pub fn hold(&self, name: &str) -> bool {
        self.0.iter().any(|pattern| fits(pattern, name))
    }
}

fn fits(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(first) else { return false };
    let (between, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    // Taking each part where it comes first leaves most for those behind it.
    for part in between.split('*').filter(|part| !part.is_empty()) {
        let Some(at) = name.find(part) else { return false };
        name = &name[at + part.len()..];
    }
    name.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::Names;

    #[test]
    fn stars_stand_for_anything() {
        let names = Names::new("blk.*.attn_*| head |*_down.*.weight");
        for yes in ["blk.0.attn_q", "blk..attn_", "head", "a_down.b.weight"] {
            assert!(names.hold(yes), "{yes}");
        }
        for no in ["blk.0.ffn", "heads", "_down.weight", "a_down..weights"] {
            assert!(!names.hold(no), "{no}");
        }
        assert!(!Names::new("").hold("") && Names::new("*").hold(""));
    }
}
