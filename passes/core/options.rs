//! Options of passes: declared as data, written in pipelines as `{name=value,...}`.
use crate::nearest::nearest;
use crate::rule::{Aim, RewriteRule, Rules};
use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;
use thiserror::Error;

/// One option of a pass.
#[derive(Debug, Clone, Copy)]
pub struct OptionInfo {
    /// Its name.
    pub name: &'static str,
    /// Its value when not given.
    pub default: &'static str,
    /// What it does, in one sentence.
    pub help: &'static str,
}

/// Why an option cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OptionError {
    /// The pass has no option of that name.
    #[error("no option `{name}`{}", suggest(.near))]
    Unknown {
        /// What was written.
        name: String,
        /// What may have been meant.
        near: Option<String>,
    },
    /// The value does not mean anything.
    #[error("option `{name}` cannot be `{value}`: expected {expected}")]
    Value {
        /// The option.
        name: String,
        /// What was written.
        value: String,
        /// What may be written.
        expected: &'static str,
    },
    /// The option names a rule that nobody has.
    #[error("no rule or family of rules `{name}`{}", suggest(.near))]
    Rule {
        /// What was written.
        name: String,
        /// What may have been meant.
        near: Option<String>,
    },
    /// The option names a family, for a pass that takes the first rule that fits, and all rules of
    /// the family only explore.
    #[error(
        "the rules of `{0}` only explore, so they need a pass that weighs forms: `saturate{{rules={0}}}`"
    )]
    Explores(String),
    /// The pass takes none of it, for a reason of its own.
    #[error("{0}")]
    Refused(String),
}

/// ", did you mean `x`?" where there is an x.
pub(crate) fn suggest(near: &Option<String>) -> String {
    near.as_ref().map(|n| format!(", did you mean `{n}`?")).unwrap_or_default()
}

/// The options of one pass, defaults filled in.
#[derive(Debug, Clone, Default)]
pub struct Options {
    texts: BTreeMap<String, String>,
    rules: Rules,
}

impl Options {
    /// The options as declared, with what was given in the place of the defaults.
    pub fn new(declared: &[OptionInfo], given: &[(String, String)]) -> Result<Self, OptionError> {
        let mut all: BTreeMap<_, _> =
            declared.iter().map(|o| (o.name.to_string(), o.default.to_string())).collect();
        for (name, value) in given {
            let Some(slot) = all.get_mut(name) else {
                let near = nearest(name, declared.iter().map(|o| o.name)).map(str::to_string);
                return Err(OptionError::Unknown { name: name.clone(), near });
            };
            slot.clone_from(value);
        }
        Ok(Self { texts: all, rules: Rules::default() })
    }

    /// The options, with rules that they may name.
    pub(crate) fn among(self, rules: &Rules) -> Self {
        Self { rules: rules.clone(), ..self }
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The text of an option; empty if it was never declared.
    pub fn text(&self, name: &str) -> &str {
        self.texts.get(name).map_or("", String::as_str)
    }

    /// An option as a number.
    pub fn number<T: FromStr>(&self, name: &str) -> Result<T, OptionError> {
        self.text(name).parse().map_err(|_| self.wrong(name, "a number"))
    }

    /// An option that is `true` or `false`.
    pub fn flag(&self, name: &str) -> Result<bool, OptionError> {
        self.text(name).parse().map_err(|_| self.wrong(name, "`true` or `false`"))
    }

    /// The rules that an option names, with `|` between the names; see [`Rules::named`].
    pub fn rules(&self, name: &str, engine: Aim) -> Result<Vec<Arc<dyn RewriteRule>>, OptionError> {
        let mut found: BTreeMap<String, Arc<dyn RewriteRule>> = BTreeMap::new();
        for part in self.text(name).split('|').map(str::trim) {
            let named = self.rules.named(part, engine);
            if named.is_empty() && !self.rules.named(part, Aim::Explore).is_empty() {
                return Err(OptionError::Explores(part.to_string()));
            }
            if named.is_empty() && part != "all" {
                let near = nearest(part, self.rules.names()).map(str::to_string);
                return Err(OptionError::Rule { name: part.to_string(), near });
            }
            found.extend(named.into_iter().map(|rule| (rule.info().name.clone(), rule)));
        }
        Ok(found.into_values().collect())
    }

    fn wrong(&self, name: &str, expected: &'static str) -> OptionError {
        OptionError::Value { name: name.to_string(), value: self.text(name).to_string(), expected }
    }
}
