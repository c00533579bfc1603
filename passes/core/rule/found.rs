//! What an engine found for the variables of a rule.
use super::pattern::Var;
use std::collections::BTreeMap;
use std::fmt;
use weft_ir::{Attr, Dim, Fact};

/// What is known of a value that was found.
#[derive(Debug, Clone, Copy)]
pub struct Bound<'a> {
    /// Its type, and what is known of its elements.
    pub fact: &'a Fact,
    /// How often it is used. Engines that weigh sharing themselves say once.
    pub uses: usize,
}

/// What an engine found for the variables of a rule's patterns.
#[derive(Clone)]
pub struct Match<'a> {
    /// Values.
    pub values: BTreeMap<Var, Bound<'a>>,
    /// Operands taken together, of [`super::Made::front`] and [`super::Made::back`].
    pub lists: BTreeMap<Var, Vec<Bound<'a>>>,
    /// Attributes.
    pub attrs: BTreeMap<Var, Attr>,
    /// Attributes taken together, of [`super::Made::others`]; those with their defaults left out.
    pub others: BTreeMap<Var, BTreeMap<String, Attr>>,
    /// Whether an extent follows from the shapes of the model's inputs alone.
    pub bound: &'a dyn Fn(&Dim) -> bool,
}

impl fmt::Debug for Match<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Match")
            .field("values", &self.values)
            .field("attrs", &self.attrs)
            .finish_non_exhaustive()
    }
}
