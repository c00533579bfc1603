//! Putting a replacement beside what was found, if that is sound.
use crate::facts::{Classes, inferred};
use crate::lang::{ENode, Head, Made};
use egg::Id;
use weft_ir::{Dim, Fact, TensorType};
use weft_passes::Declined;
use weft_passes::rule::{NewNode, Replacement, Source};
use weft_rewrite::Binding;

/// What a replacement puts in for one root: the class, and the e-node made for it if there is one.
pub(crate) struct Put {
    pub(crate) root: Id,
    pub(crate) node: Option<ENode>,
}

/// Makes every root equal to what the rule says, and tells which were not equal before. The types
/// must certainly be the same: what cannot be shown to keep its type is not put in at all.
pub(crate) fn apply(
    classes: &mut Classes<'_>,
    found: &Binding<Id>,
    new: &Replacement,
) -> Result<Vec<Put>, Declined> {
    if new.roots.len() != found.roots.len() {
        return Err(format!("{} values for {} were given", new.roots.len(), found.roots.len()).into());
    }
    let plan = Plan::new(classes, found, new)?;
    for (root, source) in found.roots.iter().zip(&new.roots) {
        plan.keeps_type(classes, *root, source)?;
    }
    let made = plan.add(classes)?;
    let mut put = Vec::new();
    for (root, source) in found.roots.iter().zip(&new.roots) {
        let (id, node) = result(classes, found, &made, source)?;
        if classes.union(*root, id) {
            put.push(Put { root: *root, node });
        }
    }
    Ok(put)
}

/// A replacement with what is known of its nodes, before any of it is in the e-graph.
struct Plan<'p> {
    found: &'p Binding<Id>,
    nodes: Vec<(&'p NewNode, Made, Vec<Fact>)>,
}

impl<'p> Plan<'p> {
    fn new(classes: &Classes<'_>, found: &'p Binding<Id>, new: &'p Replacement) -> Result<Self, Declined> {
        let mut plan = Self { found, nodes: Vec::new() };
        for (number, (node, results)) in new.nodes().enumerate() {
            let operands =
                node.operands.iter().map(|o| o.as_ref().map(|o| plan.fact(classes, o)).transpose());
            let operands = operands.collect::<Result<Vec<_>, _>>()?;
            let present = node.operands.iter().map(Option::is_some).collect();
            let made = Made { op: node.op.clone(), attrs: node.attrs.clone(), present, results };
            // No class has the number, so extents that only the node can tell equal no others.
            let facts = inferred(classes.analysis.ops, &made, operands, usize::MAX - number)
                .map_err(|error| Declined::from(format!("`{}` would not infer: {error}", node.op)))?;
            plan.nodes.push((node, made, facts));
        }
        Ok(plan)
    }

    fn fact(&self, classes: &Classes<'_>, source: &Source) -> Result<Fact, Declined> {
        let fact = match source {
            Source::New { node, result } => {
                self.nodes.get(*node).and_then(|(_, _, facts)| facts.get(*result as usize)).cloned()
            }
            _ => classes[known(self.found, source)?].data.facts.first().cloned(),
        };
        fact.ok_or_else(|| format!("nothing is known of {source:?}").into())
    }

    fn keeps_type(&self, classes: &Classes<'_>, root: Id, source: &Source) -> Result<(), Declined> {
        let found = self.fact(classes, source)?.ty;
        let Some(expected) = classes[root].data.facts.first().map(|fact| &fact.ty) else {
            return Err("nothing is known of the value".into());
        };
        match same_type(&found, expected) {
            true => Ok(()),
            false => {
                Err(format!("the type cannot be shown to stay: found {found}, expected {expected}").into())
            }
        }
    }

    /// Puts the nodes in.
    fn add(self, classes: &mut Classes<'_>) -> Result<Vec<Added>, Declined> {
        let mut added: Vec<Added> = Vec::new();
        for (new, made, _) in self.nodes {
            let operands = new.operands.iter().flatten();
            let children = operands.map(|source| Ok(result(classes, self.found, &added, source)?.0));
            let children = children.collect::<Result<Vec<Id>, Declined>>()?;
            let results = made.results;
            let node = classes.analysis.heads.node(Head::Made(made), children);
            added.push(Added { class: classes.add(node.clone()), node, results });
        }
        Ok(added)
    }
}

/// A node that was put in.
struct Added {
    class: Id,
    node: ENode,
    results: usize,
}

/// The class of a value of a replacement, and the e-node that stands for it if it is a new one.
fn result(
    classes: &mut Classes<'_>,
    found: &Binding<Id>,
    added: &[Added],
    source: &Source,
) -> Result<(Id, Option<ENode>), Declined> {
    let Source::New { node, result } = source else { return Ok((known(found, source)?, None)) };
    let added = added.get(*node).ok_or("the rule uses a node before it is made")?;
    if added.results == 1 {
        return Ok((added.class, Some(added.node.clone())));
    }
    let node = classes.analysis.heads.node(Head::Result(*result), vec![added.class]);
    Ok((classes.add(node.clone()), Some(node)))
}

/// The class of what a variable stands for.
fn known(found: &Binding<Id>, source: &Source) -> Result<Id, Declined> {
    let id = match source {
        Source::Found(var) => found.values.get(var).copied(),
        Source::Listed(var, at) => found.lists.get(var).and_then(|list| list.get(*at)).copied(),
        Source::New { .. } => None,
    };
    id.ok_or_else(|| format!("the rule uses {source:?}, which it did not find").into())
}

/// Whether both have the same element type and certainly the same shape.
fn same_type(a: &TensorType, b: &TensorType) -> bool {
    let same = |a: &[Dim], b: &[Dim]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b));
    a.dtype == b.dtype && a.dims.as_deref().zip(b.dims.as_deref()).is_some_and(|(a, b)| same(a, b))
}
