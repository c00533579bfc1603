//! What patterns are looked for in: a graph, where a value is made in one way, or an e-graph, where
//! it may be made in many.
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use weft_ir::{Attr, Fact, OpName, OpSet, Value};
use weft_passes::Rewriter;
use weft_passes::rule::Made;

/// What patterns are looked for in.
pub trait Scene {
    /// Names a value.
    type Value: Copy + Ord + fmt::Debug;
    /// The operators.
    fn ops(&self) -> &OpSet;
    /// What is known of a value.
    fn fact(&self, value: Self::Value) -> Option<&Fact>;
    /// How often a value is used; once where sharing is weighed later.
    fn use_count(&self, value: Self::Value) -> usize;
    /// The ways in which a value is the result that a pattern asks for of the operator it asks for.
    fn makers(&self, value: Self::Value, made: &Made) -> Vec<Maker<'_, Self::Value>>;
    /// The values that such an operator makes of a value, in order and each once.
    fn made_of(&self, value: Self::Value, made: &Made) -> Vec<Self::Value>;
}

/// One way in which a value is made.
#[derive(Debug, Clone)]
pub struct Maker<'s, V> {
    /// The operator.
    pub op: &'s OpName,
    /// Attributes that were given.
    pub attrs: &'s BTreeMap<String, Attr>,
    /// Operands.
    pub operands: Vec<Option<V>>,
}

/// The users of one value that are looked at for a further pattern.
const WIDEST: usize = 64;

impl Scene for Rewriter<'_> {
    type Value = Value;

    fn ops(&self) -> &OpSet {
        Rewriter::ops(self)
    }

    fn fact(&self, value: Value) -> Option<&Fact> {
        Rewriter::fact(self, value)
    }

    fn use_count(&self, value: Value) -> usize {
        self.deref().use_count(value)
    }

    fn makers(&self, value: Value, made: &Made) -> Vec<Maker<'_, Value>> {
        let node = self.node(value.node);
        if node.op != made.op || value.slot != made.result || !node.regions.is_empty() {
            return Vec::new();
        }
        vec![Maker { op: &node.op, attrs: &node.attrs, operands: self.operands(value.node) }]
    }

    fn made_of(&self, value: Value, made: &Made) -> Vec<Value> {
        let makes = |(user, _): &(_, usize)| {
            let node = self.node(*user);
            node.op == made.op && (made.result as usize) < node.results.len()
        };
        let users = self.uses(value).into_iter().take(WIDEST).filter(makes);
        let mut values: Vec<Value> = users.map(|(node, _)| Value { node, slot: made.result }).collect();
        values.sort_unstable();
        values.dedup();
        values
    }
}
