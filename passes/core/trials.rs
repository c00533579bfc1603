//! A model whose linear layers are exchanged from run to run, measured against the exact one.
//!
//! Matrices, and limits that inputs must pass by their size, are inputs of one compiled module, so
//! that trying another choice of them takes no more than running it.
use crate::against::Difference;
use crate::append::masked;
use crate::ledger::ModelError;
use crate::linear::Linear;
use crate::measure::{Measure, Ready};
use crate::pass::PassError;
use std::sync::Arc;
use weft_ir::{DType, Graph, Module, OpSet, Tensor, TensorType, Value};

/// The most bytes of inputs and exact outputs that are kept; with more, the exact model runs again in
/// every trial.
const MOST: usize = 1 << 30;
/// A glance is over when it saw so many numbers come out.
const GLANCE: u64 = 1 << 20;

/// How much of the calibration data a trial looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// All of it.
    Whole,
    /// The first inputs, until some number of outputs was seen.
    Glance,
}

/// What each layer is tried with.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// Its matrix, inputs by outputs.
    pub matrix: Tensor,
    /// The sizes that its inputs must pass, channel by channel, or else are zero.
    pub limits: Option<Vec<f32>>,
}

/// A model made ready for many trials.
pub struct Trials<'t> {
    measure: &'t dyn Measure,
    exact: Arc<Module>,
    model: Arc<dyn Ready>,
    /// The first inputs of the data with what the exact model makes of them.
    kept: Vec<[Vec<Tensor>; 2]>,
    /// Whether these are all.
    complete: bool,
    masks: Masks,
}

/// Whether trials may let inputs of layers be zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Masks {
    /// They may.
    Some,
    /// They may not, which runs faster.
    None,
}

/// Is lent the inputs of a run and its outputs.
type VisitRun<'v> = dyn FnMut(&[Tensor], &[Tensor]) -> Result<(), PassError> + 'v;

impl<'t> Trials<'t> {
    /// Trials of a module with other matrices in some layers of its main graph.
    ///
    /// # Errors
    /// If a module cannot be run.
    pub(crate) fn new(
        measure: &'t dyn Measure,
        (exact, module): (Arc<Module>, &Module),
        ops: &OpSet,
        (layers, masks): (&[Linear], Masks),
    ) -> Result<Self, PassError> {
        let model = measure.open(&exchangeable(module, ops, layers, masks)?)?;
        let mut trials = Self { measure, exact, model, kept: Vec::new(), complete: true, masks };
        trials.keep()?;
        Ok(trials)
    }

    /// Keeps inputs and outputs as long as there is room, the first always.
    fn keep(&mut self) -> Result<(), PassError> {
        let (mut kept, mut complete, mut bytes) = (Vec::new(), true, 0);
        self.each_exact(&mut |inputs, outputs| {
            let own: usize = inputs.iter().chain(outputs).map(|tensor| tensor.data().len()).sum();
            complete &= kept.is_empty() || bytes + own <= MOST;
            if complete {
                bytes += own;
                kept.push([inputs.to_vec(), outputs.to_vec()]);
            }
            Ok(())
        })?;
        (self.kept, self.complete) = (kept, complete);
        Ok(())
    }

    /// Runs the exact model on all inputs.
    fn each_exact(&self, visit: &mut VisitRun<'_>) -> Result<(), PassError> {
        let graph = &self.exact.graph;
        let inputs = graph.inputs().iter().map(|id| Value { node: *id, slot: 0 });
        let taps: Vec<Value> = inputs.chain(graph.outputs().iter().copied()).collect();
        let count = graph.inputs().len();
        self.measure.stream(&self.exact, &[taps], &mut |_, values| {
            let (inputs, outputs) = values.split_at(count);
            visit(inputs, outputs)
        })
    }

    /// How far the model is off with these layers, in the order of the layers.
    ///
    /// # Errors
    /// If they do not fit, or a run fails.
    pub fn error(&self, layers: &[Exchange], look: Look) -> Result<ModelError, PassError> {
        let more = self.inputs(layers)?;
        let mut difference = Difference::new(self.measure);
        let mut compare = |inputs: &[Tensor], outputs: &[Tensor]| {
            let found = self.model.run(&[inputs, &more].concat())?;
            difference.add(inputs, outputs, &found)
        };
        if look == Look::Whole && !self.complete {
            self.each_exact(&mut compare)?;
            return Ok(difference.error());
        }
        let mut seen = 0;
        for [inputs, outputs] in &self.kept {
            if look == Look::Glance && seen >= GLANCE {
                break;
            }
            compare(inputs, outputs)?;
            seen += outputs.iter().map(Tensor::len).sum::<u64>();
        }
        Ok(difference.error())
    }

    /// What goes in besides the inputs of the model.
    fn inputs(&self, layers: &[Exchange]) -> Result<Vec<Tensor>, PassError> {
        let mut inputs = Vec::new();
        for Exchange { matrix, limits } in layers {
            inputs.push(matrix.clone());
            if self.masks == Masks::Some {
                let channels = matrix.dims().first().map_or(0, |n| *n as usize);
                // Every size passes a number below zero.
                inputs.push(Tensor::vector(limits.as_deref().unwrap_or(&vec![-1.0; channels])));
            } else if limits.is_some() {
                return Err(PassError::Failed("a trial without masks was given limits".to_string()));
            }
        }
        Ok(inputs)
    }
}

/// A module with the matrices of layers as further inputs, and with limits if it has masks.
fn exchangeable(module: &Module, ops: &OpSet, layers: &[Linear], masks: Masks) -> Result<Module, PassError> {
    let mut module = module.clone();
    let graph = &mut module.graph;
    for layer in layers {
        let [inputs, outputs] = layer.dims.map(|n| n as u64);
        let matrix = input(graph, &[inputs, outputs]);
        let x = match masks {
            Masks::Some => {
                let limits = input(graph, &[inputs]);
                masked(graph, ops, layer.input, limits)?
            }
            Masks::None => layer.input,
        };
        let mut operands = graph.operands(layer.node);
        (operands[0], operands[1]) = (Some(x), Some(matrix));
        graph.set_operands(layer.node, &operands);
        graph.node_mut(layer.node).attrs.remove("transB");
    }
    Ok(module)
}

fn input(graph: &mut Graph, dims: &[u64]) -> Value {
    let name = graph.fresh_name("exchanged");
    graph.add_input(&name, TensorType::fixed(DType::F32, dims))
}
