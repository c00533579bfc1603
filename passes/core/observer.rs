//! Watching a pipeline run.
use crate::ledger::LedgerEntry;
use crate::pass::{Declined, Outcome, PassInfo};
use weft_ir::Module;

/// Watches a pipeline run: timing, dumps, diffs and ledgers are observers, never part of a pass.
pub trait Observer {
    /// Before a pass.
    fn before(&mut self, _pass: &PassInfo, _module: &Module) {}
    /// After a pass that succeeded.
    fn after(&mut self, _pass: &PassInfo, _module: &Module, _outcome: Outcome) {}
    /// After each rewrite: the rule, the name of the value it began at, its running number.
    fn rewrote(&mut self, _rule: &str, _at: &str, _number: u64) {}
    /// When a rule found its place and declined.
    fn declined(&mut self, _rule: &str, _at: &str, _why: &Declined) {}
    /// When a pass tells what it found at a value: what a folded expression was, say.
    fn noted(&mut self, _pass: &str, _at: &str, _note: &str) {}
    /// When a `fixpoint` still changed something in its last round, or a pass visited nodes so often.
    fn unsettled(&mut self, _rounds: u32) {}
    /// When a search of a graph stopped at a limit, such as `nodes=20000`.
    fn limited(&mut self, _graph: &str, _limit: &str) {}
    /// When a search found a cheaper form of a graph: what both cost, in picoseconds of the cost model.
    fn weighed(&mut self, _graph: &str, _before: u64, _after: u64) {}
    /// When a lossy pass is done: what it cost.
    fn lossy(&mut self, _entry: &LedgerEntry) {}
}

/// Watches nothing.
pub struct Silent;

impl Observer for Silent {}
