//! Growing a graph from patterns: operands first, then attributes, then the node.
use super::dice::Dice;
use super::{attrs, operands};
use std::collections::BTreeMap;
use std::sync::Arc;
use weft_ir::infer::Facts;
use weft_ir::types::Kind;
use weft_ir::{Attr, DType, Def, Fact, Graph, Node, NodeId, OpDef, OpSet, Tensor, TensorType, Value};
use weft_passes::rule::{AttrPattern, Made, Pattern, Var};
use weft_passes::{floats, integers, node_facts};

/// What an operand may be before it is made.
#[derive(Debug, Clone)]
pub(crate) struct Proposal {
    pub(crate) dtype: DType,
    pub(crate) dims: Vec<u64>,
    /// The elements, where they matter.
    pub(crate) ints: Option<Vec<i64>>,
    /// Whether all elements are above zero.
    pub(crate) positive: bool,
}

impl Proposal {
    pub(crate) fn of(dtype: DType, dims: &[u64]) -> Self {
        Self { dtype, dims: dims.to_vec(), ints: None, positive: false }
    }

    /// A vector of integers that are known.
    pub(crate) fn vector(ints: Vec<i64>) -> Self {
        Self { ints: Some(ints.clone()), ..Self::of(DType::I64, &[ints.len() as u64]) }
    }
}

/// Operator, attributes and operands of a node.
type Key = (String, BTreeMap<String, Attr>, Vec<Option<Value>>);

/// A graph that grows.
pub(crate) struct Grower<'g> {
    ops: &'g OpSet,
    pub(crate) dice: &'g mut Dice,
    graph: Graph,
    facts: Facts,
    values: BTreeMap<Var, Value>,
    lists: BTreeMap<Var, Vec<Value>>,
    pub(crate) attrs: BTreeMap<Var, Attr>,
    others: BTreeMap<Var, BTreeMap<String, Attr>>,
    inputs: Vec<Arc<Tensor>>,
    /// Nodes by what they are, so that what two patterns have in common is one node.
    made: BTreeMap<Key, NodeId>,
    /// The shape and the element type that most values have.
    pub(crate) dims: Vec<u64>,
    pub(crate) dtype: DType,
    /// One value in so many is a constant; none if 0.
    constants: usize,
    symbolic: bool,
}

impl<'g> Grower<'g> {
    pub(crate) fn new(ops: &'g OpSet, dice: &'g mut Dice) -> Self {
        let rank = dice.pick(&[0, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]).unwrap_or(2);
        let dims = (0..rank).map(|_| operands::extent(dice)).collect();
        let types = [DType::F32, DType::F32, DType::F32, DType::F64, DType::I64, DType::I32, DType::Bool];
        let rare = [DType::F16, DType::U8, DType::I8, DType::Bf16];
        let dtype = if dice.one_in(10) { dice.pick(&rare) } else { dice.pick(&types) };
        let constants = dice.pick(&[0, 0, 1, 2, 2]).unwrap_or(0);
        let symbolic = dice.one_in(4);
        Self {
            ops,
            dice,
            graph: Graph::new("main"),
            facts: Facts::new(),
            values: BTreeMap::new(),
            lists: BTreeMap::new(),
            attrs: BTreeMap::new(),
            others: BTreeMap::new(),
            inputs: Vec::new(),
            made: BTreeMap::new(),
            dims,
            dtype: dtype.unwrap_or(DType::F32),
            constants,
            symbolic,
        }
    }

    /// The graph with these outputs, its inputs, and whether extents are to be symbols.
    pub(crate) fn done(mut self, outputs: &[Value]) -> (Graph, Vec<Arc<Tensor>>, bool) {
        self.graph.set_outputs(outputs.to_vec());
        (self.graph, self.inputs, self.symbolic)
    }

    /// A value that a pattern fits.
    pub(crate) fn root(&mut self, pattern: &Pattern) -> Option<Value> {
        self.node(pattern.made()?)
    }

    pub(crate) fn fact(&self, value: Value) -> Option<&Fact> {
        self.facts.get(&value)
    }

    /// The extents of a value.
    pub(crate) fn dims_of(&self, value: Value) -> Option<Vec<u64>> {
        self.fact(value)?.ty.static_dims()
    }

    fn node(&mut self, made: &Made) -> Option<Value> {
        let def = *self.ops.get(made.op.as_str())?;
        let mut attrs = attrs::early(self, &def, made);
        let operands = self.operands(&def, made, &attrs)?;
        attrs::late(self, &def, made, &operands, &mut attrs);
        self.record(&def, made, &attrs);
        attrs.retain(|name, attr| !def.attr(name).is_some_and(|known| known.default.is(attr)));
        let key = (def.name.to_string(), attrs.clone(), operands.clone());
        let id = match self.made.get(&key) {
            Some(id) => *id,
            None => self.add(&def, attrs, &operands, made.result)?,
        };
        self.made.insert(key, id);
        let value = Value { node: id, slot: made.result };
        self.graph.def(value)?;
        if let Some(name) = &made.name {
            self.values.insert(name.clone(), value);
        }
        Some(value)
    }

