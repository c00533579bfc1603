//! What is known of every class, as an analysis of egg: inferred by the definitions of operators,
//! and merged so that it only ever grows.
use crate::lang::{ENode, Head, Heads, Made};
use egg::{Analysis, DidMerge, EGraph, Id};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use weft_ir::{Def, Dim, Fact, InferError, Node, OpSet, TensorType, Value};
use weft_passes::infer;

/// The e-graph of one graph.
pub(crate) type Classes<'a> = EGraph<ENode, Facts<'a>>;

/// What facts are made from.
pub(crate) struct Facts<'a> {
    pub(crate) ops: &'a OpSet,
    pub(crate) heads: Heads,
    /// What the graph knows of the values that are leaves.
    pub(crate) leaves: BTreeMap<Value, Fact>,
    /// The first two facts that cannot both hold: a rule is wrong.
    pub(crate) contradiction: Option<String>,
    /// The classes that are new, or of which more is known, since this was last taken.
    pub(crate) changed: BTreeSet<Id>,
}

/// What is known of a class.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    /// Of the value, or of each result of an operator with several; nothing where inference failed.
    pub(crate) facts: Vec<Fact>,
    /// Whether it depends on constants alone, so that folding computes it ahead of time.
    pub(crate) fixed: bool,
}

impl<'a> Analysis<ENode> for Facts<'a> {
    type Data = Known;

    fn make(classes: &mut Classes<'a>, node: &ENode, id: Id) -> Known {
        known(classes, node, id)
    }

    fn merge(&mut self, a: &mut Known, b: Known) -> DidMerge {
        let mut merged = DidMerge(b.fixed && !a.fixed, a.fixed && !b.fixed);
        a.fixed |= b.fixed;
        if b.facts.len() > a.facts.len() {
            let rest = b.facts[a.facts.len()..].to_vec();
            a.facts.extend(rest);
            merged.0 = true;
        }
        merged.1 |= b.facts.len() < a.facts.len();
        for (a, b) in a.facts.iter_mut().zip(&b.facts) {
            match both(a, b) {
                Ok(fact) => {
                    merged = merged | DidMerge(!alike(a, &fact), !alike(b, &fact));
                    *a = fact;
                }
                Err(why) => drop(self.contradiction.get_or_insert(why)),
            }
        }
        merged
    }

    fn modify(classes: &mut Classes<'a>, id: Id) {
        classes.analysis.changed.insert(id);
    }
}

fn known(classes: &Classes<'_>, node: &ENode, id: Id) -> Known {
    let facts = &classes.analysis;
    match facts.heads.of(node) {
        Some(Head::Leaf(value)) => {
            Known { facts: facts.leaves.get(value).cloned().into_iter().collect(), fixed: false }
        }
        Some(Head::Result(slot)) => {
            let Some(all) = node.children.first().map(|child| &classes[*child].data) else {
                return Known::default();
            };
            Known { facts: all.facts.get(*slot as usize).cloned().into_iter().collect(), fixed: all.fixed }
        }
        Some(Head::Made(made)) => {
            let operand = |child: Option<Id>| Some(classes[child?].data.facts.first()?.clone());
            let operands = made.operands(&node.children).into_iter().map(operand).collect();
            let fixed = node.children.iter().all(|child| classes[*child].data.fixed);
            // Quantised data stays quantised: folding leaves it alone.
            let fixed =
                fixed && made.op != "DequantizeLinear" && (made.op == "Const" || !node.children.is_empty());
            Known { facts: inferred(facts.ops, made, operands, usize::from(id)).unwrap_or_default(), fixed }
        }
        None => Known::default(),
    }
}

/// Infers an operator. Extents that only the node can tell are named after `number`.
pub(crate) fn inferred(
    ops: &OpSet,
    made: &Made,
    operands: Vec<Option<Fact>>,
    number: usize,
) -> Result<Vec<Fact>, InferError> {
    let def = ops.get(made.op.as_str()).ok_or_else(|| InferError("no such operator".to_string()))?;
    let mut facts = infer(def, &application(made, number), operands)?;
    facts.truncate(made.results);
    Ok(facts)
}

/// An application as a node of no graph.
pub(crate) fn application(made: &Made, number: usize) -> Node {
    let ty = TensorType::unranked(weft_ir::DType::F32);
    let result = |slot: usize| Def { name: format!("class {number}.{slot}"), ty: ty.clone() };
    let mut node = Node::new(made.op.as_str(), (0..made.results).map(result).collect());
    node.attrs = made.attrs.clone();
    node
}

/// One fact that says what both say, or what they contradict each other in.
fn both(a: &Fact, b: &Fact) -> Result<Fact, String> {
    let conflict = || format!("a value of type {} is to equal one of type {}", a.ty, b.ty);
    if a.ty.dtype != b.ty.dtype {
        return Err(conflict());
    }
    let dims = match (&a.ty.dims, &b.ty.dims) {
        (Some(a), Some(b)) if a.len() == b.len() => {
            Some(a.iter().zip(b).map(|(a, b)| extent(a, b)).collect::<Option<_>>().ok_or_else(conflict)?)
        }
        (Some(_), Some(_)) => return Err(conflict()),
        (a, b) => a.clone().or_else(|| b.clone()),
    };
    if let (Some(a), Some(b)) = (&a.constant, &b.constant)
        && a != b
    {
        return Err("two different constants are to be equal".to_string());
    }
    let constant = a.constant.clone().or_else(|| b.constant.clone());
    let value = a.value.clone().or_else(|| b.value.clone());
    Ok(Fact { ty: TensorType { dtype: a.ty.dtype, dims }, value, constant })
}

/// The more telling of two names of one extent.
fn extent(a: &Dim, b: &Dim) -> Option<Dim> {
    let dim = match (a.as_fixed(), b.as_fixed()) {
        (Some(a), Some(b)) if a != b => return None,
        (Some(_), _) => a,
        (_, Some(_)) => b,
        _ if a.is_unknown() => b,
        _ if b.is_unknown() => a,
        _ if a.is_decided_at_run_time() && !b.is_decided_at_run_time() => b,
        _ => a,
    };
    Some(dim.clone())
}

fn alike(a: &Fact, b: &Fact) -> bool {
    let constants = match (&a.constant, &b.constant) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b) || a == b,
        (a, b) => a.is_none() && b.is_none(),
    };
    constants && a.ty == b.ty && a.value == b.value
}
