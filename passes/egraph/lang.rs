//! E-nodes: an operator by name, so that plugins can add operators, and the classes of its operands.
//!
//! Attributes are part of the operator of an e-node, not leaves under it: no rule makes two
//! attributes equal, and rules compute on them through what the matcher shows them.
use egg::Id;
use std::collections::BTreeMap;
use weft_ir::{Attr, OpName, Value};

/// What an e-node is, its operands aside.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Head {
    /// A value that no rule looks into; its children are what its node is computed from, so that
    /// nothing it needs is ever computed from it.
    Leaf(Value),
    /// A pure operator. With one result it stands for that, with more for all of them together.
    Made(Made),
    /// One result of an operator with several; its child stands for all of them.
    Result(u32),
}

/// An application of an operator, its operands aside.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Made {
    pub(crate) op: OpName,
    /// Attributes that were given.
    pub(crate) attrs: BTreeMap<String, Attr>,
    /// Which operands are present: the children, in order.
    pub(crate) present: Vec<bool>,
    pub(crate) results: usize,
}

impl Made {
    /// The operands of an e-node, absent ones among them.
    pub(crate) fn operands<T: Copy>(&self, children: &[T]) -> Vec<Option<T>> {
        let mut children = children.iter().copied();
        self.present.iter().map(|present| if *present { children.next() } else { None }).collect()
    }
}

/// An e-node: the number of its head among [`Heads`], and the classes of its operands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ENode {
    pub(crate) head: u32,
    pub(crate) children: Box<[Id]>,
}

impl egg::Language for ENode {
    type Discriminant = u32;

    fn discriminant(&self) -> u32 {
        self.head
    }

    fn matches(&self, other: &Self) -> bool {
        self.head == other.head && self.children.len() == other.children.len()
    }

    fn children(&self) -> &[Id] {
        &self.children
    }

    fn children_mut(&mut self) -> &mut [Id] {
        &mut self.children
    }
}

/// Every head there is, each once, numbered in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Heads {
    all: Vec<Head>,
    places: BTreeMap<Head, u32>,
}

impl Heads {
    /// The e-node of that head and these children.
    pub(crate) fn node(&mut self, head: Head, children: Vec<Id>) -> ENode {
        let next = self.all.len() as u32;
        let head = *self.places.entry(head).or_insert_with_key(|head| {
            self.all.push(head.clone());
            next
        });
        ENode { head, children: children.into() }
    }

    /// The head of an e-node.
    pub(crate) fn of(&self, node: &ENode) -> Option<&Head> {
        self.all.get(node.head as usize)
    }

    /// The operator of an e-node, if it has one.
    pub(crate) fn made(&self, node: &ENode) -> Option<&Made> {
        match self.of(node)? {
            Head::Made(made) => Some(made),
            _ => None,
        }
    }
}
