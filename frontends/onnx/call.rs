//! One node of the model on its way into the graph: what conversions work with.
use crate::attributes::Attributes;
use crate::builder::{Builder, Draft, Stop};
use crate::model::op_name;
use crate::proto::NodeProto;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use weft_frontend::{Cause, NodeNote};
use weft_ir::{Attr, AttrDef, AttrKind, DType, Dim, Element, Fact, OpDef, Tensor, Value};

/// The results of a node, or why there are none.
pub(crate) type Converted = Result<Vec<Value>, Stop>;

/// Sequences, by the position of the operand. They exist while a model is read only.
pub(crate) type Lists = BTreeMap<usize, Rc<Vec<Value>>>;

/// One node being converted.
pub(crate) struct Call<'c, 'm, 'a> {
    pub(crate) builder: &'c mut Builder<'m, 'a>,
    pub(crate) node: &'a NodeProto,
    pub(crate) attrs: Attributes<'a>,
    pub(crate) operands: Vec<Option<Value>>,
    /// The operands that are sequences.
    pub(crate) lists: Lists,
}

impl<'a> Call<'_, '_, 'a> {
    /// Operand `i`, if present.
    pub(crate) fn operand(&self, i: usize) -> Option<Value> {
        self.operands.get(i).copied().flatten()
    }

    /// Operand `i`, which must be present.
    pub(crate) fn need(&self, i: usize) -> Result<Value, Cause> {
        self.operand(i).ok_or_else(|| Cause::Invalid(format!("operand {i} is missing")))
    }

    /// What is known of a value.
    pub(crate) fn fact(&self, value: Value) -> &Fact {
        self.builder.fact(value)
    }

    /// The element type of a value.
    pub(crate) fn dtype(&self, value: Value) -> DType {
        self.fact(value).dtype()
    }

    /// The extents of a value, whose rank must be known.
    pub(crate) fn dims(&self, value: Value) -> Result<Vec<Dim>, Cause> {
        let name = self.builder.graph.name_of(value);
        let dims = self.fact(value).dims().map(<[Dim]>::to_vec);
        dims.ok_or_else(|| Cause::Unsupported(format!("the rank of `{name}` is not known")))
    }

    /// The rank of a value, which must be known.
    pub(crate) fn rank(&self, value: Value) -> Result<usize, Cause> {
        Ok(self.dims(value)?.len())
    }

    /// The data of a value, if it is constant.
    pub(crate) fn data(&self, value: Value) -> Option<Arc<Tensor>> {
        self.fact(value).constant.clone()
    }

    /// Whether result `i` has a name, so that somebody may use it.
    pub(crate) fn wants(&self, i: usize) -> bool {
        self.node.output.get(i).is_some_and(|name| !name.is_empty())
    }

    /// How many results are asked for.
    pub(crate) fn results(&self) -> usize {
        self.node.output.iter().rposition(|name| !name.is_empty()).map_or(0, |last| last + 1)
    }

    /// The name of result `i`.
    pub(crate) fn result_name(&self, i: usize) -> String {
        match self.node.output.get(i).map(String::as_str) {
            Some(name) if !name.is_empty() => self.builder.frame().wanted_name(name),
            _ => format!("{}.{i}", self.stem()),
        }
    }

    /// What the names of values on the way begin with.
    fn stem(&self) -> String {
        let first = self.node.output.iter().find(|name| !name.is_empty());
        self.builder.frame().wanted_name(first.map_or("unused", String::as_str))
    }

    /// The name of a value on the way to the results.
    pub(crate) fn name_inside(&self, what: &str) -> String {
        format!("{}/{what}", self.stem())
    }

    /// Adds a constant on the way to the results.
    pub(crate) fn tensor(&mut self, what: &str, tensor: Tensor) -> Result<Value, Cause> {
        let name = self.name_inside(what);
        self.builder.constant(name, Arc::new(tensor))
    }

