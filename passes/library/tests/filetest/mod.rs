//! One file: its head, its run, and the checks that nobody has to ask for.
mod inputs;

use std::collections::BTreeMap;
use std::sync::Arc;
use weft_interp::Interpreter;
use weft_ir::text::{NoWeights, Style, print, weights_by_digest};
use weft_ir::{Module, Node, OpSet, Tensor};
use weft_passes::{
    Budget, Declined, Evaluate, Manager, Observer, Outcome, PassContext, Pipeline, Registry, VerifyEach,
    graph_at, graph_paths,
};

/// The head of a file and its module.
pub(crate) struct FileTest {
    pipeline: Pipeline,
    /// Operators and how many there must be in the end.
    pub(crate) expect: BTreeMap<String, usize>,
    /// A reason that must be given.
    pub(crate) declines: Option<String>,
    nothing: bool,
    tolerance: f64,
    symbols: BTreeMap<String, i64>,
    module: Module,
}

/// The interpreter, lent to `fold-constants`.
struct Interp;

impl Evaluate for Interp {
    fn evaluate(&self, node: &Node, operands: &[Option<Arc<Tensor>>]) -> Result<Vec<Tensor>, String> {
        Interpreter::default().eval_node(node, operands).map_err(|e| e.to_string())
    }
}

#[derive(Default)]
struct Reasons {
    declined: Vec<String>,
    rewrites: Vec<String>,
    unsettled: bool,
}

impl Observer for Reasons {
    fn rewrote(&mut self, rule: &str, at: &str, number: u64) {
        self.rewrites.push(format!("{number} {rule} at {at}"));
    }
    fn declined(&mut self, _rule: &str, _at: &str, why: &Declined) {
        self.declined.push(why.to_string());
    }
    fn unsettled(&mut self, _rounds: u32) {
        self.unsettled = true;
    }
}

impl FileTest {
    /// Reads the head and the module.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let mut head: BTreeMap<&str, &str> = BTreeMap::new();
        for line in text.lines().map_while(|line| line.strip_prefix("//")) {
            let (key, value) = line.split_once(':').ok_or(format!("`//{line}` is no directive"))?;
            head.insert(key.trim(), value.trim());
        }
        let pipeline = head.remove("pipeline").ok_or("it names no pipeline")?;
        head.remove("why").filter(|why| why.ends_with('.')).ok_or("it does not say why, in a sentence")?;
        let expect = head.remove("expect").unwrap_or_default();
        let nothing = expect == "nothing";
        let declines = head.remove("declines").map(str::to_string);
        if expect.is_empty() && declines.is_none() {
            return Err("it neither expects nor declines anything".to_string());
        }
        let counts: Result<_, String> = pairs(if nothing { "" } else { expect }, ' ').collect();
        let symbols: Result<_, String> = pairs(head.remove("symbols").unwrap_or_default(), '=').collect();
        let test = Self {
            pipeline: pipeline.parse().map_err(|e| format!("{e}"))?,
            expect: counts?,
            declines,
            nothing,
            tolerance: head.remove("tolerance").map_or(Ok(1e-4), str::parse).map_err(|e| format!("{e}"))?,
            symbols: symbols?,
            module: Module::parse(text, OpSet::builtin(), &NoWeights).map_err(|e| e.to_string())?,
        };
        match head.keys().next() {
            Some(key) => Err(format!("`{key}` is no directive")),
            None => Ok(test),
        }
    }

    /// Whether the file says that nothing happens.
    pub(crate) fn unchanged(&self) -> bool {
        self.nothing
    }

    /// Runs the pipeline and all checks; gives the diff.
    pub(crate) fn run(&self) -> Result<String, String> {
        let before = text_of(&self.module)?;
        verified(&self.module, "before")?;
        let mut after = self.module.clone();
        let mut reasons = Reasons::default();
        let outcome = self.pass(&mut after, &mut reasons)?;
        let changed = text_of(&after)?;
        if (outcome == Outcome::Changed) != (before != changed) {
            return Err(format!("it says {outcome:?}, but {}", diff(&before, &changed)));
        }
        if reasons.unsettled {
            return Err("a fixpoint does not settle".to_string());
        }
        verified(&after, "after").map_err(|e| format!("{e}\n{}", diff(&before, &changed)))?;
        self.converges(&after)?;
        self.agrees(&after).map_err(|e| format!("{e}\n{}", diff(&before, &changed)))?;
        self.expectations(&after, &reasons, before == changed)
            .map_err(|e| format!("{e}\n{}", diff(&before, &changed)))?;
        Ok(diff(&before, &changed))
    }

    fn pass(&self, module: &mut Module, reasons: &mut Reasons) -> Result<Outcome, String> {
        let mut registry = Registry::default();
        weft_library::register(&mut registry).map_err(|e| e.to_string())?;
        let plan = self.pipeline.resolve(&registry).map_err(|errors| format!("{errors:?}"))?;
        let context = PassContext { ops: OpSet::builtin(), evaluate: Some(&Interp), legality: None };
        let mut manager =
            Manager { context, observer: reasons, budget: Budget::default(), verify_each: VerifyEach::Yes };
        manager.run(module, &plan).map_err(|e| e.to_string())
    }

    fn converges(&self, after: &Module) -> Result<(), String> {
        let (mut again, mut reasons) = (after.clone(), Reasons::default());
        match self.pass(&mut again, &mut reasons)? {
            Outcome::Unchanged => Ok(()),
            Outcome::Changed => {
                let diff = diff(&text_of(after)?, &text_of(&again)?);
                Err(format!("a second run changes more: {:?}\n{diff}", reasons.rewrites))
            }
        }
    }

    /// Both modules compute the same from the same inputs.
    fn agrees(&self, after: &Module) -> Result<(), String> {
        if !known(&self.module) || !known(after) {
            return Ok(());
        }
        let inputs = inputs::seeded(&self.module, &self.symbols)?;
        let run = |module| Interpreter::default().run(module, &inputs).map_err(|e| e.to_string());
        let expected = run(&self.module).map_err(|e| format!("interpreting before: {e}"))?;
        let found = run(after).map_err(|e| format!("interpreting after: {e}"))?;
        for (i, (expected, found)) in expected.iter().zip(&found).enumerate() {
            inputs::close(expected, found, self.tolerance).map_err(|e| format!("output {i}: {e}"))?;
        }
        Ok(())
    }

    fn expectations(&self, after: &Module, reasons: &Reasons, same: bool) -> Result<(), String> {
        let counts = counts(after);
        for (op, expected) in &self.expect {
            let found = counts.get(op.as_str()).copied().unwrap_or(0);
            if found != *expected {
                return Err(format!("expected {expected} of `{op}`, found {found}; {:?}", reasons.declined));
            }
        }
        if self.nothing && !same {
            return Err("expected nothing to change".to_string());
        }
        let given = |wanted: &String| reasons.declined.iter().any(|why| why.contains(wanted.as_str()));
        match &self.declines {
            Some(wanted) if !given(wanted) => Err(format!("nothing declined so: {:?}", reasons.declined)),
            _ => Ok(()),
        }
    }
}

