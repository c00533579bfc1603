//! Computes what is computed twice only once.
//!
//! Before: `%a = Exp(%x)`, `%b = Exp(%x)`, `%y = Add(%a, %b)`. After: `%a = Exp(%x)`,
//! `%y = Add(%a, %a)`.
//!
//! Two nodes are the same if operator, operands and attributes are; constants are compared by
//! content. Operators that are not pure and those with regions are left alone. Of two equal nodes
//! the first stays; neither can depend on the other, as their operands are the same values.
#![expect(clippy::mutable_key_type, reason = "the digest of a tensor is computed once and never changes")]
use std::collections::BTreeMap;
use weft_ir::{Attr, NodeId, OpName, Stage, Value};
use weft_passes::{Declined, Editor, Outcome, Pass, PassContext, PassError, PassInfo, PassKind, Rewriter};

pub(crate) const INFO: PassInfo = PassInfo {
    name: "common-subexpressions",
    summary: "computes what is computed twice only once",
    options: &[],
    kind: PassKind::Exact,
    accepts: (Stage::Canonical, Stage::Lowered),
    build: &|_| Ok(Box::new(CommonSubexpressions)),
};

struct CommonSubexpressions;

/// Everything the results of a node depend on.
type Key = (OpName, Vec<Option<Value>>, BTreeMap<String, Attr>, usize);

impl Pass for CommonSubexpressions {
    fn run(&self, edit: &mut Editor<'_>, _: &PassContext<'_>) -> Result<Outcome, PassError> {
        edit.each_graph(|graph| {
            let mut seen = BTreeMap::new();
            graph.each_node(&mut |g, id| merge(g, id, &mut seen))
        })
    }
}

fn merge(g: &mut Rewriter<'_>, id: NodeId, seen: &mut BTreeMap<Key, NodeId>) -> Result<(), Declined> {
    let node = g.node(id);
    let pure = g.ops().get(node.op.as_str()).is_some_and(|def| def.traits.pure);
    if !pure || !node.regions.is_empty() {
        return Ok(());
    }
    let count = node.results.len();
    let key = (node.op.clone(), g.operands(id), node.attrs.clone(), count);
    let first = *seen
        .entry(key)
        .and_modify(|first| *first = if g.contains(*first) { *first } else { id })
        .or_insert(id);
    if first != id {
        for slot in 0..count as u32 {
            g.replace(Value { node: id, slot }, Value { node: first, slot });
        }
    }
    Ok(())
}
