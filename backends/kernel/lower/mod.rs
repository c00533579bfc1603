//! From a graph to a program: what is computed where, and what is fused into what.
//!
//! Nodes are visited producers first. A node that works element by element, or only moves elements,
//! is not computed at once: its result is *lazy*, a term that its consumer reads in place. A
//! contraction or reduction is an *anchor*: also lazy, so that what follows it element by element is
//! computed before the result is stored. A tensor is *forced* into memory when it has consumers that
//! cannot share one kernel, or a consumer that needs memory.
mod anchor;
mod argument;
mod attention;
mod beside;
mod byte_conv;
mod byte_panels;
mod bytes;
mod code_panels;
mod coded;
mod columns;
mod contract;
mod control;
mod conv;
mod cumulative;
mod decoded;
mod deform;
mod determinant;
mod einsum;
mod elementwise;
mod emit;
mod foreign;
mod formula;
mod fuse;
mod group;
mod indexed;
mod linear_attention;
mod loss;
mod memory;
mod movement;
mod named;
mod narrow;
mod norm;
mod number;
mod packed;
mod pad_image;
mod pool;
mod quant;
mod quantised;
mod random;
mod recurrent;
mod reduce;
mod region;
mod repeat;
mod resize;
mod roi;
mod row;
mod runtime;
mod sample;
mod scatter;
mod select;
mod signal;
mod skip;
mod slice;
mod supported;
mod tensor;
mod window;

pub use tensor::{Handle, State, Tensor, View};

use crate::program::{Memory, Port, Program, Step};
use crate::schedule::Machine;
use crate::term::{Index, Terms};
use anchor::Anchor;
use std::collections::{BTreeMap, BTreeSet};
use weft_ir::{Attrs, DType, Dim, Graph, Module, NodeId, OpSet, Value};

/// Why a graph cannot be lowered: all nodes that stand in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LowerError {
    /// One entry a node.
    pub problems: Vec<Problem>,
}

