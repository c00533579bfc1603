//! What the variables of a rule stand for.
use crate::scene::Scene;
use std::collections::BTreeMap;
use weft_ir::{Attr, Dim, Tensor};
use weft_passes::rule::{Bound, Match, Var};

/// What the variables of a rule stand for, among the values of a [`Scene`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Binding<V> {
    /// The values that are to be replaced, one for each pattern.
    pub roots: Vec<V>,
    /// Values.
    pub values: BTreeMap<Var, V>,
    /// Operands taken together.
    pub lists: BTreeMap<Var, Vec<V>>,
    /// Attributes.
    pub attrs: BTreeMap<Var, Attr>,
    /// Attributes taken together.
    pub others: BTreeMap<Var, BTreeMap<String, Attr>>,
}

impl<V: Copy + Ord> Binding<V> {
    /// Nothing but the value that the first pattern is to be.
    pub(crate) fn at(root: V) -> Self {
        let (values, lists) = (BTreeMap::new(), BTreeMap::new());
        Self { roots: vec![root], values, lists, attrs: BTreeMap::new(), others: BTreeMap::new() }
    }

    /// Lets a variable stand for a value; false if it stands for another one.
    pub(crate) fn value<S: Scene<Value = V>>(&mut self, scene: &S, var: &Var, value: V) -> bool {
        let known = *self.values.entry(var.clone()).or_insert(value);
        same(scene, known, value)
    }

    /// Lets a variable stand for operands; false if it stands for others.
    pub(crate) fn list<S: Scene<Value = V>>(&mut self, scene: &S, var: &Var, values: &[V]) -> bool {
        let known = self.lists.entry(var.clone()).or_insert_with(|| values.to_vec());
        known.len() == values.len() && known.iter().zip(values).all(|(a, b)| same(scene, *a, *b))
    }

    /// What is known of all of it, as rules want it.
    pub fn shown<'a, S: Scene<Value = V>>(
        &self,
        scene: &'a S,
        bound: &'a dyn Fn(&Dim) -> bool,
    ) -> Option<Match<'a>> {
        let one = |value: V| Some(Bound { fact: scene.fact(value)?, uses: scene.use_count(value) });
        let values = self.values.iter().map(|(var, value)| Some((var.clone(), one(*value)?)));
        let many = |list: &[V]| list.iter().map(|value| one(*value)).collect::<Option<Vec<_>>>();
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
fn same<S: Scene>(scene: &S, a: S::Value, b: S::Value) -> bool {
    let data = |value| scene.fact(value)?.constant.as_deref();
    a == b || data(a).zip(data(b)).is_some_and(|(a, b): (&Tensor, &Tensor)| a == b)
}
