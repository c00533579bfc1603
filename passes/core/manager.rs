//! The only loop: stage check, observers, pass, forget, verify.
use crate::analysis::Analyses;
use crate::editor::{Editor, Log};
use crate::observer::Observer;
use crate::pass::{Outcome, Pass, PassContext, PassError, PassInfo, PassKind};
use crate::pipeline::{Plan, PlanStep};
use std::sync::Arc;
use thiserror::Error;
use weft_ir::verify::Breach;
use weft_ir::{Module, Stage};

/// How many rewrites were made and how many there may be.
#[derive(Debug, Clone, Copy, Default)]
pub struct Budget {
    done: u64,
    limit: Option<u64>,
}

impl Budget {
    /// At most so many rewrites.
    pub fn at_most(limit: u64) -> Self {
        Self { done: 0, limit: Some(limit) }
    }

    /// How many were made.
    pub fn done(&self) -> u64 {
        self.done
    }

    /// Whether another one may be made.
    pub fn left(&self) -> bool {
        self.limit.is_none_or(|limit| self.done < limit)
    }

    /// How many more may be made, if that is limited.
    pub fn remaining(&self) -> Option<u64> {
        self.limit.map(|limit| limit.saturating_sub(self.done))
    }

    /// Counts one more; gives its number.
    pub(crate) fn spend(&mut self) -> u64 {
        self.done += 1;
        self.done
    }
}

/// Why a pipeline did not come to its end.
#[derive(Debug, Error)]
pub enum RunError {
    /// A pass stands where it cannot run.
    #[error("pass `{pass}` takes modules in stage {} to {}, found stage {found}", .accepts.0, .accepts.1)]
    Stage {
        /// The pass.
        pass: &'static str,
        /// What it takes.
        accepts: (Stage, Stage),
        /// What it was given.
        found: Stage,
    },
    /// A pass gave up.
    #[error("pass `{pass}`: {error}")]
    Pass {
        /// The pass.
        pass: &'static str,
        /// Why.
        error: PassError,
    },
    /// A pass left a graph that breaks rules.
    #[error("after pass `{pass}` the module breaks {} rules: {}", .breaches.len(), .breaches.join("; "))]
    Verify {
        /// The pass.
        pass: &'static str,
        /// Every broken rule.
        breaches: Vec<String>,
    },
}

impl RunError {
    /// The pass that did not do its work.
    pub fn pass(&self) -> &'static str {
        match self {
            RunError::Stage { pass, .. } | RunError::Pass { pass, .. } | RunError::Verify { pass, .. } => {
                pass
            }
        }
    }
}

/// Whether the module is verified after each pass that changed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VerifyEach {
    /// It is not.
    #[default]
    No,
    /// It is.
    Yes,
}

/// Runs plans on one module.
pub struct Manager<'a> {
    /// What passes are lent.
    pub context: PassContext<'a>,
    /// Who watches.
    pub observer: &'a mut dyn Observer,
    /// How many rewrites there may be.
    pub budget: Budget,
    /// Whether passes are checked upon.
    pub verify_each: VerifyEach,
}

/// What is known of the module that passes run on.
#[derive(Default)]
struct Known {
    analyses: Analyses,
    /// The module before the first lossy pass.
    exact: Option<Arc<Module>>,
}

impl Known {
    /// The module before the first lossy pass, which this one is if there was none yet.
    fn exact(&mut self, module: &Module) -> Arc<Module> {
        self.exact.get_or_insert_with(|| Arc::new(module.clone())).clone()
    }
}

/// One list of steps on its way.
struct Frame<'p> {
    steps: &'p [PlanStep],
    next: usize,
    /// Rounds left after this one; `None` for the plan itself.
    rounds: Option<u32>,
    outcome: Outcome,
}

impl<'p> Frame<'p> {
    fn new(steps: &'p [PlanStep], rounds: Option<u32>) -> Self {
        Self { steps, next: 0, rounds, outcome: Outcome::Unchanged }
    }
}

impl Manager<'_> {
    /// Runs a plan to its end or to the first error.
    pub fn run(&mut self, module: &mut Module, plan: &Plan) -> Result<Outcome, RunError> {
        let mut known = Known::default();
        let mut overall = Outcome::Unchanged;
        let mut frames = vec![Frame::new(&plan.steps, None)];
        while let Some(frame) = frames.last_mut() {
            let Some(step) = frame.steps.get(frame.next) else {
                if !self.again(frame) {
                    frames.pop();
                }
                continue;
            };
            frame.next += 1;
            match step {
                PlanStep::Fixpoint(rounds, inner) => frames.push(Frame::new(inner, Some(*rounds))),
                PlanStep::Pass(info, pass, _) => {
                    if self.pass(module, (info, &**pass), &mut known)? == Outcome::Changed {
                        overall = Outcome::Changed;
                        frames.iter_mut().for_each(|frame| frame.outcome = Outcome::Changed);
                    }
                }
            }
        }
        Ok(overall)
    }

    /// Whether a list that came to its end starts over.
    fn again(&mut self, frame: &mut Frame<'_>) -> bool {
        let Some(rounds) = frame.rounds else { return false };
        if frame.outcome == Outcome::Unchanged || !self.budget.left() {
            return false;
        }
        if rounds <= 1 {
            self.observer.unsettled(rounds);
            return false;
        }
        *frame = Frame::new(frame.steps, Some(rounds - 1));
        true
    }

    fn pass(
        &mut self,
        module: &mut Module,
        (info, pass): (&PassInfo, &dyn Pass),
        known: &mut Known,
    ) -> Result<Outcome, RunError> {
        let (first, last) = info.accepts;
        if module.stage < first || module.stage > last {
            return Err(RunError::Stage { pass: info.name, accepts: info.accepts, found: module.stage });
        }
        let failed = |error| RunError::Pass { pass: info.name, error };
        if info.kind == PassKind::Lossy {
            self.context.can_tell(self.context.bound.as_slice()).map_err(failed)?;
        }
        self.observer.before(info, module);
        let log = Log { rule: info.name.into(), observer: &mut *self.observer, budget: &mut self.budget };
        self.context.measure.iter().for_each(|measure| measure.tell(info.name));
        let exact = (info.kind == PassKind::Lossy).then(|| known.exact(module));
        let mut editor = Editor::new(module, self.context.ops, (&mut known.analyses, exact), log);
        let outcome = pass.run(&mut editor, &self.context).map_err(failed)?;
        if outcome == Outcome::Changed {
            known.analyses.clear();
            self.verify(module, info.name)?;
        }
        self.observer.after(info, module, outcome);
        Ok(outcome)
    }

    fn verify(&self, module: &Module, pass: &'static str) -> Result<(), RunError> {
        if self.verify_each == VerifyEach::No {
            return Ok(());
        }
        weft_ir::verify::verify(module, self.context.ops).map_err(|breaches| RunError::Verify {
            pass,
            breaches: breaches.iter().map(Breach::to_string).collect(),
        })
    }
}
