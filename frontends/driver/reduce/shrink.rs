//! Smaller extents and simpler weights.
use super::Reduction;
use crate::dims::{fix, symbols};
use crate::error::Error;
use std::collections::BTreeSet;
use std::sync::Arc;
use weft_ir::types::Kind;
use weft_ir::{Attr, DType, Dim, Module, NodeId, OpSet, Tensor, Value, infer};

/// What is tried in the place of an extent or a symbol.
const SMALL: [i64; 3] = [1, 2, 3];

impl Reduction<'_> {
    /// Puts small numbers in the place of symbols.
    pub(super) fn symbols(&mut self) -> Result<(), Error> {
        for symbol in symbols(&self.module) {
            for number in SMALL {
                let mut smaller = self.module.clone();
                fix(&mut smaller, &[(symbol.clone(), number.unsigned_abs())].into())?;
                if self.attempt(smaller)? {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Puts small numbers in the place of others, wherever inputs and weights have them.
    pub(super) fn extents(&mut self) -> Result<(), Error> {
        for extent in extents(&self.module).into_iter().rev() {
            for number in SMALL.into_iter().chain([extent / 2]).filter(|number| *number < extent) {
                let Some(smaller) = resized(&self.module, extent, number, self.judge.ops()) else { continue };
                if self.attempt(smaller)? {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Makes weights all zeros, or all ones.
    pub(super) fn weights(&mut self) -> Result<(), Error> {
        for (id, tensor) in constants(&self.module) {
            let elements: BTreeSet<_> =
                tensor.to_f64s().unwrap_or_default().iter().map(|x| x.to_bits()).collect();
            if tensor.dtype().kind() != Kind::Float || elements.len() < 2 {
                continue;
            }
            for value in [0.0, 1.0] {
                let Some(same) = weft_passes::filled(tensor.dtype(), tensor.dims(), value) else { continue };
                let mut simpler = self.module.clone();
                set(&mut simpler, id, same);
                if self.attempt(simpler)? {
                    break;
                }
            }
        }
        Ok(())
    }
}

/// The numbers above one that are extents of inputs and weights, the smallest first.
fn extents(module: &Module) -> BTreeSet<i64> {
    let graph = &module.graph;
    let inputs = graph.inputs().iter().flat_map(|id| graph.ty(Value { node: *id, slot: 0 }).dims.clone());
    let inputs = inputs.flatten().filter_map(|dim| dim.as_fixed());
    let constants = constants(module);
    let weights = constants.iter().flat_map(|(_, tensor)| tensor.dims().to_vec());
    inputs.chain(weights.filter_map(|n| i64::try_from(n).ok())).filter(|n| *n > 1).collect()
}

fn constants(module: &Module) -> Vec<(NodeId, Arc<Tensor>)> {
    let graph = &module.graph;
    graph.nodes().filter_map(|id| Some((id, graph.constant(Value { node: id, slot: 0 })?.clone()))).collect()
}

fn set(module: &mut Module, id: NodeId, tensor: Tensor) {
    module.graph.node_mut(id).attrs.insert("value".into(), Attr::Tensor(Arc::new(tensor)));
}

/// The module with one extent another everywhere, if it still has a meaning.
fn resized(module: &Module, from: i64, to: i64, ops: &OpSet) -> Option<Module> {
    let mut smaller = module.clone();
    for id in module.graph.inputs() {
        let value = Value { node: *id, slot: 0 };
        let mut ty = smaller.graph.ty(value).clone();
        let same = |dim: &&mut Dim| dim.as_fixed() == Some(from);
        ty.dims.iter_mut().flatten().filter(same).for_each(|dim| *dim = Dim::fixed(to));
        smaller.graph.set_ty(value, ty);
    }
    for (id, tensor) in constants(module) {
        set(&mut smaller, id, smaller_tensor(&tensor, from, to)?);
    }
    infer::infer(&mut smaller.graph, ops).ok()?;
    Some(smaller)
}

/// The first elements along every axis of that extent; in shapes, the number itself.
fn smaller_tensor(tensor: &Tensor, from: i64, to: i64) -> Option<Tensor> {
    if tensor.dtype() == DType::I64 && tensor.dims().len() == 1 {
        let numbers: Vec<i64> =
            tensor.to_i64s()?.into_iter().map(|n| if n == from { to } else { n }).collect();
        return Some(Tensor::vector(&numbers));
    }
    let resize = |extent: &u64| if i64::try_from(*extent) == Ok(from) { to.unsigned_abs() } else { *extent };
    let dims: Vec<u64> = tensor.dims().iter().map(resize).collect();
    if dims == tensor.dims() {
        return Some(tensor.clone());
    }
    let size = usize::try_from(tensor.dtype().bits()).ok().filter(|bits| bits % 8 == 0)? / 8;
    let count = usize::try_from(dims.iter().product::<u64>()).ok()?;
    let mut data = Vec::with_capacity(count * size);
    let mut index = vec![0u64; dims.len()];
    for _ in 0..count {
        let place = index.iter().zip(tensor.dims()).fold(0, |at, (i, extent)| at * extent + i);
        let start = usize::try_from(place).ok()? * size;
        data.extend_from_slice(tensor.data().get(start..start + size)?);
        advance(&mut index, &dims);
    }
    Tensor::new(tensor.dtype(), dims, data.into()).ok()
}

/// The next index, the last axis fastest.
fn advance(index: &mut [u64], dims: &[u64]) {
    for (i, extent) in index.iter_mut().zip(dims).rev() {
        *i += 1;
        if *i < *extent {
            return;
        }
        *i = 0;
    }
}