    /// Adds integers on the way to the results.
    pub(crate) fn ints(&mut self, what: &str, ints: &[i64]) -> Result<Value, Cause> {
        self.tensor(what, Tensor::vector(ints))
    }

    /// Adds a number of the element type of `like`.
    pub(crate) fn number_like(&mut self, what: &str, number: f32, like: Value) -> Result<Value, Cause> {
        let number = number_of(self.dtype(like), number)?;
        self.tensor(what, number)
    }

    /// Adds a node whose results get these names.
    pub(crate) fn emit(
        &mut self,
        op: &str,
        attrs: BTreeMap<String, Attr>,
        operands: Vec<Option<Value>>,
        names: Vec<String>,
    ) -> Result<Vec<Value>, Cause> {
        self.place(Draft { op: op.to_string(), attrs, operands, names, regions: Vec::new() })
    }

    /// Adds a node, and notes which operator of the file it stands for.
    pub(crate) fn place(&mut self, draft: Draft) -> Result<Vec<Value>, Cause> {
        let first = self.node.output.iter().position(|name| !name.is_empty()).map(|at| self.result_name(at));
        let is_first = first.is_some() && draft.names.first() == first.as_ref();
        let values = self.builder.emit(draft)?;
        if let Some(value) = values.first().filter(|_| is_first) {
            self.note(*value);
        }
        let operator: Arc<str> = op_name(self.node).into();
        for value in &values {
            let name = self.builder.graph.name_of(*value).to_string();
            self.builder.model.report.operators.insert(name, operator.clone());
        }
        Ok(values)
    }

    /// Keeps what the file says of the node besides what it computes.
    fn note(&mut self, value: Value) {
        let note = NodeNote { name: self.node.name().to_string(), doc: self.node.doc_string().to_string() };
        if note != NodeNote::default() {
            let name = self.builder.graph.name_of(value).to_string();
            self.builder.model.report.nodes.insert(name, note);
        }
    }

    /// Adds a node of one result on the way to those of the model's node.
    pub(crate) fn step(
        &mut self,
        what: &str,
        op: &str,
        attrs: &[(&str, Attr)],
        operands: &[Value],
    ) -> Result<Value, Cause> {
        let name = self.name_inside(what);
        self.named(name, op, attrs, operands)
    }

    /// Adds a node of one result, under the name given.
    pub(crate) fn named(
        &mut self,
        name: String,
        op: &str,
        attrs: &[(&str, Attr)],
        operands: &[Value],
    ) -> Result<Value, Cause> {
        let operands = operands.iter().map(|v| Some(*v)).collect();
        let values = self.emit(op, owned(attrs), operands, vec![name])?;
        values.first().copied().ok_or_else(|| Cause::Unsupported(format!("operator `{op}` without results")))
    }

    /// Adds the node that makes the results.
    pub(crate) fn last(&mut self, op: &str, attrs: &[(&str, Attr)], operands: &[Option<Value>]) -> Converted {
        self.finish(op, owned(attrs), operands.to_vec())
    }

    /// Adds the node that makes the results.
    pub(crate) fn finish(
        &mut self,
        op: &str,
        attrs: BTreeMap<String, Attr>,
        operands: Vec<Option<Value>>,
    ) -> Converted {
        let names = self.result_names(op)?;
        Ok(self.emit(op, attrs, operands, names)?)
    }

    /// The names of the results, as many as are asked for, or as the operator has at least.
    pub(crate) fn result_names(&self, op: &str) -> Result<Vec<String>, Cause> {
        let least = self.builder.def(op)?.results.0;
        Ok((0..self.results().max(least)).map(|i| self.result_name(i)).collect())
    }

    /// The attributes that `def` declares, read from the node.
    pub(crate) fn declared(&self, def: &OpDef) -> Result<BTreeMap<String, Attr>, Cause> {
        let mut attrs = BTreeMap::new();
        for attr in def.attrs.iter().filter(|attr| !is_ours(attr)) {
            if let Some(value) = self.read(attr.name, attr.kind)? {
                attrs.insert(attr.name.to_string(), value);
            }
        }
        Ok(attrs)
    }

