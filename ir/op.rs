//! What an operator is: operands, attributes, results, traits and inference, as data.
use crate::attr::Attr;
use crate::body::{Body, Meaning};
use crate::dim::Dim;
use crate::foreign::{FindFunction, Foreign};
use crate::graph::Node;
use crate::infer::Fact;
use crate::types::{DType, MAX_RANK, TensorType};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use thiserror::Error;

/// Everything weft knows about an operator.
#[derive(Debug, Clone, Copy)]
pub struct OpDef {
    /// `Relu`; other domains than ONNX's own are written before it: `com.microsoft.Gelu`.
    pub name: &'static str,
    /// One sentence: what it computes.
    pub doc: &'static str,
    /// Operands in order; only the last may be variadic.
    pub operands: &'static [OperandDef],
    /// Attributes, sorted by name.
    pub attrs: &'static [AttrDef],
    /// How many results there may be.
    pub results: (usize, usize),
    /// How many regions it has.
    pub regions: usize,
    /// What may be assumed of it.
    pub traits: Traits,
    /// Types and facts of the results from those of the operands.
    pub infer: fn(&InferCx<'_>) -> Result<Vec<Fact>, InferError>,
    /// Facts of the inputs of each region; operators without regions leave it at [`no_regions`].
    pub enter: fn(&InferCx<'_>) -> Result<Vec<Vec<Fact>>, InferError>,
    /// What it stands for, if others define it.
    pub body: Option<&'static Body>,
}

impl OpDef {
    /// The attribute of that name.
    pub fn attr(&self, name: &str) -> Option<&'static AttrDef> {
        self.attrs.iter().find(|attr| attr.name == name)
    }

    /// Whether it stands for a graph that may take its place.
    pub fn is_graph(&self) -> bool {
        self.body.is_some_and(|body| body.foreign().is_none())
    }

    /// The function outside weft that computes it, if one does.
    pub fn foreign(&self) -> Option<&'static Foreign> {
        self.body.and_then(Body::foreign)
    }

    /// The same operator with its function, if one outside weft computes it: see
    /// [`Foreign::placed`]. It lives until the process ends.
    pub fn placed(self, folder: &Path, find: FindFunction<'_>) -> Result<Self, String> {
        let Some((body, foreign)) = self.body.zip(self.foreign()) else { return Ok(self) };
        let meaning = Meaning::Foreign(foreign.placed(folder, find)?);
        let body = Body { text: body.text.clone(), meaning };
        Ok(Self { body: Some(Box::leak(Box::new(body))), ..self })
    }
}

/// One operand.
#[derive(Debug, Clone, Copy)]
pub struct OperandDef {
    /// Its name in ONNX.
    pub name: &'static str,
    /// Whether it may be absent or repeated.
    pub presence: Presence,
}

/// Whether an operand may be absent or repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Always there.
    Required,
    /// May be absent.
    Optional,
    /// Any number from this on, zero included; single ones may be absent.
    Variadic,
}

/// One attribute.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttrDef {
    /// Its name in ONNX.
    pub name: &'static str,
    /// What it holds.
    pub kind: AttrKind,
    /// What it is when not given.
    pub default: AttrDefault,
}

/// What an attribute holds; see [`Attr`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AttrKind {
    /// [`Attr::Int`].
    Int,
    /// [`Attr::Float`].
    Float,
    /// [`Attr::Str`].
    Str,
    /// [`Attr::Ints`].
    Ints,
    /// [`Attr::Floats`].
    Floats,
    /// [`Attr::Strs`].
    Strs,
    /// [`Attr::Dims`].
    Dims,
    /// [`Attr::Type`].
    Type,
    /// [`Attr::Tensor`].
    Tensor,
}

impl fmt::Display for AttrKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AttrKind::Int => "an integer",
            AttrKind::Float => "a float",
            AttrKind::Str => "a text",
            AttrKind::Ints => "integers",
            AttrKind::Floats => "floats",
            AttrKind::Strs => "texts",
            AttrKind::Dims => "extents",
            AttrKind::Type => "an element type",
            AttrKind::Tensor => "a tensor",
        })
    }
}