    /// Takes down what the attributes are that a pattern has variables for.
    fn record(&mut self, def: &OpDef, made: &Made, attrs: &BTreeMap<String, Attr>) {
        let bare = |name: &&String| !made.attrs.contains_key(*name);
        if let Some(var) = &made.others {
            let rest: BTreeMap<String, Attr> = attrs
                .iter()
                .filter(|(name, attr)| bare(name) && !def.attr(name).is_some_and(|a| a.default.is(attr)))
                .map(|(name, attr)| (name.clone(), attr.clone()))
                .collect();
            self.others.insert(var.clone(), rest);
        }
        for (name, pattern) in &made.attrs {
            if let (AttrPattern::Any(var), Some(attr)) = (pattern, attrs.get(name)) {
                self.attrs.insert(var.clone(), attr.clone());
            }
        }
    }

    /// All other attributes that were chosen at another operator.
    pub(crate) fn known_others(&self, made: &Made) -> Option<&BTreeMap<String, Attr>> {
        self.others.get(made.others.as_ref()?)
    }

    fn operands(
        &mut self,
        def: &OpDef,
        made: &Made,
        attrs: &BTreeMap<String, Attr>,
    ) -> Option<Vec<Option<Value>>> {
        let mut found: Vec<Option<Value>> = vec![None; made.operands.len()];
        for (slot, pattern) in found.iter_mut().zip(&made.operands) {
            *slot = match pattern {
                Pattern::Made(inner) => Some(self.node(inner)?),
                Pattern::Any(var) => self.values.get(var).copied(),
                Pattern::Ints(ints) => Some(self.constant(Tensor::vector(ints))?),
                Pattern::Absent | Pattern::Number(_) => None,
            };
        }
        for (at, pattern) in made.operands.iter().enumerate() {
            if let (Pattern::Any(var), None) = (pattern, found[at]) {
                let value = match self.values.get(var) {
                    Some(known) => *known,
                    None => self.proposed(def, at, (&found, attrs), var)?,
                };
                self.values.insert(var.clone(), value);
                found[at] = Some(value);
            }
        }
        for (at, pattern) in made.operands.iter().enumerate() {
            if let Pattern::Number(number) = pattern {
                let beside = found.iter().flatten().last().and_then(|v| self.fact(*v)).map(Fact::dtype);
                found[at] = Some(self.number(beside.unwrap_or(self.dtype), *number)?);
            }
        }
        self.around(def, made, found, attrs)
    }

    /// The operands with those of lists in front and behind.
    fn around(
        &mut self,
        def: &OpDef,
        made: &Made,
        mut found: Vec<Option<Value>>,
        attrs: &BTreeMap<String, Attr>,
    ) -> Option<Vec<Option<Value>>> {
        for (var, behind) in [(&made.front, false), (&made.back, true)] {
            let Some(var) = var else { continue };
            if !self.lists.contains_key(var) {
                let count = self.dice.below(3).max(usize::from(found.is_empty()));
                let mut list = Vec::new();
                for _ in 0..count {
                    let beside: Vec<_> =
                        found.iter().copied().chain(list.iter().copied().map(Some)).chain([None]).collect();
                    let at = beside.len() - 1;
                    list.push(self.proposed(def, at, (&beside, attrs), var)?);
                }
                self.lists.insert(var.clone(), list);
            }
            let list: Vec<_> = self.lists.get(var)?.iter().copied().map(Some).collect();
            found = if behind { [found, list].concat() } else { [list, found].concat() };
        }
        Some(found)
    }

    /// A new value that may stand as operand `at`.
    fn proposed(
        &mut self,
        def: &OpDef,
        at: usize,
        (beside, attrs): (&[Option<Value>], &BTreeMap<String, Attr>),
        var: &Var,
    ) -> Option<Value> {
        let proposal = operands::propose(self, def.name, at, beside, attrs)?;
        let known = proposal.ints.is_some();
        let tensor = self.tensor(&proposal)?;
        let constant = known || (self.constants > 0 && self.dice.one_in(self.constants));
        if !constant {
            return Some(self.input(var, tensor));
        }
        let uniform = !known && self.dice.one_in(3);
        let tensor = if uniform { self.uniform(&proposal)? } else { tensor };
        self.constant(tensor)
    }

    fn input(&mut self, var: &Var, tensor: Tensor) -> Value {
        let name = self.graph.fresh_name(var);
        let ty = TensorType::fixed(tensor.dtype(), tensor.dims());
        let value = self.graph.add_input(&name, ty.clone());
        self.facts.insert(value, Fact::of(ty));
        self.inputs.push(Arc::new(tensor));
        value
    }

    fn constant(&mut self, tensor: Tensor) -> Option<Value> {
        let def = self.ops.get("Const")?;
        let attrs = BTreeMap::from([("value".to_string(), Attr::Tensor(Arc::new(tensor)))]);
        let id = self.add(def, attrs, &[], 0)?;
        Some(Value { node: id, slot: 0 })
    }

