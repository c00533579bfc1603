//! The chosen form back into the graph, in one transaction.
//!
//! Nodes of the graph that were chosen stay as they are, with the chosen form of their operands;
//! others are added, and take over the names of the values they stand for.
use crate::choices::{Choices, Taken};
use crate::lang::{Head, Made};
use crate::lift::Lifted;
use crate::originals::Originals;
use std::collections::BTreeMap;
use weft_ir::{Node, NodeId, Value};
use weft_passes::{Declined, Rewriter};

/// A form of a graph and what it is made of.
pub(crate) struct Form<'f, 'a> {
    pub(crate) lifted: &'f Lifted<'a>,
    pub(crate) choices: &'f Choices,
    pub(crate) originals: &'f Originals,
    pub(crate) taken: &'f Taken,
    /// The classes it needs, operands before users.
    pub(crate) order: Vec<usize>,
}

/// What computes a class.
#[derive(Clone, Copy)]
enum Place {
    One(Value),
    All(NodeId),
}

impl Form<'_, '_> {
    /// Gives the graph this form; or says why not, and nothing is to be changed.
    pub(crate) fn lower(&self, g: &mut Rewriter<'_>) -> Result<(), Declined> {
        let names = self.names(g);
        let mut places: BTreeMap<usize, Place> = BTreeMap::new();
        for class in &self.order {
            let place = self.place(g, *class, &places, names.get(class))?;
            places.insert(*class, place);
        }
        for (class, place) in &places {
            let Place::One(new) = place else { continue };
            let values = self.originals.values.get(class).into_iter().flatten();
            // What nobody uses, such as a form that was not taken, has no name to hand on.
            let used = |old: &Value| g.use_count(*old) > 0;
            let old: Vec<Value> = values.copied().filter(|old| old != new && used(old)).collect();
            for old in old {
                if !g.same_type(old, *new) {
                    let (found, expected) = (g.ty(*new), g.ty(old));
                    return Err(format!("found {found} for `%{}` of {expected}", g.name_of(old)).into());
                }
                g.replace(old, *new);
            }
        }
        Ok(())
    }

    fn place(
        &self,
        g: &mut Rewriter<'_>,
        class: usize,
        places: &BTreeMap<usize, Place>,
        name: Option<&String>,
    ) -> Result<Place, Declined> {
        let choice = self.choices.taken(self.taken, class).ok_or("a class has no form")?;
        let operand = |class: &usize| places.get(class).copied().ok_or("an operand comes after its user");
        match self.lifted.classes.analysis.heads.of(&choice.node) {
            Some(Head::Leaf(value)) => Ok(Place::One(*value)),
            Some(Head::Result(slot)) => match choice.children.first().map(operand).transpose()? {
                Some(Place::All(node)) => Ok(Place::One(Value { node, slot: *slot })),
                _ => Err("a result has no node".into()),
            },
            Some(Head::Made(made)) => {
                let known = self.originals.nodes.get(&(class, choice.node.clone())).copied();
                let id = match known {
                    Some(id) => id,
                    None => {
                        let children = choice.children.iter().map(operand).collect::<Result<Vec<_>, _>>()?;
                        name.into_iter().for_each(|name| g.name_after(name));
                        add(g, made, &children)?
                    }
                };
                Ok(if made.results == 1 { Place::One(Value { node: id, slot: 0 }) } else { Place::All(id) })
            }
            None => Err("an e-node has no operator".into()),
        }
    }

    /// The name of a value in each class, or of what is made of it.
    fn names(&self, g: &Rewriter<'_>) -> BTreeMap<usize, String> {
        let mut names = BTreeMap::new();
        for class in self.order.iter().rev() {
            if let Some(value) = self.originals.values.get(class).and_then(|values| values.first()) {
                names.insert(*class, g.name_of(*value).to_string());
            }
            let children = self.choices.taken(self.taken, *class).map(|choice| &choice.children);
            if let Some(name) = names.get(class).cloned() {
                for child in children.into_iter().flatten() {
                    names.entry(*child).or_insert_with(|| name.clone());
                }
            }
        }
        names
    }
}

fn add(g: &mut Rewriter<'_>, made: &Made, children: &[Place]) -> Result<NodeId, Declined> {
    let mut node = Node::new(made.op.as_str(), Vec::new());
    node.attrs = made.attrs.clone();
    let value = |place: Option<Place>| match place {
        Some(Place::One(value)) => Ok(Some(value)),
        None => Ok(None),
        Some(Place::All(_)) => Err("an operand is several values"),
    };
    let operands = made.operands(children).into_iter().map(value).collect::<Result<Vec<_>, _>>()?;
    g.add_many(node, made.results, &operands)
}
