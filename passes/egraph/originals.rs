//! What the graph was before, in terms of the choice that the e-graph leaves.
use crate::choices::{Choices, Taken};
use crate::facts::Classes;
use crate::lang::ENode;
use crate::lift::Lifted;
use std::collections::{BTreeMap, BTreeSet};
use weft_ir::{NodeId, Value};
use weft_passes::Rewriter;

/// The nodes and values of the graph, by class.
pub(crate) struct Originals {
    /// The first node that is an e-node of a class.
    pub(crate) nodes: BTreeMap<(usize, ENode), NodeId>,
    /// The values in each class, in the order of their nodes.
    pub(crate) values: BTreeMap<usize, Vec<Value>>,
    /// The form the graph has, equal values taken together.
    pub(crate) taken: Taken,
    /// What the graph costs as it stands.
    pub(crate) cost: u64,
}

impl Originals {
    pub(crate) fn of(g: &Rewriter<'_>, lifted: &Lifted<'_>, choices: &Choices) -> Self {
        let (nodes, values) = (BTreeMap::new(), BTreeMap::new());
        let mut originals = Self { nodes, values, taken: vec![None; choices.classes.len()], cost: 0 };
        originals.list_values(lifted, choices);
        originals.take_leaves(choices);
        let live = live(g);
        for (id, node, class) in &lifted.nodes {
            let Some(place) = choices.places.get(&lifted.classes.find(*class)) else { continue };
            let node = canonical(&lifted.classes, node);
            let options = &choices.classes[*place].options;
            let Some(option) = options.iter().position(|option| option.node == node) else { continue };
            originals.nodes.entry((*place, node)).or_insert(*id);
            originals.taken[*place].get_or_insert(option);
            if live.contains(id) {
                originals.cost = originals.cost.saturating_add(options[option].cost);
            }
        }
        originals
    }

    fn list_values(&mut self, lifted: &Lifted<'_>, choices: &Choices) {
        for (value, class) in &lifted.values {
            if let Some(place) = choices.places.get(&lifted.classes.find(*class)) {
                self.values.entry(*place).or_default().push(*value);
            }
        }
    }

    /// Results of several and leaves have no node of their own.
    fn take_leaves(&mut self, choices: &Choices) {
        for (class, taken) in choices.classes.iter().zip(&mut self.taken) {
            *taken = class.options.iter().position(|option| option.cost == 0);
        }
    }
}

/// The e-node as the e-graph knows it by now.
pub(crate) fn canonical(classes: &Classes<'_>, node: &ENode) -> ENode {
    let children = node.children.iter().map(|child| classes.find(*child)).collect();
    ENode { head: node.head, children }
}

/// The nodes that outputs need.
fn live(g: &Rewriter<'_>) -> BTreeSet<NodeId> {
    let opaque = g.nodes().filter(|id| crate::lift::is_opaque(g, *id));
    let mut open: Vec<NodeId> = g.outputs().iter().map(|value| value.node).chain(opaque).collect();
    let mut live = BTreeSet::new();
    while let Some(id) = open.pop() {
        if live.insert(id) {
            open.extend(g.producers(id));
        }
    }
    live
}
