//! What is put in: expressions as templates.
use super::described;
use super::find::kind_of;
use super::scope::Scope;
use super::term::converted;
use crate::ast::{Call, Expr, What};
use crate::eval::Term;
use crate::template::{NewMade, Template};
use std::collections::BTreeMap;
use weft_ir::{AttrDefault, OpDef};
use weft_passes::rule::{Kind, Var};

impl Scope<'_> {
    /// A value that takes the place of another; `roots` are names of what is replaced.
    pub(crate) fn value(&mut self, expr: &Expr, roots: &[&str]) -> Option<Template> {
        self.begin();
        let template = self.template(expr, roots)?;
        match template {
            Template::Found(_) | Template::Made(_) => Some(template),
            _ => self.wrong(expr.span.0.start, format!("{} is no value to put in", described(expr))),
        }
    }

    fn template(&mut self, expr: &Expr, roots: &[&str]) -> Option<Template> {
        let at = expr.span.0.start;
        self.count(1, at)?;
        match &expr.what {
            What::Absent => Some(Template::Absent),
            What::Int(x) => Some(Template::Number(Term::Int(*x))),
            What::Float(x) => Some(Template::Number(Term::Float(*x))),
            What::Rest(name) => match self.variables.get(name) {
                Some(Kind::Values) => Some(Template::Listed(name.as_str().into())),
                Some(kind) => {
                    let kind = *kind;
                    self.wrong(at, format!("`?{name}` is {kind}, expected operands"))
                }
                None => self.unknown(name, at),
            },
            What::Var(name) => self.variable_put(name, at, roots),
            What::Call(call) if self.known.rules.function(&call.name).is_none() => {
                self.new_made(call, at, roots)
            }
            What::Call(_) | What::List(_) | What::Tensor(_) => self.computed(expr),
            What::Text(_) | What::Type(_) | What::Named(..) => {
                self.wrong(at, format!("{} is no value to put in", described(expr)))
            }
        }
    }

    fn variable_put(&mut self, name: &str, at: usize, roots: &[&str]) -> Option<Template> {
        // A part is resolved where it stands; it holds no part that was named behind it.
        if let Some(part) = self.parts.remove(name) {
            let template = self.template(&part, roots);
            self.parts.insert(name.to_string(), part);
            return template;
        }
        if let Some(size) = self.terms.get(name).map(|(term, _)| term.size()) {
            self.count(size, at)?;
            let (term, kind) = self.terms.get(name).cloned()?;
            return self.data(term, kind, at);
        }
        match self.variables.get(name).copied() {
            Some(Kind::Value) if roots.contains(&name) => {
                self.wrong(at, format!("`?{name}` is replaced itself, so nothing can be made of it"))
            }
            Some(Kind::Value) => Some(Template::Found(name.into())),
            Some(Kind::Values) => self.wrong(at, format!("`?{name}` is operands, expected `..?{name}`")),
            Some(kind) => self.data(Term::Attr(name.into()), kind, at),
            None => self.unknown(name, at),
        }
    }

    /// A constant that a term computes.
    fn computed(&mut self, expr: &Expr) -> Option<Template> {
        let (term, kind) = self.term(expr)?;
        self.data(term, kind, expr.span.0.start)
    }

    fn data(&mut self, term: Term, kind: Kind, at: usize) -> Option<Template> {
        match kind {
            Kind::Int | Kind::Float => Some(Template::Number(term)),
            Kind::Ints | Kind::Shape | Kind::Tensor => Some(Template::Data(term)),
            Kind::Extent => Some(Template::Data(Term::List(Kind::Shape, vec![term]))),
            _ => self.wrong(at, format!("{kind} is no operand")),
        }
    }

    fn new_made(&mut self, call: &Call, at: usize, roots: &[&str]) -> Option<Template> {
        let def = self.operator(&call.name, at)?;
        self.fit(&def, call, at);
        if def.regions > 0 {
            return self.wrong(at, format!("`{}` has regions, rules leave it alone", call.name));
        }
        let (constant, extents) = (self.operator("Const", at)?, self.operator("weft.Extents", at)?);
        let operands: Vec<Option<Template>> =
            call.operands.iter().map(|operand| self.template(operand, roots)).collect();
        let attrs = self.new_attrs(&def, call, at);
        let others =
            call.others.as_ref().and_then(|name| self.used_others(&name.text, &def, name.span.0.start));
        let operands = operands.into_iter().collect::<Option<Vec<_>>>()?;
        let made = NewMade { def, constant, extents, operands, attrs: attrs?, others, result: call.result };
        Some(Template::Made(Box::new(made)))
    }

    fn new_attrs(&mut self, def: &OpDef, call: &Call, at: usize) -> Option<BTreeMap<String, Term>> {
        let mut attrs = BTreeMap::new();
        for (name, expr) in &call.attrs {
            let Some(known) = self.attribute(def, name) else { continue };
            let Some((term, found)) = self.term(expr) else { continue };
            let wanted = kind_of(known.kind);
            match converted(term, found, wanted) {
                Some(term) => drop(attrs.insert(name.text.clone(), term)),
                None => {
                    let message = format!("attribute `{}` is {wanted}, found {found}", known.name);
                    self.wrong::<()>(expr.span.0.start, message);
                }
            }
        }
        let required = def.attrs.iter().filter(|attr| attr.default == AttrDefault::Required);
        for missing in required.filter(|attr| !attrs.contains_key(attr.name) && call.others.is_none()) {
            self.wrong::<()>(at, format!("`{}` needs the attribute `{}`", def.name, missing.name));
        }
        Some(attrs)
    }

    /// All other attributes of the operator they were found at.
    fn used_others(&mut self, name: &str, def: &OpDef, at: usize) -> Option<Var> {
        let Some(from) = self.others.get(name).copied() else { return self.unknown(name, at) };
        let fits = from.attrs.iter().all(|attr| def.attr(attr.name) == Some(attr));
        match fits {
            true => Some(name.into()),
            false => {
                self.wrong(at, format!("`{}` does not take all attributes of `{}`", def.name, from.name))
            }
        }
    }
}
