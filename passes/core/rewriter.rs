//! Rewriting one graph, one transaction at a time.
use crate::editor::Log;
use crate::facts::node_facts;
use crate::names::Names;
use crate::pass::{Declined, Outcome, PassError};
use crate::settle::{Prefer, named, results, settle};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Deref;
use std::sync::Arc;
use weft_ir::infer::Facts;
use weft_ir::{Attr, Attrs, Def, Dim, Fact, Graph, Node, NodeId, OpSet, Tensor, TensorType, Value};

/// One change that waits for the end of its transaction.
enum Change {
    Replace(Value, Value),
    Operands(NodeId, Vec<Option<Value>>),
    Attr(NodeId, &'static str, Option<Attr>),
    Regions(NodeId, Vec<Graph>),
}

/// No pass grows a graph or visits its nodes again so often unless it runs in circles.
const REVISITS: u32 = 16;

/// Rewrites one graph. Each visit of a node is a transaction: new nodes are there at once and have
/// types, everything else waits until the visit is over; a visit that declines leaves no trace.
/// After a transaction, nodes that lost their last use are gone and all facts are right again.
/// It can be read like a [`Graph`].
pub struct Rewriter<'e> {
    graph: &'e mut Graph,
    ops: &'e OpSet,
    facts: Arc<Facts>,
    bound: &'e BTreeSet<Arc<str>>,
    names: Option<Names>,
    log: Log<'e>,
    stem: String,
    added: Vec<NodeId>,
    queued: Vec<Change>,
    touched: Vec<NodeId>,
    outcome: Outcome,
}

impl Deref for Rewriter<'_> {
    type Target = Graph;

    fn deref(&self) -> &Graph {
        self.graph
    }
}

/// Looking.
impl<'e> Rewriter<'e> {
    pub(crate) fn new(
        graph: &'e mut Graph,
        ops: &'e OpSet,
        (facts, bound): (Arc<Facts>, &'e BTreeSet<Arc<str>>),
        log: Log<'e>,
    ) -> Self {
        Self {
            graph,
            ops,
            facts,
            bound,
            names: None,
            log,
            stem: String::new(),
            added: Vec::new(),
            queued: Vec::new(),
            touched: Vec::new(),
            outcome: Outcome::Unchanged,
        }
    }

    /// Whether anything was changed.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// The operators.
    pub fn ops(&self) -> &'e OpSet {
        self.ops
    }

    /// What is known of a value.
    pub fn fact(&self, value: Value) -> Option<&Fact> {
        self.facts.get(&value)
    }

    /// Whether an extent follows from the shapes of the model's inputs alone.
    pub fn is_bound(&self, dim: &Dim) -> bool {
        dim.symbols().iter().all(|s| self.bound.contains(s))
    }

    /// The attributes of a node with their defaults; `None` if its operator is not known.
    pub fn attrs(&self, id: NodeId) -> Option<Attrs<'_>> {
        self.ops.attrs(self.graph.node(id))
    }
}

/// Changing.
impl Rewriter<'_> {
    /// Adds a node with one result.
    pub fn add(&mut self, node: Node, operands: &[Option<Value>]) -> Result<Value, Declined> {
        let id = self.add_many(node, 1, operands)?;
        Ok(Value { node: id, slot: 0 })
    }

    /// Adds a node with so many results.
    pub fn add_many(
        &mut self,
        mut node: Node,
        count: usize,
        operands: &[Option<Value>],
    ) -> Result<NodeId, Declined> {
        let names = self.names.get_or_insert_with(|| Names::of(self.graph));
        let unnamed = TensorType::unranked(weft_ir::DType::F32);
        node.results =
            (0..count).map(|_| Def { name: names.fresh(&self.stem), ty: unnamed.clone() }).collect();
        let id = self.graph.add(node, operands);
        self.added.push(id);
        let facts = node_facts(self.graph, id, &self.facts, self.ops)
            .map_err(|e| Declined::from(format!("`{}` would not infer: {e}", self.graph.node(id).op)))?;
        for (value, mut fact) in results(id, count).zip(facts) {
            fact.ty = named(fact.ty, self.graph.name_of(value));
            self.graph.set_ty(value, fact.ty.clone());
            Arc::make_mut(&mut self.facts).insert(value, fact);
        }
        Ok(id)
    }

    /// Adds a constant.
    pub fn constant(&mut self, tensor: Tensor) -> Result<Value, Declined> {
        self.add(Node::new("Const", Vec::new()).with("value", Attr::Tensor(Arc::new(tensor))), &[])
    }

    /// Puts `new` in the place of `old` when the visit is over. A node added by this visit takes
    /// over the name as well.
    pub fn replace(&mut self, old: Value, new: Value) {
        self.queued.push(Change::Replace(old, new));
    }

    /// Gives a node other operands when the visit is over.
    pub fn set_operands(&mut self, id: NodeId, operands: Vec<Option<Value>>) {
        self.queued.push(Change::Operands(id, operands));
    }

    /// Sets or drops an attribute when the visit is over.
    pub fn set_attr(&mut self, id: NodeId, name: &'static str, attr: Option<Attr>) {
        self.queued.push(Change::Attr(id, name, attr));
    }
}

