//! A graph under construction: nodes go in with their types, so that conversions can ask for them.
use crate::frame::{Binding, Frame};
use crate::model::{Model, clip};
use crate::types::tensor_type;
use std::collections::BTreeMap;
use std::sync::Arc;
use weft_frontend::Cause;
use weft_ir::infer::Facts;
use weft_ir::op::Presence;
use weft_ir::{
    Attr, AttrDef, AttrDefault, Def, Dim, Fact, Graph, InferCx, Node, OpDef, Tensor, TensorType, Value,
};

/// Why there is no result.
#[derive(Debug)]
pub(crate) enum Stop {
    /// For this cause, which the caller reports.
    Because(Cause),
    /// For something that was reported.
    Reported,
}

impl From<Cause> for Stop {
    fn from(cause: Cause) -> Self {
        Self::Because(cause)
    }
}

/// A node about to be added.
#[derive(Default)]
pub(crate) struct Draft {
    /// The canonical operator.
    pub(crate) op: String,
    pub(crate) attrs: BTreeMap<String, Attr>,
    pub(crate) operands: Vec<Option<Value>>,
    /// The regions and what is known of their outputs.
    pub(crate) regions: Vec<(Graph, Vec<Fact>)>,
    /// What the results are to be called.
    pub(crate) names: Vec<String>,
}

/// A graph under construction.
pub(crate) struct Builder<'m, 'a> {
    pub(crate) model: &'m mut Model<'a>,
    pub(crate) graph: Graph,
    pub(crate) facts: Facts,
    /// The bodies being read, the innermost last.
    pub(crate) frames: Vec<Frame<'a>>,
    /// How many graphs this one lies in.
    pub(crate) depth: usize,
}

impl<'m, 'a> Builder<'m, 'a> {
    pub(crate) fn new(model: &'m mut Model<'a>, name: &str, depth: usize) -> Self {
        Self { model, graph: Graph::new(name), facts: Facts::new(), frames: Vec::new(), depth }
    }

    /// Adds an input of the graph.
    pub(crate) fn input(&mut self, name: &str, fact: Fact) -> Value {
        let value = self.graph.add_input(name, fact.ty.clone());
        self.settle(value, fact);
        value
    }

