//! `weft opt`
use crate::args::{OptArgs, OptEmit, Talk};
use crate::failure::Failure;
use crate::out;
use crate::talk::Teller;
use serde_json::json;
use similar::TextDiff;
use std::collections::BTreeMap;
use weft::{Driver, Model, OnnxForm, PassOptions, Phase, Progress, fix_input, ledger_json};
use weft_ir::text::{Style, Weights, print};
use weft_ir::{Module, OpSet};
use weft_onnx::Form;
use weft_passes::{Budget, Declined, LedgerEntry, Observer, Outcome, PassInfo, VerifyEach};

pub(crate) fn run(args: &OptArgs, talk: Talk) -> Result<(), Failure> {
    let driver = args.extensions.driver()?;
    check(args, &driver)?;
    let pipeline = args.pipeline.clone().or_else(|| args.extensions.rewrite());
    let plan = driver.plan(&pipeline.unwrap_or_default())?;
    let mut watch = Watch::new(args, talk, driver.ops());
    let Model { mut module, report, .. } = driver.read(&args.model, &args.dims.dims()?, &mut watch)?;
    for (name, value) in &args.fix {
        fix_input(&mut module, name, value)?;
    }
    let before = if args.diff { shown(&module, driver.ops()) } else { String::new() };
    let budget = args.stop_after.map_or_else(Budget::default, Budget::at_most);
    let verify_each = if args.verify_each { VerifyEach::Yes } else { VerifyEach::No };
    let mut options = PassOptions { budget, verify_each, ..PassOptions::default() };
    if let Some(cpu) = &args.cpu {
        options = options.for_cpu(cpu)?;
    }
    args.calibrating.lend(&module, &watch.teller, &mut options)?;
    driver.optimise(&mut module, &plan, options, &mut watch)?;
    watch.teller.rest();
    args.calibrating.write(&watch.teller.ledger, &watch.teller)?;
    watch.say_counts();
    if let Some(path) = &args.output {
        match args.emit {
            OptEmit::Weft => drop(driver.write(&module, path)?),
            OptEmit::Onnx => drop(driver.write_onnx((&module, &report), path, args.onnx.form())?),
            OptEmit::Onnxtxt => {
                let form = OnnxForm { form: Form::Text, ..args.onnx.form() };
                drop(driver.write_onnx((&module, &report), path, form)?);
            }
        }
        watch.teller.say(&format!("written: {}", path.display()));
    }
    if talk.json {
        out::json(&watch.summary());
    } else if args.diff {
        out::print(&diff(&before, &shown(&module, driver.ops())));
    } else if args.output.is_none() {
        out::print(&shown(&module, driver.ops()));
    }
    Ok(())
}

fn check(args: &OptArgs, driver: &Driver) -> Result<(), Failure> {
    if args.emit != OptEmit::Weft && args.output.is_none() {
        return Err(Failure::Misuse("an ONNX model needs `-o FILE`".to_string()));
    }
    let known = |name: &String| name == "all" || driver.registry().pass(name).is_some();
    match args.print_after.iter().find(|name| !known(name)) {
        Some(name) => Err(Failure::Misuse(format!("`--print-after {name}`: no pass has this name"))),
        None => Ok(()),
    }
}

/// The text for a person: large weights by name alone.
fn shown(module: &Module, ops: &OpSet) -> String {
    print(module, ops, Style { weights: Weights::Unnamed })
}

fn diff(before: &str, after: &str) -> String {
    TextDiff::from_lines(before, after).unified_diff().header("before", "after").to_string()
}

/// Watches the passes for `--print-after` and `--explain`.
struct Watch<'a> {
    teller: Teller,
    args: &'a OptArgs,
    ops: &'a OpSet,
    rewrites: BTreeMap<String, u64>,
    declined: BTreeMap<(String, String), u64>,
    /// The pass, the value, and what was found there.
    notes: Vec<(String, String, String)>,
}

impl<'a> Watch<'a> {
    fn new(args: &'a OptArgs, talk: Talk, ops: &'a OpSet) -> Self {
        let (rewrites, declined) = (BTreeMap::new(), BTreeMap::new());
        Self { teller: Teller::new(talk), args, ops, rewrites, declined, notes: Vec::new() }
    }

    /// How often each rule fired and why others did not, after the places of all of them.
    fn say_counts(&self) {
        if !self.args.explain {
            return;
        }
        for (rule, times) in &self.rewrites {
            self.teller.say(&format!("{times:6} × {rule}"));
        }
        for ((rule, why), times) in &self.declined {
            self.teller.say(&format!("{times:6} × not {rule}: {why}"));
        }
    }

    fn summary(&self) -> serde_json::Value {
        let passes = self.teller.passes.iter().map(|pass| {
            json!({ "pass": pass.pass, "ms": pass.seconds * 1e3, "changed": pass.changed, "nodes": pass.nodes })
        });
        let declined = self
            .declined
            .iter()
            .map(|((pass, reason), times)| json!({ "pass": pass, "reason": reason, "times": times }));
        let notes = self.notes.iter().map(|(pass, at, note)| json!({ "pass": pass, "at": at, "note": note }));
        json!({
            "notes": notes.collect::<Vec<_>>(),
            "passes": passes.collect::<Vec<_>>(),
            "rewrites": self.rewrites,
            "declined": declined.collect::<Vec<_>>(),
            "ledger": ledger_json(&self.teller.ledger),
        })
    }
}

impl Observer for Watch<'_> {
    fn before(&mut self, pass: &PassInfo, module: &Module) {
        self.teller.before(pass, module);
    }

    fn after(&mut self, pass: &PassInfo, module: &Module, outcome: Outcome) {
        self.teller.after(pass, module, outcome);
        let asked = self.args.print_after.iter().any(|name| name == pass.name || name == "all");
        if asked && outcome == Outcome::Changed {
            let text = shown(module, self.ops);
            self.teller.rest();
            out::print(&format!("// after {}\n{text}\n", pass.name));
        }
    }

    fn rewrote(&mut self, rule: &str, at: &str, number: u64) {
        *self.rewrites.entry(rule.to_string()).or_default() += 1;
        if self.args.explain {
            self.teller.say(&format!("  {number}: {rule} at `%{at}`"));
        }
    }

    fn declined(&mut self, rule: &str, at: &str, why: &Declined) {
        *self.declined.entry((rule.to_string(), why.to_string())).or_default() += 1;
        if self.args.explain {
            self.teller.say(&format!("  not: {rule} at `%{at}`: {why}"));
        }
    }

    fn noted(&mut self, pass: &str, at: &str, note: &str) {
        self.notes.push((pass.to_string(), at.to_string(), note.to_string()));
        if self.args.explain {
            self.teller.say(&format!("  {pass} at `%{at}`: {note}"));
        }
    }

    fn lossy(&mut self, entry: &LedgerEntry) {
        self.teller.lossy(entry);
    }

    fn limited(&mut self, graph: &str, limit: &str) {
        self.teller.limited(graph, limit);
    }

    fn weighed(&mut self, graph: &str, before: u64, after: u64) {
        self.teller.weighed(graph, before, after);
    }

    fn unsettled(&mut self, rounds: u32) {
        self.teller.unsettled(rounds);
    }
}

impl Progress for Watch<'_> {
    fn begin(&mut self, phase: Phase) {
        self.teller.begin(phase);
    }

    fn done(&mut self, phase: Phase, result: &str) {
        self.teller.done(phase, result);
    }

    fn remark(&mut self, text: &str) {
        self.teller.remark(text);
    }
}