/// Regions.
impl Rewriter<'_> {
    /// Gives a node other regions when the visit is over.
    pub fn set_regions(&mut self, id: NodeId, regions: Vec<Graph>) {
        self.queued.push(Change::Regions(id, regions));
    }

    /// Adds copies of all nodes of a region, with `inputs` for its inputs; gives its outputs.
    pub fn inline(&mut self, region: &Graph, inputs: &[Option<Value>]) -> Result<Vec<Value>, Declined> {
        let mut values: BTreeMap<Value, Value> = BTreeMap::new();
        for (id, input) in region.inputs().iter().zip(inputs) {
            values.insert(Value { node: *id, slot: 0 }, input.ok_or("an input of the region is missing")?);
        }
        let stem = self.stem.clone();
        for id in region.order() {
            let operands: Vec<_> =
                region.operands(id).into_iter().map(|v| v.and_then(|v| values.get(&v).copied())).collect();
            let node = region.node(id).clone();
            let count = node.results.len();
            self.stem = node.label().to_string();
            let copy = self.add_many(node, count, &operands)?;
            values.extend(results(id, count).zip(results(copy, count)));
        }
        self.stem = stem;
        let outputs = region.outputs().iter().map(|v| values.get(v).copied());
        outputs.map(|v| v.ok_or_else(|| "the region gives what it does not make".into())).collect()
    }
}

