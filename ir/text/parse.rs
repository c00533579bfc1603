//! From a text to its module.
use super::lex::{Cursor, ParseError, Token};
use super::quote::quote_name;
use super::weights::{WeightSource, read_weight};
use crate::attr::Attr;
use crate::graph::{Def, Graph, Node, Value};
use crate::module::{Module, Stage};
use crate::op::{AttrKind, OpDef, OpSet};
use crate::tensor::Tensor;
use crate::types::TensorType;
use crate::verify::count;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The deepest nesting of regions.
pub const MAX_REGIONS: usize = 64;

impl Module {
    /// Reads the written form. Operators and attributes are resolved against `ops`, the bytes of
    /// weights come from `weights`; what else a graph must keep is for [`crate::verify`].
    pub fn parse(text: &str, ops: &OpSet, weights: &dyn WeightSource) -> Result<Module, ParseError> {
        let cursor = Cursor::new(text)?;
        Reader { cursor, ops, source: weights, weights: BTreeMap::new(), depth: 0 }.module()
    }
}

struct Reader<'a> {
    cursor: Cursor<'a>,
    ops: &'a OpSet,
    source: &'a dyn WeightSource,
    weights: BTreeMap<String, Arc<Tensor>>,
    depth: usize,
}

/// A graph so far, and the values its text may name.
struct Scope {
    graph: Graph,
    values: BTreeMap<String, Value>,
}

/// A name where it stands.
struct Placed {
    name: String,
    at: usize,
}

