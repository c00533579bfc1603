//! What a rule puts in the place of what it found.
use super::pattern::Var;
use std::collections::BTreeMap;
use weft_ir::{Attr, OpName};

/// A value that a replacement is made of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// What a variable stands for.
    Found(Var),
    /// One of the operands that a variable stands for.
    Listed(Var, usize),
    /// A result of one of the new nodes.
    New {
        /// Its place in [`Replacement::nodes`].
        node: usize,
        /// Which result.
        result: u32,
    },
}

/// A node of a replacement.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NewNode {
    /// The operator.
    pub op: OpName,
    /// Attributes, those with their defaults left out.
    pub attrs: BTreeMap<String, Attr>,
    /// Operands.
    pub operands: Vec<Option<Source>>,
}

/// What a rule puts in the place of what it found: new nodes, operands before their users.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Replacement {
    nodes: Vec<(NewNode, u32)>,
    places: BTreeMap<NewNode, usize>,
    /// What takes the place of the value of each pattern.
    pub roots: Vec<Source>,
}

impl Replacement {
    /// Result `result` of a node. The same node is never there twice, so what two roots have in
    /// common is computed once.
    pub fn add(&mut self, node: NewNode, result: u32) -> Source {
        let next = self.nodes.len();
        let at = *self.places.entry(node.clone()).or_insert(next);
        if at == next {
            self.nodes.push((node, 1));
        }
        self.nodes[at].1 = self.nodes[at].1.max(result + 1);
        Source::New { node: at, result }
    }

    /// The nodes, each with how many results it has.
    pub fn nodes(&self) -> impl Iterator<Item = (&NewNode, usize)> {
        self.nodes.iter().map(|(node, results)| (node, *results as usize))
    }
}
