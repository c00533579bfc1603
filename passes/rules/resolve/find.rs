//! What is looked for: expressions as patterns.
use super::described;
use super::scope::{Scope, Wanted};
use crate::ast::{Call, Expr, Name, What};
use std::collections::BTreeMap;
use std::sync::Arc;
use weft_ir::op::Presence;
use weft_ir::{Attr, AttrDef, AttrKind, OpDef, OpName, Tensor};
use weft_passes::nearest;
use weft_passes::rule::{AttrPattern, Kind, Made, Pattern, Var};

/// What a term must be to stand for an attribute.
pub(crate) fn kind_of(attr: AttrKind) -> Kind {
    match attr {
        AttrKind::Int => Kind::Int,
        AttrKind::Float => Kind::Float,
        AttrKind::Str => Kind::Text,
        AttrKind::Ints => Kind::Ints,
        AttrKind::Floats => Kind::Floats,
        AttrKind::Strs => Kind::Texts,
        AttrKind::Dims => Kind::Shape,
        AttrKind::Type => Kind::Type,
        AttrKind::Tensor => Kind::Tensor,
    }
}

impl Scope<'_> {
    /// A value that is replaced: an operator must make it.
    pub(crate) fn root(&mut self, expr: &Expr) -> Option<Pattern> {
        let pattern = self.pattern(expr)?;
        match pattern.made() {
            Some(_) => Some(pattern),
            None => self.wrong(expr.span.0.start, format!("{} is no operator", described(expr))),
        }
    }

    fn pattern(&mut self, expr: &Expr) -> Option<Pattern> {
        let at = expr.span.0.start;
        match &expr.what {
            What::Var(name) => self.bind(name, Kind::Value, at).map(Pattern::Any),
            What::Absent => Some(Pattern::Absent),
            What::Int(x) => Some(Pattern::Number(*x as f64)),
            What::Float(x) => Some(Pattern::Number(*x)),
            What::List(items) => self.numbers(items, at),
            What::Tensor(tensor) => self.constant(tensor, at),
            What::Call(call) => self.made(call, None, at),
            What::Named(name, inner) => match &inner.what {
                What::Call(call) => self.made(call, Some(name), inner.span.0.start),
                _ => self.wrong(at, "only the result of an operator can have a name of its own"),
            },
            What::Rest(_) | What::Text(_) | What::Type(_) => {
                self.wrong(at, format!("{} is no value to look for", described(expr)))
            }
        }
    }

    /// `[0, 2]` as an operand.
    fn numbers(&mut self, items: &[Expr], at: usize) -> Option<Pattern> {
        let number = |item: &Expr| if let What::Int(x) = item.what { Some(x) } else { None };
        match items.iter().map(number).collect() {
            Some(numbers) => Some(Pattern::Ints(numbers)),
            None => self.wrong(at, "a list to look for holds integers; compare `ints(?x)` for others"),
        }
    }

    /// `f32[2]{1.0, 2.5}` as an operand.
    fn constant(&mut self, tensor: &Arc<Tensor>, at: usize) -> Option<Pattern> {
        let def = self.operator("Const", at)?;
        let attrs = BTreeMap::from([("value".to_string(), AttrPattern::Is(Attr::Tensor(tensor.clone())))]);
        let op = OpName::new(def.name);
        let (front, back, others, name) = (None, None, None, None);
        let made = Made { name, op, result: 0, front, operands: Vec::new(), back, attrs, others };
        Some(Pattern::Made(Box::new(made)))
    }

    fn made(&mut self, call: &Call, name: Option<&Name>, at: usize) -> Option<Pattern> {
        let def = self.operator(&call.name, at)?;
        self.fit(&def, call, at);
        if def.regions > 0 || !def.traits.pure {
            let why = if def.regions > 0 { "has regions" } else { "is not pure" };
            return self.wrong(at, format!("`{}` {why}, rules leave it alone", call.name));
        }
        let name = name.and_then(|name| self.bind(&name.text, Kind::Value, name.span.0.start));
        let (front, operands, back) = self.operands(&def, call)?;
        let attrs = self.attributes(&def, call);
        let others = call.others.as_ref().and_then(|name| self.bind_others(name, &def));
        let op = OpName::new(def.name);
        let made = Made { name, op, result: call.result, front, operands, back, attrs: attrs?, others };
        Some(Pattern::Made(Box::new(made)))
    }

    /// Checks the number of operands and the result.
    pub(crate) fn fit(&mut self, def: &OpDef, call: &Call, at: usize) {
        let variadic = def.operands.last().is_some_and(|o| o.presence == Presence::Variadic);
        let (found, most) = (call.operands.len(), def.operands.len());
        if !variadic && found > most {
            self.wrong::<()>(at, format!("`{}` takes at most {most} operands, found {found}", def.name));
        }
        let rest = call.operands.iter().any(|o| matches!(o.what, What::Rest(_)));
        let absent = |i: usize| call.operands.get(i).is_none_or(|o| o.what == What::Absent);
        for (i, operand) in def.operands.iter().enumerate() {
            if operand.presence == Presence::Required && !rest && absent(i) {
                self.wrong::<()>(at, format!("`{}` has no operand `{}`", def.name, operand.name));
            }
        }
        if call.result as usize >= def.results.1 {
            self.wrong::<()>(at, format!("`{}` has no result {}", def.name, call.result));
        }
    }

    fn operands(&mut self, def: &OpDef, call: &Call) -> Option<(Option<Var>, Vec<Pattern>, Option<Var>)> {
        let (mut front, mut back, mut operands) = (None, None, Vec::new());
        let last = call.operands.len().saturating_sub(1);
        for (i, operand) in call.operands.iter().enumerate() {
            let at = operand.span.0.start;
            let What::Rest(name) = &operand.what else {
                operands.push(self.pattern(operand));
                continue;
            };
            let variadic = def.operands.last().is_some_and(|o| o.presence == Presence::Variadic);
            let var = self.bind(name, Kind::Values, at);
            match i {
                _ if !variadic => {
                    self.wrong::<()>(at, format!("`{}` does not take any number of operands", def.name));
                }
                0 if def.operands.len() == 1 && last > 0 => front = var,
                _ if i == last => back = var,
                _ => drop(self.wrong::<()>(at, "any number of operands stand in front of all or behind all")),
            }
        }
        Some((front, operands.into_iter().collect::<Option<_>>()?, back))
    }

    fn attributes(&mut self, def: &OpDef, call: &Call) -> Option<BTreeMap<String, AttrPattern>> {
        let mut attrs = BTreeMap::new();
        for (name, expr) in &call.attrs {
            let Some(known) = self.attribute(def, name) else { continue };
            if let Some(pattern) = self.attr(known, expr) {
                attrs.insert(name.text.clone(), pattern);
            }
        }
        Some(attrs)
    }

    /// The definition of an attribute.
    pub(crate) fn attribute(&mut self, def: &OpDef, name: &Name) -> Option<AttrDef> {
        if let Some(attr) = def.attr(&name.text) {
            return Some(*attr);
        }
        let near = nearest(&name.text, def.attrs.iter().map(|attr| attr.name));
        let near = near.map(|near| format!(", did you mean `{near}`?")).unwrap_or_default();
        self.wrong(name.span.0.start, format!("`{}` has no attribute `{}`{near}", def.name, name.text))
    }

    fn attr(&mut self, known: AttrDef, expr: &Expr) -> Option<AttrPattern> {
        let (at, kind) = (expr.span.0.start, kind_of(known.kind));
        if let What::Var(name) = &expr.what {
            return self.bind(name, kind, at).map(AttrPattern::Any);
        }
        if let Some(attr) = literal(expr, known.kind) {
            return Some(AttrPattern::Is(attr));
        }
        let whole = |what: &What| matches!(what, What::Call(_) | What::List(_));
        if !whole(&expr.what) {
            return self.wrong(at, format!("attribute `{}` is {}, found `{expr}`", known.name, known.kind));
        }
        // No variable in a file begins with a digit.
        let var: Var = format!("{}", self.wanted.len()).into();
        self.wanted.push(Wanted { name: known.name, var: var.clone(), kind, term: expr.clone() });
        Some(AttrPattern::Any(var))
    }

    fn bind_others(&mut self, name: &Name, def: &OpDef) -> Option<Var> {
        if self.variables.contains_key(&name.text) {
            return self.wrong(name.span.0.start, format!("`?{}` has a meaning already", name.text));
        }
        self.others.insert(name.text.clone(), *def);
        Some(name.text.as_str().into())
    }
}