impl<'a> Reader<'a> {
    fn cursor(&mut self) -> &mut Cursor<'a> {
        &mut self.cursor
    }

    fn module(mut self) -> Result<Module, ParseError> {
        let stage = self.first_line()?;
        let metadata = self.metadata()?;
        while self.cursor.is_word("weight") {
            self.weight()?;
        }
        if !self.cursor.is_word("graph") {
            return Err(self.cursor.expected("`meta`, `weight` or `graph`"));
        }
        self.cursor.take()?;
        let name = self.cursor.expect_global("the name of the graph, like `@main`")?;
        let graph = self.graph(&name)?;
        if *self.cursor.token() != Token::End {
            return Err(self.cursor.expected("the end"));
        }
        Ok(Module { stage, graph, metadata })
    }

    fn first_line(&mut self) -> Result<Stage, ParseError> {
        self.cursor.expect_word("weft")?;
        if *self.cursor.token() != Token::Number("1") {
            return Err(self.cursor.expected("version `1` of the written form"));
        }
        self.cursor.take()?;
        let known = Stage::ALL.into_iter().find(|stage| self.cursor.is_word(stage.name()));
        let stage = known.ok_or_else(|| self.cursor.expected("`imported`, `canonical` or `lowered`"))?;
        self.cursor.take()?;
        Ok(stage)
    }

    fn metadata(&mut self) -> Result<BTreeMap<String, String>, ParseError> {
        let mut metadata = BTreeMap::new();
        while self.cursor.is_word("meta") {
            self.cursor.take()?;
            let at = self.cursor.offset();
            let key = self.cursor.expect_text("a text in quotes")?;
            self.cursor.expect("=")?;
            let value = self.cursor.expect_text("a text in quotes")?;
            if metadata.insert(key.clone(), value).is_some() {
                return Err(self.cursor.fail_at(at, format!("metadata {key:?} is there twice")));
            }
        }
        Ok(metadata)
    }

    fn weight(&mut self) -> Result<(), ParseError> {
        self.cursor.take()?;
        let at = self.cursor.offset();
        let name = self.cursor.expect_global("the name of a weight, like `@w`")?;
        self.cursor.expect(":")?;
        let ty = self.cursor.ty()?;
        self.cursor.expect("=")?;
        let tensor = read_weight(&mut self.cursor, &name, &ty, self.source)?;
        if self.weights.contains_key(&name) {
            return Err(self.cursor.fail_at(at, format!("weight `@{}` is there twice", quote_name(&name))));
        }
        self.weights.insert(name, tensor);
        Ok(())
    }

    /// A graph from its inputs on.
    fn graph(&mut self, name: &str) -> Result<Graph, ParseError> {
        if self.depth > MAX_REGIONS {
            return Err(self.cursor.fail(format!("regions nest deeper than {MAX_REGIONS}")));
        }
        self.depth += 1;
        let mut scope = Scope { graph: Graph::new(name), values: BTreeMap::new() };
        self.cursor.expect("(")?;
        Cursor::list(self, ")", Self::cursor, |reader| reader.input(&mut scope))?;
        self.cursor.expect("->")?;
        self.cursor.expect("(")?;
        let types = Cursor::list(&mut self.cursor, ")", |cursor| cursor, Cursor::ty)?;
        self.cursor.expect("{")?;
        while !self.cursor.is_word("return") {
            if self.cursor.is_mark("}") || *self.cursor.token() == Token::End {
                return Err(self.cursor.expected("a node or `return`"));
            }
            self.node(&mut scope)?;
        }
        self.outputs(&mut scope, &types)?;
        self.cursor.expect("}")?;
        self.depth -= 1;
        Ok(scope.graph)
    }

    fn input(&mut self, scope: &mut Scope) -> Result<(), ParseError> {
        let Placed { name, at } = self.defined()?;
        self.cursor.expect(":")?;
        let ty = self.cursor.ty()?;
        let value = scope.graph.add_input(&name, ty);
        self.define(scope, name, value, at)
    }

    fn outputs(&mut self, scope: &mut Scope, types: &[TensorType]) -> Result<(), ParseError> {
        let at = self.cursor.offset();
        self.cursor.expect_word("return")?;
        let mut outputs = Vec::new();
        while !self.cursor.is_mark("}") {
            if !outputs.is_empty() {
                self.cursor.expect(",")?;
            }
            outputs.push(self.output(scope, types.get(outputs.len()))?);
        }
        if outputs.len() != types.len() {
            let message = format!("the graph has {} outputs, {} are returned", types.len(), outputs.len());
            return Err(self.cursor.fail_at(at, message));
        }
        let (values, names) = outputs.into_iter().unzip();
        scope.graph.set_outputs(values);
        scope.graph.set_output_names(names);
        Ok(())
    }

    fn output(&mut self, scope: &Scope, ty: Option<&TensorType>) -> Result<(Value, String), ParseError> {
        let at = self.cursor.offset();
        let value = self.used(scope)?;
        let found = scope.graph.ty(value);
        if let Some(ty) = ty.filter(|ty| *ty != found) {
            return Err(self.cursor.fail_at(at, format!("the output is of type {found}, expected {ty}")));
        }
        let mut name = scope.graph.name_of(value).to_string();
        if self.cursor.is_word("as") {
            self.cursor.take()?;
            name = self.cursor.expect_text("the name of the output in quotes")?;
        }
        Ok((value, name))
    }

    fn node(&mut self, scope: &mut Scope) -> Result<(), ParseError> {
        let names = self.results()?;
        let at = self.cursor.offset();
        let op = self.cursor.expect_name("an operator")?;
        let unknown = || self.cursor.fail_at(at, format!("no operator is called `{op}`"));
        let def = self.ops.get(&op).ok_or_else(unknown)?;
        let (least, most) = def.results;
        if !(least..=most).contains(&names.len()) {
            let message = format!("`{op}` has {}, found {}", count(least, most, "result"), names.len());
            return Err(self.cursor.fail_at(at, message));
        }
        self.cursor.expect("(")?;
        let operands = Cursor::list(self, ")", Self::cursor, |reader| reader.operand(scope))?;
        let attrs = self.attrs(def)?;
        let types = self.types(names.len())?;
        let regions = self.regions()?;
        let defs = names.iter().zip(types).map(|(placed, ty)| Def { name: placed.name.clone(), ty });
        let mut node = Node::new(&op, defs.collect());
        (node.attrs, node.regions) = (attrs, regions);
        let id = scope.graph.add(node, &operands);
        for (slot, Placed { name, at }) in names.into_iter().enumerate() {
            self.define(scope, name, Value { node: id, slot: slot as u32 }, at)?;
        }
        Ok(())
    }

    /// `%a, %b =`, or nothing.
    fn results(&mut self) -> Result<Vec<Placed>, ParseError> {
        if !matches!(self.cursor.token(), Token::Value(_)) {
            return Ok(Vec::new());
        }
        let mut names = vec![self.defined()?];
        while self.cursor.eat(",")? {
            names.push(self.defined()?);
        }
        self.cursor.expect("=")?;
        Ok(names)
    }

    /// The types of so many results.
    fn types(&mut self, count: usize) -> Result<Vec<TensorType>, ParseError> {
        let mut types = Vec::new();
        while types.len() < count {
            self.cursor.expect(if types.is_empty() { ":" } else { "," })?;
            types.push(self.cursor.ty()?);
        }
        Ok(types)
    }

    fn regions(&mut self) -> Result<Vec<Graph>, ParseError> {
        let mut regions = Vec::new();
        while self.cursor.is_word("region") {
            self.cursor.take()?;
            let named = matches!(self.cursor.token(), Token::Global(_));
            let name = if named { self.cursor.expect_global("a name")? } else { String::new() };
            regions.push(self.graph(&name)?);
        }
        Ok(regions)
    }

    /// The name of a value that is made here.
    fn defined(&mut self) -> Result<Placed, ParseError> {
        let at = self.cursor.offset();
        let Token::Value(name) = self.cursor.token().clone() else {
            return Err(self.cursor.expected("the name of a value, like `%x`"));
        };
        self.cursor.take()?;
        Ok(Placed { name, at })
    }

    fn define(&self, scope: &mut Scope, name: String, value: Value, at: usize) -> Result<(), ParseError> {
        match scope.values.insert(name.clone(), value) {
            None => Ok(()),
            Some(_) => Err(self.cursor.fail_at(at, format!("`%{}` is defined twice", quote_name(&name)))),
        }
    }

    /// A value that was made above.
    fn used(&mut self, scope: &Scope) -> Result<Value, ParseError> {
        let Placed { name, at } = self.defined()?;
        let value = scope.values.get(&name).copied();
        value.ok_or_else(|| self.cursor.fail_at(at, format!("`%{}` is not defined above", quote_name(&name))))
    }

    fn operand(&mut self, scope: &Scope) -> Result<Option<Value>, ParseError> {
        if self.cursor.is_word("_") {
            self.cursor.take()?;
            return Ok(None);
        }
        self.used(scope).map(Some)
    }

    /// `{name = value, ...}`, or nothing. What equals its default is dropped.
    fn attrs(&mut self, def: &OpDef) -> Result<BTreeMap<String, Attr>, ParseError> {
        if !self.cursor.eat("{")? {
            return Ok(BTreeMap::new());
        }
        let mut attrs = BTreeMap::new();
        Cursor::list(self, "}", Self::cursor, |reader| {
            let at = reader.cursor.offset();
            let name = reader.cursor.expect_name("an attribute")?;
            let fail = |what: &str| {
                reader.cursor.fail_at(at, format!("attribute `{name}` of `{}` {what}", def.name))
            };
            let known = def.attr(&name).ok_or_else(|| fail("is not known"))?;
            if attrs.contains_key(&name) {
                return Err(fail("is there twice"));
            }
            reader.cursor.expect("=")?;
            let value = reader.attr(known.kind).map_err(|error| ParseError {
                message: format!("attribute `{name}` of `{}`: {}", def.name, error.message),
                ..error
            })?;
            attrs.insert(name, value);
            Ok(())
        })?;
        attrs.retain(|name, value| !def.attr(name).is_some_and(|a| a.default.is(value)));
        Ok(attrs)
    }

    fn attr(&mut self, kind: AttrKind) -> Result<Attr, ParseError> {
        Ok(match kind {
            AttrKind::Int => Attr::Int(self.cursor.int()?),
            AttrKind::Float => Attr::Float(self.cursor.f32()?),
            AttrKind::Str => Attr::Str(self.cursor.expect_text("a text in quotes")?),
            AttrKind::Type => Attr::Type(self.cursor.dtype()?),
            AttrKind::Tensor => Attr::Tensor(self.tensor()?),
            AttrKind::Ints => Attr::Ints(self.array(Cursor::int)?),
            AttrKind::Floats => Attr::Floats(self.array(Cursor::f32)?),
            AttrKind::Strs => Attr::Strs(self.array(|c| c.expect_text("a text in quotes"))?),
            AttrKind::Dims => Attr::Dims(self.array(Cursor::dim)?),
        })
    }

    fn array<T>(
        &mut self,
        item: impl FnMut(&mut Cursor<'a>) -> Result<T, ParseError>,
    ) -> Result<Vec<T>, ParseError> {
        if !self.cursor.eat("[")? {
            return Err(self.cursor.expected("a list"));
        }
        Cursor::list(&mut self.cursor, "]", |cursor| cursor, item)
    }

    fn tensor(&mut self) -> Result<Arc<Tensor>, ParseError> {
        let Token::Global(name) = self.cursor.token().clone() else {
            return self.cursor.tensor().map(Arc::new);
        };
        let found = self.weights.get(&name).cloned();
        let weight = found.ok_or_else(|| self.cursor.fail(format!("no weight is called `@{name}`")))?;
        self.cursor.take()?;
        Ok(weight)
    }
}
