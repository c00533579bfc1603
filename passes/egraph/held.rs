//! Values that a lossy pass holds equal, side by side in an e-graph, and one of them taken for each.
//!
//! Rules only ever make equal what is. A lossy pass says of several forms of a value that any of them
//! would do; in an e-graph of its own their classes become one, so that what forms share, among each
//! other and with the rest of the graph, is there once, and whatever is taken for each can be computed.
use crate::choices::{Choices, Taken};
use crate::lang::{ENode, Head};
use crate::lift::{Lifted, lift};
use crate::lower::Form;
use crate::originals::{Originals, canonical};
use std::collections::BTreeMap;
use weft_ir::Value;
use weft_passes::{Declined, PlainCost, Rewriter};

/// A value and its other forms.
pub struct Held {
    /// The value.
    pub value: Value,
    /// What may be taken in its place; all of it is in the graph, if only for now.
    pub forms: Vec<Value>,
    /// Which of the forms is to be taken; none for the value as it is.
    pub taken: Option<usize>,
}

/// Takes one of the forms of each value; the others are in the graph no more once the visit is over.
///
/// # Errors
/// If a form is of another type than its value, or would be computed from itself.
pub fn take_held(g: &mut Rewriter<'_>, held: &[Held]) -> Result<(), Declined> {
    let mut lifted = lift(g);
    for Held { value, forms, .. } in held {
        let class = |value: &Value| lifted.values.get(value).copied().ok_or("a form is not in the graph");
        let (value, forms) = (class(value)?, forms.iter().map(class).collect::<Result<Vec<_>, _>>()?);
        for form in forms {
            lifted.classes.union(value, form);
        }
    }
    lifted.classes.rebuild();
    if let Some(why) = &lifted.classes.analysis.contradiction {
        return Err(format!("forms that are held equal cannot be: {why}").into());
    }
    let choices = Choices::new(&lifted.classes, &lifted.roots, &PlainCost);
    let originals = Originals::of(g, &lifted, &choices);
    let taken = taken(&lifted, (&choices, &originals), held)?;
    let order = choices.order(&taken).ok_or("a form would be computed from itself")?;
    Form { lifted: &lifted, choices: &choices, originals: &originals, taken: &taken, order }.lower(g)
}

/// The graph as it is, but for what is held.
fn taken(
    lifted: &Lifted<'_>,
    (choices, originals): (&Choices, &Originals),
    held: &[Held],
) -> Result<Taken, Declined> {
    let nodes: BTreeMap<_, &ENode> = lifted.nodes.iter().map(|(id, node, _)| (*id, node)).collect();
    let mut taken = originals.taken.clone();
    for Held { value, forms, taken: form } in held {
        let chosen = form.map_or(Some(value), |form| forms.get(form)).ok_or("there is no such form")?;
        let class = lifted.classes.find(*lifted.values.get(value).ok_or("a value is not in the graph")?);
        // What no output needs has no place.
        let Some(place) = choices.places.get(&class).copied() else { continue };
        let node = nodes.get(&chosen.node).map(|node| canonical(&lifted.classes, node));
        let is_it = |option: &ENode| match (&node, lifted.classes.analysis.heads.of(option)) {
            (Some(node), _) => option == node,
            (None, head) => head == Some(&Head::Leaf(*chosen)),
        };
        let option = choices.classes[place].options.iter().position(|option| is_it(&option.node));
        taken[place] = Some(option.ok_or("a form is gone from its class")?);
    }
    Ok(taken)
}