/// `Conv 1, Exp 0` and `N=2, S=5` as names and numbers.
fn pairs<T: std::str::FromStr>(list: &str, mark: char) -> impl Iterator<Item = Result<(String, T), String>> {
    list.split(',').filter(|item| !item.trim().is_empty()).map(move |item| {
        let (name, number) = item.trim().split_once(mark).ok_or(format!("`{item}` has no number"))?;
        Ok((name.to_string(), number.trim().parse().map_err(|_| format!("`{item}` has no number"))?))
    })
}

/// The text, which must read back to the same text.
fn text_of(module: &Module) -> Result<String, String> {
    let ops = OpSet::builtin();
    let text = print(module, ops, Style::default());
    let again = Module::parse(&text, ops, &weights_by_digest(module)).map_err(|e| format!("{e}\n{text}"))?;
    match print(&again, ops, Style::default()) == text {
        true => Ok(text),
        false => Err(format!("the text does not read back to itself\n{text}")),
    }
}

fn verified(module: &Module, when: &str) -> Result<(), String> {
    weft_ir::verify::verify(module, OpSet::builtin()).map_err(|breaches| {
        let lines: Vec<String> = breaches.iter().map(|breach| breach.to_string()).collect();
        format!("rules broken {when}:\n{}", lines.join("\n"))
    })
}

fn known(module: &Module) -> bool {
    counts(module).keys().all(|op| Interpreter::knows(op))
}

fn counts(module: &Module) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for path in graph_paths(&module.graph) {
        let graph = graph_at(&module.graph, &path).unwrap();
        for id in graph.nodes() {
            *counts.entry(graph.node(id).op.to_string()).or_insert(0) += 1;
        }
    }
    counts
}

fn diff(before: &str, after: &str) -> String {
    similar::TextDiff::from_lines(before, after)
        .unified_diff()
        .context_radius(100)
        .header("before", "after")
        .to_string()
}