/// What an attribute is when not given.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum AttrDefault {
    /// It must be given.
    Required,
    /// It has no value, and the operator says what that means.
    Absent,
    /// It has no value, and that means what follows from the operands.
    Implied(Implied),
    /// An integer.
    Int(i64),
    /// A float.
    Float(f32),
    /// Text.
    Str(&'static str),
    /// Integers.
    Ints(&'static [i64]),
    /// An element type.
    Type(DType),
}

/// What an attribute that has no value means; see [`AttrDefault::Implied`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Implied {
    /// All axes of operand 0, last first.
    Reversed,
    /// A one for each spatial axis of operand 0.
    Ones,
    /// Two zeros for each spatial axis of operand 0.
    Zeros,
    /// The spatial extents of operand 1.
    Kernel,
}

impl Implied {
    /// The value that means the same, as far as the types of the operands tell it.
    pub fn value(self, operands: &[Option<&TensorType>]) -> Option<Attr> {
        let dims = |i: usize| operands.get(i).copied().flatten()?.dims.as_deref();
        let spatial = || dims(0)?.len().checked_sub(2);
        let ints = match self {
            Implied::Reversed => (0..dims(0)?.len() as i64).rev().collect(),
            Implied::Ones => vec![1; spatial()?],
            Implied::Zeros => vec![0; 2 * spatial()?],
            Implied::Kernel => dims(1)?.get(2..)?.iter().map(Dim::as_fixed).collect::<Option<_>>()?,
        };
        Some(Attr::Ints(ints))
    }
}

impl AttrDefault {
    /// Whether an attribute says what this default says.
    pub fn is(self, attr: &Attr) -> bool {
        match (attr, self) {
            (Attr::Int(a), AttrDefault::Int(b)) => *a == b,
            (Attr::Float(a), AttrDefault::Float(b)) => a.to_bits() == b.to_bits(),
            (Attr::Str(a), AttrDefault::Str(b)) => a == b,
            (Attr::Ints(a), AttrDefault::Ints(b)) => a == b,
            (Attr::Type(a), AttrDefault::Type(b)) => *a == b,
            _ => false,
        }
    }

    /// The value it stands for, if it stands for one.
    pub fn value(self, operands: &[Option<&TensorType>]) -> Option<Attr> {
        match self {
            AttrDefault::Required | AttrDefault::Absent => None,
            AttrDefault::Implied(implied) => implied.value(operands),
            AttrDefault::Int(x) => Some(Attr::Int(x)),
            AttrDefault::Float(x) => Some(Attr::Float(x)),
            AttrDefault::Str(x) => Some(Attr::Str(x.to_string())),
            AttrDefault::Ints(x) => Some(Attr::Ints(x.to_vec())),
            AttrDefault::Type(x) => Some(Attr::Type(x)),
        }
    }
}

impl fmt::Display for Implied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Implied::Reversed => "all axes, last first",
            Implied::Ones => "ones",
            Implied::Zeros => "zeros",
            Implied::Kernel => "the spatial extents of the weights",
        })
    }
}

/// What may be assumed of an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traits {
    /// The same operands always give the same results, and nothing else happens.
    pub pure: bool,
    /// Element `i` of the result depends on elements `i` of the (broadcast) operands alone.
    pub elementwise: bool,
    /// The first two operands may be swapped.
    pub commutative: bool,
    /// It has regions, runs one of them, and gives its outputs.
    pub chooses: bool,
}

