//! A model whose linear layers are exchanged from run to run, measured against the exact one.
//!
//! Matrices, and limits that inputs must pass by their size, go into compiled code like inputs, so that trying
//! another choice of them takes no more than running it. They are asked for where they are needed and
//! dropped again, so that no more than those of a few layers are in memory at a time.
use crate::against::{Changed, Exact};
use crate::append::masked;
use crate::ledger::ModelError;
use crate::linear::Linear;
use crate::measure::{Constants, Measure, Streamed};
use crate::pass::PassError;
use std::collections::BTreeMap;
use std::sync::Arc;
use weft_ir::infer::Facts;
use weft_ir::{Attr, Def, Graph, Module, Node, OpSet, Tensor, TensorType, Value};

/// A glance is over when it saw so many numbers come out.
const GLANCE: usize = 1 << 20;

/// How much of the calibration data a trial looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// All of it.
    Whole,
    /// The first inputs, until some number of outputs was seen, and of logits some rows only.
    Glance,
}

/// What layers are tried with, each by its place in the list that trials were made for.
pub trait Exchanged {
    /// Whether it has another matrix than its own.
    fn has_matrix(&self, layer: usize) -> bool;

    /// That matrix, inputs by outputs.
    ///
    /// # Errors
    /// If it cannot be made.
    fn matrix(&self, layer: usize) -> Result<Tensor, PassError>;

    /// Whether some of its inputs may be zero.
    fn has_limits(&self, layer: usize) -> bool;

    /// The sizes that its inputs must pass, channel by channel, or else are zero.
    fn limits(&self, layer: usize) -> Vec<f32>;
}

/// Whether trials may let inputs of layers be zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Masks {
    /// They may.
    Some,
    /// They may not, which runs faster.
    None,
}

/// A model made ready for many trials.
pub struct Trials<'t> {
    exact: Exact<'t>,
    changed: Changed,
    model: Box<dyn Streamed + 't>,
    open: BTreeMap<Value, Open>,
}

/// A constant that is exchanged.
#[derive(Debug, Clone, Copy)]
enum Open {
    /// The matrix of a layer.
    Matrix(usize),
    /// What its inputs must pass.
    Limits(usize),
}

impl<'t> Trials<'t> {
    /// Trials of a module with other matrices in some layers of its main graph.
    ///
    /// # Errors
    /// If a module cannot be run.
    pub(crate) fn new(
        (measure, ops): (&'t dyn Measure, &OpSet),
        (exact, module): (&Module, &Module),
        (facts, layers): (&Facts, &[Linear]),
        masks: Masks,
    ) -> Result<Self, PassError> {
        let mut module = module.clone();
        let open = exchangeable(&mut module.graph, (ops, facts), layers, masks)?;
        let changed = Changed::new(measure, &module)?;
        let model = measure.prepare(&module, &changed.groups, &open.keys().copied().collect())?;
        Ok(Self { exact: Exact::new(measure, exact)?, changed, model, open })
    }

    /// How far the model is off with these layers.
    ///
    /// # Errors
    /// If they do not fit, or a run fails.
    pub fn error(&mut self, layers: &dyn Exchanged, look: Look) -> Result<ModelError, PassError> {
        let Self { exact, changed, model, open } = self;
        let constants = Opened { open, layers };
        let inputs = if look == Look::Glance { exact.inputs_for(GLANCE) } else { usize::MAX };
        exact.compare(changed, (&constants, look), &mut |visit| model.run(inputs, &constants, visit))
    }
}

/// What layers are tried with, as constants.
struct Opened<'o> {
    open: &'o BTreeMap<Value, Open>,
    layers: &'o dyn Exchanged,
}

impl Constants for Opened<'_> {
    fn has(&self, constant: Value) -> bool {
        match self.open.get(&constant) {
            Some(Open::Matrix(layer)) => self.layers.has_matrix(*layer),
            Some(Open::Limits(layer)) => self.layers.has_limits(*layer),
            None => false,
        }
    }

    fn numbers(&self, constant: Value) -> Result<Tensor, PassError> {
        match self.open.get(&constant) {
            Some(Open::Matrix(layer)) => self.layers.matrix(*layer),
            Some(Open::Limits(layer)) => Ok(Tensor::vector(&self.layers.limits(*layer))),
            None => Err(PassError::Failed("a constant is not exchanged".to_string())),
        }
    }
}

/// Gives each layer a matrix of its own, inputs by outputs, and limits if there are masks; says which constants
/// these are.
fn exchangeable(
    graph: &mut Graph,
    (ops, facts): (&OpSet, &Facts),
    layers: &[Linear],
    masks: Masks,
) -> Result<BTreeMap<Value, Open>, PassError> {
    let mut open = BTreeMap::new();
    for (place, layer) in layers.iter().enumerate() {
        let gone = || PassError::Failed("a matrix is not there any more".to_string());
        let matrix = constant(graph, layer.tensor(facts).ok_or_else(gone)?);
        open.insert(matrix, Open::Matrix(place));
        let x = match masks {
            Masks::Some => {
                // Every size passes a number below zero.
                let limits = constant(graph, Tensor::vector(&vec![-1.0f32; layer.dims[0]]));
                open.insert(limits, Open::Limits(place));
                masked(graph, ops, layer.input, limits)?
            }
            Masks::None => layer.input,
        };
        let mut operands = graph.operands(layer.node);
        (operands[0], operands[1]) = (Some(x), Some(matrix));
        graph.set_operands(layer.node, &operands);
        graph.node_mut(layer.node).attrs.remove("transB");
    }
    Ok(open)
}

fn constant(graph: &mut Graph, tensor: Tensor) -> Value {
    let def =
        Def { name: graph.fresh_name("exchanged"), ty: TensorType::fixed(tensor.dtype(), tensor.dims()) };
    let node = Node::new("Const", vec![def]).with("value", Attr::Tensor(Arc::new(tensor)));
    Value { node: graph.add(node, &[]), slot: 0 }
}
