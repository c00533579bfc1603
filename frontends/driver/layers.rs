//! Where compiled code begins to differ from the interpreter.
use crate::compare::{Difference, Tolerance};
use crate::compile::CompileOptions;
use crate::driver::Driver;
use crate::error::Error;
use crate::model::Model;
use crate::progress::Progress;
use std::sync::Arc;
use weft_interp::Interpreter;
use weft_ir::types::Kind;
use weft_ir::{Graph, Module, Tensor, Value};
use weft_load::Options;

/// A value that compiled code computes wrongly although what it is made of is right.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// The operator.
    pub op: String,
    /// The value.
    pub value: String,
    /// What differs.
    pub difference: Difference,
}

/// Every value of the main graph is computed by compiled code and by the interpreter; gives those
/// where a difference begins. Kernels are fused less than usual, as all values come out.
///
/// `model` is as passes left it; `options.pipeline` should leave it as it is.
pub fn layers(
    driver: &Driver,
    model: &Model,
    inputs: &[Arc<Tensor>],
    (options, tolerance): (&CompileOptions, Tolerance),
    progress: &mut dyn Progress,
) -> Result<Vec<Layer>, Error> {
    let mut module = model.module.clone();
    let values = values(&module.graph);
    module.graph.set_outputs(values.clone());
    let expected = Interpreter::with_ops(driver.ops()).run(&module, inputs)?;
    let probed = Model { module: module.clone(), ..model.clone() };
    let found = driver.prepare(probed, options, Options::default(), progress)?.run(inputs)?;
    Ok(begin(&module, &values, &|i| tolerance.compare(&expected[i], &found[i]).err()))
}

/// All values that compiled code can give out.
fn values(graph: &Graph) -> Vec<Value> {
    let nodes = graph.order().into_iter().filter(|id| graph.node(*id).op != "Const");
    let values = nodes
        .flat_map(|node| (0..graph.node(node).results.len() as u32).map(move |slot| Value { node, slot }));
    values
        .filter(|value| graph.ty(*value).dims.is_some() && graph.ty(*value).dtype.kind() != Kind::String)
        .collect()
}

/// The values that differ while all operands of their node agree.
fn begin(module: &Module, values: &[Value], of: &dyn Fn(usize) -> Option<Difference>) -> Vec<Layer> {
    let graph = &module.graph;
    let (mut wrong, mut layers) = (std::collections::BTreeSet::new(), Vec::new());
    for (i, value) in values.iter().enumerate() {
        let Some(difference) = of(i) else { continue };
        wrong.insert(*value);
        let operands = graph.operands(value.node);
        if operands.iter().flatten().any(|operand| wrong.contains(operand)) {
            continue;
        }
        let op = graph.node(value.node).op.to_string();
        layers.push(Layer { op, value: graph.name_of(*value).to_string(), difference });
    }
    layers
}
