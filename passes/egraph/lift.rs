//! A graph as an e-graph: pure operators as e-nodes, everything else as leaves.
use crate::facts::{Classes, Facts, Known};
use crate::lang::{ENode, Head, Heads, Made};
use egg::{Analysis, EGraph, Id};
use std::collections::{BTreeMap, BTreeSet};
use weft_ir::{Dim, NodeId, Value};
use weft_passes::Rewriter;

/// A graph as an e-graph.
pub(crate) struct Lifted<'a> {
    pub(crate) classes: Classes<'a>,
    /// Which class each value is in.
    pub(crate) values: BTreeMap<Value, Id>,
    /// The nodes that became e-nodes, producers first, each with its e-node and its class.
    pub(crate) nodes: Vec<(NodeId, ENode, Id)>,
    /// The classes of outputs and of what opaque nodes make, which stay whether used or not.
    pub(crate) roots: Vec<Id>,
}

/// Lifts a graph.
pub(crate) fn lift<'a>(g: &Rewriter<'a>) -> Lifted<'a> {
    let (leaves, changed) = (BTreeMap::new(), BTreeSet::new());
    let facts = Facts { ops: g.ops(), heads: Heads::default(), leaves, contradiction: None, changed };
    let (values, nodes, roots) = (BTreeMap::new(), Vec::new(), Vec::new());
    let mut lifted = Lifted { classes: EGraph::new(facts), values, nodes, roots };
    let mut needed: BTreeSet<Value> = g.outputs().iter().copied().collect();
    for id in g.inputs().iter().copied() {
        lifted.leaf(g, Value { node: id, slot: 0 });
    }
    for id in g.order() {
        if is_opaque(g, id) {
            needed.extend(values_of(g, id));
            values_of(g, id).for_each(|value| lifted.leaf(g, value));
        } else {
            lifted.node(g, id);
        }
    }
    let roots: BTreeSet<Id> = needed.iter().filter_map(|value| lifted.values.get(value).copied()).collect();
    lifted.roots = roots.into_iter().collect();
    lifted.classes.rebuild();
    lifted
}

impl Lifted<'_> {
    /// The classes of the operands of a node; they come before it.
    fn children(&self, g: &Rewriter<'_>, id: NodeId) -> Vec<Id> {
        g.operands(id).iter().flatten().filter_map(|value| self.values.get(value).copied()).collect()
    }

    fn leaf(&mut self, g: &Rewriter<'_>, value: Value) {
        self.classes.analysis.leaves.extend(g.fact(value).map(|fact| (value, fact.clone())));
        let children = self.children(g, value.node);
        let node = self.classes.analysis.heads.node(Head::Leaf(value), children);
        let id = self.classes.add(node);
        self.values.insert(value, id);
    }

    fn node(&mut self, g: &Rewriter<'_>, id: NodeId) {
        let node = g.node(id);
        let children = self.children(g, id);
        let present = g.operands(id).iter().map(Option::is_some).collect();
        let results = node.results.len();
        let made = Made { op: node.op.clone(), attrs: node.attrs.clone(), present, results };
        let enode = self.classes.analysis.heads.node(Head::Made(made), children);
        let class = self.classes.add(enode.clone());
        self.nodes.push((id, enode, class));
        for value in values_of(g, id) {
            let id = match results {
                1 => class,
                _ => {
                    let result = self.classes.analysis.heads.node(Head::Result(value.slot), vec![class]);
                    self.classes.add(result)
                }
            };
            self.state(g, value, id);
        }
    }

    /// Takes in what the graph knows of a value: it may state more than its node tells.
    fn state(&mut self, g: &Rewriter<'_>, value: Value, class: Id) {
        self.values.insert(value, class);
        let Some(fact) = g.fact(value) else { return };
        let mut known = self.classes[class].data.clone();
        let stated = Known { facts: vec![fact.clone()], fixed: known.fixed };
        if self.classes.analysis.merge(&mut known, stated).0 {
            self.classes.set_analysis_data(class, known);
        }
    }
}

/// The results of a node.
fn values_of(g: &Rewriter<'_>, id: NodeId) -> impl Iterator<Item = Value> {
    (0..g.node(id).results.len() as u32).map(move |slot| Value { node: id, slot })
}

/// Whether no rule may look into a node: it is not pure, holds graphs, or gives extents that it
/// names itself and another node like it would name otherwise.
pub(crate) fn is_opaque(g: &Rewriter<'_>, id: NodeId) -> bool {
    let node = g.node(id);
    let pure = g.ops().get(node.op.as_str()).is_some_and(|def| def.traits.pure);
    let dims = |value: Value| g.dims(value).unwrap_or_default().to_vec();
    let known: BTreeSet<Dim> = g.operands(id).into_iter().flatten().flat_map(dims).collect();
    let decided = |dim: &Dim| dim.is_decided_at_run_time() && !known.contains(dim);
    !pure || !node.regions.is_empty() || values_of(g, id).flat_map(dims).any(|dim| decided(&dim))
}
