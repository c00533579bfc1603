//! Type, shape and value inference over whole graphs.
use crate::dim::Dim;
use crate::graph::{Graph, NodeId, Value};
use crate::op::{InferCx, InferError, OpSet, Presence};
use crate::tensor::Tensor;
use crate::types::{DType, TensorType};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use thiserror::Error;

/// Integer vectors up to this length are followed symbolically.
const MAX_VALUE: usize = 64;

/// How often all loops together may be entered again.
const MAX_ROUNDS: usize = 10_000;

/// How many ranks of results are tried out, each on all that is behind.
const MAX_TRIALS: usize = 32;

/// What is known of a value before the program runs.
#[derive(Debug, Clone)]
pub struct Fact {
    /// Its type.
    pub ty: TensorType,
    /// The elements of an integer tensor of rank 0 or 1, where all of them are known symbolically.
    pub value: Option<Vec<Dim>>,
    /// The data, where it is a constant.
    pub constant: Option<Arc<Tensor>>,
}

impl Fact {
    /// Nothing is known but the type.
    pub fn of(ty: TensorType) -> Self {
        Self { ty, value: None, constant: None }
    }

    /// A constant.
    pub fn constant(tensor: &Arc<Tensor>) -> Self {
        let small = tensor.dims().len() <= 1 && tensor.len() <= MAX_VALUE as u64;
        let ints = if small { tensor.to_i64s() } else { None };
        Self {
            ty: TensorType::fixed(tensor.dtype(), tensor.dims()),
            value: ints.map(|v| v.into_iter().map(Dim::fixed).collect()),
            constant: Some(tensor.clone()),
        }
    }

    /// A vector of integers known symbolically.
    pub fn vector(dtype: DType, value: Vec<Dim>) -> Self {
        let ty = TensorType::new(dtype, vec![Dim::fixed(value.len() as i64)]);
        Self { ty, value: Some(value), constant: None }.bounded()
    }

    /// An integer of rank 0 known symbolically.
    pub fn scalar(dtype: DType, value: Dim) -> Self {
        Self { ty: TensorType::new(dtype, Vec::new()), value: Some(vec![value]), constant: None }.bounded()
    }

    /// The same type with this value, or with none if an element is unknown or there are too many.
    pub fn with_value(mut self, value: Option<Vec<Dim>>) -> Self {
        self.value = value;
        self.bounded()
    }

    fn bounded(mut self) -> Self {
        self.value = self.value.filter(|v| v.len() <= MAX_VALUE && !v.iter().any(Dim::is_unknown));
        self
    }

    /// Element type.
    pub fn dtype(&self) -> DType {
        self.ty.dtype
    }

    /// Extents, if the rank is known.
    pub fn dims(&self) -> Option<&[Dim]> {
        self.ty.dims.as_deref()
    }

    /// The elements, where all are numbers.
    pub fn ints(&self) -> Option<Vec<i64>> {
        self.value.as_ref()?.iter().map(Dim::as_fixed).collect()
    }
}

/// Something inference found wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{op}` at `%{at}` in `{graph}`: {message}")]
pub struct Problem {
    /// The graph; region 1 of node `y` of `main` is `main/y.1`.
    pub graph: String,
    /// The operator.
    pub op: String,
    /// The name of the node's first result.
    pub at: String,
    /// What was found and what was expected.
    pub message: String,
}

/// Facts about every value of one graph.
pub type Facts = BTreeMap<Value, Fact>;

/// Infers every node of `graph` and its regions, writes the types into the graph, names unknown
/// extents (`?NAME.AXIS`), and returns the facts of this graph, or everything found wrong.
pub fn infer(graph: &mut Graph, ops: &OpSet) -> Result<Facts, Vec<Problem>> {
    let entry: Vec<Fact> =
        graph.inputs().iter().map(|id| Fact::of(graph.ty(Value { node: *id, slot: 0 }).clone())).collect();
    infer_from(graph, entry, ops)
}

/// The same for a graph of whose inputs more is known than their types.
pub(crate) fn infer_from(graph: &mut Graph, entry: Vec<Fact>, ops: &OpSet) -> Result<Facts, Vec<Problem>> {
    let (path, problems) = (vec![graph.name.clone()], Vec::new());
    let mut inference = Inference { ops, path, problems, rounds: MAX_ROUNDS, trials: MAX_TRIALS };
    let facts = inference.graph(graph, entry);
    if inference.problems.is_empty() { Ok(facts) } else { Err(inference.problems) }
}