    /// One attribute of the node as the kind the canonical operator wants.
    fn read(&self, name: &str, kind: AttrKind) -> Result<Option<Attr>, Cause> {
        let attrs = &self.attrs;
        Ok(match kind {
            AttrKind::Int => attrs.int(name)?.map(Attr::Int),
            AttrKind::Float => attrs.float(name)?.map(Attr::Float),
            AttrKind::Str => attrs.str(name)?.map(|text| Attr::Str(text.to_string())),
            AttrKind::Ints => attrs.ints(name)?.map(|ints| Attr::Ints(ints.to_vec())),
            AttrKind::Floats => attrs.floats(name)?.map(|floats| Attr::Floats(floats.to_vec())),
            AttrKind::Strs => attrs.strs(name)?.map(Attr::Strs),
            AttrKind::Type => self.element_type(name)?.map(Attr::Type),
            AttrKind::Tensor => self.constant_attr(name)?.map(|tensor| Attr::Tensor(Arc::new(tensor))),
            AttrKind::Dims => None,
        })
    }

    /// An element type written as its code; 0 stands for none.
    pub(crate) fn element_type(&self, name: &str) -> Result<Option<DType>, Cause> {
        let code = self.attrs.int(name)?.filter(|code| *code != 0);
        let code = code.map(|code| i32::try_from(code).unwrap_or(-1));
        code.map(crate::tensor::dtype).transpose()
    }

    /// Constant data given as an attribute.
    pub(crate) fn constant_attr(&self, name: &str) -> Result<Option<Tensor>, Cause> {
        let source = self.builder.model.source;
        self.attrs.tensor(name)?.map(|proto| crate::tensor::tensor(proto, source)).transpose()
    }

    /// The one flag value that is understood.
    pub(crate) fn only(&self, name: &str, value: i64) -> Result<(), Cause> {
        match self.attrs.int(name)? {
            Some(found) if found != value => {
                Err(Cause::Unsupported(format!("`{name}` = {found}, only {value}")))
            }
            _ => Ok(()),
        }
    }
}

/// Whether an attribute is weft's own, unknown to ONNX: the order of axes that passes choose.
fn is_ours(attr: &AttrDef) -> bool {
    attr.name == "layout" && attr.kind == AttrKind::Str
}

/// Attributes by name.
pub(crate) fn owned(attrs: &[(&str, Attr)]) -> BTreeMap<String, Attr> {
    attrs.iter().map(|(name, attr)| (name.to_string(), attr.clone())).collect()
}

/// A rank-0 tensor of that element type.
pub(crate) fn number_of(dtype: DType, number: f32) -> Result<Tensor, Cause> {
    fn int<T: Element + TryFrom<i64>>(number: f32) -> Result<Tensor, Cause> {
        let whole = number as i64;
        let fits = T::try_from(whole).ok().filter(|_| whole as f32 == number);
        fits.map(Tensor::scalar).ok_or_else(|| Cause::Invalid(format!("{number} does not fit {}", T::DTYPE)))
    }
    match dtype {
        DType::F64 => Ok(Tensor::scalar(f64::from(number))),
        DType::F32 => Ok(Tensor::scalar(number)),
        DType::F16 => Ok(Tensor::scalar(half::f16::from_f32(number))),
        DType::Bf16 => Ok(Tensor::scalar(half::bf16::from_f32(number))),
        DType::I8 => int::<i8>(number),
        DType::I16 => int::<i16>(number),
        DType::I32 => int::<i32>(number),
        DType::I64 => int::<i64>(number),
        DType::U8 => int::<u8>(number),
        DType::U16 => int::<u16>(number),
        DType::U32 => int::<u32>(number),
        DType::U64 => int::<u64>(number),
        DType::Bool => Ok(Tensor::scalar(number != 0.0)),
        other => Err(Cause::Unsupported(format!("numbers of element type {other}"))),
    }
}
