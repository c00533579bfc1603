//! Functions and conditions that rules are written with.
use super::found::Bound;
use crate::pass::Declined;
use std::fmt;
use std::sync::Arc;
use weft_ir::{Attr, DType, Dim, Tensor};

/// What a term of a rule is, known before any graph is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A value of the graph.
    Value,
    /// Operands taken together.
    Values,
    /// An integer.
    Int,
    /// A number.
    Float,
    /// A text.
    Text,
    /// Integers.
    Ints,
    /// Numbers.
    Floats,
    /// Texts.
    Texts,
    /// An element type.
    Type,
    /// An extent, which may be symbolic.
    Extent,
    /// A shape.
    Shape,
    /// Constant data.
    Tensor,
    /// Whether something certainly holds.
    Truth,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Value => "a value",
            Kind::Values => "operands",
            Kind::Int => "an integer",
            Kind::Float => "a number",
            Kind::Text => "a text",
            Kind::Ints => "integers",
            Kind::Floats => "numbers",
            Kind::Texts => "texts",
            Kind::Type => "an element type",
            Kind::Extent => "an extent",
            Kind::Shape => "a shape",
            Kind::Tensor => "a tensor",
            Kind::Truth => "a condition",
        })
    }
}

/// What a term of a rule comes to.
#[derive(Debug, Clone)]
pub enum Datum<'a> {
    /// A value of the graph.
    Value(Bound<'a>),
    /// Operands taken together.
    Values(Vec<Bound<'a>>),
    /// An integer.
    Int(i64),
    /// A number.
    Float(f64),
    /// A text.
    Text(String),
    /// Integers.
    Ints(Vec<i64>),
    /// Numbers.
    Floats(Vec<f32>),
    /// Texts.
    Texts(Vec<String>),
    /// An element type.
    Type(DType),
    /// An extent.
    Extent(Dim),
    /// A shape.
    Shape(Vec<Dim>),
    /// Constant data.
    Tensor(Arc<Tensor>),
    /// Whether something certainly holds; false also where it cannot be told.
    Truth(bool),
}

impl From<&Attr> for Datum<'_> {
    fn from(attr: &Attr) -> Self {
        match attr {
            Attr::Int(x) => Datum::Int(*x),
            Attr::Float(x) => Datum::Float(f64::from(*x)),
            Attr::Str(x) => Datum::Text(x.clone()),
            Attr::Ints(x) => Datum::Ints(x.clone()),
            Attr::Floats(x) => Datum::Floats(x.clone()),
            Attr::Strs(x) => Datum::Texts(x.clone()),
            Attr::Dims(x) => Datum::Shape(x.clone()),
            Attr::Type(x) => Datum::Type(*x),
            Attr::Tensor(x) => Datum::Tensor(x.clone()),
        }
    }
}

/// A function or, if its result is [`Kind::Truth`], a condition that rules can be written with.
#[derive(Debug, Clone)]
pub struct Function {
    /// Its name, in snake case.
    pub name: &'static str,
    /// What it gives, in a sentence.
    pub doc: &'static str,
    /// What it takes. The engine sees to it that it is called with just that.
    pub params: &'static [Kind],
    /// What it gives.
    pub result: Kind,
    /// Computes it, or says why it has no value here.
    pub apply: Apply,
}

/// How a function is computed.
#[derive(Clone)]
pub enum Apply {
    /// By a function of Rust.
    Plain(for<'a> fn(&[Datum<'a>]) -> Result<Datum<'a>, Declined>),
    /// By what a plugin lends.
    Lent(Arc<Lent>),
}

/// A function that a plugin lends.
pub type Lent = dyn for<'a> Fn(&[Datum<'a>]) -> Result<Datum<'a>, Declined> + Send + Sync;

impl fmt::Debug for Apply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Apply::Plain(_) => "Plain",
            Apply::Lent(_) => "Lent",
        })
    }
}

impl Function {
    /// What it gives for these arguments.
    pub fn call<'a>(&self, arguments: &[Datum<'a>]) -> Result<Datum<'a>, Declined> {
        match &self.apply {
            Apply::Plain(apply) => apply(arguments),
            Apply::Lent(apply) => apply(arguments),
        }
    }
}
