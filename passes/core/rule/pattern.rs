//! What a rule looks for.
use std::collections::BTreeMap;
use std::sync::Arc;
use weft_ir::{Attr, OpName};

/// The name of a variable, without its `?`.
pub type Var = Arc<str>;

/// A value to look for.
#[derive(Debug, Clone, PartialEq)]
pub enum Pattern {
    /// Any value; twice the same variable is twice the same value.
    Any(Var),
    /// No value: the operand is absent.
    Absent,
    /// A constant whose elements are all this number, whatever its shape and element type.
    Number(f64),
    /// A vector whose elements are known to be these.
    Ints(Vec<i64>),
    /// A value made by an operator.
    Made(Box<Made>),
}

/// A value made by an operator.
#[derive(Debug, Clone, PartialEq)]
pub struct Made {
    /// A variable for the value itself.
    pub name: Option<Var>,
    /// The operator; it is pure and has no regions.
    pub op: OpName,
    /// Which of its results the value is.
    pub result: u32,
    /// A variable for any number of operands in front of those listed.
    pub front: Option<Var>,
    /// The operands. Those that are not listed must be absent.
    pub operands: Vec<Pattern>,
    /// A variable for any number of operands behind those listed.
    pub back: Option<Var>,
    /// Attributes. Those that are not listed must have their defaults, unless there is `others`.
    pub attrs: BTreeMap<String, AttrPattern>,
    /// A variable for all attributes that are not listed.
    pub others: Option<Var>,
}

/// The value of an attribute to look for. An attribute that is not given has its default, or what
/// that implies; see [`weft_ir::AttrDefault::value`].
#[derive(Debug, Clone, PartialEq)]
pub enum AttrPattern {
    /// This value.
    Is(Attr),
    /// Any value; twice the same variable is twice the same value.
    Any(Var),
}

impl Pattern {
    /// The operator, if a value made by one is looked for.
    pub fn made(&self) -> Option<&Made> {
        match self {
            Pattern::Made(made) => Some(made),
            _ => None,
        }
    }

    /// Every value made by an operator in it, outer ones before inner ones.
    pub fn operators(&self) -> Vec<&Made> {
        let mut found: Vec<&Made> = self.made().into_iter().collect();
        let mut next = 0;
        while let Some(made) = found.get(next).copied() {
            next += 1;
            found.extend(made.operands.iter().filter_map(Pattern::made));
        }
        found
    }
}
