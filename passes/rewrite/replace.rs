//! Putting a replacement into a graph, if that is sound.
use crate::binding::Binding;
use std::collections::BTreeSet;
use weft_ir::{Node, NodeId, Value};
use weft_passes::rule::{NewNode, Replacement, Source};
use weft_passes::{Declined, Rewriter};

/// Puts a replacement in the place of what was found; false if it is the same. The new values
/// must certainly have the types of the old ones.
pub(crate) fn replace(
    g: &mut Rewriter<'_>,
    found: &Binding<Value>,
    new: &Replacement,
) -> Result<bool, Declined> {
    if new.roots.len() != found.roots.len() {
        return Err(format!("{} values for {} were given", new.roots.len(), found.roots.len()).into());
    }
    apart(g, found, new)?;
    let mut nodes = Vec::new();
    for (node, results) in new.nodes() {
        nodes.push(add(g, found, node, results, &nodes)?);
    }
    let mut changed = false;
    for (old, source) in found.roots.iter().zip(&new.roots) {
        let value = value_of(found, &nodes, source)?;
        if !g.same_type(*old, value) {
            let (found, expected) = (g.ty(value), g.ty(*old));
            return Err(
                format!("the type cannot be shown to stay: found {found}, expected {expected}").into()
            );
        }
        if !same(g, *old, value, &nodes) {
            changed = true;
            g.replace(*old, value);
        }
    }
    Ok(changed)
}

fn add(
    g: &mut Rewriter<'_>,
    found: &Binding<Value>,
    new: &NewNode,
    results: usize,
    nodes: &[NodeId],
) -> Result<NodeId, Declined> {
    let mut node = Node::new(new.op.as_str(), Vec::new());
    node.attrs = new.attrs.clone();
    let operands = new.operands.iter().map(|o| o.as_ref().map(|o| value_of(found, nodes, o)).transpose());
    let operands = operands.collect::<Result<Vec<_>, _>>()?;
    g.add_many(node, results, &operands)
}

fn value_of(found: &Binding<Value>, nodes: &[NodeId], source: &Source) -> Result<Value, Declined> {
    let value = match source {
        Source::Found(var) => found.values.get(var).copied(),
        Source::Listed(var, at) => found.lists.get(var).and_then(|list| list.get(*at)).copied(),
        Source::New { node, result } => nodes.get(*node).map(|node| Value { node: *node, slot: *result }),
    };
    value.ok_or_else(|| format!("the rule uses {source:?}, which it did not find").into())
}

/// Checks that nothing the replacement is made of is computed from what it replaces: that would
/// be a cycle.
fn apart(g: &Rewriter<'_>, found: &Binding<Value>, new: &Replacement) -> Result<(), Declined> {
    let roots: BTreeSet<NodeId> = found.roots.iter().map(|root| root.node).collect();
    let sources = new.nodes().flat_map(|(node, _)| node.operands.iter().flatten()).chain(&new.roots);
    let used = sources.filter(|source| !matches!(source, Source::New { .. }));
    let mut open: Vec<NodeId> =
        used.map(|source| value_of(found, &[], source).map(|value| value.node)).collect::<Result<_, _>>()?;
    let cycle = || Declined::from("it would be computed from itself");
    if open.iter().any(|node| roots.contains(node)) {
        return Err(cycle());
    }
    if roots.len() == 1 {
        // What a single root is computed from is never computed from it.
        return Ok(());
    }
    let mut seen = BTreeSet::new();
    while let Some(node) = open.pop() {
        if roots.contains(&node) {
            return Err(cycle());
        }
        if seen.insert(node) {
            open.extend(g.producers(node));
        }
    }
    Ok(())
}

/// Whether the new nodes only say again what was there.
fn same(g: &Rewriter<'_>, old: Value, new: Value, added: &[NodeId]) -> bool {
    let mut open = vec![(Some(old), Some(new))];
    while let Some(pair) = open.pop() {
        let (Some(old), Some(new)) = pair else {
            if pair.0 == pair.1 {
                continue;
            }
            return false;
        };
        if old == new {
            continue;
        }
        let (a, b) = (g.node(old.node), g.node(new.node));
        let alike = a.op == b.op && a.attrs == b.attrs && a.arity() == b.arity() && old.slot == new.slot;
        if !alike || !added.contains(&new.node) {
            return false;
        }
        open.extend(g.operands(old.node).into_iter().zip(g.operands(new.node)));
    }
    true
}
