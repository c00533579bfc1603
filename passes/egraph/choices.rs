//! The choice that an e-graph leaves: for each class one e-node, so that the roots can be computed.
use crate::facts::{Classes, application};
use crate::lang::{ENode, Head, Made};
use egg::Id;
use std::collections::BTreeMap;
use weft_ir::Fact;
use weft_passes::{Applied, Cost};

/// The classes that the roots may be made of, numbered from 0, and what their e-nodes cost.
pub(crate) struct Choices {
    pub(crate) classes: Vec<Class>,
    pub(crate) roots: Vec<usize>,
    /// The numbers of classes.
    pub(crate) places: BTreeMap<Id, usize>,
}

/// One class.
pub(crate) struct Class {
    pub(crate) id: Id,
    pub(crate) options: Vec<Choice>,
}

/// One e-node of a class.
pub(crate) struct Choice {
    pub(crate) node: ENode,
    pub(crate) children: Vec<usize>,
    /// Of an operator never 0, so that of two forms that take as long the shorter one is cheaper.
    pub(crate) cost: u64,
}

/// For each class the option that was taken, if one was.
pub(crate) type Taken = Vec<Option<usize>>;

impl Choices {
    /// All choices for these roots.
    pub(crate) fn new(classes: &Classes<'_>, roots: &[Id], cost: &dyn Cost) -> Self {
        let mut choices = Self { classes: Vec::new(), roots: Vec::new(), places: BTreeMap::new() };
        choices.roots = roots.iter().map(|root| choices.place(classes.find(*root))).collect();
        let mut next = 0;
        while next < choices.classes.len() {
            let id = choices.classes[next].id;
            let mut nodes: Vec<ENode> = classes[id].nodes.clone();
            nodes.sort_unstable();
            for node in nodes {
                let children =
                    node.children.iter().map(|child| choices.place(classes.find(*child))).collect();
                let cost = price(classes, id, &node, cost);
                choices.classes[next].options.push(Choice { node, children, cost });
            }
            next += 1;
        }
        choices
    }

    fn place(&mut self, id: Id) -> usize {
        let next = self.classes.len();
        let place = *self.places.entry(id).or_insert(next);
        if place == next {
            self.classes.push(Class { id, options: Vec::new() });
        }
        place
    }

    /// The option that was taken for a class.
    pub(crate) fn taken(&self, taken: &Taken, class: usize) -> Option<&Choice> {
        self.classes[class].options.get(taken[class]?)
    }

    /// The classes that the roots are made of, operands before users; `None` if a class has no
    /// option or is made of itself.
    pub(crate) fn order(&self, taken: &Taken) -> Option<Vec<usize>> {
        let mut state = vec![Mark::New; self.classes.len()];
        let mut order = Vec::new();
        let mut open: Vec<usize> = self.roots.iter().rev().copied().collect();
        while let Some(class) = open.last().copied() {
            match state[class] {
                Mark::New => {
                    state[class] = Mark::Open;
                    for child in self.taken(taken, class)?.children.iter().rev() {
                        match state[*child] {
                            Mark::New => open.push(*child),
                            Mark::Open => return None,
                            Mark::Done => {}
                        }
                    }
                }
                Mark::Open => {
                    state[class] = Mark::Done;
                    order.push(class);
                    open.pop();
                }
                Mark::Done => drop(open.pop()),
            }
        }
        Some(order)
    }

    /// What computing the roots costs, everything once.
    pub(crate) fn total(&self, taken: &Taken) -> Option<u64> {
        let costs = self.order(taken)?.into_iter().map(|class| self.taken(taken, class).map(|c| c.cost));
        costs.sum()
    }
}

/// How far a walk over the classes got with one.
#[derive(Clone, Copy)]
pub(crate) enum Mark {
    New,
    Open,
    Done,
}

/// Constants up to this size are computed ahead of time even where that makes them larger.
const FOLDED: u64 = 1 << 20;

/// What an e-node costs, its operands aside.
fn price(classes: &Classes<'_>, id: Id, node: &ENode, cost: &dyn Cost) -> u64 {
    let facts = &classes.analysis;
    let Some(Head::Made(made)) = facts.heads.of(node) else { return 0 };
    let operands = operand_facts(classes, made, node);
    let results = &classes[id].data.facts;
    let bytes = |fact: &Fact| {
        let elements = fact.ty.elements().and_then(|n| u64::try_from(n.as_fixed()?).ok());
        elements.and_then(|n| fact.ty.dtype.bytes(n)).unwrap_or(u64::MAX)
    };
    let read = operands.iter().flatten().map(bytes).fold(0, u64::saturating_add);
    let made_bytes = results.iter().map(bytes).fold(0, u64::saturating_add);
    if classes[id].data.fixed && made_bytes <= read.max(FOLDED) {
        return 1;
    }
    let Some(def) = facts.ops.get(made.op.as_str()) else { return 1 };
    let applied =
        Applied { def, node: &application(made, 0), operands: &operands, results, skips: false, beside: 0 };
    cost.picoseconds(&applied).saturating_add(1)
}

fn operand_facts(classes: &Classes<'_>, made: &Made, node: &ENode) -> Vec<Option<Fact>> {
    let fact = |child: Option<Id>| classes[child?].data.facts.first().cloned();
    made.operands(&node.children).into_iter().map(fact).collect()
}