    /// A constant of one number, whatever its shape.
    fn number(&mut self, dtype: DType, number: f64) -> Option<Value> {
        let dims = match self.dice.below(4) {
            0 => vec![1],
            1 => self.dims.clone(),
            _ => Vec::new(),
        };
        let whole = number.fract() == 0.0;
        let count = dims.iter().product::<u64>() as usize;
        let of_floats = floats(dtype, &dims, &vec![number; count]);
        let tensor =
            of_floats.or_else(|| integers(dtype, &dims, &vec![number as i64; count]).filter(|_| whole))?;
        self.constant(tensor)
    }

    fn add(
        &mut self,
        def: &OpDef,
        attrs: BTreeMap<String, Attr>,
        operands: &[Option<Value>],
        result: u32,
    ) -> Option<NodeId> {
        let pieces = if def.name == "Split" { self.pieces(operands, &attrs) } else { 1 };
        let name = def.name.rsplit('.').next().unwrap_or(def.name).to_lowercase();
        let mut node = Node::new(def.name, Vec::new());
        node.attrs = attrs;
        for _ in 0..pieces.max(result as usize + 1) {
            node.results.push(Def { name: String::new(), ty: TensorType::unranked(DType::F32) });
        }
        let count = node.results.len();
        let id = self.graph.add(node, operands);
        for slot in 0..count {
            let fresh = self.graph.fresh_name(&name);
            self.graph.node_mut(id).results[slot].name = fresh;
        }
        let facts = node_facts(&self.graph, id, &self.facts, self.ops).ok()?;
        for (slot, fact) in facts.into_iter().take(count).enumerate() {
            let value = Value { node: id, slot: slot as u32 };
            self.graph.set_ty(value, fact.ty.clone());
            self.facts.insert(value, fact);
        }
        Some(id)
    }

    /// Into how many pieces a `Split` cuts.
    fn pieces(&mut self, operands: &[Option<Value>], attrs: &BTreeMap<String, Attr>) -> usize {
        let sizes = operands.get(1).copied().flatten().and_then(|v| self.dims_of(v));
        match (sizes.and_then(|dims| dims.first().copied()), attrs.get("num_outputs")) {
            (Some(count), _) => count as usize,
            (None, Some(Attr::Int(count))) => usize::try_from(*count).unwrap_or(1),
            _ => 1,
        }
    }
}

/// Numbers.
impl Grower<'_> {
    fn tensor(&mut self, proposal: &Proposal) -> Option<Tensor> {
        let count = proposal.dims.iter().product::<u64>() as usize;
        if let Some(ints) = &proposal.ints {
            return match proposal.dtype.is_float() {
                true => floats(
                    proposal.dtype,
                    &proposal.dims,
                    &ints.iter().map(|x| *x as f64).collect::<Vec<_>>(),
                ),
                false => integers(proposal.dtype, &proposal.dims, ints),
            };
        }
        if let Some(elements) = self.real(proposal, count) {
            return floats(proposal.dtype, &proposal.dims, &elements);
        }
        let elements: Vec<i64> = (0..count).map(|_| self.whole(proposal)).collect();
        integers(proposal.dtype, &proposal.dims, &elements)
    }

    /// One number everywhere, often one that has a meaning.
    fn uniform(&mut self, proposal: &Proposal) -> Option<Tensor> {
        let count = proposal.dims.iter().product::<u64>() as usize;
        let number: f64 = self.dice.pick(&[1.0, 2.0, 3.0, 4.0, 6.0, 0.5, 0.25, -1.5, -1.0, 0.0])?;
        let number = if proposal.positive { number.abs() + 0.125 } else { number };
        let of_integers = || integers(proposal.dtype, &proposal.dims, &vec![number as i64; count]);
        floats(proposal.dtype, &proposal.dims, &vec![number; count]).or_else(of_integers)
    }

    /// Floats around zero, some of them zero or whole.
    fn real(&mut self, proposal: &Proposal, count: usize) -> Option<Vec<f64>> {
        floats(proposal.dtype, &[], &[0.0])?;
        let element = |free: u64| {
            let smooth = (free >> 40) as f64 / (1u64 << 22) as f64 - 2.0;
            let number = match free % 8 {
                0 => smooth.round(),
                _ => smooth,
            };
            if proposal.positive { number.abs() + 0.125 } else { number }
        };
        Some((0..count).map(|_| element(self.dice.free())).collect())
    }

    /// Small integers, and now and then the smallest and the largest ones there are.
    fn whole(&mut self, proposal: &Proposal) -> i64 {
        let free = self.dice.free() >> 20;
        let bits = proposal.dtype.bits().clamp(1, 64);
        let largest = i64::MAX >> (64 - bits);
        match proposal.dtype {
            dtype if free.is_multiple_of(61) && dtype.kind() == Kind::Signed => -largest - 1,
            dtype if free % 61 == 1 && dtype.kind() == Kind::Signed => largest,
            DType::Bool => (free % 2) as i64,
            _ if proposal.positive => (free % 4) as i64 + 1,
            DType::U8 | DType::U16 | DType::U32 | DType::U64 => (free % 6) as i64,
            _ => (free % 9) as i64 - 4,
        }
    }
}
