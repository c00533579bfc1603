//! What a pass is, what it may use, and what it says when it is done.
use crate::cost::Cost;
use crate::editor::Editor;
use crate::ledger::ErrorBound;
use crate::measure::Measure;
use crate::options::{OptionError, OptionInfo, Options};
use crate::rewriter::Rewriter;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use thiserror::Error;
use weft_ir::infer::Problem;
use weft_ir::{Graph, Node, NodeId, OpSet, Stage, Tensor};

/// A transformation of a module.
pub trait Pass: Send + Sync {
    /// Rewrites the module through the editor; tells the truth about what changed, or fails and
    /// the module must not be used any more.
    fn run(&self, edit: &mut Editor<'_>, cx: &PassContext<'_>) -> Result<Outcome, PassError>;
}

/// The pass that lets one function look at every node of every graph; see [`Editor::each_node`].
pub struct EachNode(pub fn(&mut Rewriter<'_>, NodeId) -> Result<(), Declined>);

impl Pass for EachNode {
    fn run(&self, edit: &mut Editor<'_>, _: &PassContext<'_>) -> Result<Outcome, PassError> {
        edit.each_node(self.0)
    }
}

/// Makes a pass from its options. A reference, so that passes found at run time can bring along
/// what they need.
pub type Build = &'static (dyn Fn(&Options) -> Result<Box<dyn Pass>, OptionError> + Send + Sync);

/// Everything a user can read about a pass before running it.
#[derive(Clone, Copy)]
pub struct PassInfo {
    /// Kebab-case; the same as file, in pipelines, logs and test folders.
    pub name: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// The options, with defaults and help.
    pub options: &'static [OptionInfo],
    /// What the result may differ in.
    pub kind: PassKind,
    /// The first and the last stage a module may be in.
    pub accepts: (Stage, Stage),
    /// Makes the pass from its options.
    pub build: Build,
}

impl fmt::Debug for PassInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PassInfo").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What the result of a pass may differ in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PassKind {
    /// Later passes or backends need it.
    Required,
    /// The same numbers up to rounding; needed for speed or size.
    Exact,
    /// Other numbers, within a stated error; never on by default.
    Lossy,
}

impl fmt::Display for PassKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PassKind::Required => "required",
            PassKind::Exact => "exact",
            PassKind::Lossy => "lossy",
        })
    }
}

/// What a pass did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing.
    Unchanged,
    /// Something; what was known of the module is forgotten.
    Changed,
}

/// Why a rule that found its place did not fire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declined(pub Cow<'static, str>);

impl From<&'static str> for Declined {
    fn from(why: &'static str) -> Self {
        Self(why.into())
    }
}

impl From<String> for Declined {
    fn from(why: String) -> Self {
        Self(why.into())
    }
}

impl fmt::Display for Declined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a pass gave up.
#[derive(Debug, Error)]
pub enum PassError {
    /// The model itself is wrong.
    #[error("the graph has {} invalid nodes: {}", .0.len(), list(.0))]
    Invalid(Vec<Problem>),
    /// A rewrite would have broken the graph; always a bug in the pass.
    #[error("at `%{at}`: {message}")]
    Rewrite {
        /// The value the rewrite was at.
        at: String,
        /// What was found and what was expected.
        message: String,
    },
    /// The pass says why; always a bug in the pass or something it was not made for.
    #[error("{0}")]
    Failed(String),
    /// What was asked for needs something that was not given, such as calibration data; it says what to give.
    #[error("{0}")]
    NotGiven(String),
    /// The pass needs something that was not lent to it.
    #[error("no {0} was lent to the pass")]
    Missing(&'static str),
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("; ")
}

/// Computes a node whose operands are all constants; a backend is lent for it.
pub trait Evaluate: Send + Sync {
    /// The results of a node, or why it cannot be computed ahead of time.
    fn evaluate(&self, node: &Node, operands: &[Option<Arc<Tensor>>]) -> Result<Vec<Tensor>, String>;
}

/// Says what the backend in view has kernels for.
pub trait Legality: Send + Sync {
    /// Nothing if node `id` of `graph` can be compiled as it stands, or why not.
    fn supports(&self, graph: &Graph, id: NodeId) -> Result<(), String>;
}

/// What a pass may use besides the module.
#[derive(Clone, Copy)]
pub struct PassContext<'a> {
    /// The operators.
    pub ops: &'a OpSet,
    /// Computes nodes ahead of time.
    pub evaluate: Option<&'a dyn Evaluate>,
    /// The backend's word on single nodes; without one every node is good.
    pub legality: Option<&'a dyn Legality>,
    /// What operators take on the target in view; without one, what they take on most machines.
    pub cost: Option<&'a dyn Cost>,
    /// What flows through the module on calibration data.
    pub measure: Option<&'a dyn Measure>,
    /// The same on validation data, if there are any; see [`PassContext::judge`].
    pub validation: Option<&'a dyn Measure>,
    /// The most error that lossy passes may bring into the model.
    pub bound: Option<ErrorBound>,
}

impl<'a> PassContext<'a> {
    /// The calibration data, or the reason why `what` cannot do without them.
    ///
    /// # Errors
    /// If none were lent.
    pub fn data_for(&self, what: &str) -> Result<&'a dyn Measure, PassError> {
        let missing =
            || PassError::NotGiven(format!("`{what}` needs calibration data: give `--calibrate DATA`"));
        self.measure.ok_or_else(missing)
    }

    /// What errors are measured on: validation data where there are any, else the calibration data themselves. What is
    /// fitted, such as limits or the codes of GPTQ, is fitted to the calibration data alone, and errs less there than
    /// on others.
    pub fn judge(&self) -> Option<&'a dyn Measure> {
        self.validation.or(self.measure)
    }

    /// The same, or the reason why `what` cannot do without them.
    ///
    /// # Errors
    /// If no data were lent.
    pub fn judge_for(&self, what: &str) -> Result<&'a dyn Measure, PassError> {
        let measure = self.data_for(what)?;
        Ok(self.validation.unwrap_or(measure))
    }

    /// Whether it can be known if bounds hold, before any work is done for it.
    ///
    /// # Errors
    /// If there is nothing to measure with, or a bound is about text and that is none.
    pub fn can_tell(&self, bounds: &[ErrorBound]) -> Result<(), PassError> {
        for bound in bounds {
            let measure = self.judge_for(&format!("--max-error {bound}"))?;
            if bound.is_about_text() && measure.text().is_none() {
                let data = measure.describe();
                return Err(PassError::NotGiven(format!(
                    "the bound `{bound}` is about a text: found {data}, expected a `.npy` or `.txt` file of token \
                     ids, and a model that makes logits of them; `mse:X` is about any outputs"
                )));
            }
        }
        Ok(())
    }

    /// Lends the operators, nothing else.
    pub fn of(ops: &'a OpSet) -> Self {
        Self { ops, evaluate: None, legality: None, cost: None, measure: None, validation: None, bound: None }
    }
}
