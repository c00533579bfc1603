//! Whether one node is what one pattern looks for, its operands aside.
use crate::binding::Binding;
use std::collections::BTreeMap;
use weft_ir::{Attr, Node, TensorType, Value};
use weft_passes::Rewriter;
use weft_passes::rule::{AttrPattern, Made, Pattern};

/// Whether a constant consists of this number alone.
pub(crate) fn is_number(g: &Rewriter<'_>, value: Value, number: f64) -> bool {
    g.data(value).is_some_and(|tensor| tensor.as_uniform() == Some(number))
}

/// Binds what a node's attributes stand for; false if they are not what is looked for.
pub(crate) fn attributes(g: &Rewriter<'_>, value: Value, made: &Made, binding: &mut Binding) -> bool {
    let node = g.node(value.node);
    let Some(def) = g.ops().get(node.op.as_str()) else { return false };
    let operands: Vec<Option<Value>> = g.operands(value.node);
    let types: Vec<Option<&TensorType>> = operands.iter().map(|v| v.map(|v| g.ty(v))).collect();
    let mut others = BTreeMap::new();
    for attr in def.attrs {
        let usual = attr.default.value(&types);
        let given = node.attrs.get(attr.name).cloned().or_else(|| usual.clone());
        match made.attrs.get(attr.name) {
            Some(wanted) => {
                let Some(given) = given else { return false };
                if !attribute(wanted, given, binding) {
                    return false;
                }
            }
            None if given != usual => drop(given.map(|given| others.insert(attr.name.to_string(), given))),
            None => {}
        }
    }
    match &made.others {
        Some(var) => *binding.others.entry(var.clone()).or_insert_with(|| others.clone()) == others,
        None => others.is_empty(),
    }
}

fn attribute(wanted: &AttrPattern, given: Attr, binding: &mut Binding) -> bool {
    match wanted {
        AttrPattern::Is(wanted) => *wanted == given,
        AttrPattern::Any(var) => *binding.attrs.entry(var.clone()).or_insert_with(|| given.clone()) == given,
    }
}

/// What is bound once operands are paired with patterns, and the pairs.
pub(crate) type Pairing<'p> = (Binding, Vec<Pair<'p>>);

/// A pattern and the operand it is to fit.
pub(crate) type Pair<'p> = (&'p Pattern, Option<Value>);

/// The pairs of pattern and operand, in each way in which they can be paired.
pub(crate) fn pairings<'p>(
    g: &Rewriter<'_>,
    value: Value,
    made: &'p Made,
    binding: &Binding,
) -> Vec<Pairing<'p>> {
    let operands = g.operands(value.node);
    let (listed, found) = (made.operands.len(), operands.len());
    if made.front.is_none() && made.back.is_none() {
        if found > listed {
            return Vec::new();
        }
        let pairs = |order: &[usize]| {
            let pair = |(pattern, at): (&'p Pattern, &usize)| (pattern, operands.get(*at).copied().flatten());
            (binding.clone(), made.operands.iter().zip(order).map(pair).collect())
        };
        let straight: Vec<usize> = (0..listed).collect();
        return match commutes(g, g.node(value.node), made) {
            true => vec![pairs(&straight), pairs(&[1, 0])],
            false => vec![pairs(&straight)],
        };
    }
    let Some(operands) = operands.into_iter().collect::<Option<Vec<Value>>>() else { return Vec::new() };
    let Some(extra) = found.checked_sub(listed) else { return Vec::new() };
    let starts = match (&made.front, &made.back) {
        (Some(_), Some(_)) => 0..=extra,
        (Some(_), None) => extra..=extra,
        _ => 0..=0,
    };
    starts.filter_map(|start| around(g, made, &operands, start, binding.clone())).collect()
}

/// The pairing in which the listed operands begin at `start`.
fn around<'p>(
    g: &Rewriter<'_>,
    made: &'p Made,
    operands: &[Value],
    start: usize,
    mut binding: Binding,
) -> Option<Pairing<'p>> {
    let (front, rest) = operands.split_at(start);
    let (middle, back) = rest.split_at(made.operands.len());
    for (var, values) in [(&made.front, front), (&made.back, back)] {
        if let Some(var) = var
            && !binding.list(g, var, values)
        {
            return None;
        }
    }
    let pairs = made.operands.iter().zip(middle.iter().map(|value| Some(*value)));
    Some((binding, pairs.collect()))
}

fn commutes(g: &Rewriter<'_>, node: &Node, made: &Made) -> bool {
    let [a, b] = made.operands.as_slice() else { return false };
    a != b && g.ops().get(node.op.as_str()).is_some_and(|def| def.traits.commutative)
}