impl Traits {
    /// Pure, nothing else.
    pub const PURE: Traits = Traits { pure: true, elementwise: false, commutative: false, chooses: false };
    /// Pure and elementwise with broadcasting.
    pub const ELEMENTWISE: Traits = Traits { elementwise: true, ..Traits::PURE };
    /// Pure, elementwise and commutative.
    pub const COMMUTATIVE: Traits = Traits { commutative: true, ..Traits::ELEMENTWISE };
    /// Pure, and one of its regions is what it gives.
    pub const CHOICE: Traits = Traits { chooses: true, ..Traits::PURE };
    /// Nothing may be assumed (random numbers).
    pub const EFFECT: Traits = Traits { pure: false, ..Traits::PURE };
}

/// Why inference failed: what was found and what was expected, without the place.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct InferError(pub String);

/// The attributes of a node with the defaults of its operator.
#[derive(Clone, Copy)]
pub struct Attrs<'a> {
    /// The definition.
    pub def: &'a OpDef,
    /// The node.
    pub node: &'a Node,
}

impl<'a> Attrs<'a> {
    fn default(&self, name: &str) -> Option<AttrDefault> {
        let found = self.def.attrs.iter().find(|a| a.name == name).map(|a| a.default);
        debug_assert!(found.is_some(), "`{}` declares no attribute `{name}`", self.def.name);
        found
    }

    /// Whether the attribute is given or has a default.
    pub fn has(&self, name: &str) -> bool {
        let default = self.default(name);
        self.node.attrs.contains_key(name)
            || !matches!(
                default,
                None | Some(AttrDefault::Absent | AttrDefault::Implied(_) | AttrDefault::Required)
            )
    }

    /// An integer, or `None` if it is neither given nor defaulted.
    pub fn int_opt(&self, name: &str) -> Option<i64> {
        match (self.node.attrs.get(name), self.default(name)) {
            (Some(Attr::Int(x)), _) => Some(*x),
            (None, Some(AttrDefault::Int(x))) => Some(x),
            _ => None,
        }
    }

    /// An integer; 0 where there is none, which [`crate::verify`] rules out for required ones.
    pub fn int(&self, name: &str) -> i64 {
        self.int_opt(name).unwrap_or(0)
    }

    /// Whether a flag is set.
    pub fn flag(&self, name: &str) -> bool {
        self.int(name) != 0
    }

    /// A float, or `None` if it is neither given nor defaulted.
    pub fn float_opt(&self, name: &str) -> Option<f32> {
        match (self.node.attrs.get(name), self.default(name)) {
            (Some(Attr::Float(x)), _) => Some(*x),
            (None, Some(AttrDefault::Float(x))) => Some(x),
            _ => None,
        }
    }

    /// A float; 0 where there is none.
    pub fn float(&self, name: &str) -> f32 {
        self.float_opt(name).unwrap_or(0.0)
    }

    /// Text; empty where there is none.
    pub fn str(&self, name: &str) -> &'a str {
        match (self.node.attrs.get(name), self.default(name)) {
            (Some(Attr::Str(x)), _) => x,
            (None, Some(AttrDefault::Str(x))) => x,
            _ => "",
        }
    }

    /// Integers, or `None` if they are neither given nor defaulted.
    pub fn ints_opt(&self, name: &str) -> Option<&'a [i64]> {
        match (self.node.attrs.get(name), self.default(name)) {
            (Some(Attr::Ints(x)), _) => Some(x),
            (None, Some(AttrDefault::Ints(x))) => Some(x),
            _ => None,
        }
    }

    /// Integers; empty where there are none.
    pub fn ints(&self, name: &str) -> &'a [i64] {
        self.ints_opt(name).unwrap_or(&[])
    }

    /// Floats; empty where there are none.
    pub fn floats(&self, name: &str) -> &'a [f32] {
        match self.node.attrs.get(name) {
            Some(Attr::Floats(x)) => x,
            _ => &[],
        }
    }

    /// Texts; empty where there are none.
    pub fn strs(&self, name: &str) -> &'a [String] {
        match self.node.attrs.get(name) {
            Some(Attr::Strs(x)) => x,
            _ => &[],
        }
    }

    /// Symbolic extents; empty where there are none.
    pub fn dims(&self, name: &str) -> &'a [Dim] {
        match self.node.attrs.get(name) {
            Some(Attr::Dims(x)) => x,
            _ => &[],
        }
    }

    /// An element type, or `None` if it is neither given nor defaulted.
    pub fn dtype(&self, name: &str) -> Option<DType> {
        match (self.node.attrs.get(name), self.default(name)) {
            (Some(Attr::Type(x)), _) => Some(*x),
            (None, Some(AttrDefault::Type(x))) => Some(x),
            _ => None,
        }
    }
}

