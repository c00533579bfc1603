//! A rule of a file, ready to run.
use crate::eval::Test;
use crate::template::{Building, Template};
use weft_passes::Declined;
use weft_passes::rule::{Match, Pattern, Replacement, RewriteRule, RuleInfo, Var};

/// A rule of a file, resolved and typed.
#[derive(Debug, Clone)]
pub struct FileRule {
    pub(crate) info: RuleInfo,
    pub(crate) patterns: Vec<Pattern>,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) put: Vec<Template>,
}

/// A condition of a rule.
#[derive(Debug, Clone)]
pub struct Condition {
    pub(crate) text: String,
    pub(crate) test: Test,
}

impl Condition {
    /// How it is written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The variables it is about.
    pub fn variables(&self) -> Vec<&Var> {
        let mut variables = Vec::new();
        match &self.test {
            Test::Holds(term) => term.variables(&mut variables),
            Test::Compares(left, _, right) => {
                left.variables(&mut variables);
                right.variables(&mut variables);
            }
        }
        variables
    }
}

impl FileRule {
    /// Its conditions.
    pub fn conditions(&self) -> &[Condition] {
        &self.conditions
    }
}

impl RewriteRule for FileRule {
    fn info(&self) -> &RuleInfo {
        &self.info
    }

    fn patterns(&self) -> &[Pattern] {
        &self.patterns
    }

    fn rewrite(&self, found: &Match<'_>) -> Result<Replacement, Declined> {
        self.conditions.iter().try_for_each(|condition| condition.test.check(found, &condition.text))?;
        let mut building = Building::new(found);
        self.put.iter().try_for_each(|template| building.root(template))?;
        Ok(building.done())
    }
}