struct Inference<'a> {
    ops: &'a OpSet,
    /// The names of the graphs around the current one, and its own.
    path: Vec<String>,
    problems: Vec<Problem>,
    /// How often loops may still be entered again.
    rounds: usize,
    /// How many ranks may still be tried out.
    trials: usize,
}

impl Inference<'_> {
    fn graph(&mut self, graph: &mut Graph, entry: Vec<Fact>) -> Facts {
        let mut facts = Facts::new();
        for (id, fact) in graph.inputs().to_vec().into_iter().zip(entry) {
            let value = Value { node: id, slot: 0 };
            facts.insert(value, settle(graph, value, fact));
        }
        let order = graph.order();
        self.nodes(graph, &order, &mut facts);
        facts
    }

    /// Infers nodes, producers first.
    fn nodes(&mut self, graph: &mut Graph, order: &[NodeId], facts: &mut Facts) {
        for (i, id) in order.iter().copied().enumerate() {
            match self.ranked_node(graph, &order[i..], facts) {
                Ok(results) => {
                    for (slot, fact) in results.into_iter().enumerate() {
                        let value = Value { node: id, slot: slot as u32 };
                        facts.insert(value, settle(graph, value, fact));
                    }
                }
                Err(InferError(message)) => {
                    let (op, at) = (graph.node(id).op.to_string(), graph.node(id).label().to_string());
                    self.problems.push(Problem { graph: self.path.join("/"), op, at, message });
                }
            }
        }
    }

    /// The facts about the results of the first of `rest`. Where its regions differ in rank, it has
    /// the one rank that the nodes behind it can do with.
    fn ranked_node(
        &mut self,
        graph: &mut Graph,
        rest: &[NodeId],
        facts: &Facts,
    ) -> Result<Vec<Fact>, InferError> {
        let [id, ..] = *rest else { return Ok(Vec::new()) };
        let results = self.node(graph, id, facts)?;
        let chooses = self.ops.get(graph.node(id).op.as_str()).is_some_and(|def| def.traits.chooses);
        if !chooses || results.iter().all(|fact| fact.ty.rank().is_some()) {
            return Ok(results);
        }
        let Some(ranks) = self.only_ranks(graph, rest, facts) else { return Ok(results) };
        state(graph, id, &ranks);
        self.node(graph, id, facts)
    }

    /// The ranks of that region of the first of `rest` which alone leaves nothing wrong behind it.
    fn only_ranks(&mut self, graph: &Graph, rest: &[NodeId], facts: &Facts) -> Option<Vec<usize>> {
        let regions = &graph.node(*rest.first()?).regions;
        let ranks = |region: &Graph| region.outputs().iter().map(|value| region.ty(*value).rank()).collect();
        let candidates: Option<BTreeSet<Vec<usize>>> = regions.iter().map(ranks).collect();
        let candidates = candidates.filter(|ranks| ranks.len() > 1)?;
        self.trials = self.trials.checked_sub(candidates.len())?;
        let mut fitting = candidates.into_iter().filter(|ranks| self.fits(graph.clone(), rest, facts, ranks));
        let only = fitting.next()?;
        fitting.next().is_none().then_some(only)
    }

    /// Whether nothing is wrong with `rest` if the results of its first node have these ranks.
    fn fits(&mut self, mut graph: Graph, rest: &[NodeId], facts: &Facts, ranks: &[usize]) -> bool {
        let before = self.problems.len();
        rest.first().into_iter().for_each(|id| state(&mut graph, *id, ranks));
        self.nodes(&mut graph, rest, &mut facts.clone());
        let fits = self.problems.len() == before;
        self.problems.truncate(before);
        fits
    }

    /// The facts about the results; none at all if something before the node, or in its regions,
    /// was reported already.
    fn node(&mut self, graph: &mut Graph, id: NodeId, facts: &Facts) -> Result<Vec<Fact>, InferError> {
        let mut operands: Vec<Option<Fact>> = Vec::new();
        for operand in graph.operands(id) {
            match operand.map(|v| facts.get(&v).cloned()) {
                Some(None) => return Ok(Vec::new()),
                known => operands.push(known.flatten()),
            }
        }
        let node = graph.node(id).clone();
        let def = self.ops.get(node.op.as_str()).ok_or_else(|| InferError("no such operator".to_string()))?;
        let fixed = def.operands.iter().filter(|o| o.presence != Presence::Variadic).count();
        operands.resize(operands.len().max(fixed), None);
        let cx = InferCx { def, node: &node, operands: &operands, regions: &[] };
        let Some(regions) = self.settled_regions(graph, id, &cx)? else { return Ok(Vec::new()) };
        // Types within the regions are known only now.
        let node = if regions.is_empty() { node.clone() } else { graph.node(id).clone() };
        let results = InferCx { node: &node, regions: &regions, ..cx }.infer()?;
        if results.len() < node.results.len() {
            let (found, given) = (node.results.len(), results.len());
            return Err(InferError(format!("{found} results are used, the operator gives {given}")));
        }
        Ok(results.into_iter().take(node.results.len()).collect())
    }

    /// Infers the regions of a node until what their inputs are taken to be agrees with their
    /// outputs: a loop is entered with less and less known about the shapes it carries.
    fn settled_regions(
        &mut self,
        graph: &mut Graph,
        id: NodeId,
        cx: &InferCx<'_>,
    ) -> Result<Option<Vec<Vec<Fact>>>, InferError> {
        let mut entries = (cx.def.enter)(cx)?;
        loop {
            let Some(regions) = self.regions(graph, id, entries.clone())? else { return Ok(None) };
            let again = (cx.def.enter)(&InferCx { regions: &regions, ..*cx })?;
            if !weaken(&mut entries, again) {
                return Ok(Some(regions));
            }
            // Each round forgets something, but loops in loops multiply.
            let spent = || InferError(format!("the shapes carried do not settle within {MAX_ROUNDS} rounds"));
            self.rounds = self.rounds.checked_sub(1).ok_or_else(spent)?;
        }
    }

    /// The facts about the outputs of every region; `None` if something in them was reported.
    fn regions(
        &mut self,
        graph: &mut Graph,
        id: NodeId,
        entries: Vec<Vec<Fact>>,
    ) -> Result<Option<Vec<Vec<Fact>>>, InferError> {
        let before = self.problems.len();
        let mut regions = Vec::new();
        for (i, entry) in entries.into_iter().enumerate() {
            let label = format!("{}.{i}", graph.node(id).label());
            let Some(inner) = graph.node_mut(id).regions.get_mut(i) else { continue };
            let (found, expected) = (inner.inputs().len(), entry.len());
            if found != expected {
                return Err(InferError(format!("region {i} takes {expected} inputs, found {found}")));
            }
            self.path.push(label);
            let known = self.graph(inner, entry);
            self.path.pop();
            let outputs: Option<Vec<Fact>> = inner.outputs().iter().map(|v| known.get(v).cloned()).collect();
            if self.problems.len() == before {
                let unknown = || InferError(format!("region {i} returns a value that is never made"));
                regions.push(outputs.ok_or_else(unknown)?);
            }
        }
        Ok((self.problems.len() == before).then_some(regions))
    }
}