/// What inference sees of one node.
pub struct InferCx<'a> {
    /// The definition.
    pub def: &'a OpDef,
    /// The node.
    pub node: &'a Node,
    /// Facts about the operands; absent ones are `None`. Never shorter than the definition's list
    /// of non-variadic operands.
    pub operands: &'a [Option<Fact>],
    /// Facts about the outputs of each region, once they are known.
    pub regions: &'a [Vec<Fact>],
}

impl<'a> InferCx<'a> {
    /// The attributes with defaults.
    pub fn attrs(&self) -> Attrs<'a> {
        Attrs { def: self.def, node: self.node }
    }

    /// Operand `i`, if present.
    pub fn get(&self, i: usize) -> Option<&'a Fact> {
        self.operands.get(i).and_then(Option::as_ref)
    }

    /// Operand `i`, which must be present.
    pub fn need(&self, i: usize) -> Result<&'a Fact, InferError> {
        let name = self.def.operands.get(i).map_or("", |o| o.name);
        self.get(i).ok_or_else(|| InferError(format!("operand {i} `{name}` is missing")))
    }

    /// What is known of the results, none of more axes than there may be.
    pub fn infer(&self) -> Result<Vec<Fact>, InferError> {
        let facts = (self.def.infer)(self)?;
        match facts.iter().filter_map(|fact| fact.ty.rank()).find(|rank| *rank > MAX_RANK) {
            Some(rank) => Err(InferError(format!("the result has {rank} axes, expected at most {MAX_RANK}"))),
            None => Ok(facts),
        }
    }

    /// How many results the node has.
    pub fn results(&self) -> usize {
        self.node.results.len()
    }
}

/// For [`OpDef::enter`] of operators without regions.
pub fn no_regions(_: &InferCx<'_>) -> Result<Vec<Vec<Fact>>, InferError> {
    Ok(Vec::new())
}

/// Shorthand for one result of a type.
pub fn one(ty: TensorType) -> Result<Vec<Fact>, InferError> {
    Ok(vec![Fact::of(ty)])
}

/// The operators a module may use, by name.
#[derive(Debug, Clone)]
pub struct OpSet {
    defs: BTreeMap<&'static str, OpDef>,
}

impl OpSet {
    /// The operators weft comes with.
    pub fn builtin() -> &'static OpSet {
        static BUILTIN: std::sync::LazyLock<OpSet> = std::sync::LazyLock::new(|| {
            let defs = crate::ops::FAMILIES.iter().flat_map(|(_, defs)| defs.iter());
            OpSet::new(defs.copied())
        });
        &BUILTIN
    }

    /// A set of these operators; of two with one name the last counts.
    pub fn new(defs: impl IntoIterator<Item = OpDef>) -> OpSet {
        OpSet { defs: defs.into_iter().map(|def| (def.name, def)).collect() }
    }

    /// The definition of that name.
    pub fn get(&self, name: &str) -> Option<&OpDef> {
        self.defs.get(name)
    }

    /// All definitions, by name.
    pub fn iter(&self) -> impl Iterator<Item = &OpDef> {
        self.defs.values()
    }

    /// The attributes of a node with defaults, if its operator is known.
    pub fn attrs<'a>(&'a self, node: &'a Node) -> Option<Attrs<'a>> {
        Some(Attrs { def: self.get(node.op.as_str())?, node })
    }
}