    /// The definition of a canonical operator.
    pub(crate) fn def(&self, op: &str) -> Result<&'a OpDef, Cause> {
        let ops = self.model.ops;
        ops.get(op).ok_or_else(|| Cause::Unsupported(format!("operator `{op}`")))
    }

    /// What is known of a value.
    pub(crate) fn fact(&self, value: Value) -> &Fact {
        &self.facts[&value]
    }

    /// Adds a node and infers its results.
    pub(crate) fn emit(&mut self, draft: Draft) -> Result<Vec<Value>, Cause> {
        let def = self.def(&draft.op)?;
        check_counts(def, &draft)?;
        check_attributes(def, &draft)?;
        let Draft { op, attrs, operands, regions, names } = draft;
        let (regions, outputs): (Vec<_>, Vec<_>) = regions.into_iter().unzip();
        let unknown = TensorType::unranked(weft_ir::DType::F32);
        let results =
            names.iter().map(|name| Def { name: self.model.names.unique(name), ty: unknown.clone() });
        let mut node = Node::new(&op, results.collect());
        node.attrs = attrs.into_iter().filter(|(name, attr)| !is_default(def, name, attr)).collect();
        node.regions = regions;
        let facts = self.operand_facts(def, &operands);
        let cx = InferCx { def, node: &node, operands: &facts, regions: &outputs };
        let inferred = (def.infer)(&cx).map_err(|e| Cause::Invalid(e.0))?;
        if inferred.len() < node.results.len() {
            return Err(Cause::Invalid(format!(
                "{} results, expected {}",
                node.results.len(),
                inferred.len()
            )));
        }
        let count = node.results.len() as u32;
        let id = self.graph.add(node, &operands);
        let values = (0..count).map(|slot| Value { node: id, slot });
        Ok(values.zip(inferred).map(|(value, fact)| self.settle(value, fact)).collect())
    }

    /// What is known of operands, as inference wants it.
    pub(crate) fn operand_facts(&self, def: &OpDef, operands: &[Option<Value>]) -> Vec<Option<Fact>> {
        let mut facts: Vec<_> = operands.iter().map(|o| o.map(|value| self.fact(value).clone())).collect();
        let fixed = def.operands.iter().filter(|o| o.presence != Presence::Variadic).count();
        facts.resize(facts.len().max(fixed), None);
        facts
    }

    /// Names the unknown extents of a value and remembers what is known of it.
    fn settle(&mut self, value: Value, mut fact: Fact) -> Value {
        for (axis, dim) in fact.ty.dims.iter_mut().flatten().enumerate() {
            if dim.is_unknown() {
                *dim = Dim::symbol(&format!("?{}.{axis}", self.graph.name_of(value)));
            }
        }
        self.graph.set_ty(value, fact.ty.clone());
        self.facts.insert(value, fact);
        value
    }

    /// Takes the rank from what the file says of a value, where inference found none.
    pub(crate) fn hint(&mut self, value: Value, name: &str) {
        let hint = self.frame().hints.get(name).and_then(|ty| tensor_type(ty).ok());
        let known = self.fact(value).clone();
        let (None, Some(rank)) = (known.ty.rank(), hint.and_then(|ty| ty.rank())) else { return };
        let ty = TensorType::new(known.ty.dtype, vec![Dim::unknown(); rank]);
        self.settle(value, Fact { ty, ..known });
    }

    /// Adds constant data.
    pub(crate) fn constant(&mut self, name: String, tensor: Arc<Tensor>) -> Result<Value, Cause> {
        let attrs = BTreeMap::from([("value".to_string(), Attr::Tensor(tensor))]);
        let draft = Draft { op: "Const".to_string(), attrs, names: vec![name], ..Draft::default() };
        let values = self.emit(draft)?;
        values.first().copied().ok_or_else(|| Cause::unsupported("constants"))
    }

    /// The body being read.
    pub(crate) fn frame(&self) -> &Frame<'a> {
        self.frames.last().expect("the body of the graph stays till the end")
    }

    /// The body being read.
    pub(crate) fn frame_mut(&mut self) -> &mut Frame<'a> {
        self.frames.last_mut().expect("the body of the graph stays till the end")
    }

    /// What a name stands for; a weight becomes a node when it is first asked for.
    pub(crate) fn lookup(&mut self, name: &'a str) -> Result<Option<Value>, Stop> {
        match self.frame().names.get(name).cloned() {
            Some(Binding::Value(value)) => Ok(Some(value)),
            Some(Binding::Absent) => Ok(None),
            Some(Binding::Broken) => Err(Stop::Reported),
            Some(Binding::List(_)) => {
                Err(Cause::Unsupported(format!("`{}`, a sequence, in this place", clip(name))).into())
            }
            Some(Binding::Weight(tensor)) => {
                let wanted = self.frame().wanted_name(name);
                let value = self.constant(wanted, tensor)?;
                self.frame_mut().names.insert(name, Binding::Value(value));
                Ok(Some(value))
            }
            None => Err(Cause::Invalid(format!("`{}` is not defined", clip(name))).into()),
        }
    }

    /// Lets a name stand for something.
    pub(crate) fn bind(&mut self, name: &'a str, binding: Binding) -> Result<(), Cause> {
        match self.frame_mut().names.insert(name, binding) {
            None => Ok(()),
            Some(_) => Err(Cause::Invalid(format!("`{}` is defined twice", clip(name)))),
        }
    }
}

fn check_counts(def: &OpDef, draft: &Draft) -> Result<(), Cause> {
    let present = draft.operands.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
    let variadic = def.operands.last().is_some_and(|o| o.presence == Presence::Variadic);
    let most = def.operands.len();
    if present > most && !variadic {
        return Err(Cause::Invalid(format!("{present} operands, expected at most {most}")));
    }
    let required = |i: usize| def.operands[i].presence == Presence::Required;
    if let Some(i) = (0..most).find(|i| required(*i) && draft.operands.get(*i).copied().flatten().is_none()) {
        return Err(Cause::Invalid(format!("operand {i} `{}` is missing", def.operands[i].name)));
    }
    let (results, (least, most)) = (draft.names.len(), def.results);
    if results < least || results > most {
        return Err(Cause::Invalid(format!("{results} results, expected {least} to {most}")));
    }
    Ok(())
}

fn check_attributes(def: &OpDef, draft: &Draft) -> Result<(), Cause> {
    let missing =
        |attr: &&AttrDef| attr.default == AttrDefault::Required && !draft.attrs.contains_key(attr.name);
    match def.attrs.iter().find(missing) {
        Some(attr) => Err(Cause::Invalid(format!("attribute `{}` is missing", attr.name))),
        None => Ok(()),
    }
}

fn is_default(def: &OpDef, name: &str, attr: &Attr) -> bool {
    def.attr(name).is_some_and(|known| known.default.is(attr))
}