/// Writes ranks into the results of a node.
fn state(graph: &mut Graph, id: NodeId, ranks: &[usize]) {
    for (result, rank) in graph.node_mut(id).results.iter_mut().zip(ranks) {
        result.ty.dims = Some(vec![Dim::unknown(); *rank]);
    }
}

/// Names the unknown extents of a fact and writes its type into the graph.
fn settle(graph: &mut Graph, value: Value, mut fact: Fact) -> Fact {
    let before = graph.ty(value).dims.clone().unwrap_or_default();
    let name = graph.name_of(value).to_string();
    for (axis, dim) in fact.ty.dims.iter_mut().flatten().enumerate() {
        if dim.is_unknown() {
            let kept =
                before.get(axis).filter(|d| d.as_symbol().is_some_and(|s| s.len() > 1 && s.starts_with('?')));
            *dim = kept.cloned().unwrap_or_else(|| Dim::symbol(&format!("?{name}.{axis}")));
        }
    }
    graph.set_ty(value, fact.ty.clone());
    fact
}

/// Forgets of `entries` what `again` does not confirm; says whether that was anything.
fn weaken(entries: &mut [Vec<Fact>], again: Vec<Vec<Fact>>) -> bool {
    let mut changed = false;
    for (fact, seen) in entries.iter_mut().flatten().zip(again.into_iter().flatten()) {
        if fact.value != seen.value && fact.value.is_some() {
            (fact.value, fact.constant, changed) = (None, None, true);
        }
        match (&mut fact.ty.dims, seen.ty.dims) {
            (Some(dims), Some(seen)) if dims.len() == seen.len() => {
                for (dim, seen) in dims.iter_mut().zip(seen) {
                    if !dim.is_unknown() && !dim.same(&seen) {
                        (*dim, changed) = (Dim::unknown(), true);
                    }
                }
            }
            (dims @ Some(_), _) => (*dims, changed) = (None, true),
            (None, _) => {}
        }
    }
    changed
}
