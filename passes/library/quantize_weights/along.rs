//! Which way the blocks of each layer reach, by what errs less on the calibration data.
use super::rounded::spread;
use super::{Measure, QuantizeWeights};
use std::cell::RefCell;
use weft_ir::infer::Facts;
use weft_ir::{Module, OpSet, Tensor};
use weft_numerics::Along;
use weft_passes::{ErrorSum, Linear, PassError, in_scopes, scopes};

const WAYS: [Along; 2] = [Along::Inputs, Along::Outputs];

impl QuantizeWeights {
    /// The better way of each layer; blocks along the inputs where both err alike.
    pub(super) fn better_ways(
        &self,
        measure: &dyn Measure,
        (module, ops): (&Module, &OpSet),
        (facts, layers): (&Facts, &[Linear]),
    ) -> Result<Vec<Along>, PassError> {
        let scopes = scopes(&module.graph, facts, ops, layers);
        let sums = RefCell::new(vec![[ErrorSum::default(); 2]; layers.len()]);
        in_scopes(measure, module, &scopes, &mut |place, scoped| {
            let scope = &scopes[place];
            let exact = exact(facts, layers, &scope.layers)?;
            let expected = scoped.run(&exact)?;
            let trials: Vec<usize> = (0..scope.judged * WAYS.len()).collect();
            let rounded = spread(&trials, &|trial| {
                let layer = &layers[scope.layers[trial / WAYS.len()]];
                let numbers = self.nearest(facts, layer, WAYS[trial % WAYS.len()]).numbers();
                let dims = layer.dims.map(|n| n as u64);
                Tensor::from_slice(&dims, &numbers).map_err(|error| PassError::Failed(error.to_string()))
            })?;
            for (trial, matrix) in rounded.into_iter().enumerate() {
                let (judged, way) = (trial / WAYS.len(), trial % WAYS.len());
                let mut matrices = exact.clone();
                matrices[judged] = matrix;
                sums.borrow_mut()[scope.layers[judged]][way].add(&expected, &scoped.run(&matrices)?);
            }
            Ok(())
        })?;
        let better = |[inputs, outputs]: &[ErrorSum; 2]| match outputs.squared() < inputs.squared() {
            true => Along::Outputs,
            false => Along::Inputs,
        };
        Ok(sums.into_inner().iter().map(better).collect())
    }
}

/// The matrices of some layers as they are.
pub(super) fn exact(facts: &Facts, layers: &[Linear], places: &[usize]) -> Result<Vec<Tensor>, PassError> {
    let gone = || PassError::Failed("a matrix is not there any more".to_string());
    places.iter().map(|place| layers[*place].tensor(facts).ok_or_else(gone)).collect()
}
