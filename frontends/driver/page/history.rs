//! What happened while a pipeline ran, kept to be shown afterwards.
use crate::progress::Progress;
use std::time::{Duration, Instant};
use weft_ir::Module;
use weft_passes::{Declined, LedgerEntry, Observer, Outcome, PassInfo};

/// One run of one pass.
#[derive(Debug, Clone)]
pub struct Step {
    /// The pass.
    pub pass: &'static str,
    /// How long it took.
    pub took: Duration,
    /// Nodes of the main graph afterwards.
    pub nodes: usize,
    /// Whether anything changed.
    pub outcome: Outcome,
    /// The rules that fired, and the values where they did, in order.
    pub rewrites: Vec<(String, String)>,
    /// The rules that did not, where, and why.
    pub declined: Vec<(String, String, String)>,
}

impl Step {
    /// Whether there is anything to say of it but its time.
    pub fn is_told(&self) -> bool {
        self.outcome == Outcome::Changed || !self.declined.is_empty()
    }
}

/// Every pass of a pipeline, in the order they ran.
#[derive(Debug, Default)]
pub struct History {
    /// The runs.
    pub steps: Vec<Step>,
    /// What lossy passes cost.
    pub ledger: Vec<LedgerEntry>,
    rewrites: Vec<(String, String)>,
    declined: Vec<(String, String, String)>,
    began: Option<Instant>,
}

impl Observer for History {
    fn before(&mut self, _: &PassInfo, _: &Module) {
        self.began = Some(Instant::now());
    }

    fn after(&mut self, pass: &PassInfo, module: &Module, outcome: Outcome) {
        self.steps.push(Step {
            pass: pass.name,
            took: self.began.take().map_or(Duration::ZERO, |began| began.elapsed()),
            nodes: module.graph.len(),
            outcome,
            rewrites: std::mem::take(&mut self.rewrites),
            declined: std::mem::take(&mut self.declined),
        });
    }

    fn rewrote(&mut self, rule: &str, at: &str, _: u64) {
        self.rewrites.push((rule.to_string(), at.to_string()));
    }

    fn lossy(&mut self, entry: &LedgerEntry) {
        self.ledger.push(entry.clone());
    }

    fn declined(&mut self, rule: &str, at: &str, why: &Declined) {
        self.declined.push((rule.to_string(), at.to_string(), why.to_string()));
    }
}

impl Progress for History {}
