//! How an import fails: with everything that is wrong, not with the first thing.
use crate::source::SourceError;
use std::collections::BTreeMap;
use std::fmt;
use thiserror::Error;

/// Places listed for one complaint before the rest is only counted.
const PLACES_SHOWN: usize = 8;

/// Why a model could not be imported.
#[derive(Debug, Error)]
pub enum ImportError {
    /// A file could not be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The file is not of the format at all.
    #[error("`{file}` is not {format}: {reason}")]
    Format {
        /// The file.
        file: String,
        /// What it should have been, with an article.
        format: &'static str,
        /// What was found and expected.
        reason: String,
    },
    /// The file was understood, and this is wrong with it. Never empty.
    #[error("`{file}` cannot be imported:{}", listed(problems))]
    Problems {
        /// The file.
        file: String,
        /// Everything found.
        problems: Vec<Problem>,
    },
}

/// One thing that keeps a model from being imported.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// What is wrong.
    pub cause: Cause,
    /// Where.
    pub place: Place,
}

/// What is wrong with a place, and whose fault it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Error)]
pub enum Cause {
    /// The model is right, and weft does not have this.
    #[error("not supported: {0}")]
    Unsupported(String),
    /// The model breaks the rules of its format.
    #[error("invalid: {0}")]
    Invalid(String),
}

impl Cause {
    /// The model is right, and weft does not have this.
    pub fn unsupported(what: impl Into<String>) -> Self {
        Self::Unsupported(what.into())
    }

    /// The model breaks the rules of its format.
    pub fn invalid(what: impl Into<String>) -> Self {
        Self::Invalid(what.into())
    }

    /// The problem of having this cause at `place`.
    pub fn at(self, place: Place) -> Problem {
        Problem { cause: self, place }
    }
}

/// Where something is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The model as a whole.
    Model,
    /// A value of this name: an input, an output, a weight.
    Value(String),
    /// A node.
    Node {
        /// Its operator, with the domain before it if that is not ONNX's own.
        op: String,
        /// Its name, or that of its first result; behind those of the nodes it lies in.
        name: String,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Model => f.write_str("model"),
            Place::Value(name) => write!(f, "`%{name}`"),
            Place::Node { op, name } => write!(f, "`{op}` at `{name}`"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.cause)
    }
}

/// The problems one to a line, those that differ in the node's name alone together.
fn listed(problems: &[Problem]) -> String {
    let mut groups: BTreeMap<(&str, String), (usize, Vec<&Problem>)> = BTreeMap::new();
    for (i, problem) in problems.iter().enumerate() {
        let key = match &problem.place {
            Place::Node { op, .. } => (op.as_str(), problem.cause.to_string()),
            place => ("", format!("{place}: {}", problem.cause)),
        };
        groups.entry(key).or_insert_with(|| (i, Vec::new())).1.push(problem);
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort_by_key(|(first, _)| *first);
    groups.iter().map(|(_, group)| line(group)).collect()
}

fn line(group: &[&Problem]) -> String {
    let [first, rest @ ..] = group else { return String::new() };
    let mut line = format!("\n  {first}");
    let names = rest.iter().filter_map(|p| match &p.place {
        Place::Node { name, .. } => Some(format!("`{name}`")),
        _ => None,
    });
    let also: Vec<_> = names.take(PLACES_SHOWN - 1).collect();
    if !also.is_empty() {
        line += &format!(" (also at {}", also.join(", "));
        let hidden = rest.len() - also.len();
        line += &if hidden > 0 { format!(" and {hidden} more)") } else { ")".to_string() };
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(op: &str, name: &str) -> Place {
        Place::Node { op: op.into(), name: name.into() }
    }

    #[test]
    fn problems_of_one_kind_share_a_line() {
        let mut problems: Vec<_> = (0..10)
            .map(|i| Cause::unsupported("no such operator").at(node("Foo", &format!("n{i}"))))
            .collect();
        problems.insert(1, Cause::invalid("no type").at(Place::Value("x".into())));
        let error = ImportError::Problems { file: "m.onnx".into(), problems };
        assert_eq!(
            error.to_string(),
            "`m.onnx` cannot be imported:\n  `Foo` at `n0`: not supported: no such operator (also at `n1`, `n2`, \
             `n3`, `n4`, `n5`, `n6`, `n7` and 2 more)\n  `%x`: invalid: no type"
        );
    }
}
