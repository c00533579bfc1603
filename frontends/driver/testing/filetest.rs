//! One file: its run, and the checks that nobody has to ask for.
use super::head::Head;
use super::seeded::{inputs_of_seed, seeded_inputs};
use crate::calibrate::Calibration;
use crate::compare::Tolerance;
use crate::driver::{Driver, PassOptions};
use crate::error::Error;
use crate::ports::Ports;
use crate::progress::Progress;
use similar::TextDiff;
use std::collections::BTreeMap;
use std::sync::Arc;
use weft_interp::Interpreter;
use weft_ir::text::{NoWeights, Style, print, weights_by_digest};
use weft_ir::{Module, OpSet, verify};
use weft_passes::{Declined, LedgerEntry, Observer, Outcome, VerifyEach, graph_at, graph_paths};

/// Lines around a change that a diff shows.
const CONTEXT: usize = 100;

/// A filetest.
#[derive(Debug, Clone)]
pub struct FileTest {
    /// Its directives.
    pub head: Head,
    module: Module,
}

/// What the passes said.
#[derive(Default)]
struct Reasons {
    declined: Vec<String>,
    rewrites: Vec<String>,
    notes: Vec<String>,
    unsettled: bool,
}

impl Observer for Reasons {
    fn rewrote(&mut self, rule: &str, at: &str, number: u64) {
        self.rewrites.push(format!("{number} {rule} at {at}"));
    }

    fn declined(&mut self, _rule: &str, _at: &str, why: &Declined) {
        self.declined.push(why.to_string());
    }

    fn noted(&mut self, _pass: &str, at: &str, note: &str) {
        self.notes.push(format!("%{at}: {note}"));
    }

    fn lossy(&mut self, entry: &LedgerEntry) {
        self.notes.extend(entry.layers.iter().map(|line| format!("%{}: {}", line.layer, line.what)));
    }

    fn limited(&mut self, _graph: &str, limit: &str) {
        self.declined.push(format!("stopped at {limit}"));
    }

    fn unsettled(&mut self, _rounds: u32) {
        self.unsettled = true;
    }
}

impl Progress for Reasons {}

impl FileTest {
    /// Reads the head and the module of a file.
    pub fn read(text: &str, ops: &OpSet) -> Result<Self, String> {
        let module = Module::parse(text, ops, &NoWeights);
        Ok(Self { head: Head::read(text)?, module: module.map_err(|error| format!("line {error}"))? })
    }

    /// Runs the pipeline and all checks; gives the diff.
    pub fn run(&self, driver: &Driver) -> Result<String, String> {
        let ops = driver.ops();
        let before = text_of(&self.module, ops)?;
        verified(&self.module, ops, "before")?;
        let mut after = self.module.clone();
        let mut reasons = Reasons::default();
        let outcome = self.pass(driver, &mut after, &mut reasons)?;
        let changed = text_of(&after, ops)?;
        let diff = diff(&before, &changed);
        if (outcome == Outcome::Changed) != (before != changed) {
            return Err(format!("it says {outcome:?}, but {diff}"));
        }
        if reasons.unsettled {
            return Err("a fixpoint does not settle".to_string());
        }
        let checks = [
            verified(&after, ops, "after"),
            self.agrees(driver, &after),
            self.expectations(&after, &reasons, outcome),
        ];
        checks.into_iter().collect::<Result<(), _>>().map_err(|wrong| format!("{wrong}\n{diff}"))?;
        self.converges(driver, &after)?;
        Ok(diff)
    }

    fn pass(&self, driver: &Driver, module: &mut Module, reasons: &mut Reasons) -> Result<Outcome, String> {
        let calibration = self.calibration()?.map(Arc::new);
        let options = PassOptions { verify_each: VerifyEach::Yes, calibration, ..PassOptions::default() };
        let shown = |error: Error| error.to_string();
        let plan = driver.plan(&self.head.pipeline).map_err(shown)?;
        driver.optimise(module, &plan, options, reasons).map_err(shown)
    }

