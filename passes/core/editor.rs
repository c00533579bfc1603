//! The one door through which passes change a module.
use crate::analysis::Analyses;
use crate::facts::AllFacts;
use crate::ledger::LedgerEntry;
use crate::manager::Budget;
use crate::observer::Observer;
use crate::pass::{Declined, Outcome, PassError};
use crate::rewriter::Rewriter;
use crate::settle::{Prefer, settle};
use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::Arc;
use weft_ir::{Graph, Module, NodeId, OpSet, Stage, TensorType, Value};

/// The way from the main graph to a graph of control flow: node and region, outermost first.
pub type GraphPath = Vec<(NodeId, usize)>;

/// Every graph of a module, outer ones before inner ones.
pub fn graph_paths(main: &Graph) -> Vec<GraphPath> {
    let mut paths = vec![GraphPath::new()];
    let mut next = 0;
    while let Some(path) = paths.get(next).cloned() {
        next += 1;
        let Some(graph) = graph_at(main, &path) else { continue };
        for id in graph.nodes() {
            for region in 0..graph.node(id).regions.len() {
                paths.push(path.iter().copied().chain([(id, region)]).collect());
            }
        }
    }
    paths
}

/// The graph at the end of a path.
pub fn graph_at<'g>(main: &'g Graph, path: &GraphPath) -> Option<&'g Graph> {
    path.iter().try_fold(main, |graph, (id, region)| graph.node(*id).regions.get(*region))
}

fn graph_at_mut<'g>(main: &'g mut Graph, path: &GraphPath) -> Option<&'g mut Graph> {
    path.iter().try_fold(main, |graph, (id, region)| graph.node_mut(*id).regions.get_mut(*region))
}

/// Who is told of changes, and how many more there may be.
pub(crate) struct Log<'a> {
    pub(crate) rule: Arc<str>,
    pub(crate) observer: &'a mut dyn Observer,
    pub(crate) budget: &'a mut Budget,
}

impl Log<'_> {
    /// Counts one rewrite that was made.
    pub(crate) fn rewrote(&mut self, at: &str) {
        let number = self.budget.spend();
        self.observer.rewrote(&self.rule, at, number);
    }

    /// Tells of one that was not.
    pub(crate) fn declined(&mut self, at: &str, why: &Declined) {
        self.observer.declined(&self.rule, at, why);
    }

    fn reborrow(&mut self) -> Log<'_> {
        Log { rule: self.rule.clone(), observer: &mut *self.observer, budget: &mut *self.budget }
    }
}

/// The one door through which passes change a module: every change is named, counted and can be
/// stopped after so many. It can be read like a [`Module`].
pub struct Editor<'a> {
    module: &'a mut Module,
    ops: &'a OpSet,
    analyses: &'a mut Analyses,
    log: Log<'a>,
    outcome: Outcome,
    exact: Option<Arc<Module>>,
}

impl Deref for Editor<'_> {
    type Target = Module;

    fn deref(&self) -> &Module {
        self.module
    }
}

