//! The outputs of a module, to be looked at a few rows at a time.
//!
//! The logits of a language model are many times as large as what they are a product of. Where an
//! output is a product with constants, that product is no part of the run of the module: it is made
//! of a few rows, as many as are looked at.
use crate::measure::{Measure, Ready};
use crate::pass::PassError;
use crate::trials::Look;
use std::collections::BTreeSet;
use std::sync::Arc;
use weft_ir::{Dim, Graph, Module, Tensor, TensorType, Value};

/// The most bytes of an output that are made at once. The matrix that makes it is packed for each part.
const MOST: usize = 32 << 20;
/// About so many rows are made at a glance.
const FEW: usize = 128;

/// One output of a module, of floats of whole bytes.
pub(crate) struct End {
    /// What is to be known of the module for it.
    pub(crate) value: Value,
    /// What makes the output of it, if it is not the output itself.
    product: Option<Product>,
}

/// A product that is made of a few rows at a time.
struct Product {
    ready: Arc<dyn Ready>,
    /// What is multiplied with; unless it is within the module that is ready.
    matrix: Option<Multiplied>,
    width: usize,
}

/// A constant that is multiplied with.
struct Multiplied {
    value: Value,
    tensor: Tensor,
}

impl End {
    pub(crate) fn new(measure: &dyn Measure, module: &Module, output: Value) -> Result<Self, PassError> {
        let Some((value, module, matrix)) = last_product(module, output) else {
            return Ok(Self { value: output, product: None });
        };
        let made = module.graph.outputs().first().map(|value| module.graph.ty(*value).clone());
        let width = made.and_then(|ty| ty.dims?.last()?.as_fixed()).and_then(|n| usize::try_from(n).ok());
        let (ready, width) = (measure.open(&module)?, width.unwrap_or_default());
        Ok(Self { value, product: Some(Product { ready, matrix, width }) })
    }

    /// The constant that the last product multiplies with.
    pub(crate) fn matrix(&self) -> Option<Value> {
        self.product.as_ref()?.matrix.as_ref().map(|matrix| matrix.value)
    }

    /// How many numbers a row of the output has.
    pub(crate) fn width(&self, value: &Tensor) -> usize {
        let last = value.dims().last().map_or(1, |last| *last as usize);
        self.product.as_ref().map_or(last, |product| product.width)
    }

    /// How many rows of the output there are.
    pub(crate) fn count(&self, value: &Tensor) -> usize {
        let last = value.dims().last().map_or(1, |last| *last as usize);
        value.dims().iter().product::<u64>() as usize / last.max(1)
    }

    /// The rows to be looked at, as many together as are best made at once; at a glance a few of all, where rows have
    /// to be made.
    pub(crate) fn rows(&self, value: &Tensor, look: Look) -> Vec<Vec<usize>> {
        let bytes = self.width(value).saturating_mul(value.dtype().bits() as usize / 8);
        let (count, most) = (self.count(value), (MOST / bytes.max(1)).max(1));
        let step = match (look, &self.product) {
            (Look::Glance, Some(_)) => count.div_ceil(FEW).max(1),
            _ => 1,
        };
        let rows: Vec<usize> = (step / 2..count).step_by(step).collect();
        rows.chunks(most).map(<[usize]>::to_vec).collect()
    }

    /// Some rows of the output, as a matrix; `instead` may be what the last product multiplies with.
    pub(crate) fn some(
        &self,
        value: &Tensor,
        rows: &[usize],
        instead: Option<&Tensor>,
    ) -> Result<Tensor, PassError> {
        let last = value.dims().last().copied().unwrap_or(1);
        let row = last as usize * value.dtype().bits() as usize / 8;
        let data: Vec<u8> =
            rows.iter().flat_map(|at| &value.data()[at * row..(at + 1) * row]).copied().collect();
        let part = Tensor::new(value.dtype(), vec![rows.len() as u64, last], data.into());
        let part = part.map_err(|error| PassError::Failed(error.to_string()))?;
        let Some(product) = &self.product else { return Ok(part) };
        let matrix = product.matrix.as_ref().map(|matrix| instead.unwrap_or(&matrix.tensor).clone());
        let inputs: Vec<Tensor> = std::iter::once(part).chain(matrix).collect();
        let nothing = || PassError::Failed("a product gives nothing".to_string());
        product.ready.run(&inputs)?.into_iter().next().ok_or_else(nothing)
    }
}

/// The product by constants that an output is: what is multiplied, and a module that multiplies rows
/// of it, with the matrix as its other input where that is a constant as it stands.
fn last_product(module: &Module, output: Value) -> Option<(Value, Module, Option<Multiplied>)> {
    let from = &module.graph;
    let (value, matrix) = (from.operand(output.node, 0)?, from.operand(output.node, 1)?);
    let ([inputs, outputs], dtype) = (matrix_dims(from, matrix)?, from.ty(value).dtype);
    let rows = from.ty(value).dims.as_ref().filter(|dims| dims.len() > 1)?;
    outputs.as_fixed()?;
    if from.node(output.node).op != "MatMul" || !rows.last()?.same(&inputs) || depends(from, matrix) {
        return None;
    }
    let mut graph = from.clone();
    let of = |last: &Dim| TensorType::new(dtype, vec![Dim::symbol("rows"), last.clone()]);
    let rows = graph.add_input(&graph.fresh_name("rows"), of(&inputs));
    let constant = from.constant(matrix);
    let by = match constant {
        Some(_) => graph.add_input(&graph.fresh_name("matrix"), from.ty(matrix).clone()),
        None => matrix,
    };
    graph.set_operands(output.node, &[Some(rows), Some(by)]);
    graph.set_ty(output, of(&outputs));
    graph.set_outputs(vec![output]);
    graph.sweep();
    let before = from.inputs().len();
    graph.retain_inputs(&|place| place >= before);
    Some((
        value,
        Module::new(module.stage, graph),
        constant.map(|tensor| Multiplied { value: matrix, tensor: (**tensor).clone() }),
    ))
}

fn matrix_dims(graph: &Graph, value: Value) -> Option<[Dim; 2]> {
    <[Dim; 2]>::try_from(graph.ty(value).dims.clone()?).ok()
}

/// Whether a value depends on an input.
fn depends(graph: &Graph, value: Value) -> bool {
    let mut open = vec![value.node];
    let mut seen = BTreeSet::new();
    while let Some(id) = open.pop() {
        if graph.inputs().contains(&id) {
            return true;
        }
        if seen.insert(id) {
            open.extend(graph.producers(id));
        }
    }
    false
}
