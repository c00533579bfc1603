//! A rule file as it is written, before anything in it is looked up.
use std::ops::Range;
use std::sync::Arc;
use weft_ir::{DType, Tensor};
use weft_passes::rule::Aim;

/// A file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RuleFile {
    /// The sentence about the family, one text for each line.
    pub doc: Vec<String>,
    /// The rules, in order.
    pub rules: Vec<RuleText>,
}

/// A rule.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleText {
    /// The identity in a sentence, one text for each line.
    pub doc: Vec<String>,
    /// What it is for.
    pub aim: Aim,
    /// Its name.
    pub name: Name,
    /// What is looked for.
    pub find: Vec<Expr>,
    /// Names for terms and for parts of what is put in.
    pub lets: Vec<(Name, Expr)>,
    /// When the rule holds.
    pub conditions: Vec<ConditionText>,
    /// Whether there is a rule that goes back, too.
    pub ways: Ways,
    /// What is put in.
    pub put: Vec<Expr>,
    /// Where it stands in the text, in bytes.
    pub span: Span,
}

/// How many directions a rule has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ways {
    /// `rewrite`.
    There,
    /// `<=>`.
    ThereAndBack,
}

/// Where something stands. It does not count when two texts are compared.
#[derive(Debug, Clone, Default)]
pub struct Span(pub Range<usize>);

impl PartialEq for Span {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// A name, and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Name {
    /// The name.
    pub text: String,
    /// Its place.
    pub span: Span,
}

/// A condition.
#[derive(Debug, Clone, PartialEq)]
pub struct ConditionText {
    /// The condition itself, or what is compared.
    pub left: Expr,
    /// How and with what.
    pub right: Option<(Comparison, Expr)>,
}

/// How two terms are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Same,
    /// `!=`
    Differs,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
}

impl Comparison {
    /// All of them.
    pub const ALL: [Comparison; 6] = [
        Comparison::Same,
        Comparison::Differs,
        Comparison::Less,
        Comparison::AtMost,
        Comparison::Greater,
        Comparison::AtLeast,
    ];

    /// How it is written.
    pub fn mark(self) -> &'static str {
        match self {
            Comparison::Same => "=",
            Comparison::Differs => "!=",
            Comparison::Less => "<",
            Comparison::AtMost => "<=",
            Comparison::Greater => ">",
            Comparison::AtLeast => ">=",
        }
    }
}

/// An expression, and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    /// What it is.
    pub what: What,
    /// Its place.
    pub span: Span,
}

/// What an expression is.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// `?x`
    Var(String),
    /// `..?xs`
    Rest(String),
    /// `_`
    Absent,
    /// `-1`
    Int(i64),
    /// `0.5`
    Float(f64),
    /// `"LEFT"`
    Text(String),
    /// `f32`
    Type(DType),
    /// `f32[2]{1.0, 2.5}`
    Tensor(Arc<Tensor>),
    /// `[0, 2]`
    List(Vec<Expr>),
    /// `?y = Relu(?x)`
    Named(Name, Box<Expr>),
    /// `Relu(?x)`, `invert(?p)`
    Call(Call),
}

/// The application of an operator or of a function.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The operator or function.
    pub name: String,
    /// Operands or arguments.
    pub operands: Vec<Expr>,
    /// Attributes, in the order of their names.
    pub attrs: Vec<(Name, Expr)>,
    /// `..?more` among the attributes.
    pub others: Option<Name>,
    /// Which result, if not the first.
    pub result: u32,
}
