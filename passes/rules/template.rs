//! What a rule puts in: built node by node from what was found, and inferred on the way.
use crate::eval::Term;
use std::collections::BTreeMap;
use std::sync::Arc;
use weft_ir::{Attr, Def, Dim, Fact, Node, OpDef, OpName, Tensor, TensorType};
use weft_passes::rule::{Datum, Match, NewNode, Replacement, Source, Var};
use weft_passes::{Declined, Elided, ShapeData, floats, integers, shape_data};

/// A value that is put in.
#[derive(Debug, Clone)]
pub(crate) enum Template {
    /// What a variable stands for.
    Found(Var),
    /// The operands that a variable stands for.
    Listed(Var),
    /// No value.
    Absent,
    /// A constant of rank 0, of the element type of an operand beside it.
    Number(Term),
    /// Constant data, integers as a vector, or a shape.
    Data(Term),
    /// A value made by an operator.
    Made(Box<NewMade>),
}

/// A value made by an operator that is put in.
#[derive(Debug, Clone)]
pub(crate) struct NewMade {
    pub(crate) def: OpDef,
    /// The definition of `Const`, of which constants are made.
    pub(crate) constant: OpDef,
    /// The definition of `weft.Extents`, of which shapes are made.
    pub(crate) extents: OpDef,
    pub(crate) operands: Vec<Template>,
    pub(crate) attrs: BTreeMap<String, Term>,
    pub(crate) others: Option<Var>,
    pub(crate) result: u32,
}

/// A replacement on its way, with what is known of its nodes.
pub(crate) struct Building<'m, 'a> {
    found: &'m Match<'a>,
    replacement: Replacement,
    facts: BTreeMap<Source, Fact>,
}

/// An operand on its way.
type Operand = Option<(Source, Fact)>;

impl<'m, 'a> Building<'m, 'a> {
    pub(crate) fn new(found: &'m Match<'a>) -> Self {
        Self { found, replacement: Replacement::default(), facts: BTreeMap::new() }
    }

    /// Adds what takes the place of the next value.
    pub(crate) fn root(&mut self, template: &Template) -> Result<(), Declined> {
        let source = match template {
            Template::Found(var) => Source::Found(var.clone()),
            Template::Made(made) => self.made(made)?.0,
            _ => return Err("the rule puts in no value".into()),
        };
        self.replacement.roots.push(source);
        Ok(())
    }

    pub(crate) fn done(self) -> Replacement {
        self.replacement
    }

    fn made(&mut self, made: &NewMade) -> Result<(Source, Fact), Declined> {
        let operands = self.operands(made)?;
        let mut attrs = self.attrs(made)?;
        if let Some(var) = &made.others {
            let others = self.found.others.get(var).ok_or("other attributes were not found")?;
            attrs.extend(others.iter().map(|(name, attr)| (name.clone(), attr.clone())));
        }
        if self.allows_zero(made)? {
            attrs.insert("allowzero".to_string(), Attr::Int(1));
        }
        self.add(made.def, attrs, operands, made.result)
    }

    fn attrs(&self, made: &NewMade) -> Result<BTreeMap<String, Attr>, Declined> {
        let mut attrs = BTreeMap::new();
        for (name, term) in &made.attrs {
            let attr = attr(term.eval(self.found)?).ok_or("an attribute has no value")?;
            if !made.def.attr(name).is_some_and(|def| def.default.is(&attr)) {
                attrs.insert(name.clone(), attr);
            }
        }
        Ok(attrs)
    }

    /// The operands; numbers last, as they take the element type of another one.
    fn operands(&mut self, made: &NewMade) -> Result<Vec<Operand>, Declined> {
        let mut operands = Vec::new();
        let mut numbers = Vec::new();
        for template in &made.operands {
            match template {
                Template::Found(var) => operands.push(Some(self.value(var)?)),
                Template::Listed(var) => operands.extend(self.list(var)?.into_iter().map(Some)),
                Template::Absent => operands.push(None),
                Template::Made(inner) => operands.push(Some(self.made(inner)?)),
                Template::Data(term) => operands.push(Some(self.data(made, term)?)),
                Template::Number(term) => {
                    numbers.push((operands.len(), term));
                    operands.push(None);
                }
            }
        }
        let dtype = operands.iter().flatten().last().map(|(_, fact)| fact.dtype());
        for (at, term) in numbers {
            let dtype = dtype.ok_or("a number stands beside no operand that gives its element type")?;
            let number = match term.eval(self.found)? {
                Datum::Int(x) => integers(dtype, &[], &[x]).or_else(|| floats(dtype, &[], &[x as f64])),
                Datum::Float(x) => floats(dtype, &[], &[x]),
                _ => None,
            };
            let tensor = number.ok_or_else(|| Declined::from(format!("{dtype} does not hold the number")))?;
            operands[at] = Some(self.constant(made, tensor)?);
        }
        Ok(operands)
    }