/// Transactions.
impl Rewriter<'_> {
    /// See [`crate::Editor::each_node`].
    pub fn each_node(
        &mut self,
        visit: &mut impl FnMut(&mut Self, NodeId) -> Result<(), Declined>,
    ) -> Result<(), PassError> {
        let mut queue: VecDeque<NodeId> = self.graph.order().into();
        let mut waiting: BTreeSet<NodeId> = queue.iter().copied().collect();
        let mut patience = queue.len() * REVISITS as usize + 1024;
        while let Some(id) = queue.pop_front() {
            waiting.remove(&id);
            if !self.graph.contains(id) {
                continue;
            }
            if !self.log.budget.left() {
                break;
            }
            if patience == 0 {
                self.log.observer.unsettled(REVISITS);
                break;
            }
            patience -= 1;
            self.attempt(id, visit)?;
            let touched = std::mem::take(&mut self.touched);
            queue.extend(touched.into_iter().filter(|id| waiting.insert(*id)));
        }
        Ok(())
    }

    /// What is done from now on is done, and logged, by this rule of the pass.
    pub fn under(&mut self, rule: &Arc<str>) {
        self.log.rule = rule.clone();
    }

    /// New nodes are named after this from now on, until the visit is over.
    pub fn name_after(&mut self, name: &str) {
        self.stem = name.to_string();
    }

    /// Tells that this visit does what it does because of a rule, and where the rule fired.
    pub fn because(&mut self, rule: &Arc<str>, at: &str) {
        let pass = std::mem::replace(&mut self.log.rule, rule.clone());
        self.log.rewrote(at);
        self.log.rule = pass;
    }

    /// Tells what was found where this visit is.
    pub fn note(&mut self, note: &str) {
        self.log.observer.noted(&self.log.rule, &self.stem, note);
    }

    /// Tells that a search of this graph stopped at a limit, as it is written in a pipeline.
    pub fn limited(&mut self, limit: &str) {
        self.log.observer.limited(&self.graph.name, limit);
    }

    /// Tells what this graph cost and what the cheaper form costs that was found, in picoseconds.
    pub fn weighed(&mut self, before: u64, after: u64) {
        self.log.observer.weighed(&self.graph.name, before, after);
    }

    /// Tells that a rule that found its place declined.
    pub fn declined(&mut self, rule: &Arc<str>, at: &str, why: &Declined) {
        self.log.observer.declined(rule, at, why);
    }

    /// Takes back what this visit did so far and tells why.
    pub fn decline(&mut self, why: &Declined) {
        self.undo();
        self.log.declined(&self.stem, why);
    }

    /// One transaction at one node; says whether it changed anything. A visit that declines is
    /// undone and its reason told.
    pub fn attempt(
        &mut self,
        id: NodeId,
        visit: &mut impl FnMut(&mut Self, NodeId) -> Result<(), Declined>,
    ) -> Result<bool, PassError> {
        self.stem = self.graph.node(id).results.first().map_or_else(String::new, |r| r.name.clone());
        match visit(self, id) {
            Ok(()) if self.queued.is_empty() => self.undo(),
            Ok(()) => {
                let at = self.stem.clone();
                self.commit().map_err(|message| PassError::Rewrite { at: at.clone(), message })?;
                self.log.rewrote(&at);
                self.outcome = Outcome::Changed;
                return Ok(true);
            }
            Err(why) => self.decline(&why),
        }
        Ok(false)
    }

    /// Takes back what this visit did so far; it may then try something else.
    pub fn undo(&mut self) {
        self.queued.clear();
        for id in std::mem::take(&mut self.added).into_iter().rev() {
            self.remove(id);
        }
    }

    fn commit(&mut self) -> Result<(), String> {
        let added: BTreeSet<NodeId> = self.added.iter().copied().collect();
        let (mut loose, mut changed) = (self.added.clone(), Vec::new());
        for change in std::mem::take(&mut self.queued) {
            match change {
                Change::Replace(old, new) => {
                    loose.push(old.node);
                    changed.extend(self.commit_replace(old, new, added.contains(&new.node))?);
                }
                Change::Operands(id, operands) => {
                    loose.extend(self.graph.producers(id));
                    self.graph.set_operands(id, &operands);
                    changed.push(id);
                }
                Change::Attr(id, name, attr) => {
                    let attrs = &mut self.graph.node_mut(id).attrs;
                    match attr {
                        Some(attr) => attrs.insert(name.to_string(), attr),
                        None => attrs.remove(name),
                    };
                    changed.push(id);
                }
                Change::Regions(id, regions) => {
                    self.graph.node_mut(id).regions = regions;
                    changed.push(id);
                }
            }
        }
        self.touched.append(&mut self.added);
        self.touched.extend(&changed);
        self.tidy(loose);
        self.refresh(changed)
    }

    /// Redirects all uses; gives the nodes whose operands it changed.
    fn commit_replace(&mut self, old: Value, new: Value, is_new: bool) -> Result<Vec<NodeId>, String> {
        let users = self.graph.uses(old).into_iter().map(|(user, _)| user).collect();
        let takes_name =
            is_new || (is_made_up(self.graph.name_of(new)) && !is_made_up(self.graph.name_of(old)));
        if is_new {
            let ty = settle(self.graph.ty(old), self.graph.ty(new), Prefer::Stated)?;
            self.retype(new, ty);
        } else {
            settle(self.graph.ty(old), self.graph.ty(new), Prefer::Found)?;
        }
        match takes_name {
            true => self.graph.replace(old, new),
            false => self.graph.redirect(old, new),
        }
        Ok(users)
    }

    fn retype(&mut self, value: Value, ty: TensorType) {
        if let Some(fact) = Arc::make_mut(&mut self.facts).get_mut(&value) {
            fact.ty = ty.clone();
        }
        self.graph.set_ty(value, ty);
    }

    /// Removes nodes without uses, and what only they used.
    fn tidy(&mut self, mut loose: Vec<NodeId>) {
        while let Some(id) = loose.pop() {
            if !self.graph.contains(id) || self.graph.node(id).op == weft_ir::graph::INPUT {
                continue;
            }
            if !self.graph.has_uses(id) && !self.graph.outputs().iter().any(|v| v.node == id) {
                loose.extend(self.graph.producers(id));
                self.remove(id);
            }
        }
    }

    fn remove(&mut self, id: NodeId) {
        let facts = Arc::make_mut(&mut self.facts);
        results(id, self.graph.node(id).results.len()).for_each(|value| drop(facts.remove(&value)));
        self.graph.remove(id);
    }

    /// Infers nodes anew, and those behind them as long as something new is found.
    fn refresh(&mut self, changed: Vec<NodeId>) -> Result<(), String> {
        let mut queue: VecDeque<NodeId> = changed.into();
        while let Some(id) = queue.pop_front() {
            if !self.graph.contains(id) {
                continue;
            }
            let node = self.graph.node(id);
            let (op, count) = (node.op.clone(), node.results.len());
            let found = node_facts(self.graph, id, &self.facts, self.ops)
                .map_err(|e| format!("`{op}` does not infer after the rewrite: {e}"))?;
            for (value, fact) in results(id, count).zip(found) {
                if self.learn(value, fact)? {
                    queue.extend(self.graph.uses(value).into_iter().map(|(user, _)| user));
                }
            }
        }
        Ok(())
    }

    /// Takes a fact in; says whether it is news.
    fn learn(&mut self, value: Value, mut fact: Fact) -> Result<bool, String> {
        let stated = self.graph.ty(value).clone();
        let found = named(fact.ty, self.graph.name_of(value));
        fact.ty = settle(&stated, &found, Prefer::Found)?;
        let known = self.facts.get(&value);
        let same = known.is_some_and(|known| {
            let constants = (&known.constant, &fact.constant);
            let unmoved = match constants {
                (Some(a), Some(b)) => Arc::ptr_eq(a, b),
                (None, None) => true,
                _ => false,
            };
            unmoved && known.value == fact.value && known.ty == fact.ty
        });
        if !same {
            self.graph.set_ty(value, fact.ty.clone());
            Arc::make_mut(&mut self.facts).insert(value, fact);
        }
        Ok(!same)
    }
}

/// Whether a rewrite made the name up; the name of the model is then the better one.
fn is_made_up(name: &str) -> bool {
    name.rsplit_once('~').is_some_and(|(_, number)| number.parse::<u32>().is_ok())
}

/// A node with attributes and no results yet, for [`Rewriter::add`].
pub fn node(op: &str, attrs: impl IntoIterator<Item = (&'static str, Attr)>) -> Node {
    let mut node = Node::new(op, Vec::new());
    node.attrs = attrs.into_iter().map(|(name, attr)| (name.to_string(), attr)).collect::<BTreeMap<_, _>>();
    node
}
