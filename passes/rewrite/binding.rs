//! What the variables of a rule stand for in a graph.
use std::collections::BTreeMap;
use weft_ir::{Attr, Dim, Tensor, Value};
use weft_passes::Rewriter;
use weft_passes::rule::{Bound, Match, Var};

/// What the variables of a rule stand for in a graph.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Binding {
    /// The values that are to be replaced, one for each pattern.
    pub roots: Vec<Value>,
    /// Values.
    pub values: BTreeMap<Var, Value>,
    /// Operands taken together.
    pub lists: BTreeMap<Var, Vec<Value>>,
    /// Attributes.
    pub attrs: BTreeMap<Var, Attr>,
    /// Attributes taken together.
    pub others: BTreeMap<Var, BTreeMap<String, Attr>>,
}

impl Binding {
    /// Lets a variable stand for a value; false if it stands for another one.
    pub(crate) fn value(&mut self, g: &Rewriter<'_>, var: &Var, value: Value) -> bool {
        let known = *self.values.entry(var.clone()).or_insert(value);
        same(g, known, value)
    }

    /// Lets a variable stand for operands; false if it stands for others.
    pub(crate) fn list(&mut self, g: &Rewriter<'_>, var: &Var, values: &[Value]) -> bool {
        let known = self.lists.entry(var.clone()).or_insert_with(|| values.to_vec());
        known.len() == values.len() && known.iter().zip(values).all(|(a, b)| same(g, *a, *b))
    }

    /// What is known of all of it, as rules want it.
    pub(crate) fn shown<'a>(
        &self,
        g: &'a Rewriter<'_>,
        bound: &'a dyn Fn(&Dim) -> bool,
    ) -> Option<Match<'a>> {
        let one = |value: Value| Some(Bound { fact: g.fact(value)?, uses: g.use_count(value) });
        let values = self.values.iter().map(|(var, value)| Some((var.clone(), one(*value)?)));
        let many = |list: &[Value]| list.iter().map(|value| one(*value)).collect::<Option<Vec<_>>>();
        let lists = self.lists.iter().map(|(var, list)| Some((var.clone(), many(list)?)));
        Some(Match {
            values: values.collect::<Option<_>>()?,
            lists: lists.collect::<Option<_>>()?,
            attrs: self.attrs.clone(),
            others: self.others.clone(),
            bound,
        })
    }
}

/// Whether both are certainly the same: one value, or equal constants.
fn same(g: &Rewriter<'_>, a: Value, b: Value) -> bool {
    let data = |value| g.data(value).map(|tensor| -> &Tensor { tensor });
    a == b || data(a).zip(data(b)).is_some_and(|(a, b)| a == b)
}
