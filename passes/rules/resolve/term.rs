//! Terms: functions of what was found, typed.
use super::scope::Scope;
use crate::ast::{Call, Expr, What};
use crate::eval::{Term, converts};
use weft_passes::nearest;
use weft_passes::rule::Kind;

/// A term and what it is.
pub(crate) type Typed = (Term, Kind);

/// The term as another kind, if it may stand for it.
pub(crate) fn converted(term: Term, from: Kind, to: Kind) -> Option<Term> {
    match converts(from, to) {
        true if from == to => Some(term),
        true => Some(Term::As(to, Box::new(term))),
        false => None,
    }
}

impl Scope<'_> {
    /// A term, resolved and typed.
    pub(crate) fn term(&mut self, expr: &Expr) -> Option<Typed> {
        let at = expr.span.0.start;
        self.count(1, at)?;
        match &expr.what {
            What::Int(x) => Some((Term::Int(*x), Kind::Int)),
            What::Float(x) => Some((Term::Float(*x), Kind::Float)),
            What::Text(x) => Some((Term::Text(x.clone()), Kind::Text)),
            What::Type(x) => Some((Term::Type(*x), Kind::Type)),
            What::Tensor(x) => Some((Term::Tensor(x.clone()), Kind::Tensor)),
            What::Var(name) => self.variable(name, at),
            What::List(items) => self.list(items, at),
            What::Call(call) => self.function(call, at),
            What::Absent | What::Rest(_) | What::Named(..) => {
                self.wrong(at, format!("`{expr}` has no place in a term"))
            }
        }
    }

    fn variable(&mut self, name: &str, at: usize) -> Option<Typed> {
        if let Some(size) = self.terms.get(name).map(|(term, _)| term.size()) {
            self.count(size, at)?;
            return self.terms.get(name).cloned();
        }
        if self.parts.contains_key(name) {
            return self
                .wrong(at, format!("`?{name}` is put in by the rule, so nothing is known of it here"));
        }
        match self.variables.get(name).copied() {
            Some(Kind::Value) => Some((Term::Value(name.into()), Kind::Value)),
            Some(Kind::Values) => Some((Term::Values(name.into()), Kind::Values)),
            Some(kind) => Some((Term::Attr(name.into()), kind)),
            None => self.unknown(name, at),
        }
    }

    /// Tells that nothing has this name.
    pub(crate) fn unknown<T>(&mut self, name: &str, at: usize) -> Option<T> {
        if !self.all_known {
            return None;
        }
        let names = self.variables.keys().chain(self.terms.keys()).chain(self.parts.keys());
        let near = nearest(name, names.map(String::as_str));
        let near = near.map(|near| format!(", did you mean `?{near}`?")).unwrap_or_default();
        self.wrong(at, format!("`?{name}` is not in what is looked for{near}"))
    }

    fn list(&mut self, items: &[Expr], at: usize) -> Option<Typed> {
        let items: Vec<Option<Typed>> = items.iter().map(|item| self.term(item)).collect();
        let items: Vec<Typed> = items.into_iter().collect::<Option<_>>()?;
        let has = |kind: Kind| items.iter().any(|(_, found)| *found == kind);
        let (of, kind) = match () {
            () if has(Kind::Extent) => (Kind::Extent, Kind::Shape),
            () if has(Kind::Float) => (Kind::Float, Kind::Floats),
            () if has(Kind::Text) => (Kind::Text, Kind::Texts),
            () => (Kind::Int, Kind::Ints),
        };
        let mut terms = Vec::new();
        for (term, found) in items {
            match converted(term, found, of) {
                Some(term) => terms.push(term),
                None => return self.wrong(at, format!("a list of {kind} holds {found}")),
            }
        }
        Some((Term::List(kind, terms), kind))
    }

    fn function(&mut self, call: &Call, at: usize) -> Option<Typed> {
        let Some(function) = self.known.rules.function(&call.name).cloned() else {
            return self.no_function(&call.name, at);
        };
        if !call.attrs.is_empty() || call.others.is_some() || call.result > 0 {
            return self
                .wrong(at, format!("`{}` is a function: it has no attributes and one result", call.name));
        }
        let arguments: Vec<Option<Typed>> =
            call.operands.iter().map(|argument| self.term(argument)).collect();
        let arguments: Vec<Typed> = arguments.into_iter().collect::<Option<_>>()?;
        if arguments.len() != function.params.len() {
            let (expected, found) = (function.params.len(), arguments.len());
            return self.wrong(at, format!("`{}` takes {expected} arguments, found {found}", call.name));
        }
        let mut terms = Vec::new();
        for ((i, (term, found)), wanted) in arguments.into_iter().enumerate().zip(function.params) {
            match converted(term, found, *wanted) {
                Some(term) => terms.push(term),
                None => {
                    let at = call.operands[i].span.0.start;
                    return self.wrong(at, format!("`{}` takes {wanted} here, found {found}", call.name));
                }
            }
        }
        let result = function.result;
        Some((Term::Call(function, terms), result))
    }

    fn no_function(&mut self, name: &str, at: usize) -> Option<Typed> {
        if self.known.ops.get(name).is_some() {
            return self.wrong(at, format!("`{name}` is an operator, expected a function"));
        }
        let near = nearest(name, self.known.rules.functions().map(|function| function.name));
        let near = near.map(|near| format!(", did you mean `{near}`?")).unwrap_or_default();
        self.wrong(at, format!("no function or condition is called `{name}`{near}"))
    }
}