/// An attribute that is written out.
fn literal(expr: &Expr, kind: AttrKind) -> Option<Attr> {
    let int = |expr: &Expr| if let What::Int(x) = expr.what { Some(x) } else { None };
    let float = |expr: &Expr| match expr.what {
        What::Int(x) => Some(x as f32),
        What::Float(x) => Some(x as f32),
        _ => None,
    };
    let text = |expr: &Expr| if let What::Text(x) = &expr.what { Some(x.clone()) } else { None };
    match (kind, &expr.what) {
        (AttrKind::Int, _) => int(expr).map(Attr::Int),
        (AttrKind::Float, _) => float(expr).map(Attr::Float),
        (AttrKind::Str, _) => text(expr).map(Attr::Str),
        (AttrKind::Tensor, What::Tensor(tensor)) => Some(Attr::Tensor(tensor.clone())),
        (AttrKind::Type, What::Type(dtype)) => Some(Attr::Type(*dtype)),
        (AttrKind::Ints, What::List(items)) => items.iter().map(int).collect::<Option<_>>().map(Attr::Ints),
        (AttrKind::Floats, What::List(items)) => {
            items.iter().map(float).collect::<Option<_>>().map(Attr::Floats)
        }
        (AttrKind::Strs, What::List(items)) => items.iter().map(text).collect::<Option<_>>().map(Attr::Strs),
        _ => None,
    }
}