    fn value(&self, var: &Var) -> Result<(Source, Fact), Declined> {
        let bound = self.found.values.get(var).ok_or("a value was not found")?;
        Ok((Source::Found(var.clone()), bound.fact.clone()))
    }

    fn list(&self, var: &Var) -> Result<Vec<(Source, Fact)>, Declined> {
        let list = self.found.lists.get(var).ok_or("a list was not found")?;
        let one = |(at, bound): (usize, &weft_passes::rule::Bound<'_>)| {
            (Source::Listed(var.clone(), at), bound.fact.clone())
        };
        Ok(list.iter().enumerate().map(one).collect())
    }

    fn constant(&mut self, made: &NewMade, tensor: Tensor) -> Result<(Source, Fact), Declined> {
        let attrs = BTreeMap::from([("value".to_string(), Attr::Tensor(Arc::new(tensor)))]);
        self.add(made.constant, attrs, Vec::new(), 0)
    }

    fn data(&mut self, made: &NewMade, term: &Term) -> Result<(Source, Fact), Declined> {
        match term.eval(self.found)? {
            Datum::Ints(x) => self.constant(made, Tensor::vector(&x)),
            Datum::Tensor(tensor) => self.constant(made, (*tensor).clone()),
            Datum::Shape(dims) => self.shape(made, dims),
            _ => Err("the rule puts in no data".into()),
        }
    }

    /// Extents as an operand: numbers as a constant, one unknown among those of a `Reshape` as -1,
    /// others computed from the shapes of the inputs.
    fn shape(&mut self, made: &NewMade, dims: Vec<Dim>) -> Result<(Source, Fact), Declined> {
        let elided = if made.def.name == "Reshape" { Elided::Allowed } else { Elided::Forbidden };
        match shape_data(&dims, elided, self.found.bound)? {
            ShapeData::Numbers(numbers) => self.constant(made, Tensor::vector(&numbers)),
            ShapeData::Extents(dims) => {
                let attrs = BTreeMap::from([("value".to_string(), Attr::Dims(dims))]);
                self.add(made.extents, attrs, Vec::new(), 0)
            }
        }
    }

    /// Whether this is a `Reshape` to extents of which one may stand for no elements.
    fn allows_zero(&self, made: &NewMade) -> Result<bool, Declined> {
        let (true, Some(Template::Data(term))) = (made.def.name == "Reshape", made.operands.get(1)) else {
            return Ok(false);
        };
        match term.eval(self.found)? {
            Datum::Shape(dims) => Ok(shape_data(&dims, Elided::Allowed, self.found.bound)?.allows_zero()),
            _ => Ok(false),
        }
    }

    /// Adds a node and infers it.
    fn add(
        &mut self,
        def: OpDef,
        attrs: BTreeMap<String, Attr>,
        operands: Vec<Operand>,
        result: u32,
    ) -> Result<(Source, Fact), Declined> {
        let (mut sources, mut facts) = (Vec::new(), Vec::new());
        for operand in operands {
            let (source, fact) = operand.unzip();
            sources.push(source);
            facts.push(fact);
        }
        while sources.last().is_some_and(Option::is_none) {
            sources.pop();
        }
        let new = NewNode { op: OpName::new(def.name), attrs, operands: sources };
        let fact = match self.facts.get(&self.replacement.add(new.clone(), result)) {
            Some(known) => known.clone(),
            None => infer(&def, &new, facts, result)?,
        };
        let source = self.replacement.add(new, result);
        self.facts.insert(source.clone(), fact.clone());
        Ok((source, fact))
    }
}

fn infer(def: &OpDef, new: &NewNode, operands: Vec<Option<Fact>>, result: u32) -> Result<Fact, Declined> {
    let unnamed = Def { name: String::new(), ty: TensorType::unranked(weft_ir::DType::F32) };
    let mut node = Node::new(def.name, vec![unnamed; result as usize + 1]);
    node.attrs = new.attrs.clone();
    let facts = weft_passes::infer(def, &node, operands);
    let facts = facts.map_err(|error| Declined::from(format!("`{}` would not infer: {error}", def.name)))?;
    let missing = || Declined::from(format!("`{}` gives no result {result}", def.name));
    facts.into_iter().nth(result as usize).ok_or_else(missing)
}

/// A term as an attribute.
pub(crate) fn attr(datum: Datum<'_>) -> Option<Attr> {
    Some(match datum {
        Datum::Int(x) => Attr::Int(x),
        Datum::Float(x) => Attr::Float(x as f32),
        Datum::Text(x) => Attr::Str(x),
        Datum::Ints(x) => Attr::Ints(x),
        Datum::Floats(x) => Attr::Floats(x),
        Datum::Texts(x) => Attr::Strs(x),
        Datum::Type(x) => Attr::Type(x),
        Datum::Shape(x) => Attr::Dims(x),
        Datum::Tensor(x) => Attr::Tensor(x),
        Datum::Value(_) | Datum::Values(_) | Datum::Extent(_) | Datum::Truth(_) => return None,
    })
}