/// One node that cannot be lowered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The operator.
    pub op: String,
    /// The name of its first result.
    pub at: String,
    /// Why.
    pub message: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` at `%{}`: {}", self.op, self.at, self.message)
    }
}

impl std::fmt::Display for LowerError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            write!(f, "{}{problem}", if i == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl std::error::Error for LowerError {}

/// Lowers a node of its family, or leaves it to others.
type Family<'a> = fn(&mut Lowering<'a>, &Call<'_>) -> Option<Result<Vec<Handle>>>;

/// Why one node cannot be lowered, in words.
pub(crate) type Result<T> = std::result::Result<T, String>;

/// Lowers the main graph of a module, whose types must be inferred.
pub fn lower(module: &Module, ops: &OpSet, machine: &Machine) -> std::result::Result<Program, LowerError> {
    let mut cx = Lowering::new(ops, *machine);
    cx.problems = supported::unsupported(&module.graph);
    cx.open_main(&module.graph);
    cx.graph(&module.graph);
    cx.close_main(&module.graph);
    if cx.problems.is_empty() {
        Ok(cx.finish(&module.graph))
    } else {
        Err(LowerError { problems: cx.problems })
    }
}

/// The state of one lowering.
pub(crate) struct Lowering<'a> {
    ops: &'a OpSet,
    machine: Machine,
    terms: Terms,
    /// The memory behind each [`crate::term::Source`].
    sources: Vec<Memory>,
    tensors: Vec<Tensor>,
    anchors: Vec<Anchor>,
    /// The graph being lowered and what is known of its values; outer graphs wait below.
    scopes: Vec<Scope>,
    /// Step lists that are open, innermost last.
    steps: Vec<Vec<Step>>,
    program: Program,
    /// Steps that run before all others.
    prologue: Vec<Step>,
    /// Constant data already placed, by digest.
    placed: BTreeMap<[u8; 32], Memory>,
    /// Symbols whose value the host knows before the first step.
    bound: BTreeSet<String>,
    /// Symbols with a number that holds only until a node decides the real one.
    provisional: BTreeSet<String>,
    /// What symbols stand for that follow from the inputs' extents.
    follows: BTreeMap<String, Dim>,
    /// Padded images, by their memory.
    padded: BTreeMap<Memory, pad_image::Padded>,
    /// Outputs whose memory was sized already.
    sized: BTreeSet<u32>,
    /// Matrices that are constant codes with scales.
    matrices: BTreeMap<Handle, coded::Matrix>,
    /// Matrices of constant codes side by side.
    beside: BTreeMap<Handle, beside::Matrices>,
    /// Numbers that are bytes with a scale.
    quantised: BTreeMap<Handle, quantised::Quantised>,
    /// Bytes by groups, by the bytes, how many make a group, and where the walk was.
    grouped: BTreeMap<(Handle, i64, [usize; 2]), quantised::Grouped>,
    /// Constant weights of convolutions that are bytes with scales.
    kernels: BTreeMap<Handle, quantised::Quantised>,
    problems: Vec<Problem>,
    /// How many regions were entered so far.
    regions: usize,
}

/// What is known of the values of one graph.
#[derive(Default)]
pub(crate) struct Scope {
    values: BTreeMap<Value, Handle>,
    /// The place of each node in the order of the walk.
    order: BTreeMap<NodeId, usize>,
    /// Where the results go: an output or a buffer of the node that holds the graph.
    targets: BTreeMap<Value, View>,
}

impl<'a> Lowering<'a> {
    fn new(ops: &'a OpSet, machine: Machine) -> Self {
        Self {
            ops,
            machine,
            terms: Terms::default(),
            sources: Vec::new(),
            tensors: Vec::new(),
            anchors: Vec::new(),
            scopes: Vec::new(),
            steps: vec![Vec::new()],
            program: Program {
                name: String::new(),
                symbols: Vec::new(),
                inputs: Vec::new(),
                outputs: Vec::new(),
                planned: Vec::new(),
                grown: 0,
                weights: Vec::new(),
                kernels: Vec::new(),
                steps: Vec::new(),
            },
            prologue: Vec::new(),
            placed: BTreeMap::new(),
            bound: BTreeSet::new(),
            provisional: BTreeSet::new(),
            follows: BTreeMap::new(),
            padded: BTreeMap::new(),
            sized: BTreeSet::new(),
            matrices: BTreeMap::new(),
            beside: BTreeMap::new(),
            quantised: BTreeMap::new(),
            kernels: BTreeMap::new(),
            grouped: BTreeMap::new(),
            problems: Vec::new(),
            regions: 0,
        }
    }

    /// Makes ports of inputs and outputs, binds the symbols of the inputs.
    fn open_main(&mut self, graph: &Graph) {
        self.program.name = graph.name.clone();
        let mut scope = Scope::default();
        for (i, id) in graph.inputs().iter().enumerate() {
            let value = Value { node: *id, slot: 0 };
            let port = port(graph, value, graph.name_of(value));
            for symbol in port.dims.iter().filter_map(|d| d.as_symbol().map(str::to_string)) {
                self.symbol(&symbol);
                self.bound.insert(symbol);
            }
            let view = View::whole(Memory::Input(i as u32), &port.dims);
            scope.values.insert(value, self.tensor(port.dtype, port.dims.clone(), State::View(view)));
            self.program.inputs.push(port);
        }
        for (i, value) in graph.outputs().iter().enumerate() {
            let port = port(graph, *value, &graph.output_names()[i]);
            let view = View::whole(Memory::Output(i as u32), &port.dims);
            if !graph.is_input(*value) {
                scope.targets.entry(*value).or_insert(view);
            }
            self.program.outputs.push(port);
        }
        self.scopes.push(scope);
    }

    /// Copies into place what is not there yet: outputs that are inputs, views or given twice.
    fn close_main(&mut self, graph: &Graph) {
        for (i, value) in graph.outputs().iter().enumerate() {
            let target = View::whole(Memory::Output(i as u32), &self.program.outputs[i].dims);
            self.deliver(*value, target);
        }
    }

    /// Makes sure the elements of a value are where they are expected.
    pub(crate) fn deliver(&mut self, value: Value, target: View) {
        let Some(handle) = self.scope().values.get(&value).copied() else { return };
        let view = self.force(handle);
        if view != target {
            self.copy(handle, &target);
        }
    }

    /// Lowers every node of a graph whose inputs are known in the present scope.
    pub(crate) fn graph(&mut self, graph: &Graph) {
        let order = graph.order();
        self.scope().order = order.iter().enumerate().map(|(i, id)| (*id, i)).collect();
        for id in order {
            if let Err(message) = self.node(graph, id) {
                let node = graph.node(id);
                let (op, at) = (node.op.to_string(), node.label().to_string());
                self.problems.push(Problem { op, at, message });
                self.stand_in(graph, id);
            }
        }
    }

    fn node(&mut self, graph: &Graph, id: NodeId) -> Result<()> {
        let node = graph.node(id);
        let attrs = self.ops.attrs(node).ok_or("no such operator")?;
        let mut operands = Vec::new();
        if supported::refusal(graph, id).is_some() {
            self.stand_in(graph, id);
            return Ok(());
        }
        for operand in graph.operands(id) {
            operands.push(match operand {
                // A producer that failed was reported already.
                Some(value) => match self.scope().values.get(&value) {
                    Some(handle) => Some(*handle),
                    None => return Ok(()),
                },
                None => None,
            });
        }
        let call = Call { graph, id, attrs, operands };
        let results = self.call(&call)?;
        for (slot, handle) in results.into_iter().take(node.results.len()).enumerate() {
            let value = Value { node: id, slot: slot as u32 };
            self.settle(graph, value, handle);
        }
        Ok(())
    }

    /// Finds the family that knows the operator.
    fn call(&mut self, call: &Call<'_>) -> Result<Vec<Handle>> {
        let families: &[Family<'a>] = &[
            Self::elementwise,
            Self::movement,
            Self::contraction,
            Self::reduction,
            Self::control,
            Self::pooling,
            Self::normalisation,
            Self::argument,
            Self::indexed,
            Self::cumulative,
            Self::resizing,
            Self::einstein,
            Self::selection,
            Self::scattering,
            Self::random,
            Self::quantisation,
            Self::packed,
            Self::recurrence,
            Self::attending,
            Self::linear_attending,
            Self::losses,
            Self::signal,
            Self::sampling,
            Self::regional,
            Self::unusual_convolution,
            Self::columns,
            Self::determinant,
            Self::foreign,
        ];
        for family in families {
            if let Some(results) = family(self, call) {
                return results;
            }
        }
        Err("compiled code has no kernel for this operator".to_string())
    }

    fn scope(&mut self) -> &mut Scope {
        if self.scopes.is_empty() {
            self.scopes.push(Scope::default());
        }
        let last = self.scopes.len() - 1;
        &mut self.scopes[last]
    }

    /// Adds a step to the open list.
    pub(crate) fn step(&mut self, step: Step) {
        if let Some(list) = self.steps.last_mut() {
            list.push(step);
        }
    }

    /// The number of a symbol.
    pub(crate) fn symbol(&mut self, name: &str) -> u32 {
        let found = self.program.symbols.iter().position(|s| s == name);
        found.unwrap_or_else(|| {
            self.program.symbols.push(name.to_string());
            self.program.symbols.len() - 1
        }) as u32
    }
}

/// One node being lowered.
pub(crate) struct Call<'a> {
    /// Its graph.
    pub(crate) graph: &'a Graph,
    /// The node.
    pub(crate) id: NodeId,
    /// Its attributes with defaults.
    pub(crate) attrs: Attrs<'a>,
    /// Its operands.
    pub(crate) operands: Vec<Option<Handle>>,
}

impl Call<'_> {
    /// The operator.
    pub(crate) fn op(&self) -> &str {
        self.attrs.node.op.as_str()
    }

    /// Operand `i`, which must be there.
    pub(crate) fn operand(&self, i: usize) -> Result<Handle> {
        self.operands.get(i).copied().flatten().ok_or_else(|| format!("operand {i} is missing"))
    }

    /// Operand `i`, if it is there.
    pub(crate) fn optional(&self, i: usize) -> Option<Handle> {
        self.operands.get(i).copied().flatten()
    }

    /// The value of result `slot`.
    pub(crate) fn result(&self, slot: u32) -> Value {
        Value { node: self.id, slot }
    }

    /// Extents of result `slot`.
    pub(crate) fn dims(&self, slot: u32) -> Result<Vec<Dim>> {
        let ty = self.graph.ty(self.result(slot));
        ty.dims.clone().ok_or_else(|| "the rank of the result is not known".to_string())
    }

    /// Element type of result `slot`.
    pub(crate) fn dtype(&self, slot: u32) -> DType {
        self.graph.ty(self.result(slot)).dtype
    }
}

fn port(graph: &Graph, value: Value, name: &str) -> Port {
    let ty = graph.ty(value);
    Port { name: name.to_string(), dtype: ty.dtype, dims: ty.dims.clone().unwrap_or_default() }
}

/// The identity position on `rank` axes.
pub(crate) fn identity(rank: usize) -> Vec<Index> {
    (0..rank as u32).map(Index::axis).collect()
}
