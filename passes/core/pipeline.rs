//! Pipelines: a text that parses, prints back, and resolves to passes.
//!
//! `canonicalize,fold-constants{bytes=4096},fixpoint{rounds=4}(identities,dead-code)`
use crate::nearest::nearest;
use crate::options::{OptionError, OptionInfo, Options, suggest};
use crate::parse;
use crate::pass::{Pass, PassInfo, PassKind};
use crate::registry::Registry;
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// One element of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// A pass, a pipeline, or `fixpoint`.
    pub name: String,
    /// Options as written, in order.
    pub options: Vec<(String, String)>,
    /// What a `fixpoint` repeats; empty for everything else.
    pub inner: Vec<Step>,
    /// Where it stands in the text, in characters from 1.
    pub column: usize,
}

/// A list of steps.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pipeline {
    /// In the order of running.
    pub steps: Vec<Step>,
}

/// What is wrong with a pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PipelineError {
    /// The text does not follow the grammar.
    #[error("column {column}: expected {expected}, found {found}")]
    Syntax {
        /// In characters from 1.
        column: usize,
        /// What the grammar allows there.
        expected: &'static str,
        /// What stands there.
        found: String,
    },
    /// A name that nothing has.
    #[error("column {column}: no pass or pipeline `{name}`{}", suggest(.near))]
    Unknown {
        /// In characters from 1.
        column: usize,
        /// What was written.
        name: String,
        /// What may have been meant.
        near: Option<String>,
    },
    /// An option that does not fit.
    #[error("column {column}: pass `{name}`: {error}")]
    Option {
        /// In characters from 1.
        column: usize,
        /// The pass.
        name: String,
        /// What is wrong.
        error: OptionError,
    },
}

/// A pipeline whose passes are made.
pub struct Plan {
    /// In the order of running.
    pub steps: Vec<PlanStep>,
}

impl Plan {
    /// One pass with the options it was made with.
    pub fn of(info: PassInfo, pass: Box<dyn Pass>) -> Self {
        Self { steps: vec![PlanStep::Pass(info, pass, info.name.to_string())] }
    }

    /// The ways in which a pass is written in it, in order and each once.
    pub fn written(&self, pass: &str) -> Vec<&str> {
        let mut texts: Vec<&str> = Vec::new();
        for (info, text) in self.passes() {
            if info.name == pass && !texts.contains(&text) {
                texts.push(text);
            }
        }
        texts
    }

    /// Whether a pass of it may change numbers.
    pub fn is_lossy(&self) -> bool {
        self.passes().into_iter().any(|(info, _)| info.kind == PassKind::Lossy)
    }

    /// Every pass with how it is written, in order.
    fn passes(&self) -> Vec<(&PassInfo, &str)> {
        let (mut passes, mut open) = (Vec::new(), vec![self.steps.iter()]);
        while let Some(steps) = open.last_mut() {
            match steps.next() {
                None => drop(open.pop()),
                Some(PlanStep::Fixpoint(_, inner)) => open.push(inner.iter()),
                Some(PlanStep::Pass(info, _, text)) => passes.push((info, text.as_str())),
            }
        }
        passes
    }
}

/// One element of a plan.
pub enum PlanStep {
    /// A pass, and how it is written.
    Pass(PassInfo, Box<dyn Pass>, String),
    /// Steps repeated until nothing changes, at most so many times.
    Fixpoint(u32, Vec<PlanStep>),
}

/// The name of the element that repeats others.
pub(crate) const FIXPOINT: &str = "fixpoint";

const FIXPOINT_OPTIONS: &[OptionInfo] =
    &[OptionInfo { name: "rounds", default: "8", help: "how often at most" }];

impl FromStr for Pipeline {
    type Err = PipelineError;

    fn from_str(text: &str) -> Result<Self, PipelineError> {
        Ok(Self { steps: parse::steps(text)? })
    }
}

impl fmt::Display for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_steps(f, &self.steps)
    }
}

fn write_steps(f: &mut fmt::Formatter<'_>, steps: &[Step]) -> fmt::Result {
    for (i, step) in steps.iter().enumerate() {
        write!(f, "{}{}", if i == 0 { "" } else { "," }, step.name)?;
        if !step.options.is_empty() {
            let options = step.options.iter().map(|(name, value)| format!("{name}={}", parse::quoted(value)));
            write!(f, "{{{}}}", options.collect::<Vec<_>>().join(","))?;
        }
        if step.name == FIXPOINT {
            f.write_str("(")?;
            write_steps(f, &step.inner)?;
            f.write_str(")")?;
        }
    }
    Ok(())
}

impl Pipeline {
    /// Looks up every name and option, or says everything that is wrong.
    pub fn resolve(&self, registry: &Registry) -> Result<Plan, Vec<PipelineError>> {
        let mut errors = Vec::new();
        let steps = resolve_all(&self.steps, registry, &mut errors);
        if errors.is_empty() { Ok(Plan { steps }) } else { Err(errors) }
    }
}

fn resolve_all(steps: &[Step], registry: &Registry, errors: &mut Vec<PipelineError>) -> Vec<PlanStep> {
    let mut plan = Vec::new();
    for step in steps {
        match resolve_one(step, registry, errors) {
            Ok(resolved) => plan.extend(resolved),
            Err(error) => errors.push(error),
        }
    }
    plan
}

fn resolve_one(
    step: &Step,
    registry: &Registry,
    errors: &mut Vec<PipelineError>,
) -> Result<Vec<PlanStep>, PipelineError> {
    let (name, column) = (step.name.clone(), step.column);
    let options = |declared| Options::new(declared, &step.options).map_err(|error| (name.clone(), error));
    let wrong = |(name, error)| PipelineError::Option { column, name, error };
    if step.name == FIXPOINT {
        let options = options(FIXPOINT_OPTIONS).map_err(wrong)?;
        let rounds = options.number("rounds").map_err(|error| wrong((name.clone(), error)))?;
        return Ok(vec![PlanStep::Fixpoint(rounds, resolve_all(&step.inner, registry, errors))]);
    }
    if let Some(named) = registry.pipeline(&step.name) {
        options(&[]).map_err(wrong)?;
        let steps: Pipeline = named.steps.join(",").parse()?;
        return Ok(resolve_all(&steps.steps, registry, errors));
    }
    let Some(info) = registry.pass(&step.name) else {
        let known = registry.passes().map(|p| p.name).chain(registry.pipelines().map(|p| p.name));
        let near = nearest(&step.name, known.chain([FIXPOINT])).map(str::to_string);
        return Err(PipelineError::Unknown { column, name, near });
    };
    let options = options(info.options).map_err(wrong)?.among(registry.rules());
    let pass = (info.build)(&options).map_err(|error| wrong((name.clone(), error)))?;
    let text = Pipeline { steps: vec![step.clone()] }.to_string();
    Ok(vec![PlanStep::Pass(*info, pass, text)])
}
