//! Terms and conditions: computed from what an engine found.
use crate::ast::Comparison;
use std::sync::Arc;
use weft_ir::{DType, Dim, Tensor};
use weft_passes::Declined;
use weft_passes::rule::{Datum, Function, Kind, Match, Var};

/// A term, resolved and typed.
#[derive(Debug, Clone)]
pub(crate) enum Term {
    Int(i64),
    Float(f64),
    Text(String),
    Type(DType),
    Tensor(Arc<Tensor>),
    /// A list of integers, numbers, extents or texts.
    List(Kind, Vec<Term>),
    Value(Var),
    Values(Var),
    Attr(Var),
    Call(Function, Vec<Term>),
    /// The same as another kind: an integer as a number or an extent, integers as a shape.
    As(Kind, Box<Term>),
}

impl Term {
    pub(crate) fn eval<'a>(&self, found: &Match<'a>) -> Result<Datum<'a>, Declined> {
        let missing = |var: &Var| Declined::from(format!("`?{var}` was not found"));
        match self {
            Term::Int(x) => Ok(Datum::Int(*x)),
            Term::Float(x) => Ok(Datum::Float(*x)),
            Term::Text(x) => Ok(Datum::Text(x.clone())),
            Term::Type(x) => Ok(Datum::Type(*x)),
            Term::Tensor(x) => Ok(Datum::Tensor(x.clone())),
            Term::Value(var) => found.values.get(var).map(|v| Datum::Value(*v)).ok_or_else(|| missing(var)),
            Term::Values(var) => {
                found.lists.get(var).map(|v| Datum::Values(v.clone())).ok_or_else(|| missing(var))
            }
            Term::Attr(var) => found.attrs.get(var).map(Datum::from).ok_or_else(|| missing(var)),
            Term::List(kind, items) => {
                let items = items.iter().map(|item| item.eval(found)).collect::<Result<Vec<_>, _>>()?;
                list(*kind, items).ok_or_else(|| "the elements of a list differ in kind".into())
            }
            Term::Call(function, arguments) => {
                let arguments = arguments.iter().map(|a| a.eval(found)).collect::<Result<Vec<_>, _>>()?;
                function.call(&arguments)
            }
            Term::As(kind, term) => Ok(converted(term.eval(found)?, *kind)),
        }
    }

    /// Of how many parts it is made.
    pub(crate) fn size(&self) -> usize {
        match self {
            Term::List(_, terms) | Term::Call(_, terms) => 1 + terms.iter().map(Term::size).sum::<usize>(),
            Term::As(_, term) => 1 + term.size(),
            _ => 1,
        }
    }

    /// Every variable in it.
    pub(crate) fn variables<'t>(&'t self, into: &mut Vec<&'t Var>) {
        match self {
            Term::Value(var) | Term::Values(var) | Term::Attr(var) => into.push(var),
            Term::List(_, terms) | Term::Call(_, terms) => {
                terms.iter().for_each(|term| term.variables(into));
            }
            Term::As(_, term) => term.variables(into),
            Term::Int(_) | Term::Float(_) | Term::Text(_) | Term::Type(_) | Term::Tensor(_) => {}
        }
    }
}

fn list<'a>(kind: Kind, items: Vec<Datum<'a>>) -> Option<Datum<'a>> {
    macro_rules! each {
        ($list:ident, $item:ident, $map:expr) => {
            Datum::$list(
                items
                    .into_iter()
                    .map(|item| match item {
                        Datum::$item(x) => Some($map(x)),
                        _ => None,
                    })
                    .collect::<Option<_>>()?,
            )
        };
    }
    Some(match kind {
        Kind::Floats => each!(Floats, Float, |x: f64| x as f32),
        Kind::Texts => each!(Texts, Text, |x| x),
        Kind::Shape => each!(Shape, Extent, |x| x),
        _ => each!(Ints, Int, |x| x),
    })
}

