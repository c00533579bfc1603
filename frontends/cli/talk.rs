//! What is said while the work goes on: to a person at a terminal a moving line, elsewhere plain lines.
use crate::args::Talk;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};
use weft::{Phase, Progress, Tell, ledger_text};
use weft_ir::Module;
use weft_passes::{LedgerEntry, Observer, Outcome, PassInfo};

/// The time that one pass took in one place of the pipeline.
#[derive(Debug, Clone)]
pub(crate) struct PassTime {
    pub(crate) pass: &'static str,
    pub(crate) seconds: f64,
    pub(crate) changed: bool,
    /// Nodes of the main graph afterwards.
    pub(crate) nodes: usize,
}

/// Tells how the work goes, on standard error.
pub(crate) struct Teller {
    talk: Talk,
    bar: Option<ProgressBar>,
    phase: Instant,
    pass: Instant,
    /// Every pass that ran, in order.
    pub(crate) passes: Vec<PassTime>,
    /// What every lossy pass cost.
    pub(crate) ledger: Vec<LedgerEntry>,
}

impl Teller {
    pub(crate) fn new(talk: Talk) -> Self {
        let lively = !talk.quiet && io::stderr().is_terminal();
        let bar = lively.then(spinner);
        Self {
            talk,
            bar,
            phase: Instant::now(),
            pass: Instant::now(),
            passes: Vec::new(),
            ledger: Vec::new(),
        }
    }

    /// Says a line.
    pub(crate) fn say(&self, line: &str) {
        if self.talk.quiet {
            return;
        }
        match &self.bar {
            Some(bar) => bar.suspend(|| drop(writeln!(io::stderr(), "{line}"))),
            None => drop(writeln!(io::stderr(), "{line}")),
        }
    }

    /// Says a line if asked to say more.
    pub(crate) fn say_more(&self, line: &str) {
        if self.talk.verbose {
            self.say(line);
        }
    }

    /// Shows what is being done, without leaving a line behind.
    pub(crate) fn doing(&self, what: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(what.to_string());
        }
    }

    /// Shows what is being done, told from any thread; where there is no moving line, as lines if more is
    /// to be said.
    pub(crate) fn listener(&self) -> Tell {
        let (bar, verbose) = (self.bar.clone(), self.talk.verbose);
        Arc::new(move |what| match &bar {
            Some(bar) => bar.set_message(what.to_string()),
            None if verbose => drop(writeln!(io::stderr(), "  {what}")),
            None => {}
        })
    }

    /// Takes the moving line away, before results are printed.
    pub(crate) fn rest(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn say_passes(&self) {
        for pass in &self.passes {
            let change = if pass.changed { "changed" } else { "-" };
            let (ms, name, nodes) = (pass.seconds * 1e3, pass.pass, pass.nodes);
            self.say_more(&format!("  {ms:9.2} ms  {name:<28} {change:<8} {nodes} nodes"));
        }
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        self.rest();
    }
}

fn spinner() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

impl Observer for Teller {
    fn before(&mut self, pass: &PassInfo, _: &Module) {
        self.pass = Instant::now();
        self.doing(&format!("{}: {}", Phase::Optimise, pass.name));
    }

    fn after(&mut self, pass: &PassInfo, module: &Module, outcome: Outcome) {
        let (seconds, nodes) = (self.pass.elapsed().as_secs_f64(), module.graph.len());
        let changed = outcome == Outcome::Changed;
        self.passes.push(PassTime { pass: pass.name, seconds, changed, nodes });
    }

    fn limited(&mut self, graph: &str, limit: &str) {
        self.say_more(&format!("  the search of `{graph}` stopped at {limit}"));
    }

    fn lossy(&mut self, entry: &LedgerEntry) {
        self.say(ledger_text(entry).trim_end());
        self.ledger.push(entry.clone());
    }

    fn unsettled(&mut self, rounds: u32) {
        self.say(&format!("  passes still changed something when they were stopped, in round {rounds}"));
    }
}

impl Progress for Teller {
    fn begin(&mut self, phase: Phase) {
        self.phase = Instant::now();
        self.bar.iter().for_each(ProgressBar::reset_elapsed);
        self.doing(phase.name());
    }

    fn done(&mut self, phase: Phase, result: &str) {
        if phase == Phase::Optimise {
            self.say_passes();
        }
        self.say(&format!("{phase}: {result} ({:.2} s)", self.phase.elapsed().as_secs_f64()));
    }

    fn remark(&mut self, text: &str) {
        self.say_more(&format!("  {text}"));
    }
}
