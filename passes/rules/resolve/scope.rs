//! The names of one rule, and what is wrong with it so far.
use super::Known;
use super::term::Typed;
use crate::ast::{Comparison, ConditionText, Expr, Name, What};
use crate::error::Slip;
use crate::eval::{Test, converts};
use crate::rule::Condition;
use std::collections::BTreeMap;
use weft_ir::OpDef;
use weft_passes::nearest;
use weft_passes::rule::{Kind, Var};

/// Of how many parts a condition or a value that is put in may be made; what is named counts each
/// time.
const LARGEST: usize = 512;

/// The names of one rule, and what is wrong with it so far.
pub(crate) struct Scope<'k> {
    pub(crate) known: Known<'k>,
    /// What the variables of the patterns are.
    pub(crate) variables: BTreeMap<String, Kind>,
    /// Variables for all other attributes of an operator.
    pub(crate) others: BTreeMap<String, OpDef>,
    /// Terms with names.
    pub(crate) terms: BTreeMap<String, Typed>,
    /// Values that are put in, with names.
    pub(crate) parts: BTreeMap<String, Expr>,
    /// Attributes that are to be what a term says.
    pub(crate) wanted: Vec<Wanted>,
    /// Whether every variable that the patterns hold is known; not if there are slips in them.
    pub(crate) all_known: bool,
    pub(crate) slips: Vec<Slip>,
    /// Of how many parts the current condition or value is made so far.
    size: usize,
}

/// An attribute that is to be what a term says.
pub(crate) struct Wanted {
    /// What it is called.
    pub(crate) name: &'static str,
    /// The variable that stands for it.
    pub(crate) var: Var,
    pub(crate) kind: Kind,
    pub(crate) term: Expr,
}

impl<'k> Scope<'k> {
    pub(crate) fn new(known: Known<'k>) -> Self {
        Self {
            known,
            variables: BTreeMap::new(),
            others: BTreeMap::new(),
            terms: BTreeMap::new(),
            parts: BTreeMap::new(),
            wanted: Vec::new(),
            all_known: true,
            slips: Vec::new(),
            size: 0,
        }
    }

    /// Tells what is wrong, and gives nothing.
    pub(crate) fn wrong<T>(&mut self, at: usize, message: impl Into<String>) -> Option<T> {
        self.slips.push(Slip::new(at, message));
        None
    }

    /// Begins a condition or a value that is put in.
    pub(crate) fn begin(&mut self) {
        self.size = 0;
    }

    /// Counts parts, of which there must not be too many.
    pub(crate) fn count(&mut self, parts: usize, at: usize) -> Option<()> {
        self.size = self.size.saturating_add(parts);
        match self.size > LARGEST {
            true => self.wrong(at, format!("it is made of more than {LARGEST} parts")),
            false => Some(()),
        }
    }

    /// The operator that a call applies.
    pub(crate) fn operator(&mut self, name: &str, at: usize) -> Option<OpDef> {
        if let Some(def) = self.known.ops.get(name) {
            return Some(*def);
        }
        if self.known.rules.function(name).is_some() {
            return self.wrong(at, format!("`{name}` is a function, expected an operator"));
        }
        let near = nearest(name, self.known.ops.iter().map(|def| def.name));
        let near = near.map(|near| format!(", did you mean `{near}`?")).unwrap_or_default();
        self.wrong(at, format!("no operator is called `{name}`{near}"))
    }

    /// Takes in a variable of the patterns.
    pub(crate) fn bind(&mut self, name: &str, kind: Kind, at: usize) -> Option<Var> {
        let known = *self.variables.entry(name.to_string()).or_insert(kind);
        if self.others.contains_key(name) {
            return self.wrong(at, format!("`?{name}` stands for other attributes already"));
        }
        match known == kind {
            true => Some(name.into()),
            false => self.wrong(at, format!("`?{name}` is {known} elsewhere and {kind} here")),
        }
    }

    /// Takes in a `let`.
    pub(crate) fn define(&mut self, name: &Name, expr: &Expr) {
        self.begin();
        let taken = self.variables.contains_key(&name.text)
            || self.others.contains_key(&name.text)
            || self.terms.contains_key(&name.text)
            || self.parts.contains_key(&name.text);
        if taken {
            self.slips.push(Slip::new(name.span.0.start, format!("`?{}` has a meaning already", name.text)));
            return;
        }
        let operator = |expr: &Expr| matches!(&expr.what, What::Call(call) if self.known.rules.function(&call.name).is_none());
        if operator(expr) {
            self.parts.insert(name.text.clone(), expr.clone());
        } else if let Some(typed) = self.term(expr) {
            self.terms.insert(name.text.clone(), typed);
        }
    }

    /// The conditions that attributes be what terms say.
    pub(crate) fn implied(&mut self) -> Vec<Condition> {
        let wanted = std::mem::take(&mut self.wanted);
        let conditions = wanted.into_iter().filter_map(|Wanted { name, var, kind, term: expr }| {
            self.begin();
            let at = expr.span.0.start;
            let (right, found) = self.term(&expr)?;
            let Some(right) = super::term::converted(right, found, kind) else {
                return self.wrong(at, format!("{expr} is {found}, expected {kind}"));
            };
            let left = crate::eval::Term::Attr(var);
            Some(Condition {
                text: format!("{name} = {expr}"),
                test: Test::Compares(left, Comparison::Same, right),
            })
        });
        conditions.collect()
    }

    /// A condition, typed.
    pub(crate) fn condition(&mut self, text: &ConditionText) -> Option<Condition> {
        self.begin();
        let at = text.left.span.0.start;
        let shown = text.to_string();
        let Some((comparison, right)) = &text.right else {
            let (term, kind) = self.term(&text.left)?;
            return match kind {
                Kind::Truth => Some(Condition { text: shown, test: Test::Holds(term) }),
                _ => self.wrong(at, format!("`{shown}` is {kind}, expected a condition")),
            };
        };
        let (left, right) = (self.term(&text.left), self.term(right));
        let ((left, a), (right, b)) = (left?, right?);
        let kind = if converts(a, b) { b } else { a };
        let comparable = !matches!(kind, Kind::Value | Kind::Values | Kind::Truth);
        let ordered = matches!(kind, Kind::Int | Kind::Float | Kind::Extent | Kind::Shape);
        let (Some(left), Some(right)) =
            (super::term::converted(left, a, kind), super::term::converted(right, b, kind))
        else {
            return self.wrong(at, format!("{a} and {b} cannot be compared"));
        };
        if !comparable || (!ordered && !matches!(comparison, Comparison::Same | Comparison::Differs)) {
            return self.wrong(at, format!("{kind} cannot be compared by `{}`", comparison.mark()));
        }
        Some(Condition { text: shown, test: Test::Compares(left, *comparison, right) })
    }
}
