//! The files of a new plugin, from the templates in `scaffold/`.
use std::path::Path;

/// The templates, and where each goes. `@name@` and the like stand for what [`Names`] says.
const PROJECT: &[(&str, &str)] = &[
    ("Cargo.toml", include_str!("scaffold/Cargo.toml.in")),
    ("README.md", include_str!("scaffold/README.md.in")),
    (".gitignore", include_str!("scaffold/gitignore.in")),
    ("src/lib.rs", include_str!("scaffold/lib.rs.in")),
    ("tests/filetests.rs", include_str!("scaffold/filetests.rs.in")),
];

/// The files of one pass.
const PASS: &[(&str, &str)] = &[
    ("src/@module@.rs", include_str!("scaffold/pass.rs.in")),
    ("filetests/@name@/fires.weft", include_str!("scaffold/fires.weft.in")),
    ("filetests/@name@/fires.snap", include_str!("scaffold/fires.snap.in")),
    ("filetests/@name@/declines.weft", include_str!("scaffold/declines.weft.in")),
    ("filetests/@name@/declines.snap", include_str!("scaffold/declines.snap.in")),
];

/// Where a list of passes begins in the source of a plugin.
const LIST: &str = "passes! {";

/// Words that cannot name a module.
const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop",
    "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static",
    "struct", "super", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual",
    "where", "while", "yield",
];

/// Names that other crates of a plugin's build have.
const CRATES: &[&str] = &["alloc", "core", "proc-macro", "std", "test", "weft"];

/// What a new plugin or pass is called.
pub(crate) struct Names {
    /// `fold-this`: the project, the pass, the folder of its tests.
    pub(crate) name: String,
    /// `fold_this`: the module, the crate.
    pub(crate) module: String,
    /// `FoldThis`: the plugin's type.
    ty: String,
}

impl Names {
    /// The names made of one, or why it cannot be one.
    pub(crate) fn of(name: &str) -> Result<Self, String> {
        let letter = |c: char| c.is_ascii_lowercase();
        let fits = name
            .split('-')
            .all(|word| word.starts_with(letter) && word.chars().all(|c| letter(c) || c.is_ascii_digit()));
        if !fits {
            return Err(format!(
                "`{name}` is no name for it: expected words like `fold-this`, of a-z and 0-9"
            ));
        }
        if KEYWORDS.contains(&name) || CRATES.contains(&name) || name.starts_with("weft-") {
            return Err(format!("`{name}` means something else in Rust or in weft already"));
        }
        let capital = |word: &str| {
            let (first, rest) = word.split_at(1);
            first.to_uppercase() + rest
        };
        let ty = name.split('-').map(capital).collect();
        Ok(Self { name: name.to_string(), module: name.replace('-', "_"), ty })
    }

    fn filled(&self, template: &str, weft: &Path) -> String {
        let weft = weft.display().to_string();
        let parts =
            [("@name@", &self.name), ("@module@", &self.module), ("@type@", &self.ty), ("@weft@", &weft)];
        parts.iter().fold(template.to_string(), |text, (mark, part)| text.replace(mark, part))
    }

    /// The files of a new plugin with one pass; `weft` is the checkout it is built with.
    pub(crate) fn project(&self, weft: &Path) -> Vec<(String, String)> {
        self.files(PROJECT.iter().chain(PASS), weft)
    }

    /// The files of one more pass.
    pub(crate) fn pass(&self) -> Vec<(String, String)> {
        self.files(PASS.iter(), Path::new(""))
    }

    fn files<'t>(
        &self,
        templates: impl Iterator<Item = &'t (&'t str, &'t str)>,
        weft: &Path,
    ) -> Vec<(String, String)> {
        templates.map(|(place, text)| (self.filled(place, weft), self.filled(text, weft))).collect()
    }

    /// The source of a plugin with one more pass in its list; `None` if it has no list.
    pub(crate) fn listed(&self, source: &str) -> Option<String> {
        let mut lines: Vec<&str> = source.lines().collect();
        let list = lines.iter().position(|line| line.ends_with(LIST))?;
        let end = list + lines[list..].iter().position(|line| line.trim() == "}")?;
        let listed = format!("    {}", self.module);
        let declared = format!("mod {};", self.module);
        lines.insert(place(&lines, list + 1..end, &listed), &listed);
        let is_module = |line: &&str| line.starts_with("mod ");
        let first = lines.iter().position(is_module)?;
        let last = first + lines[first..].iter().take_while(|line| is_module(line)).count();
        lines.insert(place(&lines, first..last, &declared), &declared);
        Some(lines.join("\n") + "\n")
    }
}

/// Where a line belongs in a sorted part of a text.
fn place(lines: &[&str], part: std::ops::Range<usize>, line: &str) -> usize {
    part.start + lines[part].iter().take_while(|other| **other < line).count()
}
