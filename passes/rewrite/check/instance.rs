//! A graph made up to fit what a rule looks for.
use super::dice::Dice;
use super::grow::Grower;
use std::collections::BTreeMap;
use std::sync::Arc;
use weft_ir::{Dim, Module, OpSet, Stage, Tensor, TensorType, Value};
use weft_passes::rule::Pattern;

/// A graph, and numbers for its inputs.
pub(crate) struct Instance {
    pub(crate) module: Module,
    pub(crate) inputs: Vec<Arc<Tensor>>,
}

/// A graph that the patterns fit, as far as structure goes; none where what was made up does not
/// make a valid graph.
pub(crate) fn grow(patterns: &[Pattern], ops: &OpSet, dice: &mut Dice) -> Option<Instance> {
    let mut grower = Grower::new(ops, dice);
    let roots: Option<Vec<Value>> = patterns.iter().map(|pattern| grower.root(pattern)).collect();
    let (mut graph, inputs, symbolic) = grower.done(&roots?);
    if symbolic {
        let inputs: Vec<Value> = graph.inputs().iter().map(|id| Value { node: *id, slot: 0 }).collect();
        for input in inputs {
            let ty = with_names(graph.ty(input));
            graph.set_ty(input, ty);
        }
    }
    let unnamed = |id| graph.node(id).results.iter().any(|r| r.ty.dims.iter().flatten().any(Dim::is_unknown));
    if symbolic || graph.nodes().any(unnamed) {
        weft_ir::infer::infer(&mut graph, ops).ok()?;
    }
    let module = Module { stage: Stage::Canonical, graph, metadata: BTreeMap::new() };
    Some(Instance { module, inputs })
}

/// The type with the same name for every extent of the same size.
fn with_names(ty: &TensorType) -> TensorType {
    let name = |dim: &Dim| match dim.as_fixed() {
        Some(extent) => Dim::symbol(&format!("N{extent}")),
        None => dim.clone(),
    };
    TensorType { dtype: ty.dtype, dims: ty.dims.as_ref().map(|dims| dims.iter().map(name).collect()) }
}
