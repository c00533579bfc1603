//! The passes, pipelines and rules there are, by name.
use crate::pass::PassInfo;
use crate::pipeline::{Pipeline, PipelineError};
use crate::rule::Rules;
use std::collections::BTreeMap;
use thiserror::Error;

/// A pipeline with a name, which can stand in other pipelines like a pass.
#[derive(Debug, Clone, Copy)]
pub struct PipelineInfo {
    /// `O2`.
    pub name: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// Its elements, each in the written form.
    pub steps: &'static [&'static str],
}

/// Why something cannot be registered.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RegisterError {
    /// The name is taken.
    #[error("two passes or pipelines are named `{0}`")]
    Duplicate(String),
    /// The name is taken by a rule or a family of rules.
    #[error("two rules or families of rules are named `{0}`")]
    Rule(String),
    /// The name is taken by a function or a condition.
    #[error("two functions or conditions are named `{0}`")]
    Function(String),
    /// A rule file of our own is wrong.
    #[error("rules:{0}")]
    RuleFile(String),
    /// A pipeline does not parse, or names what is not registered before it.
    #[error("pipeline `{name}`: {error}")]
    Broken {
        /// The pipeline.
        name: String,
        /// What is wrong with it.
        error: PipelineError,
    },
}

/// All passes, pipelines and rules by name.
#[derive(Debug, Default)]
pub struct Registry {
    passes: BTreeMap<&'static str, PassInfo>,
    pipelines: BTreeMap<&'static str, PipelineInfo>,
    rules: Rules,
}

impl Registry {
    /// Takes a pass in.
    pub fn add(&mut self, pass: PassInfo) -> Result<(), RegisterError> {
        self.claim(pass.name)?;
        self.passes.insert(pass.name, pass);
        Ok(())
    }

    /// Takes a pipeline in. What it is made of must be there already, so none contains itself.
    pub fn add_pipeline(&mut self, pipeline: PipelineInfo) -> Result<(), RegisterError> {
        self.claim(pipeline.name)?;
        let broken = |error| RegisterError::Broken { name: pipeline.name.to_string(), error };
        let steps: Pipeline = pipeline.steps.join(",").parse().map_err(broken)?;
        let errors = steps.resolve(self).err().and_then(|errors| errors.into_iter().next());
        if let Some(error) = errors {
            return Err(broken(error));
        }
        self.pipelines.insert(pipeline.name, pipeline);
        Ok(())
    }

    fn claim(&self, name: &str) -> Result<(), RegisterError> {
        match self.passes.contains_key(name) || self.pipelines.contains_key(name) {
            true => Err(RegisterError::Duplicate(name.to_string())),
            false => Ok(()),
        }
    }

    /// The pass of that name.
    pub fn pass(&self, name: &str) -> Option<&PassInfo> {
        self.passes.get(name)
    }

    /// The pipeline of that name.
    pub fn pipeline(&self, name: &str) -> Option<&PipelineInfo> {
        self.pipelines.get(name)
    }

    /// The rules, and the functions and conditions they are written with.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The rules, to take more in.
    pub fn rules_mut(&mut self) -> &mut Rules {
        &mut self.rules
    }

    /// All passes, by name.
    pub fn passes(&self) -> impl Iterator<Item = &PassInfo> {
        self.passes.values()
    }

    /// All pipelines, by name.
    pub fn pipelines(&self) -> impl Iterator<Item = &PipelineInfo> {
        self.pipelines.values()
    }
}
