//! What the regions of control flow take from around them.
//!
//! `If`, `Loop` and `Scan` each count their operands in their own way; this is the one place
//! outside their definitions that knows how.
use crate::rewriter::Rewriter;
use std::ops::Range;
use weft_ir::{NodeId, Value};

/// The captures of a node with regions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captures {
    /// Which operands they are.
    pub operands: Range<usize>,
    /// How much later an operand comes than the input of every region that it becomes.
    pub offset: usize,
}

impl Rewriter<'_> {
    /// The captures of a node, if it has regions.
    pub fn captures(&self, id: NodeId) -> Option<Captures> {
        let (node, attrs) = (self.node(id), self.attrs(id)?);
        let count = |name: &str| usize::try_from(attrs.int(name)).unwrap_or(usize::MAX / 4);
        let (first, offset) = match node.op.as_str() {
            "If" => (1, 1),
            "Loop" => (2 + count("carried"), 0),
            "Scan" => (count("states") + count("scanned"), 0),
            _ => return None,
        };
        // Operands that stand last and are absent do not count, but every capture is present.
        Some(Captures { operands: first.min(node.arity())..node.arity(), offset })
    }

    /// The captured values of a node, each with its operand and the input of the regions.
    pub fn captured(&self, id: NodeId) -> Vec<(Value, usize, usize)> {
        let Some(Captures { operands, offset }) = self.captures(id) else { return Vec::new() };
        let all = self.operands(id);
        let present = operands.filter_map(|at| all.get(at).copied().flatten().map(|v| (v, at, at - offset)));
        present.collect()
    }
}