fn converted(datum: Datum<'_>, kind: Kind) -> Datum<'_> {
    match (datum, kind) {
        (Datum::Int(x), Kind::Float) => Datum::Float(x as f64),
        (Datum::Int(x), Kind::Extent) => Datum::Extent(Dim::fixed(x)),
        (Datum::Ints(x), Kind::Shape) => Datum::Shape(x.into_iter().map(Dim::fixed).collect()),
        (Datum::Ints(x), Kind::Floats) => Datum::Floats(x.into_iter().map(|x| x as f32).collect()),
        (datum, _) => datum,
    }
}

/// Whether a term of one kind may stand where another is wanted.
pub(crate) fn converts(from: Kind, to: Kind) -> bool {
    from == to
        || matches!(
            (from, to),
            (Kind::Int, Kind::Float | Kind::Extent) | (Kind::Ints, Kind::Shape | Kind::Floats)
        )
}

/// What must hold.
#[derive(Debug, Clone)]
pub(crate) enum Test {
    /// A condition.
    Holds(Term),
    /// A comparison of two terms of one kind.
    Compares(Term, Comparison, Term),
}

impl Test {
    /// Whether it certainly holds; if not, why.
    pub(crate) fn check(&self, found: &Match<'_>, text: &str) -> Result<(), Declined> {
        let not = |more: String| Declined::from(format!("`{text}` does not hold{more}"));
        match self {
            Test::Holds(term) => match term.eval(found)? {
                Datum::Truth(true) => Ok(()),
                _ => Err(not(String::new())),
            },
            Test::Compares(left, comparison, right) => {
                let (left, right) = (left.eval(found)?, right.eval(found)?);
                match compare(&left, *comparison, &right) {
                    true => Ok(()),
                    false => Err(not(shown(&left).map(|x| format!(", found {x}")).unwrap_or_default())),
                }
            }
        }
    }
}

/// Whether a comparison certainly holds.
fn compare(a: &Datum<'_>, comparison: Comparison, b: &Datum<'_>) -> bool {
    let (a, b) = match (a, b) {
        (Datum::Int(a), Datum::Int(b)) => return ordered(comparison, a.partial_cmp(b)),
        (Datum::Float(a), Datum::Float(b)) => return ordered(comparison, a.partial_cmp(b)),
        (Datum::Extent(a), Datum::Extent(b)) => (std::slice::from_ref(a), std::slice::from_ref(b)),
        (Datum::Shape(a), Datum::Shape(b)) => (a.as_slice(), b.as_slice()),
        _ => {
            let same = equal(a, b);
            return match comparison {
                Comparison::Same => same == Some(true),
                Comparison::Differs => same == Some(false),
                _ => false,
            };
        }
    };
    let all =
        |test: &dyn Fn(&Dim, &Dim) -> bool| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| test(a, b));
    let above = |a: &Dim, b: &Dim, least: i64| a.sub(b).at_least().is_some_and(|apart| apart >= least);
    match comparison {
        Comparison::Same => all(&|a, b| a.same(b)),
        Comparison::Differs => a.len() != b.len() || !all(&|a, b| !above(a, b, 1) && !above(b, a, 1)),
        Comparison::Less => all(&|a, b| above(b, a, 1)),
        Comparison::AtMost => all(&|a, b| above(b, a, 0)),
        Comparison::Greater => all(&|a, b| above(a, b, 1)),
        Comparison::AtLeast => all(&|a, b| above(a, b, 0)),
    }
}

fn ordered(comparison: Comparison, order: Option<std::cmp::Ordering>) -> bool {
    order.is_some_and(|order| match comparison {
        Comparison::Same => order.is_eq(),
        Comparison::Differs => order.is_ne(),
        Comparison::Less => order.is_lt(),
        Comparison::AtMost => order.is_le(),
        Comparison::Greater => order.is_gt(),
        Comparison::AtLeast => order.is_ge(),
    })
}

/// Whether two data of a kind without an order are equal.
fn equal(a: &Datum<'_>, b: &Datum<'_>) -> Option<bool> {
    Some(match (a, b) {
        (Datum::Text(a), Datum::Text(b)) => a == b,
        (Datum::Ints(a), Datum::Ints(b)) => a == b,
        (Datum::Floats(a), Datum::Floats(b)) => a == b,
        (Datum::Texts(a), Datum::Texts(b)) => a == b,
        (Datum::Type(a), Datum::Type(b)) => a == b,
        (Datum::Tensor(a), Datum::Tensor(b)) => a == b,
        _ => return None,
    })
}

/// What a reason says was found.
fn shown(datum: &Datum<'_>) -> Option<String> {
    let joined = |items: Vec<String>| format!("[{}]", items.join(", "));
    Some(match datum {
        Datum::Int(x) => x.to_string(),
        Datum::Float(x) => format!("{x:?}"),
        Datum::Text(x) => weft_ir::text::quote(x),
        Datum::Type(x) => x.to_string(),
        Datum::Extent(x) => x.to_string(),
        Datum::Ints(x) => joined(x.iter().map(i64::to_string).collect()),
        Datum::Shape(x) => joined(x.iter().map(Dim::to_string).collect()),
        _ => return None,
    })
}