    fn calibration(&self) -> Result<Option<Calibration>, String> {
        let Some(count) = self.head.calibrate else { return Ok(None) };
        let inputs = (1..=count).map(|seed| inputs_of_seed(&self.module, &self.head.symbols, seed));
        let ports = Ports::of_graph(&self.module.graph);
        let data = Calibration::held("seeded", inputs.collect::<Result<_, _>>()?, &ports);
        data.map(Some).map_err(|error| error.to_string())
    }

    /// A second run changes nothing.
    fn converges(&self, driver: &Driver, after: &Module) -> Result<(), String> {
        let (mut again, mut reasons) = (after.clone(), Reasons::default());
        match self.pass(driver, &mut again, &mut reasons)? {
            Outcome::Unchanged => Ok(()),
            Outcome::Changed => {
                let diff = diff(&text_of(after, driver.ops())?, &text_of(&again, driver.ops())?);
                Err(format!("a second run changes more: {:?}\n{diff}", reasons.rewrites))
            }
        }
    }

    /// Both modules compute the same from the same inputs.
    fn agrees(&self, driver: &Driver, after: &Module) -> Result<(), String> {
        let interpreter = Interpreter::with_ops(driver.ops());
        let known = |module| counts(module).keys().all(|op| interpreter.computes(op));
        if !known(&self.module) || !known(after) {
            return Ok(());
        }
        let inputs = seeded_inputs(&self.module, &self.head.symbols)?;
        let run =
            |module, when| interpreter.run(module, &inputs).map_err(|e| format!("interpreting {when}: {e}"));
        let (expected, found) = (run(&self.module, "before")?, run(after, "after")?);
        let tolerance = Tolerance { rtol: self.head.tolerance, atol: self.head.tolerance };
        for (i, (expected, found)) in expected.iter().zip(&found).enumerate() {
            tolerance.compare(expected, found).map_err(|e| format!("output {i}: {e}"))?;
        }
        Ok(())
    }

    fn expectations(&self, after: &Module, reasons: &Reasons, outcome: Outcome) -> Result<(), String> {
        let counts = counts(after);
        for (op, expected) in &self.head.expect {
            let found = counts.get(op.as_str()).copied().unwrap_or(0);
            if found != *expected {
                return Err(format!("expected {expected} of `{op}`, found {found}; {:?}", reasons.declined));
            }
        }
        if self.head.nothing && outcome == Outcome::Changed {
            return Err("expected nothing to change".to_string());
        }
        let noted = |wanted: &String| reasons.notes.iter().any(|note| note.contains(wanted.as_str()));
        if let Some(wanted) = self.head.notes.as_ref().filter(|wanted| !noted(wanted)) {
            return Err(format!("nothing noted `{wanted}`: {:?}", reasons.notes));
        }
        let given = |wanted: &String| reasons.declined.iter().any(|why| why.contains(wanted.as_str()));
        match &self.head.declines {
            Some(wanted) if !given(wanted) => Err(format!("nothing declined so: {:?}", reasons.declined)),
            _ => Ok(()),
        }
    }
}

/// The text, which must read back to the same text.
fn text_of(module: &Module, ops: &OpSet) -> Result<String, String> {
    let text = print(module, ops, Style::default());
    let again = Module::parse(&text, ops, &weights_by_digest(module));
    let again = again.map_err(|error| format!("what was printed does not parse: {error}\n{text}"))?;
    match print(&again, ops, Style::default()) == text {
        true => Ok(text),
        false => Err(format!("the text does not read back to itself\n{text}")),
    }
}

fn verified(module: &Module, ops: &OpSet, when: &str) -> Result<(), String> {
    verify::verify(module, ops).map_err(|breaches| {
        let lines: Vec<String> = breaches.iter().map(ToString::to_string).collect();
        format!("rules broken {when}:\n{}", lines.join("\n"))
    })
}

fn counts(module: &Module) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    let paths = graph_paths(&module.graph);
    for graph in paths.iter().filter_map(|path| graph_at(&module.graph, path)) {
        for id in graph.nodes() {
            *counts.entry(graph.node(id).op.to_string()).or_insert(0) += 1;
        }
    }
    counts
}

fn diff(before: &str, after: &str) -> String {
    let diff = TextDiff::from_lines(before, after);
    diff.unified_diff().context_radius(CONTEXT).header("before", "after").to_string()
}
