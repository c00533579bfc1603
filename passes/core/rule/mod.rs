//! Rules: what they look for, what they put in its place, and what an engine shows them of it.
//!
//! A rule knows no engine. It has one [`Pattern`] for each value it replaces, is shown a [`Match`]
//! (what is known of the values that the variables stand for), and answers with a [`Replacement`]
//! or with the reason why it leaves things as they are. The greedy engine and the e-graph run the
//! same rules.
mod found;
mod function;
mod pattern;
mod replacement;
mod set;

use crate::pass::Declined;
use crate::registry::RegisterError;
use std::fmt;
use std::sync::Arc;
use weft_ir::OpSet;

pub use found::{Bound, Match};
pub use function::{Apply, Datum, Function, Kind, Lent};
pub use pattern::{AttrPattern, Made, Pattern, Var};
pub use replacement::{NewNode, Replacement, Source};
pub use set::Rules;

/// A local identity of graphs, and when it holds.
pub trait RewriteRule: Send + Sync {
    /// What a user can read about it.
    fn info(&self) -> &RuleInfo;
    /// What is looked for: one pattern for each value that is replaced.
    fn patterns(&self) -> &[Pattern];
    /// What takes the place of the values found, one for each pattern, or why nothing does.
    fn rewrite(&self, found: &Match<'_>) -> Result<Replacement, Declined>;
}

/// Everything a user can read about a rule before running it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleInfo {
    /// Kebab-case; the same in pipelines, logs and test folders.
    pub name: String,
    /// The identity, in a sentence.
    pub doc: String,
    /// The rules it belongs to: the name of their file.
    pub family: String,
    /// Where it is written.
    pub origin: Origin,
    /// Its text, as it is written; empty for rules written in Rust.
    pub text: String,
    /// Which engines run it.
    pub aim: Aim,
}

/// Rules as text, not read yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleSource {
    /// The file it is from, for messages.
    pub file: String,
    /// What its rules are called together.
    pub family: String,
    /// What it says.
    pub text: String,
}

/// Reads rules, given the operators there are and the functions they may be written with.
pub type ReadRules = fn(&RuleSource, &OpSet, &Rules) -> Result<Vec<Arc<dyn RewriteRule>>, RegisterError>;

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// The file.
    pub file: String,
    /// In lines from 1.
    pub line: usize,
    /// In characters from 1.
    pub column: usize,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// What a rule is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    /// What it puts in is never worse: any engine may run it wherever it fits.
    Improve,
    /// What it puts in is as good or worse by itself: for engines that weigh alternatives.
    Explore,
}

impl fmt::Display for Aim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Aim::Improve => "improve",
            Aim::Explore => "explore",
        })
    }
}