impl<'a> Editor<'a> {
    pub(crate) fn new(
        module: &'a mut Module,
        ops: &'a OpSet,
        (analyses, exact): (&'a mut Analyses, Option<Arc<Module>>),
        log: Log<'a>,
    ) -> Self {
        Self { module, ops, analyses, log, outcome: Outcome::Unchanged, exact }
    }

    /// The module before the first lossy pass, if this is one.
    pub(crate) fn exact(&self) -> Option<Arc<Module>> {
        self.exact.clone()
    }

    /// Tells what a lossy pass cost.
    pub(crate) fn enter(&mut self, entry: &LedgerEntry) {
        self.log.observer.lossy(&LedgerEntry { pass: self.log.rule.to_string(), ..entry.clone() });
    }

    /// Whether anything was changed through this editor.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Whether another rewrite may be made; `--stop-after N` says no after N of them.
    pub fn may_rewrite(&self) -> bool {
        self.log.budget.left()
    }

    /// How many more rewrites may be made, if that is limited.
    pub fn rewrites_left(&self) -> Option<u64> {
        self.log.budget.remaining()
    }

    /// Tells why a rule that found its place at a value did not fire.
    pub fn decline(&mut self, at: &str, why: &Declined) {
        self.log.declined(at, why);
    }

    /// Puts a module that was rewritten elsewhere in the place of this one, if it keeps the rules
    /// and is the same to those around it. `rewrites` are the values where it was changed.
    pub fn adopt(&mut self, module: Module, rewrites: &[String]) -> Result<Outcome, PassError> {
        if module.stage < self.module.stage {
            let (found, expected) = (module.stage, self.module.stage);
            return Err(PassError::Failed(format!("it goes back to stage {found}, from {expected}")));
        }
        same_interface(&module.graph, &self.module.graph)?;
        weft_ir::verify::verify(&module, self.ops).map_err(|breaches| {
            let lines: Vec<String> = breaches.iter().map(ToString::to_string).collect();
            PassError::Failed(format!("it breaks {} rules: {}", lines.len(), lines.join("; ")))
        })?;
        let whole = [self.module.graph.name.clone()];
        let places = if rewrites.is_empty() { &whole } else { rewrites };
        places.iter().for_each(|at| self.log.rewrote(at));
        *self.module = module;
        self.changed();
        Ok(self.outcome)
    }

    fn changed(&mut self) {
        self.outcome = Outcome::Changed;
        self.analyses.clear();
    }

    /// Moves the module forward to a stage.
    pub fn advance(&mut self, stage: Stage) {
        if stage > self.module.stage && self.may_rewrite() {
            self.module.stage = stage;
            self.log.rewrote(stage.name());
            self.changed();
        }
    }

    /// Infers all types anew, or says everything that is wrong with the graph.
    pub fn infer_types(&mut self) -> Result<Outcome, PassError> {
        if !self.may_rewrite() {
            return Ok(self.outcome);
        }
        let before = all_types(&self.module.graph);
        weft_ir::infer::infer(&mut self.module.graph, self.ops).map_err(PassError::Invalid)?;
        if before != all_types(&self.module.graph) {
            self.log.rewrote("types");
            self.changed();
        }
        Ok(self.outcome)
    }

    /// Lets `visit` rewrite every graph, those of control flow before the one they hang on.
    pub fn each_graph(
        &mut self,
        mut visit: impl FnMut(&mut Rewriter<'_>) -> Result<(), PassError>,
    ) -> Result<Outcome, PassError> {
        for path in graph_paths(&self.module.graph).into_iter().rev() {
            if !self.may_rewrite() {
                break;
            }
            self.graph(&path, &mut visit)?;
        }
        Ok(self.outcome)
    }

    /// Lets `visit` rewrite the main graph.
    pub(crate) fn main_graph(
        &mut self,
        mut visit: impl FnMut(&mut Rewriter<'_>) -> Result<(), PassError>,
    ) -> Result<(), PassError> {
        self.graph(&GraphPath::new(), &mut visit)
    }

    fn graph(
        &mut self,
        path: &GraphPath,
        visit: &mut impl FnMut(&mut Rewriter<'_>) -> Result<(), PassError>,
    ) -> Result<(), PassError> {
        let bound = input_symbols(&self.module.graph);
        let facts = self.analyses.get::<AllFacts>(self.module, self.ops);
        let known = facts.get(path).cloned().unwrap_or_else(|| Arc::new(weft_ir::infer::Facts::new()));
        let Some(graph) = graph_at_mut(&mut self.module.graph, path) else { return Ok(()) };
        let mut rewriter = Rewriter::new(graph, self.ops, (known, &bound), self.log.reborrow());
        let done = visit(&mut rewriter);
        if rewriter.outcome() == Outcome::Changed {
            self.changed();
        }
        done
    }

    /// Lets `visit` look at every node, producers first, and again at nodes whose surroundings it
    /// changed, until it changes no more. See [`Rewriter`] for what it can do there.
    pub fn each_node(
        &mut self,
        mut visit: impl FnMut(&mut Rewriter<'_>, NodeId) -> Result<(), Declined>,
    ) -> Result<Outcome, PassError> {
        self.each_graph(|graph| graph.each_node(&mut visit))
    }

    /// Removes, in every graph, the nodes that no output needs.
    pub fn sweep(&mut self) -> Outcome {
        for path in graph_paths(&self.module.graph).into_iter().rev() {
            if !self.may_rewrite() {
                break;
            }
            let Some(graph) = graph_at_mut(&mut self.module.graph, &path) else { continue };
            if graph.sweep() > 0 {
                let name = graph.name.clone();
                self.log.rewrote(&name);
                self.changed();
            }
        }
        self.outcome
    }
}

/// Refuses a graph that others would not take for the same one by its inputs and outputs.
fn same_interface(found: &Graph, expected: &Graph) -> Result<(), PassError> {
    let differ = |what: &str, found: String, expected: String| {
        PassError::Failed(format!("it changes the {what}: found {found}, expected {expected}"))
    };
    let inputs = |graph: &Graph| {
        let values = graph.inputs().iter().map(|id| Value { node: *id, slot: 0 });
        values.map(|v| format!("%{}: {}", graph.name_of(v), graph.ty(v))).collect::<Vec<_>>().join(", ")
    };
    let outputs = |graph: &Graph| {
        let types = graph.outputs().iter().map(|value| graph.ty(*value));
        let named = graph.output_names().iter().zip(types);
        named.map(|(name, ty)| format!("`{name}`: {ty}")).collect::<Vec<_>>().join(", ")
    };
    if inputs(found) != inputs(expected) {
        return Err(differ("inputs", inputs(found), inputs(expected)));
    }
    // A pass may learn more of the shape of an output.
    let types = |graph: &Graph| graph.outputs().iter().map(|v| graph.ty(*v).clone()).collect::<Vec<_>>();
    let agree = |(a, b): (TensorType, TensorType)| settle(&a, &b, Prefer::Found).is_ok();
    let same = found.output_names() == expected.output_names();
    match same && types(expected).into_iter().zip(types(found)).all(agree) {
        true => Ok(()),
        false => Err(differ("outputs", outputs(found), outputs(expected))),
    }
}

/// The symbols that are extents of inputs, and so known before the program runs.
fn input_symbols(graph: &Graph) -> BTreeSet<Arc<str>> {
    let types = graph.inputs().iter().flat_map(|id| &graph.node(*id).results).map(|r| &r.ty);
    let dims = types.filter_map(|ty| ty.dims.as_ref()).flatten();
    dims.filter_map(|dim| dim.as_symbol().filter(|s| *s != "?").map(Arc::from)).collect()
}

fn all_types(main: &Graph) -> Vec<TensorType> {
    let graphs = graph_paths(main);
    let graphs = graphs.iter().filter_map(|path| graph_at(main, path));
    let nodes = graphs.flat_map(|g| {
        let inputs = g.inputs().iter().copied();
        inputs.chain(g.nodes()).map(|id| g.node(id)).collect::<Vec<_>>()
    });
    nodes.flat_map(|node| node.results.iter().map(|r| r.ty.clone())).collect()
}
